//! The body of a request, read when the handler asks for it: a URL that names nothing is answered
//! before anything is said of the body.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use ferryway_api::ApiError;
use ferryway_model::limits::BODY_BYTES_MAX;
use ferryway_model::{At, Code, Digest, Walk, parse_json};
use serde_json::Value;

use super::access::Door;
use crate::core::{Actor, Idempotency};

/// A request whose body is not read yet.
#[derive(Debug)]
pub(super) struct Sent {
    request: Request,
}

/// A whole body must have come within this time.
const BODY_WITHIN: Duration = Duration::from_secs(30);
/// Longest idempotency key, in bytes.
const KEY_BYTES_MAX: usize = 255;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";

impl FromRequest<Door> for Sent {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &Door) -> Result<Self, Infallible> {
        Ok(Self { request })
    }
}

impl Sent {
    pub(super) fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    /// Reads JSON.
    ///
    /// # Errors
    /// Another content type, too large, or no JSON.
    pub(super) async fn json(self) -> Result<Value, ApiError> {
        self.bytes(&[JSON]).await.and_then(|bytes| parsed(&bytes))
    }

    /// Reads a merge patch, which may say that it is one.
    ///
    /// # Errors
    /// Another content type, too large, or no JSON.
    pub(super) async fn patch(self) -> Result<Value, ApiError> {
        self.bytes(&[JSON, MERGE_PATCH])
            .await
            .and_then(|bytes| parsed(&bytes))
    }

    /// Reads JSON and the idempotency key, if there is one.
    ///
    /// # Errors
    /// A malformed key; another content type, too large, or no JSON.
    pub(super) async fn keyed_json(
        self,
        actor: &Actor,
    ) -> Result<(Value, Option<Idempotency>), ApiError> {
        let key = key(self.headers(), actor)?;
        let mut print = self.fingerprint();
        let bytes = self.bytes(&[JSON]).await?;
        print.update(&bytes);
        let fingerprint = Digest::from_bytes(*print.finalize().as_bytes());
        let idempotency = key.map(|key| Idempotency { key, fingerprint });
        Ok((parsed(&bytes)?, idempotency))
    }

    /// Reads the idempotency key of a call that says everything in its URL: no body, or an empty
    /// object.
    ///
    /// # Errors
    /// A malformed key, or a body that says something.
    pub(super) async fn keyed_nothing(
        self,
        actor: &Actor,
    ) -> Result<Option<Idempotency>, ApiError> {
        let key = key(self.headers(), actor)?;
        let print = self.fingerprint();
        let is_json = media_type(self.headers()).is_some();
        let bytes = if is_json {
            self.bytes(&[JSON]).await?
        } else {
            self.read().await?
        };
        if !bytes.is_empty() {
            if !is_json {
                return Err(ApiError::UnsupportedMediaType(JSON));
            }
            let body = parsed(&bytes)?;
            let mut walk = Walk::new();
            let empty = walk
                .object(&body, At::Root)
                .map(|object| object.finish(&mut walk, &[]));
            walk.finish(empty).map_err(ApiError::Refused)?;
        }
        Ok(key.map(|key| Idempotency {
            key,
            fingerprint: Digest::from_bytes(*print.finalize().as_bytes()),
        }))
    }

    /// Makes sure that there is no body: what it says would not be done.
    ///
    /// # Errors
    /// There is one.
    pub(super) async fn nothing(self) -> Result<(), ApiError> {
        if self.read().await?.is_empty() {
            return Ok(());
        }
        Err(unreadable(
            "a DELETE takes no body; what can be asked of it goes into the query",
        ))
    }

    /// What tells this call from others of the same key, before its body is added.
    fn fingerprint(&self) -> blake3::Hasher {
        let mut print = blake3::Hasher::new();
        print.update(self.request.method().as_str().as_bytes());
        print.update(b" ");
        print.update(self.request.uri().path().as_bytes());
        print.update(b"\n");
        print
    }

    async fn bytes(self, kinds: &[&'static str]) -> Result<Bytes, ApiError> {
        if self.headers().get_all(CONTENT_TYPE).iter().count() > 1 {
            let message = "Content-Type is given twice; send one";
            return Err(ApiError::Header(message.to_owned()));
        }
        let kind = media_type(self.headers());
        let is_known = kinds
            .iter()
            .any(|known| kind.is_some_and(|kind| kind.eq_ignore_ascii_case(known)));
        if !is_known || !is_plain(self.headers()) {
            return Err(ApiError::UnsupportedMediaType(JSON));
        }
        self.read().await
    }

    async fn read(self) -> Result<Bytes, ApiError> {
        // Said before anything is read: the sender may be waiting for leave to send it.
        let length = self.headers().get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > BODY_BYTES_MAX as u64) {
            return Err(ApiError::BodyTooLarge {
                max: BODY_BYTES_MAX,
            });
        }
        match tokio::time::timeout(BODY_WITHIN, Bytes::from_request(self.request, &())).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Err(ApiError::BodyTooLarge {
                    max: BODY_BYTES_MAX,
                })
            }
            Ok(Err(_)) => Err(unreadable("the body broke off; send it again")),
            Err(_) => {
                let message = format!("the body did not come within {BODY_WITHIN:?}");
                Err(unreadable(&message))
            }
        }
    }
}

fn parsed(bytes: &[u8]) -> Result<Value, ApiError> {
    parse_json(bytes).map_err(|problem| ApiError::Refused(vec![problem]))
}

fn unreadable(message: &str) -> ApiError {
    ApiError::problem(Code::Unreadable, "", message)
}

/// Whether a body comes as it is: not compressed, and in the one encoding that JSON has (RFC 8259,
/// 8.1). Read as that, another would be taken for what it is not.
fn is_plain(headers: &HeaderMap) -> bool {
    let encodings = headers.get_all(CONTENT_ENCODING).iter();
    let mut encodings = encodings.map(|value| value.to_str().unwrap_or_default().trim());
    let types = headers.get_all(CONTENT_TYPE).iter();
    let parameters = types.flat_map(|value| value.to_str().unwrap_or_default().split(';').skip(1));
    let mut charsets = parameters.filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_charset = name.trim().eq_ignore_ascii_case("charset");
        is_charset.then(|| value.trim().trim_matches('"'))
    });
    encodings.all(|encoding| encoding.eq_ignore_ascii_case("identity"))
        && charsets.all(|charset| charset.eq_ignore_ascii_case("utf-8"))
}

/// The content type without its parameters.
fn media_type(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    text.split(';').next().map(str::trim)
}

/// The key with who chose it: two callers may choose the same. Who shows no token of the API's is
/// the administrator.
fn key(headers: &HeaderMap, actor: &Actor) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let once = headers.get_all(IDEMPOTENCY_KEY).iter().count() == 1;
    match value.to_str() {
        Ok(text) if once && (1..=KEY_BYTES_MAX).contains(&text.len()) => {
            let caller = actor.token.map(|token| token.to_string());
            let caller = caller.as_deref().unwrap_or("admin");
            Ok(Some(format!("{caller} {text}")))
        }
        _ => {
            let message = format!(
                "Idempotency-Key must be one text of 1 to {KEY_BYTES_MAX} printable ASCII characters"
            );
            Err(ApiError::Header(message))
        }
    }
}
