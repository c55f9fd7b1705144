//! Problems: what is wrong, where, and what to do about it.

use std::fmt;

use crate::name::Name;

/// One thing that is wrong with what was asked.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// Whether it stops the call.
    pub severity: Severity,
    /// What kind of problem it is, for scripts.
    pub code: Code,
    /// The place in the body sent, as `routes[3].paths[0]`; empty for the body as a whole.
    pub path: String,
    /// A sentence for people that says what to do.
    pub message: String,
    /// The group it concerns, where the call has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Name>,
    /// The service it concerns, where the call has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<Name>,
}

/// Whether a problem stops the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The call changes nothing.
    Error,
    /// The call goes on; a person should know.
    Warning,
}

/// What sort of answer a problem calls for. The REST API maps each to a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// The body can't be read as what it should be: syntax, an unknown field, a wrong type.
    Unreadable,
    /// The URL names nothing.
    NotFound,
    /// The content is wrong.
    Content,
    /// The state of things forbids it.
    State,
    /// Nothing is stopped.
    Warning,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $code:ident = $text:literal, $class:ident;)+) => {
        /// The kinds of problem, each with its stable text.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[doc = $doc])+ $code,)+
        }

        impl Code {
            /// Every code there is.
            pub const ALL: &[Self] = &[$(Self::$code,)+];

            /// The stable text, as in `/problems/<code>`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$code => $text,)+ }
            }

            /// What sort of answer it calls for.
            #[must_use]
            pub const fn class(self) -> Class {
                match self { $(Self::$code => Class::$class,)+ }
            }
        }
    };
}

codes! {
    /// Not JSON, too deep, or a key given twice.
    Unreadable = "unreadable", Unreadable;
    /// A field that isn't one.
    UnknownField = "unknown_field", Unreadable;
    /// A value of another JSON type than the field's.
    WrongType = "wrong_type", Unreadable;
    /// The URL names nothing.
    NotFound = "not_found", NotFound;
    /// A field that must be there isn't.
    Required = "required", Content;
    /// A value that the field can't have.
    Invalid = "invalid", Content;
    /// The same thing named twice.
    Duplicate = "duplicate", Content;
    /// More or longer than the limit.
    LimitExceeded = "limit_exceeded", Content;
    /// A field this build has no function for, set to other than its default.
    Unsupported = "unsupported", Content;
    /// A rollout in waves, which this build can't do.
    RolloutUnsupported = "rollout_unsupported", Content;
    /// A body's name that differs from the URL's.
    NameMismatch = "name_mismatch", Content;
    /// A group named in the body that isn't there.
    GroupMissing = "group_missing", Content;
    /// A service named in the body that isn't there.
    ServiceMissing = "service_missing", Content;
    /// A registry named in a binding that the group doesn't have.
    RegistryMissing = "registry_missing", Content;
    /// A destination without the service needs a binding.
    BindingRequired = "binding_required", Content;
    /// A source in No Version state needs a new version number.
    VersionRequired = "version_required", Content;
    /// The source has a version; no other number may be given.
    VersionNotExpected = "version_not_expected", Content;
    /// Content that never ran in that group.
    NotInHistory = "not_in_history", Content;
    /// A version number that was used before.
    VersionExists = "version_exists", State;
    /// The source runs something else than the caller expected.
    SourceMoved = "source_moved", State;
    /// The plan is another one than the caller saw.
    PlanChanged = "plan_changed", State;
    /// Two enabled services of a group would answer the same requests with equal precedence.
    RouteConflict = "route_conflict", State;
    /// An online instance lacks a plugin.
    PluginUnsupported = "plugin_unsupported", State;
    /// A certificate that the group doesn't have.
    CertificateMissing = "certificate_missing", State;
    /// A consumer that the group doesn't have.
    ConsumerMissing = "consumer_missing", State;
    /// A secret that the group doesn't have.
    SecretMissing = "secret_missing", State;
    /// The group takes definitions by publishing and syncing only.
    PublishingEnforced = "publishing_enforced", State;
    /// Something still uses it.
    InUse = "in_use", State;
    /// There is one of this name already.
    Exists = "exists", State;
    /// No instance waits for an operator's word that a shrunken view is meant.
    NothingToConfirm = "nothing_to_confirm", State;
    /// An operation without a rollout can't be paused, resumed or aborted.
    NoRollout = "no_rollout", State;
    /// A rollout of that service is under way in that group.
    RolloutInProgress = "rollout_in_progress", State;
    /// The registry knows no endpoint of the service.
    UpstreamEmpty = "upstream_empty", Warning;
    /// The group has no instance online.
    NoInstances = "no_instances", Warning;
    /// An online instance's build can't load definitions of this form; it will hold what it has.
    InstanceTooOld = "instance_too_old", Warning;
    /// An in-place edit is replaced; it stays in the history by its digest.
    UnversionedEditReplaced = "unversioned_edit_replaced", Warning;
    /// An online instance of the source doesn't run what would be synced.
    SourceNotConverged = "source_not_converged", Warning;
}

impl Problem {
    /// A problem at a place. Its severity follows from its code.
    #[must_use]
    pub fn new(code: Code, path: impl fmt::Display, message: impl Into<String>) -> Self {
        let severity = if code.class() == Class::Warning {
            Severity::Warning
        } else {
            Severity::Error
        };
        Self {
            severity,
            code,
            path: path.to_string(),
            message: message.into(),
            group: None,
            service: None,
        }
    }

    /// The same problem, said of this group.
    #[must_use]
    pub fn in_group(mut self, group: &Name) -> Self {
        self.group = Some(group.clone());
        self
    }

    /// The same problem, said of this service.
    #[must_use]
    pub fn of_service(mut self, service: &Name) -> Self {
        self.service = Some(service.clone());
        self
    }

    /// The same problem, its place moved below `prefix`.
    #[must_use]
    pub fn below(mut self, prefix: &str) -> Self {
        self.path = match (prefix.is_empty(), self.path.is_empty()) {
            (true, _) => self.path,
            (false, true) => prefix.to_owned(),
            (false, false) if self.path.starts_with('[') => format!("{prefix}{}", self.path),
            (false, false) => format!("{prefix}.{}", self.path),
        };
        self
    }

    /// Whether it stops the call.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}
