//! `ferryway`: the command line of Ferryway.
//!
//! A command is read into `args`, done by the module of `command` that has its name, through the
//! typed client of `ferryway-api`, and shown by `screen`. What people read is made by functions
//! from answers to text (`plan`, `outcome`, `table`), so that tests can hold them to the letter;
//! what scripts read is the API's own answer as JSON or YAML, and the exit code (`exit`).
//!
//! This program must not know: what a change would do, or whether it may be done. The control
//! plane says so, in its plan. Nothing is checked here but what decides how to call it, and what
//! `validate` and `import` say without one: by the model's readers, which are the control plane's.
//!
//! What stands in files is read by `files`, which knows at which line each field is: a problem is
//! shown there, whoever found it. `applied` is for declarative calls what `plan` and `outcome` are
//! for the others, and `openapi` makes services of documents of others.
//!
//! `ferryway demo` is the exception: it starts the two other programs and plays with them.

mod applied;
mod args;
mod binding;
mod command;
mod contexts;
mod demo;
mod document;
mod exit;
mod files;
mod follow;
mod openapi;
mod outcome;
mod plan;
mod progress;
mod screen;
mod session;
mod table;
mod undo;

use std::process::ExitCode;

use clap::Parser as _;

/// A variable of the environment. What is no text is refused later, as what it should be.
fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = args::Arguments::parse();
    arguments.global = arguments.global.or_environment(variable);
    let color = arguments.global.color;
    let exit = match command::run(arguments).await {
        Ok(exit) => exit,
        Err(failure) => {
            screen::complain(&failure, color);
            failure.exit()
        }
    };
    exit.into()
}
