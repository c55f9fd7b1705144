//! Operations.

use ferryway_api::{List, Operation};

use super::resource;
use crate::args::OperationCommand;
use crate::exit::{Exit, Failure};
use crate::follow;
use crate::outcome;
use crate::session::Session;

pub(super) async fn run(session: &Session, command: OperationCommand) -> Result<Exit, Failure> {
    match command {
        OperationCommand::List { most } => {
            let path = format!("/operations?limit={}", most.limit);
            let page: List<Operation> = session.client.get(&path).await?;
            resource::show_list(session, &page, "nothing was ever changed")
        }
        OperationCommand::Get { id } => {
            let operation: Operation = session.client.get(&format!("/operations/{id}")).await?;
            session.screen.show_whole(&operation)?;
            Ok(Exit::Done)
        }
        OperationCommand::Watch { id, waiting } => {
            let operation: Operation = session.client.get(&format!("/operations/{id}")).await?;
            let operation = follow::to_the_end(session, operation, &waiting).await?;
            session
                .screen
                .show(&operation, |paint| outcome::text(&operation, paint))?;
            Ok(outcome::exit(&operation))
        }
    }
}
