use ferryway_model::Revision;

use super::Fault;
use crate::error::DecodeError;
use crate::limits::FAULTS_MAX;
use crate::read::list;
use crate::wire;

/// Of the checks of a transaction that only warn: they run when it serves already. Told twice:
/// before the ack that it is applied, that they run; and what they found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warnings {
    /// The revision it leads to.
    pub transaction: Revision,
    /// What fails, at most [`FAULTS_MAX`]; none: they run now.
    pub found: Option<Vec<Fault>>,
}

impl From<Warnings> for wire::Warnings {
    fn from(warnings: Warnings) -> Self {
        let Warnings { transaction, found } = warnings;
        Self {
            transaction: transaction.0,
            over: found.is_some(),
            faults: found.into_iter().flatten().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::Warnings> for Warnings {
    type Error = DecodeError;

    fn try_from(warnings: wire::Warnings) -> Result<Self, DecodeError> {
        let wire::Warnings {
            transaction,
            over,
            faults,
        } = warnings;
        if !over && !faults.is_empty() {
            return Err(DecodeError::new("faults", "are there before it is over"));
        }
        let faults = list("faults", faults, FAULTS_MAX, Fault::try_from)?;
        Ok(Self {
            transaction: Revision(transaction),
            found: over.then_some(faults),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_come_when_it_is_over() {
        let fault = Fault {
            key: ferryway_model::Key::service(&"a".parse().unwrap()),
            digest: None,
            stage: super::super::Stage::Check,
            code: "check_failed".to_owned(),
            path: String::new(),
            detail: String::new(),
            evidence: None,
        };
        let early = wire::Warnings {
            transaction: 1,
            over: false,
            faults: vec![fault.into()],
        };
        let error = Warnings::try_from(early).unwrap_err().to_string();
        assert!(error.contains("faults"), "{error}");
    }
}
