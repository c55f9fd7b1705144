//! The verbs that make an operation.

use clap::Args;
use ferryway_model::{Digest, Name, Span, VersionNumber};

use super::values::{DiscoveryArg, NodeArg, RollbackTarget};

#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// The service in the hub
    pub(crate) service: Name,
    /// The new version number, never used before for this service
    #[arg(long, value_name = "VERSION")]
    pub(crate) version: VersionNumber,
    /// The groups to run it in
    #[arg(long, required = true, value_name = "GROUP", value_delimiter = ',')]
    pub(crate) to: Vec<Name>,
    #[command(flatten)]
    pub(crate) binding: BindingArgs,
    /// Refuse if the hub's definition has another digest
    #[arg(long, value_name = "DIGEST")]
    pub(crate) expect_digest: Option<Digest>,
    #[command(flatten)]
    pub(crate) delivery: Delivery,
}

#[derive(Debug, Args)]
pub(crate) struct Sync {
    /// The services; several go in one transaction
    #[arg(required = true, value_name = "SERVICE")]
    pub(crate) services: Vec<Name>,
    /// The group that runs what shall be synced
    #[arg(long, value_name = "GROUP")]
    pub(crate) from: Name,
    /// The groups to run it in
    #[arg(long, required = true, value_name = "GROUP", value_delimiter = ',')]
    pub(crate) to: Vec<Name>,
    #[command(flatten)]
    pub(crate) binding: BindingArgs,
    /// The new version number, where the source is No Version
    #[arg(long, value_name = "VERSION")]
    pub(crate) version: Option<VersionNumber>,
    /// Refuse if the source runs another version
    #[arg(long, value_name = "VERSION")]
    pub(crate) expect_version: Option<VersionNumber>,
    /// Refuse if the source runs another content
    #[arg(long, value_name = "DIGEST")]
    pub(crate) expect_digest: Option<Digest>,
    #[command(flatten)]
    pub(crate) delivery: Delivery,
}

#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// The service
    pub(crate) service: Name,
    /// The group
    #[arg(long = "in", value_name = "GROUP")]
    pub(crate) group: Name,
    /// The version, or the digest (blake3:…), that ran there before
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: RollbackTarget,
    /// Bring back the binding of that time, too
    #[arg(long)]
    pub(crate) with_binding: bool,
    #[command(flatten)]
    pub(crate) delivery: Delivery,
}

#[derive(Debug, Args)]
pub(crate) struct Bind {
    /// The service
    pub(crate) service: Name,
    /// The group
    #[arg(long = "in", value_name = "GROUP")]
    pub(crate) group: Name,
    #[command(flatten)]
    pub(crate) binding: BindingArgs,
    #[command(flatten)]
    pub(crate) preview: Preview,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

#[derive(Debug, Args)]
pub(crate) struct Set {
    /// The service
    pub(crate) service: Name,
    /// The group
    #[arg(long = "in", value_name = "GROUP")]
    pub(crate) group: Name,
    #[command(flatten)]
    pub(crate) preview: Preview,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// As [`Set`]; apart because it asks first.
#[derive(Debug, Args)]
pub(crate) struct Unpublish {
    #[command(flatten)]
    pub(crate) set: Set,
}

/// Where the upstream is, and under which names the group serves it.
#[derive(Debug, Args)]
pub(crate) struct BindingArgs {
    /// A node of the upstream; give several for several. An IPv6 address stands in brackets. As
    /// `HOST:PORT,weight=N,priority=N` it has a priority: nodes of a lower one are for when none of
    /// the higher is healthy
    #[arg(long = "node", value_name = "HOST[:PORT][:WEIGHT]")]
    pub(crate) nodes: Vec<NodeArg>,
    /// Find the upstream in a registry of the group
    #[arg(long, conflicts_with = "nodes")]
    #[arg(value_name = "registry=…,namespace=…,group=…,service=…")]
    pub(crate) discovery: Option<DiscoveryArg>,
    /// Serve it under these hosts in the group, not under the version's (with --node or
    /// --discovery)
    #[arg(long = "host", value_name = "HOST", value_delimiter = ',')]
    pub(crate) hosts: Vec<String>,
    /// Speak this to the upstream in the group, not what the version says (with --node or
    /// --discovery)
    #[arg(long, value_name = "SCHEME")]
    pub(crate) scheme: Option<String>,
}

/// How a change is planned, delivered and waited for.
#[derive(Debug, Args)]
pub(crate) struct Delivery {
    #[command(flatten)]
    pub(crate) preview: Preview,
    /// Deliver in waves: numbers of instances or percents
    #[arg(long, value_name = "1,25%,100%", value_delimiter = ',')]
    pub(crate) waves: Vec<String>,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// Asking first.
#[derive(Debug, Args)]
pub(crate) struct Preview {
    /// Only show what it would do; exit with 3 if it would be refused
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Refuse if the plan is another one than the dry run's with this digest
    #[arg(long, value_name = "DIGEST")]
    pub(crate) expect_plan: Option<Digest>,
}

/// Waiting for the end of delivery.
#[derive(Debug, Args)]
pub(crate) struct Waiting {
    /// Do not wait for the end of delivery
    #[arg(long)]
    pub(crate) no_wait: bool,
    #[command(flatten)]
    pub(crate) within: Within,
}

/// For how long.
#[derive(Debug, Args)]
pub(crate) struct Within {
    /// Wait so long at most
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub(crate) timeout: Span,
}
