//! Why the core didn't do what it was asked.

use ferryway_model::{Code, Problem};

use crate::settings::whole;

/// Why a call changed nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum CoreError {
    /// What is wrong with it, all at once.
    #[error("refused: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Refused(Vec<Problem>),
    /// `If-Match` names another state than the present one.
    #[error("the resource has changed since it was read")]
    Stale,
    /// The idempotency key was used with another body.
    #[error("the Idempotency-Key was used with another request")]
    KeyReused,
    /// A call with this idempotency key is under way.
    #[error("a call with this Idempotency-Key is under way")]
    KeyBusy,
    /// Other writers kept changing what this call was about to change.
    #[error("other changes to the same groups kept coming in between; try again")]
    Contended,
    /// The store didn't take the write.
    #[error("the store is not available: {0}")]
    Unavailable(String),
}

impl CoreError {
    pub(super) fn refused(problem: Problem) -> Self {
        Self::Refused(vec![problem])
    }

    pub(crate) fn not_found(message: String) -> Self {
        Self::refused(Problem::new(Code::NotFound, "", message))
    }
}

impl From<ferryway_store::StoreError> for CoreError {
    fn from(error: ferryway_store::StoreError) -> Self {
        match error {
            ferryway_store::StoreError::TooLarge { .. } => {
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
