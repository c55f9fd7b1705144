//! `/operations/{id}/events`: what happens to an operation, as server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use ferryway_api::{ApiError, InstanceEvent, Operation, OperationEvent, StateEvent};
use ferryway_runtime::Stop;
use futures_util::{Stream, stream};
use uuid::Uuid;

use super::access::{Caller, Resource, Verb};
use super::answer::Answer;
use super::operations::no_operation;
use super::query::Params;
use super::url::Url;
use crate::core::Core;

/// A silent stream says that it is alive this often.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// What happens to an operation: `instance`, `state`, and at last `end`, which carries the
/// operation. A stream that begins with `Last-Event-ID` goes on after that event.
#[utoipa::path(get, path = "/operations/{id}/events", tag = "operations",
    responses(
        (status = 200, description = "Server-sent events", content(
            (InstanceEvent = "text/event-stream"),
            (StateEvent = "text/event-stream"),
            (Operation = "text/event-stream")))))]
pub(super) async fn get_events(
    caller: Caller,
    Url(id): Url<Uuid>,
    params: Params,
    headers: HeaderMap,
) -> Answer {
    let allowed = caller.may(Verb::Read, Resource::Operations, None)?;
    let core = allowed.core().clone();
    if !core.read(|memory| memory.operations.contains_key(&id)) {
        return Err(no_operation(id).into());
    }
    params.none()?;
    let after = last_event_id(&headers)?;
    let listener = Listener {
        core,
        id,
        after,
        ready: VecDeque::new(),
        over: false,
        stop: allowed.stop().clone(),
    };
    Ok(Sse::new(listener.events())
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response())
}

fn last_event_id(headers: &HeaderMap) -> Result<u64, ApiError> {
    let Some(value) = headers.get(LAST_EVENT_ID) else {
        return Ok(0);
    };
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| {
        ApiError::Header("Last-Event-ID must be the id of an event of this stream".to_owned())
    })
}

/// One who listens to an operation.
struct Listener {
    core: Core,
    id: Uuid,
    /// The number of the last event told.
    after: u64,
    /// Events that are known and not told yet.
    ready: VecDeque<(u64, Arc<OperationEvent>)>,
    /// The end was told.
    over: bool,
    stop: Stop,
}

impl Listener {
    fn events(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, async |mut listener| {
            let event = listener.next().await?;
            Some((Ok(event), listener))
        })
    }

    /// The next event. None: the end was told, the operation is gone, or the process stops.
    async fn next(&mut self) -> Option<Event> {
        if self.over {
            return None;
        }
        if self.ready.is_empty() {
            let stop = self.stop.clone();
            self.ready = tokio::select! {
                events = self.core.events_after(self.id, self.after) => events.into(),
                () = stop.requested() => return None,
            };
        }
        let Some((number, event)) = self.ready.pop_front() else {
            return self.end();
        };
        self.after = number;
        self.over = matches!(*event, OperationEvent::End(_));
        written(number, &event)
    }

    /// The end of an operation of which nothing more will be said: one that ended before this
    /// process began, or before its events were dropped.
    fn end(&mut self) -> Option<Event> {
        self.over = true;
        let operation = self
            .core
            .read(|memory| memory.operations.get(&self.id).cloned())?;
        // The caller may have named any event as the last it saw.
        let number = self.after.saturating_add(1);
        let end = OperationEvent::End(Box::new(operation.as_ref().clone()));
        written(number, &end)
    }
}

fn written(number: u64, event: &OperationEvent) -> Option<Event> {
    let data = event.data().ok()?;
    Some(
        Event::default()
            .event(event.name())
            .id(number.to_string())
            .data(data),
    )
}
