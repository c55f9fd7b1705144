//! Who may do what. A handler gets the core from [`Caller::may`] and from nowhere else, so none can
//! forget to ask.

use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use ferryway_api::{ApiError, Scope};
use ferryway_model::Name;
use ferryway_runtime::{Clock, Stop};
use uuid::Uuid;

use super::attempts::{Attempts, Verdict};
use super::count::Counters;
use super::loopback;
use crate::core::{Actor, Core, Whose};
use crate::identity::Identity;
use crate::secret::SecretDigest;

/// How callers are told apart.
pub(crate) enum Access {
    /// By their tokens: those that were made over the API, and the administrator's, which is this.
    Token(String),
    /// `--dev`, for callers on this machine: who shows no token is the administrator. A token that
    /// was made over the API counts here too, so that scopes can be tried out.
    Dev,
}

/// The same, as the running API keeps it.
#[derive(Clone, Debug)]
enum Guard {
    Token(SecretDigest),
    Dev,
}

/// What a caller wants with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Read,
    Write,
}

/// What a caller wants it with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    Groups,
    Instances,
    Registries,
    /// Services of the hub and their versions.
    Services,
    /// What groups run.
    Published,
    Operations,
    Audit,
    /// Who may call.
    Tokens,
    /// Who may let instances in.
    JoinTokens,
    /// Who says which instance is which.
    Authority,
    /// Whether this process is well.
    Probe,
    /// What the API is and what its errors mean.
    Contract,
}

/// The state that all handlers share; its core is behind [`Caller::may`].
#[derive(Clone, Debug)]
pub(super) struct Door(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    core: Core,
    identity: Identity,
    guard: Guard,
    clock: Clock,
    stop: Stop,
    contract: String,
    counters: Counters,
    attempts: Attempts,
}

/// Who calls, before it is known whether they may.
#[derive(Debug)]
pub(super) struct Caller {
    door: Door,
    who: Result<Known, ApiError>,
    from: String,
}

/// Who calls, when it is known.
#[derive(Debug)]
struct Known {
    name: String,
    scope: Scope,
    /// None: the administrator, who needs none of the API's.
    token: Option<Uuid>,
}

/// What a caller who may gets.
#[derive(Debug)]
pub(super) struct Allowed {
    door: Door,
    pub(super) actor: Actor,
    scope: Option<Scope>,
}

/// The one place that decides. Who shows no token (no scope) may ask how the process is and what
/// the API is. Scopes are the same in all groups.
fn authorize(
    scope: Option<Scope>,
    verb: Verb,
    resource: Resource,
    _group: Option<&Name>,
) -> Result<(), ApiError> {
    let needed = match (verb, resource) {
        (Verb::Read, Resource::Probe | Resource::Contract) => return Ok(()),
        (_, Resource::Tokens | Resource::JoinTokens) => Scope::Admin,
        (Verb::Write, Resource::Authority) => Scope::Admin,
        (Verb::Read, _) => Scope::Read,
        (Verb::Write, _) => Scope::Write,
    };
    match scope {
        None => Err(ApiError::Unauthorized),
        Some(scope) if scope >= needed => Ok(()),
        Some(scope) => {
            let message =
                format!("this token has the scope {scope}; this call needs one with {needed}");
            Err(ApiError::Forbidden(message))
        }
    }
}

/// Without the token.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token",
            Self::Dev => "Dev",
        })
    }
}

impl Guard {
    /// Who calls. Why somebody is not let in is not said: it would help who guesses.
    fn who(&self, core: &Core, headers: &HeaderMap) -> Result<Known, ApiError> {
        // Of two, another reader might take the other one.
        let mut given = headers.get_all(AUTHORIZATION).iter();
        let given = match (given.next(), given.next()) {
            (Some(only), None) => bearer(only),
            _ => None,
        };
        if matches!(self, Self::Dev) {
            loopback::check(headers)?;
        }
        let whose = given.map_or(Whose::Foreign, |given| core.whose(given));
        match (self, whose) {
            (_, Whose::Token { id, name, scope }) => Ok(Known {
                name,
                scope,
                token: Some(id),
            }),
            (Self::Dev, Whose::Foreign) => Ok(Known::administrator()),
            (Self::Token(expected), Whose::Foreign)
                if given.is_some_and(|given| SecretDigest::of(given).equals(expected)) =>
            {
                Ok(Known::administrator())
            }
            (_, Whose::Foreign | Whose::Nobody) => Err(ApiError::Unauthorized),
        }
    }
}

impl Known {
    /// Who holds the token of the first start, or starts the control plane with `--dev`.
    fn administrator() -> Self {
        Self {
            name: "admin".to_owned(),
            scope: Scope::Admin,
            token: None,
        }
    }
}

/// The token of `Authorization: Bearer TOKEN`.
fn bearer(header: &HeaderValue) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer ";
    let (scheme, token) = header.as_bytes().split_at_checked(SCHEME.len())?;
    scheme
        .eq_ignore_ascii_case(SCHEME)
        .then(|| token.trim_ascii())
}

impl Door {
    pub(super) fn new(
        (core, identity): (Core, Identity),
        access: Access,
        clock: Clock,
        stop: Stop,
        contract: String,
        counters: Counters,
    ) -> Self {
        let guard = match access {
            Access::Token(token) => Guard::Token(SecretDigest::of(token.as_bytes())),
            Access::Dev => Guard::Dev,
        };
        Self(Arc::new(Shared {
            core,
            identity,
            guard,
            clock,
            stop,
            contract,
            counters,
            attempts: Attempts::default(),
        }))
    }
}

impl Door {
    /// A token was shown that is none.
    fn refused(&self, from: IpAddr) -> ApiError {
        let Verdict { wait, note } = self.0.attempts.failed(from);
        if let Some(count) = note {
            tracing::warn!(%from, count, "wrong API tokens were shown");
            self.0.core.note_wrong_tokens(from, count);
        }
        wait.map_or(ApiError::Unauthorized, |after| ApiError::TooManyAttempts {
            after,
        })
    }
}

impl FromRequestParts<Door> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, door: &Door) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let from = peer.map_or_else(|| "unknown".to_owned(), |peer| peer.0.ip().to_string());
        let who = door.0.guard.who(&door.0.core, &parts.headers);
        let who = match (who, peer) {
            (Err(ApiError::Unauthorized), Some(peer))
                if parts.headers.contains_key(AUTHORIZATION) =>
            {
                Err(door.refused(peer.0.ip()))
            }
            (who, _) => who,
        };
        Ok(Self {
            door: door.clone(),
            who,
            from,
        })
    }
}

impl Caller {
    /// The core, if this caller may do so much with it.
    ///
    /// # Errors
    /// Nobody knows the caller, or the caller may not.
    pub(super) fn may(
        self,
        verb: Verb,
        resource: Resource,
        group: Option<&Name>,
    ) -> Result<Allowed, ApiError> {
        let Self { door, who, from } = self;
        let scope = who.as_ref().map(|known| known.scope).ok();
        match authorize(scope, verb, resource, group) {
            Ok(()) => {}
            Err(ApiError::Unauthorized) => return Err(who.err().unwrap_or(ApiError::Unauthorized)),
            Err(other) => return Err(other),
        }
        let (name, token) = who.map_or_else(
            |_| ("anonymous".to_owned(), None),
            |known| (known.name, known.token),
        );
        let actor = Actor { name, from, token };
        Ok(Allowed { door, actor, scope })
    }
}

impl Allowed {
    /// Asks for more: a call whose body names other groups than its URL.
    ///
    /// # Errors
    /// The caller may not.
    pub(super) fn also(
        &self,
        verb: Verb,
        resource: Resource,
        group: Option<&Name>,
    ) -> Result<(), ApiError> {
        authorize(self.scope, verb, resource, group)
    }

    pub(super) fn core(&self) -> &Core {
        &self.door.0.core
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.door.0.identity
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.door.0.clock
    }

    /// Requested when the process is about to end: whoever waits should answer.
    pub(super) fn stop(&self) -> &Stop {
        &self.door.0.stop
    }

    pub(super) fn contract(&self) -> &str {
        &self.door.0.contract
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.door.0.counters
    }
}
