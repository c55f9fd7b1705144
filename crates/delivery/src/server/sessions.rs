//! Which instances have a stream: one each, and not more than the server bears.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ferryway_model::Name;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::Peer;

/// The streams of a server.
#[derive(Clone)]
pub(super) struct Sessions {
    open: Arc<Mutex<Open>>,
    max: usize,
}

#[derive(Default)]
struct Open {
    by_instance: HashMap<Uuid, Stream>,
    /// Whose each stream is, and of which group.
    by_session: HashMap<Uuid, (Uuid, Name)>,
}

struct Stream {
    boot: u64,
    session: Uuid,
    /// Dropped when a newer stream of the same instance takes its place.
    _replaced: oneshot::Sender<()>,
}

/// A stream's place among the others; it ends with this value.
#[derive(Debug)]
pub(super) struct Place {
    sessions: Sessions,
    instance: Uuid,
    session: Uuid,
    /// Ends, with an error, when a newer stream of the same instance has taken the place.
    pub(super) replaced: oneshot::Receiver<()>,
}

/// Why a stream gets no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoPlace {
    /// As many as there may be are open.
    #[error("the control plane has as many streams as it bears")]
    Full,
    /// A later start of the same instance has one.
    #[error("a later start of this instance is connected; is its data folder in use twice?")]
    Older,
}

impl Sessions {
    pub(super) fn new(max: usize) -> Self {
        Self {
            open: Arc::default(),
            max,
        }
    }

    /// Gives a stream its place. An older one of the same instance is ended: after a lost
    /// connection, its end may not have been seen yet.
    pub(super) fn enter(&self, peer: &Peer) -> Result<Place, NoPlace> {
        let mut open = self.lock();
        match open.by_instance.get(&peer.instance) {
            Some(there) if there.boot > peer.boot => return Err(NoPlace::Older),
            None if open.by_instance.len() >= self.max => return Err(NoPlace::Full),
            Some(_) | None => {}
        }
        let (_replaced, replaced) = oneshot::channel();
        let stream = Stream {
            boot: peer.boot,
            session: peer.session,
            _replaced,
        };
        if let Some(old) = open.by_instance.insert(peer.instance, stream) {
            open.by_session.remove(&old.session);
        }
        open.by_session
            .insert(peer.session, (peer.instance, peer.group.clone()));
        drop(open);
        Ok(Place {
            sessions: self.clone(),
            instance: peer.instance,
            session: peer.session,
            replaced,
        })
    }

    /// The group of an open stream.
    pub(super) fn group_of(&self, session: Uuid) -> Option<Name> {
        let open = self.lock();
        let (_, group) = open.by_session.get(&session)?;
        Some(group.clone())
    }

    /// The instance of an open stream.
    pub(super) fn instance_of(&self, session: Uuid) -> Option<Uuid> {
        let open = self.lock();
        open.by_session.get(&session).map(|(instance, _)| *instance)
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.sessions.lock();
        open.by_session.remove(&self.session);
        let ours = open.by_instance.get(&self.instance);
        if ours.is_some_and(|stream| stream.session == self.session) {
            open.by_instance.remove(&self.instance);
        }
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("open", &self.lock().by_instance.len())
            .field("max", &self.max)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(instance: u128, boot: u64, session: u128) -> Peer {
        Peer {
            instance: Uuid::from_u128(instance),
            boot,
            attempt: 0,
            session: Uuid::from_u128(session),
            group: "test".parse().unwrap(),
            address: None,
        }
    }

    #[test]
    fn a_newer_stream_takes_the_place_of_an_older_one() {
        let sessions = Sessions::new(1);
        let mut first = sessions.enter(&peer(1, 1, 10)).unwrap();
        assert!(
            first
                .replaced
                .try_recv()
                .is_err_and(|e| e == oneshot::error::TryRecvError::Empty)
        );
        assert_eq!(sessions.enter(&peer(1, 0, 11)).unwrap_err(), NoPlace::Older);
        assert_eq!(sessions.enter(&peer(2, 9, 12)).unwrap_err(), NoPlace::Full);

        let second = sessions.enter(&peer(1, 1, 13)).unwrap();
        assert!(
            first
                .replaced
                .try_recv()
                .is_err_and(|e| e == oneshot::error::TryRecvError::Closed)
        );
        assert_eq!(sessions.group_of(Uuid::from_u128(10)), None);
        drop(first);
        assert!(sessions.group_of(Uuid::from_u128(13)).is_some());
        drop(second);
        assert_eq!(sessions.group_of(Uuid::from_u128(13)), None);
        assert!(sessions.enter(&peer(2, 9, 12)).is_ok());
    }
}
