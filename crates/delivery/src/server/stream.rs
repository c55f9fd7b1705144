//! The stream of one instance.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ferryway_proto::limits::{CONTROL_BYTES_MAX, CONTROLS_MAX};
use ferryway_proto::{
    AgentMessage, ControlMessage, GoAway, Hello, PROTOCOL, Reconcile, Resume, Retry, Welcome, wire,
};
use ferryway_runtime::Stop;
use ferryway_tls::Certificate;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until, timeout};
use tonic::{Code, Status, Streaming};

use super::sessions::{NoPlace, Place};
use super::{Peer, Presence, Shared, Source};
use crate::feed::{Cursor, Feed, Read, encode};
use crate::limits::{RETRY_AFTER, SILENT_HEARTBEATS};

type Incoming = Streaming<wire::AgentMessage>;
/// Where a stream comes from, and the certificate shown there.
type Shown = (Option<SocketAddr>, Option<Arc<Certificate>>);
type Outgoing = Sender<Result<Bytes, Status>>;

/// How long a stream may be open without a hello.
const HELLO_MAX: Duration = Duration::from_secs(5);
/// How long the last words of a stream may take.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// Serves a stream until it ends.
pub(super) async fn run<S: Source, P: Presence>(
    shared: Arc<Shared<S, P>>,
    mut incoming: Incoming,
    outgoing: Outgoing,
    from: Shown,
    stop: Stop,
) {
    let greeted = tokio::select! {
        biased;
        () = stop.requested() => return,
        greeted = greet(&shared, &mut incoming, from) => greeted,
    };
    let (stream, welcome) = match greeted {
        Ok(greeted) => greeted,
        Err(refused) => {
            let last = match refused {
                Refused::Status(status) => Err(status),
                Refused::Retry(welcome) => Ok(encode(ControlMessage::Welcome(welcome))),
            };
            return goodbye(&outgoing, last).await;
        }
    };
    // Sent by the stream itself, ahead of everything else.
    let welcome = encode(ControlMessage::Welcome(welcome));
    let last = stream.serve(incoming, &outgoing, welcome, stop).await;
    if let Some(last) = last {
        goodbye(&outgoing, last).await;
    }
}

/// Why a stream is not served.
enum Refused {
    /// It is no stream of an instance.
    Status(Status),
    /// Not now.
    Retry(Welcome),
}

/// A stream that is served.
struct Stream<S: Source, P: Presence> {
    shared: Arc<Shared<S, P>>,
    feed: Arc<Feed>,
    cursor: Cursor,
    present: Present<P>,
    place: Place,
    /// The certificate that it was opened with.
    shown: Option<Arc<Certificate>>,
}

/// Tells presence of the end of a stream, in whatever way it comes.
struct Present<P: Presence> {
    presence: Arc<P>,
    peer: Peer,
}

impl<P: Presence> Drop for Present<P> {
    fn drop(&mut self) {
        self.presence.disconnected(&self.peer);
    }
}

async fn greet<S: Source, P: Presence>(
    shared: &Arc<Shared<S, P>>,
    incoming: &mut Incoming,
    (address, shown): Shown,
) -> Result<(Stream<S, P>, Welcome), Refused> {
    let hello = hello(incoming).await.map_err(Refused::Status)?;
    if let Some(guard) = &shared.guard {
        let admitted = guard.admit(shown.as_deref(), &hello.group, hello.instance);
        admitted.map_err(|status| {
            tracing::warn!(
                group = %hello.group, instance = %hello.instance, host = hello.hostname, ?address,
                why = status.message(), "an instance is refused"
            );
            Refused::Status(status)
        })?;
    }
    let session = shared.new_session();
    let welcome = |resume| Welcome {
        protocol: PROTOCOL,
        session,
        resume,
        heartbeat: shared.settings.heartbeat,
        spread: shared.settings.spread,
    };
    let retry = |reason: String| {
        let after = RETRY_AFTER;
        Refused::Retry(welcome(Resume::Retry(Retry { after, reason })))
    };
    let group = hello.group.clone();
    let feed = shared.source.feed(&group);
    let feed = feed.ok_or_else(|| retry(format!("there is no gateway group {group}")))?;
    let (resume, cursor) = feed.resume(hello.desired);
    if matches!(resume, Resume::Retry(_)) {
        return Err(Refused::Retry(welcome(resume)));
    }
    let peer = Peer {
        instance: hello.instance,
        boot: hello.boot,
        attempt: hello.attempt,
        session,
        group,
        address,
    };
    let place = shared.sessions.enter(&peer).map_err(|error| {
        if error == NoPlace::Older {
            tracing::warn!(group = %peer.group, instance = %peer.instance, host = hello.hostname, ?address, "an earlier start of an instance that is connected is turned away; its data folder is in use twice");
            shared.presence.contested(&peer);
        }
        retry(error.to_string())
    })?;
    shared.presence.connected(&peer, &hello);
    let stream = Stream {
        shared: Arc::clone(shared),
        feed,
        cursor,
        present: Present {
            presence: Arc::clone(&shared.presence),
            peer,
        },
        place,
        shown,
    };
    Ok((stream, welcome(resume)))
}

/// The first message.
async fn hello(incoming: &mut Incoming) -> Result<Box<Hello>, Status> {
    let message = timeout(HELLO_MAX, incoming.message()).await;
    let message = message.map_err(|_| Status::deadline_exceeded("no hello came"))??;
    let message = message.ok_or_else(|| Status::invalid_argument("the stream ended"))?;
    let message = AgentMessage::decode(message);
    let message = message.map_err(|error| Status::invalid_argument(error.to_string()))?;
    let AgentMessage::Hello(hello) = message else {
        return Err(Status::failed_precondition(
            "the first message must be a hello",
        ));
    };
    let (min, max) = hello.protocol;
    if !(min..=max).contains(&PROTOCOL) {
        let why = format!("this control plane speaks protocol {PROTOCOL}");
        return Err(Status::failed_precondition(why));
    }
    Ok(hello)
}

/// What is to be sent: the rest of one transaction, or one other message. The bytes are shared.
struct Outbox {
    frames: Arc<[Bytes]>,
    next: usize,
}

impl Outbox {
    fn of(frame: Bytes) -> Self {
        Self::all(Arc::new([frame]))
    }

    fn all(frames: Arc<[Bytes]>) -> Self {
        Self { frames, next: 0 }
    }

    fn is_empty(&self) -> bool {
        self.next >= self.frames.len()
    }

    fn take(&mut self) -> Option<Bytes> {
        let frame = self.frames.get(self.next).cloned();
        self.next += 1;
        frame
    }
}

/// When a stream has to do something although nothing came.
struct Beat {
    interval: Interval,
    silence: Duration,
    /// When the instance will have been silent for too long.
    silent_at: Instant,
    /// A heartbeat is to be sent as soon as everything else is.
    owed: bool,
}

impl<S: Source, P: Presence> Stream<S, P> {
    /// Serves until the stream ends; what to say last, if there is anybody to hear it.
    async fn serve(
        mut self,
        mut incoming: Incoming,
        outgoing: &Outgoing,
        welcome: Bytes,
        stop: Stop,
    ) -> Option<Result<Bytes, Status>> {
        let mut wake = self.feed.watch();
        let mut beat = Beat::new(self.shared.settings.heartbeat);
        let mut outbox = Outbox::of(welcome);
        loop {
            if outbox.is_empty() {
                match self.next(&mut beat) {
                    Some(next) => outbox = next,
                    None => return Some(self.go_away()),
                }
            }
            // In this order, and not in one that is drawn, so that a simulation can be repeated. An
            // instance that never stops talking hears nothing: it hurts only itself.
            tokio::select! {
                biased;
                () = stop.requested() => return Some(self.go_away()),
                _ = &mut self.place.replaced => {
                    return Some(Err(Status::aborted("the instance has a newer stream")));
                }
                _ = beat.interval.tick() => {
                    if let Err(last) = self.admit_again() {
                        return Some(last);
                    }
                    beat.owed = true;
                }
                message = incoming.message() => match message {
                    Ok(Some(message)) => {
                        beat.heard();
                        match self.hear(message) {
                            Ok(None) => {}
                            Ok(Some(answer)) => outbox = answer,
                            Err(status) => return Some(Err(status)),
                        }
                    }
                    Ok(None) => return None,
                    // Something that is no message, or the end of the connection: then nobody hears it.
                    Err(status) => return Some(Err(status)),
                },
                permit = outgoing.reserve(), if !outbox.is_empty() => {
                    permit.ok()?.send(Ok(outbox.take()?));
                }
                changed = wake.changed(), if outbox.is_empty() => {
                    changed.ok()?;
                    beat.owed |= self.is_at_head();
                }
                () = sleep_until(beat.silent_at) => {
                    return Some(Err(Status::deadline_exceeded("the instance was silent")));
                }
            }
        }
    }

    /// Whether the instance would be served if it came now: a certificate may become void, or end,
    /// while its stream is open. If not, what to say last.
    fn admit_again(&self) -> Result<(), Result<Bytes, Status>> {
        let Some(guard) = &self.shared.guard else {
            return Ok(());
        };
        let Peer {
            instance, group, ..
        } = &self.present.peer;
        let Err(status) = guard.admit(self.shown.as_deref(), group, *instance) else {
            return Ok(());
        };
        let why = status.message();
        // Its time is over: in the life of every instance, which has a newer one by then and comes
        // again with it. One that has none is told when it comes.
        if status.code() == Code::Unauthenticated {
            tracing::info!(%group, %instance, why, "an instance is to come again with its new certificate");
            return Err(self.go_away());
        }
        tracing::warn!(%group, %instance, why, "an instance is not served any longer");
        Err(Err(status))
    }

    /// What to send next; none: the group is gone.
    fn next(&mut self, beat: &mut Beat) -> Option<Outbox> {
        match self.feed.read(&mut self.cursor) {
            Read::Frames(frames) => Some(Outbox::all(frames)),
            Read::AtHead { heartbeat } if beat.owed => {
                beat.owed = false;
                Some(Outbox::of(heartbeat))
            }
            Read::AtHead { heartbeat: _ } => Some(Outbox::all(Arc::new([]))),
            Read::Fallen { heartbeat } => {
                tracing::info!(instance = %self.present.peer.instance, "a stream fell out of the log");
                beat.owed = false;
                Some(Outbox::of(heartbeat))
            }
            Read::Retired => None,
        }
    }

    /// Whether what woke us was no transaction: then a heartbeat tells of it.
    fn is_at_head(&self) -> bool {
        let mut cursor = self.cursor;
        matches!(self.feed.read(&mut cursor), Read::AtHead { .. })
    }

    /// Takes a message; what to send in answer, instead of what was being sent.
    fn hear(&mut self, message: wire::AgentMessage) -> Result<Option<Outbox>, Status> {
        let message = AgentMessage::decode(message);
        let message = message.map_err(|error| Status::invalid_argument(error.to_string()))?;
        let Present { presence, peer } = &self.present;
        match message {
            AgentMessage::Ack(ack) => presence.acked(peer, &ack),
            AgentMessage::Nack(nack) => presence.rejected(peer, &nack),
            AgentMessage::Warnings(warnings) => presence.warned(peer, &warnings),
            AgentMessage::Status(status) => presence.reported(peer, &status),
            AgentMessage::Reconcile(Reconcile { reason, buckets }) => {
                tracing::info!(instance = %peer.instance, ?reason, "an instance asks for what differs");
                let (frames, cursor) = self.feed.reconcile(buckets.as_deref());
                self.cursor = cursor;
                return Ok(Some(Outbox::all(frames)));
            }
            AgentMessage::Hello(_) => {
                return Err(Status::failed_precondition("hello was said before"));
            }
            AgentMessage::Unsupported { .. } => {
                return Err(Status::failed_precondition("nothing was asked"));
            }
        }
        Ok(None)
    }

    fn go_away(&self) -> Result<Bytes, Status> {
        let delay = self.shared.settings.spread;
        let mut to = self.shared.source.others();
        to.retain(|address| address.len() <= CONTROL_BYTES_MAX);
        to.truncate(CONTROLS_MAX);
        Ok(encode(ControlMessage::GoAway(GoAway { delay, to })))
    }
}

impl Beat {
    fn new(heartbeat: Duration) -> Self {
        let mut interval = interval(heartbeat);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let silence = heartbeat * SILENT_HEARTBEATS;
        Self {
            interval,
            silence,
            silent_at: Instant::now() + silence,
            owed: true,
        }
    }

    fn heard(&mut self) {
        self.silent_at = Instant::now() + self.silence;
    }
}

/// The last words of a stream. Whoever is gone, or does not read, does without.
async fn goodbye(outgoing: &Outgoing, last: Result<Bytes, Status>) {
    let _ = timeout(GOODBYE_MAX, outgoing.send(last)).await;
}
