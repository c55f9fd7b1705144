//! The verbs that work on files.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ferryway_model::Name;

/// Where documents are read from.
#[derive(Debug, Args)]
pub(crate) struct Paths {
    /// Files in YAML or JSON with any number of documents, folders of such files, or `-` for the
    /// standard input
    #[arg(short = 'f', long = "file", value_name = "PATH", required = true, num_args = 1..)]
    pub(crate) paths: Vec<PathBuf>,
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
