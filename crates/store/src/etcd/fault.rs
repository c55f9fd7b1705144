//! What etcd's answers mean when they are none.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tonic::{Code, Status};

use crate::Trouble;

/// Why a call was not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Something that people are told.
    Trouble(Trouble),
    /// The revision asked for is no longer kept.
    Compacted,
    /// The lease that a transaction names has expired. The transaction did not happen.
    LeaseGone,
    /// The answer is larger than we take.
    TooLarge,
    /// The token we showed is not, or no longer, known.
    SignIn,
}

impl Fault {
    /// Whether the same call may be answered by another member, or a moment later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Trouble(trouble) => trouble.may_pass(),
            Self::Compacted | Self::LeaseGone | Self::TooLarge | Self::SignIn => false,
        }
    }

    /// What is said where no more is known than that it failed.
    pub(super) fn trouble(self) -> Trouble {
        let refused = |detail: &str| Trouble::Refused {
            detail: detail.into(),
        };
        match self {
            Self::Trouble(trouble) => trouble,
            Self::Compacted => refused("it compacts what is just being read"),
            Self::LeaseGone => refused("it does not keep our lease"),
            Self::TooLarge => refused("its answer is larger than it may be"),
            Self::SignIn => Trouble::Denied {
                detail: "it does not know the token that it gave us".into(),
            },
        }
    }
}

impl From<Trouble> for Fault {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

/// Reads a refusal. `within` is how long the answer was waited for.
///
/// etcd puts much under one code, so its words are read too. They are part of its API: its own
/// client compares them (`api/v3rpc/rpctypes/error.go`).
pub(super) fn read(status: &Status, within: Duration) -> Fault {
    let text = status.message();
    let says = |part: &str| text.contains(part);
    let detail = || Arc::<str>::from(whole(status));
    match status.code() {
        Code::Unavailable if says("no leader") || says("leader changed") => {
            Trouble::NoLeader.into()
        }
        Code::Unavailable if says("timed out") => Trouble::Slow { within }.into(),
        Code::DeadlineExceeded | Code::Cancelled => Trouble::Slow { within }.into(),
        Code::ResourceExhausted if says("database space exceeded") => Trouble::Full.into(),
        Code::ResourceExhausted if says("too many requests") => Trouble::Slow { within }.into(),
        Code::OutOfRange if says("compacted") => Fault::Compacted,
        Code::OutOfRange if says("decoded message length too large") => Fault::TooLarge,
        Code::NotFound if says("lease not found") => Fault::LeaseGone,
        Code::Unauthenticated => Fault::SignIn,
        Code::InvalidArgument if says("revision of auth store is old") => Fault::SignIn,
        Code::PermissionDenied => Trouble::Denied { detail: detail() }.into(),
        Code::InvalidArgument | Code::FailedPrecondition
            if says("user name is empty") || says("authentication") =>
        {
            Trouble::Denied { detail: detail() }.into()
        }
        // What the transport says comes as these.
        Code::Unavailable | Code::Unknown | Code::Internal | Code::Aborted => {
            let detail = detail();
            if is_of_tls(&detail) {
                return Trouble::Untrusted { detail }.into();
            }
            Trouble::Unreachable { detail }.into()
        }
        _ => Trouble::Refused { detail: detail() }.into(),
    }
}

/// As rustls says what is wrong with either side's certificate.
fn is_of_tls(detail: &str) -> bool {
    detail.contains("invalid peer certificate") || detail.contains("received fatal alert")
}

/// A status with its causes, in one line.
fn whole(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut cause = status.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: Code, text: &str, expect: &str, may_pass: bool) {
        let fault = read(&Status::new(code, text), Duration::from_secs(2));
        assert_eq!(fault.may_pass(), may_pass, "{fault:?}");
        let said = format!("{fault:?}");
        assert!(said.contains(expect), "{said}");
    }

    #[test]
    fn etcds_words_are_read() {
        check(Code::Unavailable, "etcdserver: no leader", "NoLeader", true);
        check(
            Code::Unavailable,
            "etcdserver: leader changed",
            "NoLeader",
            true,
        );
        check(
            Code::Unavailable,
            "etcdserver: request timed out",
            "Slow",
            true,
        );
        check(Code::DeadlineExceeded, "", "Slow", true);
        check(
            Code::ResourceExhausted,
            "etcdserver: mvcc: database space exceeded",
            "Full",
            false,
        );
        check(
            Code::ResourceExhausted,
            "etcdserver: too many requests",
            "Slow",
            true,
        );
        check(
            Code::OutOfRange,
            "etcdserver: mvcc: required revision has been compacted",
            "Compacted",
            false,
        );
        check(
            Code::NotFound,
            "etcdserver: requested lease not found",
            "LeaseGone",
            false,
        );
        check(
            Code::Unauthenticated,
            "etcdserver: invalid auth token",
            "SignIn",
            false,
        );
        check(
            Code::InvalidArgument,
            "etcdserver: revision of auth store is old",
            "SignIn",
            false,
        );
        check(
            Code::PermissionDenied,
            "etcdserver: permission denied",
            "Denied",
            false,
        );
        check(
            Code::InvalidArgument,
            "etcdserver: user name is empty",
            "Denied",
            false,
        );
        check(
            Code::InvalidArgument,
            "etcdserver: authentication failed, invalid user ID or password",
            "Denied",
            false,
        );
        check(
            Code::FailedPrecondition,
            "etcdserver: authentication is not enabled",
            "Denied",
            false,
        );
        check(Code::Unavailable, "tcp connect error", "Unreachable", true);
        check(Code::Unknown, "transport error", "Unreachable", true);
        check(
            Code::InvalidArgument,
            "etcdserver: too many operations",
            "Refused",
            false,
        );
    }
}
