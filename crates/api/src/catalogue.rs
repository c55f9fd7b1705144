//! Every kind of error that an answer can have: its code, its title, its status. `/problems/<code>`
//! shows the entry.

use ferryway_model::{Class, Code};
use http::StatusCode;

/// The reference that an answer's `type` holds.
#[must_use]
pub(crate) fn page_of(code: &str) -> String {
    format!("/problems/{code}")
}

/// What `/problems/<code>` says: the code, its title, and the status it is answered with. None for
/// a code that no answer has.
#[must_use]
pub fn explain(code: &str) -> Option<String> {
    let own = Kind::OWN.iter().copied();
    let kind = own
        .chain(Code::ALL.iter().copied().map(Kind::Of))
        .find(|k| k.as_str() == code)?;
    let answered = match kind {
        Kind::Of(code) if code.class() == Class::Warning => {
            "It is a warning: the call goes on, and the operation carries it.".to_owned()
        }
        kind => format!("It is answered with {}.", kind.status()),
    };
    Some(format!("{code}: {}\n\n{answered}\n", kind.title()))
}

/// The codes of errors that are answered with this status, as `/problems/<code>` has them.
#[must_use]
pub fn codes_of(status: u16) -> Vec<&'static str> {
    let own = Kind::OWN.iter().copied();
    let known = Code::ALL
        .iter()
        .filter(|code| code.class() != Class::Warning)
        .map(|code| Kind::Of(*code));
    own.chain(known)
        .filter(|kind| kind.status().as_u16() == status)
        .map(Kind::as_str)
        .collect()
}

/// A kind of error: one that the model knows, or one of the API's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Of(Code),
    InvalidQuery,
    InvalidHeader,
    Unauthorized,
    Forbidden,
    MethodNotAllowed,
    Stale,
    BodyTooLarge,
    UnsupportedMediaType,
    TooManyAttempts,
    KeyReused,
    KeyInProgress,
    Contended,
    StoreUnavailable,
    Internal,
}

impl Kind {
    /// Those that the model doesn't know.
    const OWN: &[Self] = &[
        Self::InvalidQuery,
        Self::InvalidHeader,
        Self::Unauthorized,
        Self::Forbidden,
        Self::MethodNotAllowed,
        Self::Stale,
        Self::BodyTooLarge,
        Self::UnsupportedMediaType,
        Self::TooManyAttempts,
        Self::KeyReused,
        Self::KeyInProgress,
        Self::Contended,
        Self::StoreUnavailable,
        Self::Internal,
    ];

    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Of(code) => match code.class() {
                Class::Unreadable => StatusCode::BAD_REQUEST,
                Class::NotFound => StatusCode::NOT_FOUND,
                Class::Content => StatusCode::UNPROCESSABLE_ENTITY,
                Class::State => StatusCode::CONFLICT,
                // A warning stops nothing, so none can lead here.
                Class::Warning => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Self::InvalidQuery | Self::InvalidHeader => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Stale => StatusCode::PRECONDITION_FAILED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooManyAttempts => StatusCode::TOO_MANY_REQUESTS,
            Self::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::KeyInProgress => StatusCode::CONFLICT,
            Self::Contended | Self::StoreUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Of(code) => code.as_str(),
            Self::InvalidQuery => "invalid_query",
            Self::InvalidHeader => "invalid_header",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Stale => "stale",
            Self::BodyTooLarge => "body_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::TooManyAttempts => "too_many_attempts",
            Self::KeyReused => "idempotency_key_reused",
            Self::KeyInProgress => "idempotency_key_in_progress",
            Self::Contended => "contended",
            Self::StoreUnavailable => "store_unavailable",
            Self::Internal => "internal",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Of(code) => title(code),
            Self::InvalidQuery => "The query cannot be read",
            Self::InvalidHeader => "A header cannot be read",
            Self::Unauthorized => "A token is needed",
            Self::Forbidden => "Not allowed",
            Self::MethodNotAllowed => "The path has other methods",
            Self::Stale => "The resource has changed since it was read",
            Self::BodyTooLarge => "The body is too large",
            Self::UnsupportedMediaType => "The body is of another type than JSON",
            Self::TooManyAttempts => "Too many wrong tokens came from this address",
            Self::KeyReused => "The idempotency key was used with another call",
            Self::KeyInProgress => "A call with this idempotency key is under way",
            Self::Contended => "Other changes kept coming in between",
            Self::StoreUnavailable => "The store is not available",
            Self::Internal => "The control plane failed",
        }
    }
}

fn title(code: Code) -> &'static str {
    match code {
        Code::Unreadable => "The body cannot be read",
        Code::UnknownField => "A field is none that is known",
        Code::WrongType => "A value is of the wrong type",
        Code::NotFound => "The URL names nothing",
        Code::Required => "Something is missing",
        Code::Invalid => "A value is not allowed",
        Code::Duplicate => "The same thing is named twice",
        Code::LimitExceeded => "A limit is exceeded",
        Code::Unsupported => "This build has no function for it",
        Code::RolloutUnsupported => "This build delivers all at once",
        Code::NameMismatch => "The name in the body is not the one in the URL",
        Code::GroupMissing => "A group named in the body is not there",
        Code::ServiceMissing => "A service named in the body is not there",
        Code::RegistryMissing => "A registry named in a binding is not there",
        Code::BindingRequired => "A group new to the service needs a binding",
        Code::VersionRequired => "The source has no version; give it a new number",
        Code::VersionNotExpected => "The source has a version; no other can be given",
        Code::NotInHistory => "That content never ran in the group",
        Code::VersionExists => "The version number was used before",
        Code::SourceMoved => "The source has moved on",
        Code::PlanChanged => "The plan is another one by now",
        Code::RouteConflict => "Two services would answer the same requests",
        Code::PluginUnsupported => "An online instance lacks a plugin",
        Code::CertificateMissing => "The group lacks a certificate",
        Code::ConsumerMissing => "The group lacks a consumer",
        Code::SecretMissing => "The group lacks a secret",
        Code::PublishingEnforced => "The group takes definitions by publish and sync only",
        Code::InUse => "Something still uses it",
        Code::Exists => "There is one of this name already",
        Code::NothingToConfirm => "No instance waits for a confirmation",
        Code::NoRollout => "The operation has no rollout",
        Code::RolloutInProgress => "A rollout of the service is under way in the group",
        Code::UpstreamEmpty => "The registry knows no endpoint of the service",
        Code::NoInstances => "The group has no instance online",
        Code::InstanceTooOld => "An online instance is of a build that can't load this",
        Code::UnversionedEditReplaced => "An edit in place is replaced",
        Code::SourceNotConverged => "Not every instance of the source runs what is synced",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_explained_once() {
        let own = Kind::OWN.iter().copied();
        let all: Vec<_> = own.chain(Code::ALL.iter().copied().map(Kind::Of)).collect();
        let codes: std::collections::BTreeSet<_> = all.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(codes.len(), all.len(), "no code stands for two kinds");
        for kind in all {
            let text = explain(kind.as_str()).expect("the code is known");
            assert!(text.contains(kind.title()), "{text}");
        }
        assert_eq!(explain("no-such-code"), None);
        assert!(
            explain("no_instances")
                .expect("is known")
                .contains("warning")
        );
        assert_eq!(codes_of(412), ["stale"]);
        assert_eq!(codes_of(500), ["internal"], "warnings are no errors");
        assert!(explain("stale").expect("is known").contains("412"));
    }
}
