use uuid::Uuid;

/// Who a store is, and which of its histories this one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Made with the store, and never changed.
    pub uuid: Uuid,
    /// Rises with each time that the store was put back from a backup, or copied, also from the
    /// same one; 0 where it never was. With each, revisions may fall.
    pub restores: u64,
}

impl Identity {
    /// Of a store that begins.
    pub fn new(uuid: Uuid) -> Self {
        Self { uuid, restores: 0 }
    }

    /// Of the history that begins with a copy of this one. `fresh` is a UUID made now (of version
    /// 7).
    #[must_use]
    pub fn restored(self, fresh: Uuid) -> Self {
        Self {
            restores: raised(self.restores, fresh),
            ..self
        }
    }
}

/// One backup may be put in place twice, and says the same count both times, so the count alone
/// would give two histories one epoch. It is therefore raised to the time that `fresh` tells.
pub(crate) fn raised(restores: u64, fresh: Uuid) -> u64 {
    restores.saturating_add(1).max(millis(fresh))
}

/// When a UUID was made, in milliseconds since 1970; 0 where it does not say.
fn millis(uuid: Uuid) -> u64 {
    uuid.get_timestamp().map_or(0, |at| {
        let (seconds, nanos) = at.to_unix();
        seconds.saturating_mul(1_000) + u64::from(nanos / 1_000_000)
    })
}
