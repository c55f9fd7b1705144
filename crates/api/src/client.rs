//! A typed client of the REST API, for the command line and for tests.
//!
//! Every call has a connection of its own, which is driven inside the call: there is no pool, no
//! task in the background and nothing to shut down. Absent on purpose: retries (the caller knows
//! whether a second try is wanted) and redirects (the API has none).

mod connection;
mod error;
mod events;
mod server;
mod sse;

use std::time::Duration;

use bytes::Bytes;
use ferryway_tls::{Connector, Now, TlsError, read_certificates};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HOST, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::list::List;
use crate::problem::ProblemDetails;
use connection::Reply;
pub use error::{ClientError, InvalidServer};
pub use events::{OperationEvents, SILENCE_MAX};
use server::Server;

/// The API of one control plane, called in one caller's name.
///
/// Paths are those below `/api/v1`, with a leading slash; what is not plain in them must be
/// escaped already. An empty answer (204) is read as null, so `T` may be `()`.
#[derive(Clone, Debug)]
pub struct Client {
    server: Server,
    authorization: Option<HeaderValue>,
    /// None: in plaintext.
    tls: Option<Connector>,
}

/// A call, with all that can be said in one.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// The method.
    pub method: Method,
    /// The path and query below `/api/v1`.
    pub path: &'a str,
    /// The body; none for GET and DELETE.
    pub body: Option<&'a Value>,
    /// What the resource must be like; if it is otherwise, the call is refused with 412.
    pub require: Require<'a>,
}

/// What a call requires of the resource's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Require<'a> {
    /// Nothing.
    #[default]
    Anything,
    /// That it is as the caller has seen it: the [`Answer::etag`] of that answer.
    Seen(&'a str),
    /// That it isn't there: a PUT makes it, and replaces nothing.
    Absent,
}

/// An answer that is no error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// 200, 201, 202 or 204.
    pub status: StatusCode,
    /// The state of the resource, to be given as [`Require::Seen`].
    pub etag: Option<String>,
    /// What came.
    pub body: T,
}

impl Client {
    /// A client of the control plane at `server` (`http://HOST:PORT`), with an API token where the
    /// control plane wants one. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// The server is no such URL, or the token no text that a header can carry.
    pub fn new(server: &str, token: Option<&str>) -> Result<Self, InvalidServer> {
        let authorization = token
            .map(|token| {
                let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
                    .map_err(|_| InvalidServer::Token)?;
                value.set_sensitive(true);
                Ok(value)
            })
            .transpose()?;
        let server: Server = server.parse()?;
        if server.is_secured() {
            return Err(InvalidServer::Tls(server.to_string()));
        }
        Ok(Self {
            server,
            authorization,
            tls: None,
        })
    }

    /// As [`Client::new`], of a control plane whose API speaks TLS (`https://HOST:PORT`) with a
    /// certificate for that host under one of these authorities, as PEM.
    ///
    /// # Errors
    ///
    /// As [`Client::new`]; or the authorities cannot be read.
    pub fn secured(
        server: &str,
        token: Option<&str>,
        authorities: &[u8],
        now: Now,
    ) -> Result<Self, InvalidServer> {
        let plain = server.replacen("https://", "http://", 1);
        let Self { authorization, .. } = Self::new(&plain, token)?;
        let unreadable = |error: TlsError| InvalidServer::Authorities(error.to_string());
        let read = read_certificates(authorities).map_err(unreadable)?;
        let anchors = read.iter().map(Vec::as_slice);
        let tls = Connector::to_api(anchors, now).map_err(unreadable)?;
        Ok(Self {
            server: server.parse()?,
            authorization,
            tls: Some(tls),
        })
    }

    /// The control plane, as `http://HOST:PORT`.
    #[must_use]
    pub fn server(&self) -> String {
        self.server.to_string()
    }

    /// GET.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.shortly(Method::GET, path, None).await
    }

    /// POST of a JSON body.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, ClientError> {
        self.shortly(Method::POST, path, Some(&self.json(path, body)?))
            .await
    }

    /// PUT of a JSON body.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, ClientError> {
        self.shortly(Method::PUT, path, Some(&self.json(path, body)?))
            .await
    }

    /// PATCH with a JSON merge patch.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, ClientError> {
        self.shortly(Method::PATCH, path, Some(&self.json(path, body)?))
            .await
    }

    /// DELETE.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.shortly(Method::DELETE, path, None).await
    }

    /// All items of a list, page by page.
    ///
    /// # Errors
    ///
    /// As [`Client::call`]; and when the list does not end within [`PAGES_MAX`] pages.
    pub async fn all<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, ClientError> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let page: List<T> = self.get(&page(path, cursor.as_deref())).await?;
            items.extend(page.items);
            match page.next_cursor {
                Some(next) => cursor = Some(next),
                None => return Ok(items),
            }
        }
        Err(self.protocol(format!("{path} has no end after {PAGES_MAX} pages")))
    }

    /// Any call.
    ///
    /// # Errors
    ///
    /// The control plane cannot be reached, refuses the call, or answers with something that is
    /// not the API's.
    pub async fn call<T: DeserializeOwned>(&self, call: Ask<'_>) -> Result<Answer<T>, ClientError> {
        let exchange = async {
            let (head, body) = self.send(&call).await?;
            let (status, etag) = (head.status, text_of(head.headers.get(ETAG)));
            let body = self.read(body).await?;
            let body = self.decode(status, &body)?;
            Ok(Answer { status, etag, body })
        };
        self.within(ANSWER_TIME_MAX, exchange).await
    }

    /// The events of an operation, from its beginning or after the event with this id.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn events(
        &self,
        operation: Uuid,
        after: Option<&str>,
    ) -> Result<OperationEvents, ClientError> {
        let path = format!("/operations/{operation}/events");
        self.within(ANSWER_TIME_MAX, OperationEvents::open(self, &path, after))
            .await
    }

    async fn shortly<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, ClientError> {
        let call = Ask {
            method,
            path,
            body,
            require: Require::Anything,
        };
        Ok(self.call(call).await?.body)
    }

    async fn send(&self, call: &Ask<'_>) -> Result<(http::response::Parts, Reply), ClientError> {
        connection::send(&self.server, self.tls.as_ref(), self.request(call)?).await
    }

    /// As [`Self::send`], for a stream of events that goes on after one of them.
    async fn send_for_events(
        &self,
        call: &Ask<'_>,
        after: Option<&str>,
    ) -> Result<(http::response::Parts, Reply), ClientError> {
        let mut request = self.request(call)?;
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        if let Some(id) = after {
            let id = HeaderValue::from_str(id)
                .map_err(|_| self.protocol(format!("{id:?} is no id of an event")))?;
            headers.insert("last-event-id", id);
        }
        connection::send(&self.server, self.tls.as_ref(), request).await
    }

    fn request(&self, call: &Ask<'_>) -> Result<Request<Full<Bytes>>, ClientError> {
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(format!("/api/v1{}", call.path))
            .header(HOST, self.server.authority())
            .header(ACCEPT, "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        match call.require {
            Require::Anything => {}
            Require::Seen(etag) => request = request.header(IF_MATCH, etag),
            Require::Absent => request = request.header(IF_NONE_MATCH, "*"),
        }
        let body = match call.body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        request
            .body(Full::new(body))
            .map_err(|error| self.protocol(format!("cannot ask for {}: {error}", call.path)))
    }

    async fn read(&self, mut reply: Reply) -> Result<Bytes, ClientError> {
        let body = Limited::new(reply.body, ANSWER_BYTES_MAX);
        match reply.driver.during(body.collect()).await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                Err(self.protocol(format!("the answer is over {ANSWER_BYTES_MAX} bytes")))
            }
            Err(error) => Err(self.unreachable(std::io::Error::other(error))),
        }
    }

    fn decode<T: DeserializeOwned>(
        &self,
        status: StatusCode,
        body: &[u8],
    ) -> Result<T, ClientError> {
        if !status.is_success() {
            return Err(match serde_json::from_slice::<ProblemDetails>(body) {
                Ok(problem) => ClientError::Refused(Box::new(problem)),
                Err(_) => self.protocol(format!("status {status} without an explanation")),
            });
        }
        let body = if body.is_empty() { b"null" } else { body };
        serde_json::from_slice(body)
            .map_err(|error| self.protocol(format!("cannot read the answer: {error}")))
    }

    async fn within<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        match tokio::time::timeout(limit, work).await {
            Ok(result) => result,
            Err(_) => Err(self.unreachable(error::silence(limit))),
        }
    }

    fn json(&self, path: &str, body: &impl Serialize) -> Result<Value, ClientError> {
        serde_json::to_value(body)
            .map_err(|error| self.protocol(format!("cannot write the body for {path}: {error}")))
    }

    fn unreachable(&self, source: std::io::Error) -> ClientError {
        ClientError::Unreachable {
            server: self.server(),
            source,
        }
    }

    fn protocol(&self, what: String) -> ClientError {
        ClientError::Protocol {
            server: self.server(),
            what,
        }
    }
}

/// The path of a page, as large as pages can be.
fn page(path: &str, cursor: Option<&str>) -> String {
    let joint = if path.contains('?') { '&' } else { '?' };
    let page = format!("{path}{joint}limit={PAGE_ITEMS}");
    match cursor {
        Some(cursor) => format!("{page}&cursor={}", escape(cursor)),
        None => page,
    }
}

/// A text as a value in a query or as a segment of a path: all but unreserved characters escaped.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

fn text_of(value: Option<&HeaderValue>) -> Option<String> {
    Some(value?.to_str().ok()?.to_owned())
}

/// How long a whole call may take. Calls that make an operation answer before its delivery ends.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
/// The largest answer read, in bytes: a page of a thousand definitions of ordinary size.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Pages of a list that are read.
pub const PAGES_MAX: usize = 1_000;
/// Items asked for in one page of a list: the most that the API gives.
const PAGE_ITEMS: usize = 1_000;

#[cfg(test)]
mod tests;
