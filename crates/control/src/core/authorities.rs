//! The authorities of the instances' certificates, as the store has them.

use ferryway_model::{Code, Problem};
use ferryway_store::{Expect, Txn};
use serde_json::{Value, json};

use super::error::CoreError;
use super::idempotency::Idempotency;
use super::records::{self, AuthorityKeyRecord, AuthorityRecord};
use super::resources::Draft;
use super::{Actor, Core, NotWritten, keys};

/// Why an authority is not dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotDropped {
    /// There is none of this fingerprint.
    Unknown,
    /// It issues.
    Issues,
}

/// Authorities that are trusted at one time: the one that issues, and the one before it.
const AUTHORITIES_MAX: usize = 2;

impl Core {
    /// The authorities that were made here.
    pub(crate) fn authorities(&self) -> Option<AuthorityRecord> {
        self.read(|memory| Some(memory.authority.as_ref()?.record.clone()))
    }

    /// Keeps the first authority; one that another control plane made meanwhile stays. Nobody asked
    /// for it, so the audit has no line of it.
    ///
    /// # Errors
    /// The store failed.
    pub(crate) async fn first_authority(
        &self,
        record: AuthorityKeyRecord,
    ) -> Result<(), CoreError> {
        let record = AuthorityRecord {
            authorities: vec![record],
        };
        let txn = Txn::new()
            .require(keys::authority(), Expect::Absent)
            .put(keys::authority(), records::write(&record));
        match self.commit(txn).await {
            Ok(()) => Ok(()),
            Err(NotWritten::Conflict(_)) => Ok(self.fence().await?),
            Err(NotWritten::Failed(error)) => Err(error),
        }
    }

    /// Keeps a further authority, which issues from now on.
    ///
    /// # Errors
    /// The one before is not replaced everywhere yet, or the store failed.
    pub(crate) async fn add_authority(
        &self,
        actor: &Actor,
        (record, fingerprint): (&AuthorityKeyRecord, &str),
        idempotency: Option<&Idempotency>,
    ) -> Result<(), CoreError> {
        self.draft(actor, [keys::authority()], idempotency, |memory, _| {
            let standing = memory.authority.as_ref();
            let mut all = standing.map_or_else(Vec::new, |s| s.record.authorities.clone());
            if all.len() >= AUTHORITIES_MAX {
                let message = "the authority before this one is still trusted: GET /authority says \
                               which instances wait for a certificate of the new one; drop the old \
                               one first";
                return Err(CoreError::refused(Problem::new(Code::InUse, "", message)));
            }
            all.push(record.clone());
            let expect = standing.map_or(Expect::Absent, |s| Expect::Revision(s.modified));
            let after = json!({"issues": fingerprint});
            Ok(Draft {
                requires: vec![(keys::authority(), expect)],
                puts: vec![(
                    keys::authority(),
                    records::write(&AuthorityRecord { authorities: all }).into(),
                )],
                audit: Some(("add authority", "authority".to_owned(), Value::Null, after)),
                ..Draft::default()
            })
        })
        .await
        .map(|_| ())
    }

    /// Ends the trust in an authority that does not issue any more. `which` finds it among all.
    ///
    /// # Errors
    /// There is none, or it issues; or the store failed.
    pub(crate) async fn drop_authority(
        &self,
        actor: &Actor,
        fingerprint: &str,
        which: impl Fn(&AuthorityRecord) -> Result<usize, NotDropped>,
    ) -> Result<(), CoreError> {
        self.draft(actor, [keys::authority()], None, |memory, _| {
            let none = || CoreError::not_found(format!("there is no authority {fingerprint}"));
            let standing = memory.authority.as_ref().ok_or_else(none)?;
            let mut record = standing.record.clone();
            match which(&record) {
                Ok(index) => drop(record.authorities.remove(index)),
                Err(NotDropped::Unknown) => return Err(none()),
                Err(NotDropped::Issues) => {
                    let message = "this authority issues; POST /authority/rotate makes another one \
                                   first";
                    return Err(CoreError::refused(Problem::new(Code::InUse, "", message)));
                }
            }
            let before = json!({"trusted": fingerprint});
            Ok(Draft {
                requires: vec![(keys::authority(), Expect::Revision(standing.modified))],
                puts: vec![(keys::authority(), records::write(&record).into())],
                audit: Some((
                    "drop authority",
                    "authority".to_owned(),
                    before,
                    Value::Null,
                )),
                ..Draft::default()
            })
        })
        .await
        .map(|_| ())
    }
}
