//! Following an operation to the end of its delivery.

use std::time::Duration;

use ferryway_api::{ClientError, Operation, OperationEvent, OperationState};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::args::Waiting;
use crate::exit::Failure;
use crate::progress::Progress;
use crate::session::Session;

/// The operation at its end, or as it is if nobody wants to wait.
pub(crate) async fn to_the_end(
    session: &Session,
    operation: Operation,
    waiting: &Waiting,
) -> Result<Operation, Failure> {
    let Some(id) = operation.operation else {
        return Ok(operation);
    };
    if waiting.no_wait || is_at_rest(operation.state) {
        return Ok(operation);
    }
    let mut progress = Progress::begin(session.screen, operation)?;
    let followed = timeout(
        waiting.within.timeout.duration(),
        follow(session, id, &mut progress),
    )
    .await;
    let answered = progress.end()?;
    followed.unwrap_or_else(|_| {
        Err(Failure::Other(format!(
            "delivery has not ended within {}: {answered}; it goes on, see `ferryway operation \
             watch {id}`",
            waiting.within.timeout,
        )))
    })
}

/// Reads events until the operation rests; a stream that breaks is taken up where it broke.
async fn follow(
    session: &Session,
    id: Uuid,
    progress: &mut Progress,
) -> Result<Operation, Failure> {
    let mut events = session.client.events(id, None).await?;
    loop {
        match events.next().await {
            Ok(Some(OperationEvent::End(operation))) => return Ok(*operation),
            Ok(Some(OperationEvent::Instance(event))) => progress.instance(event)?,
            Ok(Some(OperationEvent::State(event))) => {
                if event.group.is_none() && is_at_rest(event.state) {
                    return Ok(session.client.get(&format!("/operations/{id}")).await?);
                }
            }
            Ok(None) | Err(ClientError::Unreachable { .. }) => {
                events = loop {
                    sleep(PAUSE).await;
                    match session.client.events(id, events.last_id()).await {
                        Ok(events) => break events,
                        // A control plane that starts again; the caller's time is the bound.
                        Err(ClientError::Unreachable { .. }) => {}
                        Err(error) => return Err(error.into()),
                    }
                };
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether waiting longer brings nothing: at its end, or until a person does something.
fn is_at_rest(state: OperationState) -> bool {
    state.is_final() || matches!(state, OperationState::Paused | OperationState::Halted)
}

/// Between two tries to take up a stream.
const PAUSE: Duration = Duration::from_millis(500);
