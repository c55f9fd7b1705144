//! The upstream policy: the portable half of an upstream, part of the version.

use std::fmt;
use std::str::FromStr;

use serde_json::{Value, json};

use crate::host::HostName;
use crate::limits::{IDLE_CONNECTIONS_MAX, RETRIES_MAX, SPAN_MILLIS_MAX, SPAN_MILLIS_MIN};
use crate::problem::Code;
use crate::span::Span;
use crate::walk::{At, Object, Walk};

/// How requests go upstream; where the upstream is, is the binding's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct UpstreamPolicy {
    /// The protocol spoken to the upstream.
    pub scheme: Scheme,
    /// What the Host header says.
    pub host_header: HostHeader,
    /// Which endpoint takes the next request.
    pub load_balancing: LoadBalancing,
    /// How long to wait.
    pub timeout: Timeouts,
    /// When to try again.
    pub retry: Retry,
    /// How many idle connections to keep, and for how long.
    pub keepalive: Keepalive,
}

/// The protocol spoken to an upstream. This build speaks plain HTTP/1.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HTTP/1.1 without TLS, default port 80.
    #[default]
    Http,
}

/// What the Host header of a request to the upstream says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum HostHeader {
    /// The node's name, with the port unless it is the scheme's default.
    #[default]
    Node,
    /// What the client sent.
    Pass,
    /// This.
    Rewrite(Box<str>),
}

/// Which endpoint takes the next request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LoadBalancing {
    /// In turn, weighted and smooth.
    #[default]
    RoundRobin,
}

/// How long to wait for an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timeouts {
    /// To open a connection; default 5 s.
    pub connect: Span,
    /// Between two reads; default 60 s.
    pub read: Span,
    /// Between two writes; default 60 s.
    pub send: Span,
}

/// When a request is tried again (api.md, `retry`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Retry {
    /// Additional tries; default 1.
    pub retries: u32,
    /// For what; default `connect_failure`.
    pub on: Vec<RetryOn>,
}

/// A condition on which a request may be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RetryOn {
    /// No connection could be opened.
    ConnectFailure,
    /// The connection broke before any byte of a response.
    ResetBeforeResponse,
    /// The upstream answered 502, 503 or 504.
    GatewayError,
    /// The upstream didn't answer in time.
    Timeout,
}

/// Idle connections to the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Keepalive {
    /// How long one is kept; default 60 s.
    pub idle_timeout: Span,
    /// How many are kept on one gateway instance; default 320.
    pub max_idle: u32,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Span::from_secs(5),
            read: Span::from_secs(60),
            send: Span::from_secs(60),
        }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            retries: 1,
            on: vec![RetryOn::ConnectFailure],
        }
    }
}

impl Default for Keepalive {
    fn default() -> Self {
        Self {
            idle_timeout: Span::from_secs(60),
            max_idle: 320,
        }
    }
}

impl Scheme {
    /// The port where a node names none.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
        }
    }

    /// The scheme's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
        }
    }

    /// Reads a scheme; one of api.md that this build can't speak is `unsupported`.
    pub(crate) fn read(walk: &mut Walk, value: &Value, at: &At<'_>) -> Option<Self> {
        match walk.text(value, at, SHORT_BYTES_MAX)? {
            "http" => return Some(Self::Http),
            later @ ("https" | "h2c" | "grpc" | "grpcs") => {
                walk.unsupported(at, &format!("scheme {later:?}"));
            }
            other => {
                let message =
                    format!("{other:?} is no scheme; known are http, https, h2c, grpc, grpcs");
                walk.note(Code::Invalid, at, message);
            }
        }
        None
    }
}

impl RetryOn {
    const ALL: [(Self, &'static str); 4] = [
        (Self::ConnectFailure, "connect_failure"),
        (Self::ResetBeforeResponse, "reset_before_response"),
        (Self::GatewayError, "gateway_error"),
        (Self::Timeout, "timeout"),
    ];
}

impl FromStr for RetryOn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL
            .iter()
            .find(|(_, name)| *name == text)
            .map(|(on, _)| *on);
        found.ok_or_else(|| {
            let known = Self::ALL.map(|(_, name)| name).join(", ");
            format!("is no condition for a retry; known are {known}")
        })
    }
}

impl fmt::Display for RetryOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL
            .iter()
            .find(|(on, _)| on == self)
            .map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

const SHORT_BYTES_MAX: usize = 64;
const HOST_VALUE_BYTES_MAX: usize = 260;

impl UpstreamPolicy {
    pub(super) fn read(walk: &mut Walk, value: &Value, at: At<'_>) -> Self {
        let Some(mut object) = walk.object(value, at) else {
            return Self::default();
        };
        let policy = Self {
            scheme: object
                .take("scheme")
                .and_then(|v| Scheme::read(walk, v, &object.field("scheme")))
                .unwrap_or_default(),
            host_header: HostHeader::read(walk, &mut object),
            load_balancing: read_load_balancing(walk, &mut object),
            timeout: Timeouts::read(walk, &mut object),
            retry: Retry::read(walk, &mut object),
            keepalive: Keepalive::read(walk, &mut object),
        };
        object.only_default(walk, "health_check", &Value::Null, "health checks");
        object.only_default(walk, "tls", &Value::Null, "TLS to upstreams");
        object.finish(walk, &[]);
        policy
    }

    pub(crate) fn to_value(&self) -> Value {
        let host_header = match &self.host_header {
            HostHeader::Node => json!({"mode": "node"}),
            HostHeader::Pass => json!({"mode": "pass"}),
            HostHeader::Rewrite(value) => json!({"mode": "rewrite", "value": value}),
        };
        let LoadBalancing::RoundRobin = self.load_balancing;
        json!({
            "scheme": self.scheme.as_str(),
            "host_header": host_header,
            "load_balancing": {"policy": "round_robin"},
            "timeout": {"connect": self.timeout.connect, "read": self.timeout.read, "send": self.timeout.send},
            "retry": {
                "retries": self.retry.retries,
                "on": self.retry.on.iter().map(RetryOn::to_string).collect::<Vec<_>>(),
            },
            "health_check": null,
            "tls": null,
            "keepalive": {"idle_timeout": self.keepalive.idle_timeout, "max_idle": self.keepalive.max_idle},
        })
    }
}

impl HostHeader {
    fn read(walk: &mut Walk, upstream: &mut Object<'_>) -> Self {
        let Some(value) = upstream.take("host_header") else {
            return Self::default();
        };
        let Some(mut object) = walk.object(value, upstream.field("host_header")) else {
            return Self::default();
        };
        let mode = object
            .take("mode")
            .and_then(|v| walk.text(v, &object.field("mode"), SHORT_BYTES_MAX));
        let given = object.take("value");
        let read = match (mode, given) {
            (Some("rewrite"), Some(value)) => read_authority(walk, value, &object.field("value")),
            (Some("rewrite"), None) => {
                walk.note(
                    Code::Required,
                    &object.field("value"),
                    "is missing; the mode \"rewrite\" needs it",
                );
                None
            }
            (None | Some("node"), None) => Some(Self::Node),
            (Some("pass"), None) => Some(Self::Pass),
            (None | Some("node" | "pass"), Some(_)) => {
                walk.note(
                    Code::Invalid,
                    &object.field("value"),
                    "goes with the mode \"rewrite\" only",
                );
                None
            }
            (Some(other), _) => {
                let message = format!("{other:?} is no mode; known are node, pass, rewrite");
                walk.note(Code::Invalid, &object.field("mode"), message);
                None
            }
        };
        object.finish(walk, &[]);
        read.unwrap_or_default()
    }
}

/// Reads a host with an optional port, as a Host header has it.
fn read_authority(walk: &mut Walk, value: &Value, at: &At<'_>) -> Option<HostHeader> {
    let text = walk.text(value, at, HOST_VALUE_BYTES_MAX)?;
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    // Digits only: the text is sent as it is, and a number may be written with a sign.
    let digits = |port: &&str| port.bytes().all(|b| b.is_ascii_digit());
    let port = port.map_or(Some(1), |port| Some(port).filter(digits)?.parse().ok());
    match (host.parse::<HostName>(), port) {
        (Err(error), _) => walk.note(Code::Invalid, at, format!("{text:?} {error}")),
        (Ok(_), None | Some(0)) => walk.note(
            Code::Invalid,
            at,
            format!("{text:?} has no port of 1 to 65535"),
        ),
        (Ok(_), Some(_)) => return Some(HostHeader::Rewrite(text.into())),
    }
    None
}

fn read_load_balancing(walk: &mut Walk, upstream: &mut Object<'_>) -> LoadBalancing {
    let Some(value) = upstream.take("load_balancing") else {
        return LoadBalancing::default();
    };
    let Some(mut object) = walk.object(value, upstream.field("load_balancing")) else {
        return LoadBalancing::default();
    };
    let policy = object
        .take("policy")
        .and_then(|v| walk.text(v, &object.field("policy"), SHORT_BYTES_MAX));
    match policy {
        None | Some("round_robin") => {
            if object.take("key").is_some() {
                walk.note(
                    Code::Invalid,
                    &object.field("key"),
                    "goes with the policy \"consistent_hash\" only",
                );
            }
        }
        Some(later @ ("least_request" | "peak_ewma" | "consistent_hash")) => {
            object.take("key");
            walk.unsupported(
                &object.field("policy"),
                &format!("load balancing by {later}"),
            );
        }
        Some(other) => {
            let message = format!(
                "{other:?} is no policy; known are round_robin, least_request, peak_ewma, consistent_hash"
            );
            walk.note(Code::Invalid, &object.field("policy"), message);
        }
    }
    object.finish(walk, &[]);
    LoadBalancing::RoundRobin
}

impl Timeouts {
    fn read(walk: &mut Walk, upstream: &mut Object<'_>) -> Self {
        let default = Self::default();
        let Some(value) = upstream.take("timeout") else {
            return default;
        };
        let Some(mut object) = walk.object(value, upstream.field("timeout")) else {
            return default;
        };
        let read = Self {
            connect: read_span(walk, &mut object, "connect").unwrap_or(default.connect),
            read: read_span(walk, &mut object, "read").unwrap_or(default.read),
            send: read_span(walk, &mut object, "send").unwrap_or(default.send),
        };
        object.finish(walk, &[]);
        read
    }
}

impl Retry {
    fn read(walk: &mut Walk, upstream: &mut Object<'_>) -> Self {
        let default = Self::default();
        let Some(value) = upstream.take("retry") else {
            return default;
        };
        let Some(mut object) = walk.object(value, upstream.field("retry")) else {
            return default;
        };
        let retries = object.take("retries").and_then(|v| {
            walk.number(v, &object.field("retries"), 0, RETRIES_MAX.cast_signed())
                .and_then(|n| n.try_into().ok())
        });
        let on = object.take("on").map(|v| {
            let at = object.field("on");
            let items = walk
                .list(v, &at, RetryOn::ALL.len())
                .unwrap_or_default()
                .iter()
                .enumerate();
            let mut on: Vec<RetryOn> = items
                .filter_map(|(n, v)| walk.parsed(v, &At::Item(&at, n)))
                .collect();
            let position = |on: &RetryOn| RetryOn::ALL.iter().position(|(known, _)| known == on);
            on.sort_by_key(position);
            on.dedup();
            on
        });
        object.finish(walk, &[]);
        Self {
            retries: retries.unwrap_or(default.retries),
            on: on.unwrap_or(default.on),
        }
    }
}

impl Keepalive {
    fn read(walk: &mut Walk, upstream: &mut Object<'_>) -> Self {
        let default = Self::default();
        let Some(value) = upstream.take("keepalive") else {
            return default;
        };
        let Some(mut object) = walk.object(value, upstream.field("keepalive")) else {
            return default;
        };
        let idle_timeout =
            read_span(walk, &mut object, "idle_timeout").unwrap_or(default.idle_timeout);
        let max_idle = object.take("max_idle").and_then(|v| {
            let most = IDLE_CONNECTIONS_MAX.cast_signed();
            walk.number(v, &object.field("max_idle"), 0, most)
                .and_then(|n| n.try_into().ok())
        });
        object.finish(walk, &[]);
        Self {
            idle_timeout,
            max_idle: max_idle.unwrap_or(default.max_idle),
        }
    }
}

/// Reads a length of time within the bounds that definitions have.
pub(crate) fn read_span(
    walk: &mut Walk,
    object: &mut Object<'_>,
    name: &'static str,
) -> Option<Span> {
    read_span_to(walk, object, name, Span::from_millis(SPAN_MILLIS_MAX))
}

/// The same with a bound of the field's own.
pub(super) fn read_span_to(
    walk: &mut Walk,
    object: &mut Object<'_>,
    name: &'static str,
    most: Span,
) -> Option<Span> {
    let value = object.take(name)?;
    let at = object.field(name);
    let span: Span = walk.parsed(value, &at)?;
    let least = Span::from_millis(SPAN_MILLIS_MIN);
    if (least..=most).contains(&span) {
        return Some(span);
    }
    walk.note(
        Code::Invalid,
        &at,
        format!("is {span}; must be {least} to {most}"),
    );
    None
}

pub(super) fn span_value(span: Option<Span>) -> Value {
    span.map_or(Value::Null, |span| json!(span))
}
