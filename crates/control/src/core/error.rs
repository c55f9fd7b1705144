//! Why the core didn't do what it was asked.

use ferryway_model::{Code, Problem};
use ferryway_store::StoreError;

use crate::settings::whole;

/// Why a call changed nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum CoreError {
    /// What is wrong with it, all at once.
    #[error("refused: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Refused(Vec<Problem>),
    /// `If-Match` or `If-None-Match` names another state than the present one.
    #[error("the resource is not as the call requires")]
    Stale,
    /// The idempotency key was used with another body.
    #[error("the Idempotency-Key was used with another request")]
    KeyReused,
    /// A call with this idempotency key is under way.
    #[error("a call with this Idempotency-Key is under way")]
    KeyBusy,
    /// An instance may not join. A sentence for it.
    #[error("{0}")]
    Unjoined(String),
    /// Other writers kept changing what this call was about to change.
    #[error("other changes to the same groups kept coming in between; try again")]
    Contended,
    /// The store takes no writes, and this one was not begun.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The store failed during the write: it may have happened.
    #[error("the store failed during the write: {0}")]
    Unknown(String),
}

impl CoreError {
    pub(super) fn refused(problem: Problem) -> Self {
        Self::Refused(vec![problem])
    }

    /// The store failed while it wrote a change. But for what it refuses to begin, the change may
    /// have been made.
    pub(super) fn of_write(error: StoreError) -> Self {
        match error {
            StoreError::TooLarge { .. } | StoreError::Conflict { .. } | StoreError::Closed => {
                error.into()
            }
            full if full.is_full() => {
                Self::Unknown(format!("{}; make room on its disk", whole(&full)))
            }
            failed => Self::Unknown(whole(&failed)),
        }
    }

    pub(crate) fn not_found(message: String) -> Self {
        Self::refused(Problem::new(Code::NotFound, "", message))
    }
}

/// The store failed before a write was begun: nothing was changed.
impl From<StoreError> for CoreError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::TooLarge { .. } => {
                let message = format!(
                    "the call changes more than one transaction can hold ({error}); split it"
                );
                Self::refused(Problem::new(Code::LimitExceeded, "", message))
            }
            full if full.is_full() => {
                let why = whole(&full);
                Self::Unavailable(format!("{why}; make room on its disk, then try again"))
            }
            other => Self::Unavailable(whole(&other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use super::*;

    fn failed(kind: io::ErrorKind) -> StoreError {
        StoreError::Io {
            doing: "write",
            path: "/data/store.redb".into(),
            source: Arc::new(io::Error::from(kind)),
        }
    }

    /// What may have happened is never said not to have.
    #[test]
    fn what_a_failure_of_the_store_says() {
        const NOT_BEGUN: &str = "the store is not available: ";
        const IN_DOUBT: &str = "the store failed during the write: ";
        let too_large = StoreError::TooLarge {
            what: "operations",
            max: 1,
        };
        for (error, before, during) in [
            (StoreError::Closed, NOT_BEGUN, NOT_BEGUN),
            (failed(io::ErrorKind::Other), NOT_BEGUN, IN_DOUBT),
            (failed(io::ErrorKind::StorageFull), NOT_BEGUN, IN_DOUBT),
            (too_large, "refused: ", "refused: "),
        ] {
            let said = CoreError::from(error.clone()).to_string();
            assert!(said.starts_with(before), "{said}");
            let said = CoreError::of_write(error).to_string();
            assert!(said.starts_with(during), "{said}");
        }
        let full = || failed(io::ErrorKind::StorageFull);
        for error in [CoreError::from(full()), CoreError::of_write(full())] {
            let said = error.to_string();
            assert!(said.contains("make room on its disk"), "{said}");
        }
    }
}
