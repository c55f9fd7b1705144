//! What follows from what is noted of an instance's certificates.

use ferryway_model::Name;
use ferryway_store::Expect;
use ferryway_tls::RENEWABLE_FOR;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::core::memory::Memory;
use crate::core::records::IdentityRecord;

/// How long after its certificate's end an instance is still counted, and its deletion remembered:
/// for as long as it could renew, and a day.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(8 * 24);

impl IdentityRecord {
    /// Whether a certificate with this number is refused.
    pub(super) fn refuses(&self, serial: Uuid) -> bool {
        self.refused_up_to.is_some_and(|up_to| serial <= up_to)
    }

    /// The lowest number that the next certificate may have. Numbers are made of the time, and of
    /// two control planes one may be ahead; of one, the clock may be set back.
    pub(super) fn next_serial(&self) -> Uuid {
        let last = self.refused_up_to.max(Some(self.serial));
        let last = last.map_or(0, |last| last.as_u128());
        Uuid::from_u128(last.saturating_add(1))
    }

    /// Whether it has a certificate that it can renew.
    pub(super) fn can_come_back(&self, now: Timestamp) -> bool {
        !self.refuses(self.serial) && now.duration_since(self.expires_at) <= RENEWABLE_FOR
    }

    pub(super) fn has_joined_with(&self, key: &str) -> bool {
        self.joined_with.as_deref() == Some(key)
    }

    /// The authority of the certificate that it is known to hold.
    pub(crate) fn held(&self) -> &String {
        self.moving_from.as_ref().unwrap_or(&self.authority)
    }

    /// The same, where it shows a certificate with this number.
    pub(super) fn held_by_who_shows(&self, serial: Uuid) -> &String {
        if serial == self.serial {
            &self.authority
        } else {
            self.held()
        }
    }

    /// Whether it may have no certificate but one of this authority.
    pub(crate) fn needs(&self, authority: &str) -> bool {
        self.authority == authority || self.moving_from.as_deref() == Some(authority)
    }

    /// The instance shows this certificate, which ends then. Whether that changes anything here.
    pub(super) fn is_shown(&mut self, serial: Uuid, until: Timestamp) -> bool {
        if self.refuses(serial) || serial < self.serial {
            return false;
        }
        if serial == self.serial {
            return self.moving_from.take().is_some();
        }
        // It was renewed, and the note of that was lost. What it is of is not known: at its next
        // renewal it will be.
        self.serial = serial;
        self.expires_at = self.expires_at.max(until);
        self.joined_with = None;
        true
    }
}

/// The number before this one.
pub(super) fn before(serial: Uuid) -> Uuid {
    Uuid::from_u128(serial.as_u128().saturating_sub(1))
}

impl Memory {
    /// The identities of instances that are there or can come back by themselves.
    pub(crate) fn living_identities(
        &self,
        now: Timestamp,
    ) -> impl Iterator<Item = (Uuid, &IdentityRecord)> {
        let all = self.identities.iter();
        all.map(|(id, stored)| (*id, &stored.record))
            .filter(move |(_, record)| !is_forgotten(record, now))
            .filter(|(_, record)| !record.refuses(record.serial))
    }

    /// Whether an instance of this group has a certificate that is not refused.
    pub(in crate::core) fn has_identity(&self, group: &Name, instance: Uuid) -> bool {
        let known = self.identities.get(&instance).map(|known| &known.record);
        known.is_some_and(|known| known.group == *group && !known.refuses(known.serial))
    }

    /// What the store is to hold once an instance is deleted: that its certificates are refused,
    /// and join tokens of before too.
    pub(in crate::core) fn refuse(
        &self,
        instance: Uuid,
        now: Timestamp,
    ) -> Option<(IdentityRecord, Expect)> {
        let stored = self.identities.get(&instance)?;
        let mut record = stored.record.clone();
        let highest = Uuid::now_v7().max(record.serial);
        record.refused_up_to = record.refused_up_to.max(Some(highest));
        record.deleted_at = record.deleted_at.max(Some(now));
        record.joined_with = None;
        Some((record, Expect::Revision(stored.modified)))
    }

    /// When a join token that is made now was made: after each deletion in its group that is known,
    /// although that may have been noted by a clock that is ahead.
    pub(in crate::core) fn after_deletions(&self, group: &Name, now: Timestamp) -> Timestamp {
        let all = self.identities.values().map(|known| &known.record);
        let of_group = all.filter(|known| known.group == *group);
        let last = of_group.filter_map(|known| known.deleted_at).max();
        let after = last.and_then(|last| {
            let next = last.checked_add(SignedDuration::from_nanos(1));
            next.ok()
        });
        after.map_or(now, |after| after.max(now))
    }

    /// Whether a join token is there that is older than this instance's deletion.
    pub(in crate::core) fn has_token_of_before(&self, record: &IdentityRecord) -> bool {
        let mut tokens = self.join_tokens.values();
        record.deleted_at.is_some_and(|deleted| {
            tokens.any(|it| it.group == record.group && it.record.created_at <= deleted)
        })
    }
}

/// Whether nobody can come back with this identity any more.
pub(in crate::core) fn is_forgotten(record: &IdentityRecord, now: Timestamp) -> bool {
    now.duration_since(record.expires_at) > REMEMBERED
}
