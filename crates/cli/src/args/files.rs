//! The verbs that work on files.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ferryway_model::Name;

use super::change::{Preview, Waiting};
use super::values::Label;

/// Where documents are read from.
#[derive(Debug, Args)]
pub(crate) struct Paths {
    /// Files in YAML or JSON with any number of documents, folders of such files, or `-` for the
    /// standard input
    #[arg(short = 'f', long = "file", value_name = "PATH", required = true, num_args = 1..)]
    pub(crate) paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Apply {
    #[command(flatten)]
    pub(crate) paths: Paths,
    /// Delete and unpublish what has this label and no document names any more; give several for
    /// what has all of them
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) prune: Vec<Label>,
    #[command(flatten)]
    pub(crate) preview: Preview,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

#[derive(Debug, Args)]
pub(crate) struct Dump {
    /// Write files into this folder; else all is written to standard output
    #[arg(short = 'f', long = "file", value_name = "FOLDER")]
    pub(crate) folder: Option<PathBuf>,
    /// Only this group's view, with all that `ferryway-gateway --static` needs
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: Option<Name>,
}

#[derive(Debug, Args)]
pub(crate) struct Validate {
    #[command(flatten)]
    pub(crate) paths: Paths,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImportCommand {
    /// Make a service definition of an OpenAPI document, 3.0 or 3.1, in YAML or JSON
    #[command(name = "openapi")]
    Openapi(OpenApi),
}

#[derive(Debug, Args)]
pub(crate) struct OpenApi {
    /// The document (`-`: standard input)
    pub(crate) file: PathBuf,
    /// The service's name [default: made of the document's title]
    #[arg(long, value_name = "SERVICE")]
    pub(crate) name: Option<Name>,
    /// Make the service in the hub; else the definition is written to standard output
    #[arg(long)]
    pub(crate) create: bool,
    /// Write a document for `ferryway apply`
    #[arg(long, conflicts_with = "create")]
    pub(crate) document: bool,
}
