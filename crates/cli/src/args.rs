//! What can be typed, as clap reads it. Names and numbers are checked by the model's own types
//! here, because they become parts of paths; everything else is the control plane's to judge.

mod change;
mod files;
mod nouns;
mod values;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ferryway_model::Name;

pub(crate) use change::{
    Bind, BindingArgs, Delivery, Preview, Publish, Rollback, Set, Sync, Unpublish, Waiting,
};
pub(crate) use files::{Apply, Dump, ImportCommand, OpenApi, Validate};
pub(crate) use nouns::{
    AuditCommand, Document, GroupCommand, GroupFields, InstanceCommand, Listing, Most,
    NewJoinTokenArgs, NewTokenArgs, OperationCommand, RegistryCommand, RegistryFields,
    ServiceCommand, TokenCommand,
};
pub(crate) use values::{Label, NodeArg, RollbackTarget, ServiceVersion};

/// Publish services, sync them between gateway groups, and see what every group runs
#[derive(Debug, Parser)]
#[command(name = "ferryway", version, disable_help_subcommand = true)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed, rejected or timed out; 2 wrong usage; \
    3 refused by the plan; 4 halted or rolled back; 5 control plane not reachable; \
    6 diff --exit-code found a difference.";

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The control plane [env: FERRYWAY_SERVER] [default: the current context's, else
    /// http://127.0.0.1:7080]
    #[arg(
        long,
        global = true,
        value_name = "URL",
        help_heading = "Global options"
    )]
    pub(crate) server: Option<String>,
    /// The API token [env: FERRYWAY_TOKEN] [default: the current context's, with its server]
    #[arg(
        long,
        global = true,
        value_name = "TOKEN",
        help_heading = "Global options"
    )]
    pub(crate) token: Option<String>,
    /// Whom the certificate of a control plane with TLS is believed under, as PEM
    /// [env: FERRYWAY_CA] [default: the current context's, with its server, else the system's]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Global options"
    )]
    pub(crate) ca: Option<std::path::PathBuf>,
    /// How answers are shown
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table)]
    #[arg(value_name = "FORMAT", help_heading = "Global options")]
    pub(crate) output: Format,
    /// Whether to color what is shown
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    #[arg(value_name = "WHEN", help_heading = "Global options")]
    pub(crate) color: Color,
    /// Ask nothing
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub(crate) yes: bool,
}

impl Global {
    /// With what the environment says where no flag does. Clap would read it too, and then show
    /// `--server` in every usage line as if it had been typed.
    pub(crate) fn or_environment(self, variable: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            server: self.server.or_else(|| variable("FERRYWAY_SERVER")),
            token: self.token.or_else(|| variable("FERRYWAY_TOKEN")),
            ca: self.ca.or_else(|| variable("FERRYWAY_CA").map(Into::into)),
            ..self
        }
    }
}

/// How answers are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// The API's answer, a list with all its pages in one
    Json,
    /// The same in YAML
    Yaml,
}

/// When to color.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a version of a service's definition and run it in groups
    Publish(Publish),
    /// Run in other groups exactly what a group runs now
    Sync(Sync),
    /// Run in a group what ran there before
    Rollback(Rollback),
    /// Change where a group finds a service's upstream
    Bind(Bind),
    /// Let a group serve a service again
    Enable(Set),
    /// Let a group answer as if it had not the service
    Disable(Set),
    /// Take a service out of a group
    Unpublish(Unpublish),
    /// Show which group runs which version, and whether its instances do
    Status(Status),
    /// Show what differs between two groups, between two versions, or between files and what is
    Diff(Diff),
    /// Make true what files declare: what is not there is made, what is otherwise is changed
    Apply(Apply),
    /// Write what is as files that apply takes
    Dump(Dump),
    /// Say whether files declare what can be, without a control plane
    Validate(Validate),
    /// Make a service definition of what other tools describe
    #[command(subcommand)]
    Import(ImportCommand),
    /// Gateway groups
    #[command(subcommand, visible_alias = "groups")]
    Group(GroupCommand),
    /// Gateway instances
    #[command(subcommand, visible_alias = "instances")]
    Instance(InstanceCommand),
    /// Services: in the hub, and with --in as a group runs them
    #[command(subcommand, visible_alias = "services")]
    Service(ServiceCommand),
    /// Service registries of a group
    #[command(subcommand, visible_alias = "registries")]
    Registry(RegistryCommand),
    /// Publishes, syncs and all other changes, and how their delivery went
    #[command(subcommand, visible_alias = "operations")]
    Operation(OperationCommand),
    /// API tokens: who may call, and how much; join tokens: who may let gateways in
    #[command(subcommand, visible_alias = "tokens")]
    Token(TokenCommand),
    /// Who did what, when and from where
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Control planes that this command line remembers
    #[command(subcommand)]
    Context(ContextCommand),
    /// Run a control plane and two gateway groups on this machine, and try them out
    Demo(Demo),
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write one for each command into a folder
    Man {
        /// The folder; made where it is missing
        folder: Option<std::path::PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Only this service, with its instances
    pub(crate) service: Option<Name>,
    /// Stay, and show every change
    #[arg(long, short)]
    pub(crate) watch: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// `SERVICE GROUP GROUP`, `GROUP GROUP`, or `SERVICE@VERSION SERVICE@VERSION`
    #[arg(required_unless_present = "files", conflicts_with = "files")]
    #[arg(num_args = 2..=3, value_name = "WHAT")]
    pub(crate) what: Vec<String>,
    /// What `ferryway apply` would change with these files and folders (`-`: standard input)
    #[arg(short = 'f', long = "file", value_name = "PATH", num_args = 1.., id = "files")]
    pub(crate) files: Vec<std::path::PathBuf>,
    /// With files: what would go with this label, as for `ferryway apply`
    #[arg(long, value_name = "KEY=VALUE", requires = "files")]
    pub(crate) prune: Vec<Label>,
    /// Exit with 6 if there is a difference
    #[arg(long)]
    pub(crate) exit_code: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ContextCommand {
    /// Remember the control plane of --server, with the token of --token
    Add {
        /// The context's name
        name: Name,
        /// Read the token from this file (`-`: standard input)
        #[arg(long, value_name = "FILE", conflicts_with = "token")]
        token_file: Option<std::path::PathBuf>,
    },
    /// Make a context the current one
    Use {
        /// The context's name
        name: Name,
    },
    /// Show all contexts; tokens are not shown
    List,
    /// Forget a context
    Remove {
        /// The context's name
        name: Name,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Use the consecutive ports from this one on
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) ports_from: Option<u16>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn clap_agrees_with_itself() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_whole_help() {
        let mut all = String::new();
        collect(
            &Arguments::command(),
            &mut vec!["ferryway".to_owned()],
            &mut all,
        );
        insta::assert_snapshot!(all);
    }

    fn collect(command: &clap::Command, path: &mut Vec<String>, all: &mut String) {
        let words = path.iter().map(String::as_str).chain(["-h"]);
        let help = Arguments::command()
            .term_width(100)
            .try_get_matches_from(words);
        let help = help.expect_err("-h shows the help").to_string();
        // The global options are the same everywhere: once is enough.
        let own = help.split("\nGlobal options:").next().unwrap_or(&help);
        all.push_str(if path.len() == 1 { &help } else { own });
        all.push_str("\n----\n");
        for inner in command.get_subcommands() {
            path.push(inner.get_name().to_owned());
            collect(inner, path, all);
            path.pop();
        }
    }
}
