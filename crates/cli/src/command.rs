//! What each command does.

mod apply;
mod audit;
mod change;
mod context;
mod diff;
mod dump;
mod group;
mod import;
mod instance;
mod lists;
mod manual;
mod operation;
mod registry;
mod resource;
mod service;
mod status;
mod token;
mod validate;

use crate::args::{Arguments, Command};
use crate::demo;
use crate::exit::{Exit, Failure};
use crate::screen::Screen;
use crate::session::Session;

/// Does what was typed.
pub(crate) async fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let Arguments { global, command } = arguments;
    let session = || Session::new(&global);
    match command {
        Command::Publish(publish) => change::publish(&session()?, publish).await,
        Command::Sync(sync) => change::sync(&session()?, sync).await,
        Command::Rollback(rollback) => change::rollback(&session()?, rollback).await,
        Command::Bind(bind) => change::bind(&session()?, bind).await,
        Command::Enable(set) => change::enable(&session()?, set).await,
        Command::Disable(set) => change::disable(&session()?, set).await,
        Command::Unpublish(unpublish) => change::unpublish(&session()?, unpublish).await,
        Command::Status(status) => status::run(&session()?, status).await,
        Command::Diff(diff) => diff::run(&session()?, diff).await,
        Command::Apply(apply) => apply::run(&session()?, apply).await,
        Command::Dump(dump) => dump::run(&session()?, dump).await,
        Command::Validate(validate) => {
            validate::run(&validate, Screen::new(global.output, global.color))
        }
        Command::Import(command) => import::run(&global, command).await,
        Command::Group(command) => group::run(&session()?, command).await,
        Command::Instance(command) => instance::run(&session()?, command).await,
        Command::Service(command) => service::run(&session()?, command).await,
        Command::Registry(command) => registry::run(&session()?, command).await,
        Command::Operation(command) => operation::run(&session()?, command).await,
        Command::Token(command) => token::run(&session()?, command).await,
        Command::Audit(command) => audit::run(&session()?, command).await,
        Command::Context(command) => context::run(&global, command),
        Command::Demo(demo) => demo::run(demo, Screen::new(global.output, global.color)).await,
        Command::Completions { shell } => {
            manual::completions(shell, Screen::new(global.output, global.color))
        }
        Command::Man { folder } => {
            manual::pages(folder.as_deref(), Screen::new(global.output, global.color))
        }
    }
}
