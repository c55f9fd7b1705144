//! The events of an operation, as they come.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use http::Method;
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use super::connection::Reply;
use super::error::{ClientError, silence};
use super::sse::{EVENT_BYTES_MAX, Event, Parser};
use super::{Ask, Client, Require};
use crate::event::OperationEvent;

/// An open stream of an operation's events.
#[derive(Debug)]
pub struct OperationEvents {
    client: Client,
    reply: Reply,
    parser: Parser,
    read: VecDeque<Event>,
    last_id: Option<String>,
}

impl OperationEvents {
    pub(super) async fn open(
        client: &Client,
        path: &str,
        after: Option<&str>,
    ) -> Result<Self, ClientError> {
        let call = Ask {
            method: Method::GET,
            path,
            body: None,
            require: Require::Anything,
        };
        let (head, reply) = client.send_for_events(&call, after).await?;
        if !head.status.is_success() {
            let body = client.read(reply).await?;
            // The error is what is wanted: a success was ruled out above.
            client.decode::<()>(head.status, &body)?;
            return Err(client.protocol(format!("status {} for events", head.status)));
        }
        Ok(Self {
            client: client.clone(),
            reply,
            parser: Parser::default(),
            read: VecDeque::new(),
            last_id: after.map(str::to_owned),
        })
    }

    /// The next event; none when the control plane has ended the stream, which it does after
    /// [`OperationEvent::End`], and may do before. Kinds of event that this client does not know
    /// are passed over.
    ///
    /// # Errors
    ///
    /// The connection broke or was silent for [`SILENCE_MAX`], or an event cannot be read.
    pub async fn next(&mut self) -> Result<Option<OperationEvent>, ClientError> {
        loop {
            while let Some(event) = self.read.pop_front() {
                self.last_id.clone_from(&event.id);
                if let Some(event) = self.decode(&event)? {
                    return Ok(Some(event));
                }
            }
            if !self.read_more().await? {
                return Ok(None);
            }
        }
    }

    /// The id of the last event that [`Self::next`] has seen, to go on after it.
    #[must_use]
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// Reads some bytes; false at the end of the stream.
    async fn read_more(&mut self) -> Result<bool, ClientError> {
        let Reply { body, driver } = &mut self.reply;
        let frame = timeout(SILENCE_MAX, driver.during(body.frame()))
            .await
            .map_err(|_| self.client.unreachable(silence(SILENCE_MAX)))?;
        match frame {
            None => Ok(false),
            Some(Err(error)) => Err(self.client.unreachable(io::Error::other(error))),
            Some(Ok(frame)) => {
                let bytes = frame.into_data().unwrap_or_default();
                self.parser.feed(&bytes, &mut self.read).map_err(|_| {
                    let what = format!("an event is over {EVENT_BYTES_MAX} bytes");
                    self.client.protocol(what)
                })?;
                Ok(true)
            }
        }
    }

    fn decode(&self, event: &Event) -> Result<Option<OperationEvent>, ClientError> {
        let data = event.data.as_str();
        let decoded = match event.name.as_str() {
            "instance" => serde_json::from_str(data).map(OperationEvent::Instance),
            "state" => serde_json::from_str(data).map(OperationEvent::State),
            "end" => serde_json::from_str(data).map(OperationEvent::End),
            _ => return Ok(None),
        };
        decoded.map(Some).map_err(|error| {
            let what = format!("cannot read its event {:?}: {error}", event.name);
            self.client.protocol(what)
        })
    }
}

/// How long a stream may be silent, comments that keep it alive included.
pub const SILENCE_MAX: Duration = Duration::from_secs(60);
