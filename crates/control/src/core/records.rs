//! What is stored under the keys, as JSON.

use ferryway_api::{Operation, Scope};
use ferryway_model::{Digest, Meta, Name, Revision, VersionNumber};
use ferryway_proto::Epoch;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::raw::Raw;
use crate::secret::SecretDigest;

/// `group/NAME`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GroupRecord {
    pub(crate) meta: Meta,
    pub(crate) enforce_publishing: bool,
}

/// `head/NAME`. It outlives its group, so that a group made anew goes on counting: an instance that
/// comes back never sees a revision fall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeadRecord {
    pub(crate) revision: Revision,
    pub(crate) root: Digest,
}

/// `registry/GROUP/NAME`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RegistryRecord {
    pub(crate) title: String,
}

/// `hub/NAME`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HubRecord {
    pub(crate) meta: Meta,
    pub(crate) digest: Digest,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// `version/SERVICE/NUMBER`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VersionRecord {
    pub(crate) digest: Digest,
    pub(crate) created_at: Timestamp,
    pub(crate) created_by: String,
}

/// `commit/ID`: what one transaction was. Its parts age at different speed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct CommitRecord {
    /// The operation, with delivery as far as it was known when it was last written.
    pub(crate) operation: Option<Operation>,
    pub(crate) audit: Option<AuditRecord>,
    pub(crate) history: Vec<HistoryRecord>,
    /// The control plane that made it, and that says when its operation has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) plane: Option<Uuid>,
}

/// Who changed what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AuditRecord {
    pub(crate) at: Timestamp,
    pub(crate) by: String,
    pub(crate) from: String,
    pub(crate) action: String,
    pub(crate) target: String,
    pub(crate) before: Raw,
    pub(crate) after: Raw,
    pub(crate) operation: Option<Uuid>,
}

/// What a service in a group became by one operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HistoryRecord {
    pub(crate) group: Name,
    pub(crate) service: Name,
    pub(crate) version: Option<VersionNumber>,
    /// None: unpublished.
    pub(crate) state: Option<HistoryState>,
    pub(crate) kind: ferryway_model::plan::OperationKind,
    pub(crate) at: Timestamp,
    pub(crate) by: String,
    /// Whether every instance that answered rejected it, so that it never ran: nothing to roll back
    /// to. Known when the operation has ended.
    #[serde(default)]
    pub(crate) rejected: bool,
}

/// What ran from then on, or should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HistoryState {
    pub(crate) definition: Digest,
    pub(crate) binding: Digest,
    pub(crate) enabled: bool,
}

/// `once/DIGEST`: the answer that a repeated call gets again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IdempotencyRecord {
    /// The caller's, with who the caller is before it.
    pub(crate) key: String,
    /// The digest of method, path and body.
    pub(crate) fingerprint: Digest,
    pub(crate) at: Timestamp,
    pub(crate) result: IdempotentResult,
}

/// What the first call made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IdempotentResult {
    /// Answered as it stands: whoever asks again wants to know how it ended.
    Operation(Uuid),
    /// Something that the call's URL names and that is shown as it is.
    #[default]
    Done,
    /// Something new, which may be changed or gone when the call is repeated. In memory without its
    /// answer, which is read from the store when somebody wants it.
    Made(Option<Box<Answered>>),
}

/// What a call that made something was answered: 201, the place, the tag, the body. Without secrets:
/// those are shown once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answered {
    /// Where it lies, below the API's base.
    pub(crate) path: String,
    /// Its entity tag, if it has one.
    pub(crate) etag: Option<String>,
    pub(crate) body: Value,
}

/// `sweep/content`: content that nobody names is collected by one control plane at a time.
///
/// While a sweep is open, whoever changes something writes all content that it names, also what
/// the store has: it may be about to go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SweepRecord {
    /// Rises with each sweep.
    pub(crate) number: u64,
    pub(crate) open: bool,
}

/// `instance/GROUP/ID`: an instance that was seen, so that one that is away can be listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InstanceRecord {
    pub(crate) hostname: String,
    pub(crate) build: String,
    pub(crate) addresses: Vec<String>,
    pub(crate) last_seen: Timestamp,
}

/// `token/ID`: an API token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TokenRecord {
    pub(crate) name: String,
    pub(crate) scope: Scope,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) created_at: Timestamp,
    pub(crate) created_by: String,
    /// Of the whole secret.
    pub(crate) digest: SecretDigest,
}

/// `join-token/GROUP/ID`: how a new instance is let in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct JoinTokenRecord {
    pub(crate) reusable: bool,
    pub(crate) expires_at: Timestamp,
    pub(crate) created_at: Timestamp,
    pub(crate) created_by: String,
    /// Of the secret.
    pub(crate) digest: SecretDigest,
    /// How many instances have joined with it.
    pub(crate) uses: u64,
    /// Who joined with it last.
    pub(crate) used: Option<JoinTokenUse>,
}

/// Who joined with a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JoinTokenUse {
    pub(crate) instance: Uuid,
    /// The fingerprint of the key that a certificate was asked for with: the answer may have been
    /// lost, and who asks again with it is answered again.
    pub(crate) key: String,
}

/// `identity/INSTANCE`: the certificate that an instance was given last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IdentityRecord {
    pub(crate) group: Name,
    /// The certificate's number, which rises with the time of issue.
    pub(crate) serial: Uuid,
    /// The fingerprint of the authority that it is of.
    pub(crate) authority: String,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    /// Certificates of this instance up to this number are refused: it was deleted, or has joined
    /// anew, since.
    pub(crate) refused_up_to: Option<Uuid>,
    /// When it was deleted last: no join token of before lets it in again.
    pub(crate) deleted_at: Option<Timestamp>,
    /// The fingerprint of the key that it has joined with, until it renews: the answer may have
    /// been lost, and who asks again with it is answered again.
    pub(crate) joined_with: Option<String>,
    /// The authority that its certificates of before are of, where that is another one, until one
    /// of `authority` was shown: the answer may have been lost.
    pub(crate) moving_from: Option<String>,
}

/// `authority/own`: the authorities of the instances' certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AuthorityRecord {
    /// The newest last: it issues.
    pub(crate) authorities: Vec<AuthorityKeyRecord>,
}

/// One authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AuthorityKeyRecord {
    /// Its certificate, as PEM.
    pub(crate) certificate: String,
    /// Its key, sealed with the control plane's secret key, in base64.
    pub(crate) sealed_key: String,
}

/// `shrink/GROUP`: an operator's word that the view at this head is meant, although it shrank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShrinkRecord {
    /// A word given before the store was restored from a copy says nothing of what the copy holds.
    pub(crate) epoch: Epoch,
    pub(crate) head: HeadRecord,
}

/// A record as it is stored: JSON, or a zstd frame of it where it is large. A call on 64 services in
/// 32 groups says the same few digests and names thousands of times; the store's bound on a value is
/// 1 MiB.
pub(super) fn write<T: Serialize>(record: &T) -> Vec<u8> {
    let json =
        serde_json::to_vec(record).expect("records have text keys only, so JSON can hold them");
    if json.len() < COMPRESSED_FROM_BYTES {
        return json;
    }
    zstd::bulk::compress(&json, LEVEL).unwrap_or(json)
}

/// Reads a record.
///
/// # Errors
/// A sentence that names the key.
pub(super) fn read<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, String> {
    let unreadable =
        |why: &dyn std::fmt::Display| format!("the store's {key} is unreadable: {why}");
    if bytes.starts_with(&FRAME) {
        let json =
            zstd::bulk::decompress(bytes, RECORD_BYTES_MAX).map_err(|error| unreadable(&error))?;
        return serde_json::from_slice(&json).map_err(|error| unreadable(&error));
    }
    serde_json::from_slice(bytes).map_err(|error| unreadable(&error))
}

/// From so many bytes of JSON on a record is compressed.
const COMPRESSED_FROM_BYTES: usize = 16 * 1024;
/// No record is larger than this when it is unpacked, in bytes.
const RECORD_BYTES_MAX: usize = 256 * 1024 * 1024;
/// zstd's own default: most of the gain for little of the time.
const LEVEL: i32 = 3;
/// How a zstd frame begins. JSON never does.
const FRAME: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, is_frame: bool) {
        let written = write(&text);
        assert_eq!(written.starts_with(&FRAME), is_frame);
        assert_eq!(read::<String>("k", &written).as_deref(), Ok(text));
        let cut = &written[..written.len() - 1];
        let error = read::<String>("k", cut).expect_err("is cut");
        assert!(error.starts_with("the store's k is unreadable"), "{error}");
    }

    #[test]
    fn large_records_are_compressed() {
        check("small", false);
        check(&"large".repeat(100_000), true);
    }
}
