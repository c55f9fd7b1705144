//! The nouns, each with the verbs that its resource has.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ferryway_api::Scope;
use ferryway_model::{Name, Span};
use jiff::Timestamp;
use uuid::Uuid;

use super::change::{Preview, Waiting, Within};
use super::values::ServiceVersion;

/// Which items of a list.
#[derive(Debug, Default, Args)]
pub(crate) struct Listing {
    /// Only those with this label; give several for all of them
    #[arg(long = "label", short, value_name = "KEY=VALUE")]
    pub(crate) labels: Vec<String>,
    /// Only those whose name or title has this text
    #[arg(long, short, value_name = "TEXT")]
    pub(crate) query: Option<String>,
}

/// A file to read a resource from.
#[derive(Debug, Args)]
pub(crate) struct Document {
    /// Read it from this YAML or JSON file (`-`: standard input)
    #[arg(long, short, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// Show all groups
    List(Listing),
    /// Show one
    Get {
        /// Its name
        name: Name,
    },
    /// Make a group, from its name and these flags or from a file
    Create {
        /// The name; may be left out where the file has it
        #[arg(required_unless_present = "file")]
        name: Option<Name>,
        #[command(flatten)]
        fields: GroupFields,
        #[command(flatten)]
        document: Document,
    },
    /// Change one in $EDITOR, or replace it from a file
    Edit {
        /// Its name
        name: Name,
        #[command(flatten)]
        document: Document,
    },
    /// Say that a view is meant that shrank without a change that says so
    #[command(after_help = "Instances that wait for it hold services with the code \
        shrink_unconfirmed; see `ferryway instance list --in GROUP`.")]
    ConfirmShrink {
        /// Its name
        name: Name,
    },
    /// Delete one that has neither online instances nor published services
    Delete {
        /// Its name
        name: Name,
    },
}

#[derive(Debug, Args)]
pub(crate) struct GroupFields {
    /// The name for people
    #[arg(long, conflicts_with = "file")]
    pub(crate) title: Option<String>,
    /// Take definitions by publishing and syncing only, not by editing in place
    #[arg(long, conflicts_with = "file")]
    pub(crate) enforce_publishing: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum InstanceCommand {
    /// Show all instances of a group
    List {
        /// The group
        #[arg(long = "in", value_name = "GROUP")]
        group: Name,
    },
    /// Show one
    Get {
        /// Its id
        id: String,
        /// The group
        #[arg(long = "in", value_name = "GROUP")]
        group: Name,
    },
    /// Forget one that is offline
    Delete {
        /// Its id
        id: String,
        /// The group
        #[arg(long = "in", value_name = "GROUP")]
        group: Name,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    /// Show all services of the hub, or of a group
    List {
        /// Those published in this group
        #[arg(long = "in", value_name = "GROUP")]
        group: Option<Name>,
        #[command(flatten)]
        listing: Listing,
    },
    /// Show one: the hub's definition, a version, or what a group runs
    Get {
        /// `SERVICE`, or `SERVICE@VERSION`
        service: ServiceVersion,
        /// As this group runs it
        #[arg(long = "in", value_name = "GROUP")]
        group: Option<Name>,
        /// With --in: the definition that runs there, as `service edit --in` takes it
        #[arg(long, requires = "group")]
        definition: bool,
    },
    /// Make a service in the hub, from a file
    Create {
        /// The name; may be left out where the file has it
        name: Option<Name>,
        /// Read it from this YAML or JSON file (`-`: standard input)
        #[arg(long, short, value_name = "FILE")]
        file: PathBuf,
    },
    /// Change a definition in $EDITOR, or replace it from a file: the hub's, or with --in a group's
    Edit {
        /// Its name
        service: Name,
        /// The definition that this group runs; the group's state becomes No Version
        #[arg(long = "in", value_name = "GROUP")]
        group: Option<Name>,
        #[command(flatten)]
        document: Document,
        #[command(flatten)]
        preview: Preview,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Delete one from the hub that is published nowhere
    Delete {
        /// Its name
        service: Name,
    },
    /// Show the versions of a service
    Versions {
        /// Its name
        service: Name,
    },
    /// Show what ran of a service in a group, newest first
    History {
        /// Its name
        service: Name,
        /// The group
        #[arg(long = "in", value_name = "GROUP")]
        group: Name,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RegistryCommand {
    /// Show all registries of a group
    List {
        /// The group
        #[arg(long = "in", value_name = "GROUP")]
        group: Name,
    },
    /// Show one
    Get {
        /// Its name
        name: Name,
        /// The group
        #[arg(long = "in", value_name = "GROUP")]
        group: Name,
    },
    /// Make a registry, from its name and these flags or from a file
    Create {
        /// The name; may be left out where the file has it
        #[arg(required_unless_present = "file")]
        name: Option<Name>,
        /// The group
        #[arg(long = "in", value_name = "GROUP")]
        group: Name,
        #[command(flatten)]
        fields: RegistryFields,
        #[command(flatten)]
        document: Document,
    },
    /// Change one in $EDITOR, or replace it from a file
    Edit {
        /// Its name
        name: Name,
        /// The group
        #[arg(long = "in", value_name = "GROUP")]
        group: Name,
        #[command(flatten)]
        document: Document,
    },
    /// Delete one that no binding names
    Delete {
        /// Its name
        name: Name,
        /// The group
        #[arg(long = "in", value_name = "GROUP")]
        group: Name,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RegistryFields {
    /// The kind of registry, as dns
    #[arg(long, required_unless_present = "file", conflicts_with = "file")]
    pub(crate) kind: Option<String>,
    /// The name for people
    #[arg(long, conflicts_with = "file")]
    pub(crate) title: Option<String>,
    /// A server to ask; none: what the kind has for a default
    #[arg(long = "endpoint", value_name = "ADDRESS", conflicts_with = "file")]
    pub(crate) endpoints: Vec<String>,
    /// For how long it must have said "none" before it is believed
    #[arg(long, value_name = "TIME", conflicts_with = "file")]
    pub(crate) empty_after: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum OperationCommand {
    /// Show all, newest first
    List {
        #[command(flatten)]
        most: Most,
    },
    /// Show one
    Get {
        /// Its id
        id: Uuid,
    },
    /// Pause a rollout
    Pause {
        /// Its id
        id: Uuid,
    },
    /// Go on with a rollout that is paused or halted
    Resume {
        /// Its id
        id: Uuid,
    },
    /// End a rollout and take back what it did
    Abort {
        /// Its id
        id: Uuid,
    },
    /// Follow one to its end
    Watch {
        /// Its id
        id: Uuid,
        #[command(flatten)]
        within: Within,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Show all tokens, without their secrets
    List,
    /// Make one, and print its secret
    Create(NewTokenArgs),
    /// Delete one: from then on it lets nobody in
    Delete {
        /// Its id
        id: Uuid,
    },
    /// Make a token that a gateway joins its group with, and print it
    CreateJoin(NewJoinTokenArgs),
    /// Show the join tokens of a group, without their secrets
    ListJoin {
        /// The gateway group
        #[arg(long, value_name = "NAME")]
        group: Name,
    },
    /// Delete a join token: nobody joins with it from then on; who has joined stays
    DeleteJoin {
        /// Its id
        id: Uuid,
        /// The gateway group
        #[arg(long, value_name = "NAME")]
        group: Name,
    },
}

#[derive(Debug, Args)]
pub(crate) struct NewJoinTokenArgs {
    /// The gateway group that it lets into
    #[arg(long, value_name = "NAME")]
    pub(crate) group: Name,
    /// Let any number of gateways in, until it expires; else one
    #[arg(long)]
    pub(crate) reusable: bool,
    /// After how long it is refused, as 1h [default: a day]
    #[arg(long, value_name = "TIME")]
    pub(crate) expires_in: Option<Span>,
}

#[derive(Debug, Args)]
pub(crate) struct NewTokenArgs {
    /// The name of who will use it, for the audit
    pub(crate) name: Name,
    /// How much it may do: read, write, or admin (tokens too)
    #[arg(long, value_name = "SCOPE")]
    pub(crate) scope: Scope,
    /// From when on it is refused, as 2027-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", conflicts_with = "expires_in")]
    pub(crate) expires_at: Option<Timestamp>,
    /// After how long it is refused, as 720h
    #[arg(long, value_name = "TIME")]
    pub(crate) expires_in: Option<Span>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Show what was done, newest first
    List {
        #[command(flatten)]
        most: Most,
    },
}

/// How much of a long list.
#[derive(Debug, Args)]
pub(crate) struct Most {
    /// Show so many at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) limit: u16,
    /// Only those with this text in who did it or what it was about
    #[arg(long, short, value_name = "TEXT")]
    pub(crate) query: Option<String>,
}
