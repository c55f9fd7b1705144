//! The watch of everything under the prefix, kept up through whatever happens: it resumes right
//! after what it has told, on another member where one is silent, and where etcd no longer keeps
//! that, it gives up the past, so that whoever watches lists again.

use std::time::Duration;

use ferryway_runtime::{Backoff, Stop};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataValue;
use tonic::{Request, Streaming};

use super::assembly::{Assembly, Told};
use super::fault::Fault;
use super::members::ATTEMPT_MAX;
use super::wire::{self, RequestUnion, WatchClient, WatchRequest, WatchResponse};
use super::{READ_WITHIN, Shared};
use crate::{Revision, Trouble};

/// How often a member is asked for a sign of life.
const PING_EVERY: Duration = Duration::from_secs(1);

/// A member that says nothing for so long is left.
const SILENCE_MAX: Duration = Duration::from_secs(4);

/// Waits between tries, at first and at most.
const AGAIN_MIN: Duration = Duration::from_millis(50);
const AGAIN_MAX: Duration = Duration::from_secs(2);

/// Requests that may wait on a watch's stream; there are two kinds.
const REQUESTS_MAX: usize = 4;

/// Why a watch ended.
enum End {
    Trouble(Trouble),
    Compacted,
    Lost(Trouble),
}

/// A watch that was begun.
struct Stream {
    requests: mpsc::Sender<WatchRequest>,
    messages: Streaming<WatchResponse>,
}

/// Follows until it is told to stop, or the store is lost.
pub(super) async fn run(shared: &Shared, seen: Revision, stop: &Stop) {
    let mut assembly = Assembly::new(shared.names.clone(), seen);
    let mut backoff = Backoff::new(AGAIN_MIN, AGAIN_MAX);
    loop {
        let mut has_begun = false;
        let end = tokio::select! {
            end = follow(shared, &mut assembly, &mut has_begun) => end,
            () = stop.requested() => return,
        };
        if has_begun {
            backoff.reset();
        }
        match end {
            End::Lost(trouble) => {
                shared.health.loses(trouble);
                return;
            }
            End::Compacted => {
                tracing::warn!(
                    seen = %assembly.seen(),
                    "etcd has compacted what was not yet told; everything is listed again"
                );
            }
            // One that broke off is begun again at once, and only said where that fails.
            End::Trouble(_) if has_begun => continue,
            End::Trouble(trouble) => shared.health.follows(Some(trouble)),
        }
        let wait = backoff.next(&mut shared.members.random());
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.requested() => return,
        }
    }
}

async fn follow(shared: &Shared, assembly: &mut Assembly, has_begun: &mut bool) -> End {
    let (number, _) = shared.members.preferred();
    let end = follow_one(shared, assembly, has_begun).await;
    match end {
        Err(End::Trouble(trouble)) => {
            shared.members.leave(number);
            End::Trouble(trouble)
        }
        Err(End::Compacted) => match skip(shared, assembly).await {
            Ok(()) => End::Compacted,
            Err(fault) => End::Trouble(fault.trouble()),
        },
        Err(end @ End::Lost(_)) => end,
        Ok(never) => match never {},
    }
}

/// Gives up the past. Who lists after this sees at least what is skipped.
async fn skip(shared: &Shared, assembly: &mut Assembly) -> Result<(), Fault> {
    let head = shared.head(READ_WITHIN).await?;
    assembly.skip_to(head);
    shared.history.reset(head);
    Ok(())
}

async fn follow_one(
    shared: &Shared,
    assembly: &mut Assembly,
    has_begun: &mut bool,
) -> Result<std::convert::Infallible, End> {
    // By quorum: a revision that is lower than what was told says that etcd was put back.
    let head = shared.head(READ_WITHIN).await.map_err(trouble)?;
    if head < assembly.seen() {
        return Err(End::Lost(Trouble::Replaced));
    }
    assembly.begin();
    let mut stream = begin(shared, assembly.seen()).await.map_err(trouble)?;
    let mut heard = Instant::now();
    let mut ping = tokio::time::interval(PING_EVERY);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            message = stream.messages.message() => message,
            _ = ping.tick() => {
                if heard.elapsed() >= SILENCE_MAX {
                    return Err(End::Trouble(Trouble::Slow { within: SILENCE_MAX }));
                }
                // Where the last ones still wait, this one would say no more.
                let _ = stream.requests.try_send(request(RequestUnion::ProgressRequest(wire::WatchProgressRequest {})));
                continue;
            }
        };
        let message = message
            .map_err(|status| trouble(shared.members.fault(&status, ATTEMPT_MAX)))?
            .ok_or_else(|| ended("the member ended the watch"))?;
        shared
            .members
            .check(message.header.as_ref())
            .map_err(End::Trouble)?;
        heard = Instant::now();
        if message.created && !message.canceled {
            *has_begun = true;
            shared.health.follows(None);
        }
        match assembly.take(message) {
            Told::Events(events) if events.is_empty() => {}
            Told::Events(events) => shared.history.append(events),
            Told::Compacted => return Err(End::Compacted),
            Told::Ended(why) if why.contains("no leader") => {
                return Err(End::Trouble(Trouble::NoLeader));
            }
            Told::Ended(why) if why.contains("permission denied") => {
                let detail = why.into_string().into();
                return Err(End::Trouble(Trouble::Denied { detail }));
            }
            Told::Ended(why) => return Err(ended(&why)),
            Told::Lost(trouble) => return Err(End::Lost(trouble)),
        }
    }
}

async fn begin(shared: &Shared, seen: Revision) -> Result<Stream, Fault> {
    let begun = async {
        let (_, channel) = shared.members.preferred();
        let (requests, receiver) = mpsc::channel(REQUESTS_MAX);
        let (key, range_end) = shared.names.all();
        let create = wire::WatchCreateRequest {
            key,
            range_end,
            start_revision: wire::number(seen.next()),
            progress_notify: true,
            fragment: true,
        };
        // The channel is new: there is room.
        let _ = requests.try_send(request(RequestUnion::CreateRequest(create)));
        let mut asked = Request::new(ReceiverStream::new(receiver));
        // A member without a leader ends the watch, instead of being silent.
        asked
            .metadata_mut()
            .insert("hasleader", MetadataValue::from_static("true"));
        shared.members.sign(&mut asked, &channel).await?;
        let answer = WatchClient::new(channel).watch(asked).await;
        let messages = answer
            .map_err(|status| shared.members.fault(&status, ATTEMPT_MAX))?
            .into_inner();
        Ok(Stream { requests, messages })
    };
    let within = ATTEMPT_MAX;
    tokio::time::timeout(within, begun)
        .await
        .unwrap_or_else(|_| Err(Trouble::Slow { within }.into()))
}

fn request(union: RequestUnion) -> WatchRequest {
    WatchRequest {
        request_union: Some(union),
    }
}

fn trouble(fault: Fault) -> End {
    match fault {
        Fault::Compacted => End::Compacted,
        Fault::Trouble(lost @ Trouble::Replaced) => End::Lost(lost),
        other => End::Trouble(other.trouble()),
    }
}

fn ended(why: &str) -> End {
    End::Trouble(Trouble::Unreachable { detail: why.into() })
}
