//! The delivery protocol: what comes on a stream, at both ends.

use std::fmt::Debug;
use std::time::Duration;

use ferryway_delivery::{Action, Event, Session, StartedFrom, Who};
use ferryway_proto::wire;
use ferryway_proto::{AgentMessage, Chunk, ControlMessage, FetchRequest};
use ferryway_runtime::Random;
use prost::Message;
use tokio::time::Instant;
use uuid::Uuid;

/// A message that is read is encoded as one that is read as the same. The first byte says which
/// message it is; for the control plane's, what follows is several of them, each after its length,
/// and an agent's session takes them all.
pub(crate) fn check(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else {
        return;
    };
    match kind % 4 {
        0 => session(bytes),
        1 => round_trip(bytes, AgentMessage::decode, AgentMessage::encode),
        2 => round_trip(bytes, FetchRequest::try_from, wire::FetchRequest::from),
        _ => round_trip(bytes, Chunk::try_from, wire::Chunk::from),
    }
}

fn round_trip<W, T, E>(bytes: &[u8], decode: impl Fn(W) -> Result<T, E>, encode: impl Fn(T) -> W)
where
    W: Message + Default,
    T: Clone + Debug + PartialEq,
    E: Debug,
{
    let Ok(Ok(read)) = W::decode(bytes).map(&decode) else {
        return;
    };
    let written = encode(read.clone()).encode_to_vec();
    let wire = W::decode(&*written).expect("what was written is readable");
    assert_eq!(decode(wire).expect("and is the same message"), read);
}

/// A session that has nothing, on an open stream.
fn session(mut bytes: &[u8]) {
    let who = Who {
        instance: Uuid::nil(),
        boot: 1,
        group: "test".parse().expect("is a name"),
        build: "fuzz".to_owned(),
        hostname: "fuzz".to_owned(),
        addresses: Vec::new(),
        source: StartedFrom::Empty,
    };
    let mut session = Session::new(who, Random::seeded(1));
    let mut now = Instant::now();
    drop(session.start(Default::default(), Default::default()));
    drop(session.on(now, Event::Connected));
    while let Some((length, rest)) = bytes.split_first() {
        let (frame, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        bytes = rest;
        round_trip(frame, ControlMessage::decode, ControlMessage::encode);
        let Ok(message) = wire::ControlMessage::decode(frame) else {
            continue;
        };
        now += Duration::from_millis(10);
        let event = match ControlMessage::decode(message) {
            Ok(message) => Event::Message(Box::new(message)),
            Err(error) => Event::Undecodable(error),
        };
        for action in session.on(now, event) {
            if let Action::Send(message) = action {
                let written = message.clone().encode();
                assert_eq!(AgentMessage::decode(written), Ok(message));
            }
        }
        let standing = session.standing();
        assert!(!standing.converged || standing.holds.is_empty());
    }
}
