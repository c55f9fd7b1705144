//! Who may do what. A handler gets the core from [`Caller::may`] and from nowhere else, so none can
//! forget to ask.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use ferryway_api::ApiError;
use ferryway_model::Name;
use ferryway_runtime::{Clock, Stop};
use subtle::ConstantTimeEq;

use super::count::Counters;
use super::loopback;
use crate::core::{Actor, Core};

/// How callers are told apart.
pub(crate) enum Access {
    /// By the administrator's token, which is this.
    Token(String),
    /// Not at all: `--dev`, for callers on this machine.
    Dev,
}

/// The same, as the running API keeps it.
#[derive(Clone, Debug)]
enum Guard {
    Token(TokenDigest),
    Dev,
}

/// The digest of a token: neither memory nor a log holds the token itself, and the comparison takes
/// the same time whatever is compared.
#[derive(Clone, Debug)]
struct TokenDigest([u8; 32]);

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
    guard: Guard,
    clock: Clock,
    stop: Stop,
    contract: String,
    counters: Counters,
}

/// Who calls, before it is known whether they may.
#[derive(Debug)]
pub(super) struct Caller {
    door: Door,
    who: Result<Actor, ApiError>,
    from: String,
}

/// What a caller who may gets.
#[derive(Debug)]
pub(super) struct Allowed {
    door: Door,
    pub(super) actor: Actor,
}

/// The one place that decides. There is one actor in this build, the administrator, who may do
/// everything; who shows no token may ask how the process is and what the API is.
fn authorize(
    who: &Result<Actor, ApiError>,
    verb: Verb,
    resource: Resource,
    _group: Option<&Name>,
) -> Result<(), ApiError> {
    match (who, verb, resource) {
        (_, Verb::Read, Resource::Probe | Resource::Contract) | (Ok(_), _, _) => Ok(()),
        (Err(why), _, _) => Err(why.clone()),
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
    /// The name of who calls.
    fn name(&self, headers: &HeaderMap) -> Result<&'static str, ApiError> {
        match self {
            Self::Token(expected) => {
                let given = headers.get(AUTHORIZATION).and_then(bearer);
                let good = given.is_some_and(|given| TokenDigest::of(given).equals(expected));
                if good {
                    Ok(ADMINISTRATOR)
                } else {
                    Err(ApiError::Unauthorized)
                }
            }
            Self::Dev => loopback::check(headers).map(|()| ADMINISTRATOR),
        }
    }
}

/// The one actor of this build.
const ADMINISTRATOR: &str = "admin";

/// The token of `Authorization: Bearer TOKEN`.
fn bearer(header: &HeaderValue) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer ";
    let (scheme, token) = header.as_bytes().split_at_checked(SCHEME.len())?;
    scheme
        .eq_ignore_ascii_case(SCHEME)
        .then(|| token.trim_ascii())
}

impl TokenDigest {
    fn of(token: &[u8]) -> Self {
        Self(*blake3::hash(token).as_bytes())
    }

    fn equals(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Door {
    pub(super) fn new(
        core: Core,
        access: Access,
        clock: Clock,
        stop: Stop,
        contract: String,
        counters: Counters,
    ) -> Self {
        let guard = match access {
            Access::Token(token) => Guard::Token(TokenDigest::of(token.as_bytes())),
            Access::Dev => Guard::Dev,
        };
        Self(Arc::new(Shared {
            core,
            guard,
            clock,
            stop,
            contract,
            counters,
        }))
    }
}

impl FromRequestParts<Door> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, door: &Door) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let from = peer.map_or_else(|| "unknown".to_owned(), |peer| peer.0.ip().to_string());
        let name = door.0.guard.name(&parts.headers);
        let who = name.map(|name| Actor {
            name: name.to_owned(),
            from: from.clone(),
        });
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
        authorize(&self.who, verb, resource, group)?;
        let Self { door, who, from } = self;
        let actor = who.unwrap_or_else(|_| Actor {
            name: "anonymous".to_owned(),
            from,
        });
        Ok(Allowed { door, actor })
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
        authorize(&Ok(self.actor.clone()), verb, resource, group)
    }

    pub(super) fn core(&self) -> &Core {
        &self.door.0.core
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
