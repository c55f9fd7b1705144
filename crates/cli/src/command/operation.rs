//! Operations.

use ferryway_api::{List, Operation};
use serde_json::json;
use uuid::Uuid;

use super::resource;
use crate::args::{OperationCommand, Waiting};
use crate::exit::{Exit, Failure};
use crate::follow;
use crate::outcome;
use crate::session::Session;
use crate::undo;

pub(super) async fn run(session: &Session, command: OperationCommand) -> Result<Exit, Failure> {
    match command {
        OperationCommand::List { most } => {
            let path = resource::at_most("/operations", &most);
            let page: List<Operation> = session.client.get(&path).await?;
            resource::show_list(session, &page, "nothing was ever changed")
        }
        OperationCommand::Get { id } => {
            let operation: Operation = session.client.get(&format!("/operations/{id}")).await?;
            session.screen.show_whole(&operation)?;
            Ok(Exit::Done)
        }
        OperationCommand::Pause { id } => steer(session, id, "pause").await,
        OperationCommand::Resume { id } => steer(session, id, "resume").await,
        OperationCommand::Abort { id } => steer(session, id, "abort").await,
        OperationCommand::Watch { id, within } => {
            let waiting = Waiting {
                no_wait: false,
                within,
            };
            let operation: Operation = session.client.get(&format!("/operations/{id}")).await?;
            let operation = follow::to_the_end(session, operation, &waiting).await?;
            let shown = undo::from_what_ran(session, &operation).await;
            session
                .screen
                .show(&operation, |paint| outcome::text(&shown, paint))?;
            Ok(outcome::exit(&operation))
        }
    }
}

/// Tells a rollout to do something else, and shows how it then stands.
async fn steer(session: &Session, id: Uuid, verb: &str) -> Result<Exit, Failure> {
    let path = format!("/operations/{id}/{verb}");
    let operation: Operation = session.client.post(&path, &json!({})).await?;
    session
        .screen
        .show(&operation, |paint| outcome::text(&operation, paint))?;
    Ok(Exit::Done)
}
