//! What the gateway answers by itself, and nothing else does: every refusal, its status, its code,
//! whose fault it is, and whether another try may help.

use bytes::Bytes;
use ferryway_model::RetryOn;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response, StatusCode, Version};

/// Why a request was not answered by its upstream.
///
/// The codes are part of the contract with clients: this is the whole list, also of those that no
/// policy of this build leads to yet ([`BodyTooLarge`](Self::BodyTooLarge),
/// [`UpstreamTls`](Self::UpstreamTls), [`NoHealthyEndpoint`](Self::NoHealthyEndpoint),
/// [`Overloaded`](Self::Overloaded), [`Draining`](Self::Draining),
/// [`Misdirected`](Self::Misdirected), [`RateLimited`](Self::RateLimited)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No route matches.
    NoRoute,
    /// A route would match with another method; `allow` is the list of those.
    MethodNotAllowed {
        /// The value of the `Allow` header.
        allow: HeaderValue,
    },
    /// The request is malformed; how, in a few words.
    BadRequest(&'static str),
    /// The path has no normal form.
    BadPath,
    /// The client took too long to send its request.
    RequestTimeout,
    /// The body is larger than allowed.
    BodyTooLarge,
    /// The request line is longer than allowed.
    UriTooLong,
    /// The head is larger than allowed.
    HeaderTooLarge,
    /// No connection to the upstream could be opened.
    UpstreamConnect,
    /// The TLS handshake with the upstream failed.
    UpstreamTls,
    /// The upstream closed the connection before it answered.
    UpstreamReset,
    /// The upstream's answer is no HTTP.
    UpstreamProtocol,
    /// The upstream took too long.
    UpstreamTimeout(Wait),
    /// The upstream has no endpoint that takes requests.
    NoEndpoint,
    /// All endpoints of the upstream are unhealthy.
    NoHealthyEndpoint,
    /// This instance has no room for another request.
    Overloaded,
    /// This instance is about to end.
    Draining,
    /// The connection is not for this host.
    Misdirected,
    /// More requests than allowed.
    RateLimited,
}

/// What was waited for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// A connection to open.
    Connect,
    /// The upstream to take more of the request.
    Send,
    /// The upstream to send more of its answer.
    Read,
}

/// Whose fault a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client's.
    Client,
    /// This gateway's: its configuration or its state.
    Gateway,
    /// The upstream's.
    Upstream,
}

/// Carries the code of a refusal.
pub static X_FERRYWAY_ERROR: HeaderName = HeaderName::from_static("x-ferryway-error");

impl Refusal {
    /// The code, as `x-ferryway-error` has it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoRoute => "no_route",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::BadRequest(_) => "bad_request",
            Self::BadPath => "bad_path",
            Self::RequestTimeout => "request_timeout",
            Self::BodyTooLarge => "body_too_large",
            Self::UriTooLong => "uri_too_long",
            Self::HeaderTooLarge => "header_too_large",
            Self::UpstreamConnect => "upstream_connect",
            Self::UpstreamTls => "upstream_tls",
            Self::UpstreamReset => "upstream_reset",
            Self::UpstreamProtocol => "upstream_protocol",
            Self::UpstreamTimeout(_) => "upstream_timeout",
            Self::NoEndpoint => "no_endpoint",
            Self::NoHealthyEndpoint => "no_healthy_endpoint",
            Self::Overloaded => "overloaded",
            Self::Draining => "draining",
            Self::Misdirected => "misdirected",
            Self::RateLimited => "rate_limited",
        }
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) | Self::BadPath => StatusCode::BAD_REQUEST,
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::HeaderTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::UpstreamConnect
            | Self::UpstreamTls
            | Self::UpstreamReset
            | Self::UpstreamProtocol => StatusCode::BAD_GATEWAY,
            Self::NoEndpoint | Self::NoHealthyEndpoint | Self::Overloaded | Self::Draining => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::UpstreamTimeout(_) => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub const fn side(&self) -> Side {
        match self {
            Self::NoRoute
            | Self::MethodNotAllowed { .. }
            | Self::BadRequest(_)
            | Self::BadPath
            | Self::RequestTimeout
            | Self::BodyTooLarge
            | Self::UriTooLong
            | Self::HeaderTooLarge
            | Self::Misdirected
            | Self::RateLimited => Side::Client,
            Self::NoEndpoint | Self::NoHealthyEndpoint | Self::Overloaded | Self::Draining => {
                Side::Gateway
            }
            Self::UpstreamConnect
            | Self::UpstreamTls
            | Self::UpstreamReset
            | Self::UpstreamProtocol
            | Self::UpstreamTimeout(_) => Side::Upstream,
        }
    }

    /// The condition of a retry policy that this falls under, if another try may help at all.
    ///
    /// A protocol error is none: the upstream has seen the request and answered it, however badly.
    #[must_use]
    pub const fn may_retry(&self) -> Option<RetryOn> {
        match self {
            Self::UpstreamConnect | Self::UpstreamTls | Self::UpstreamTimeout(Wait::Connect) => {
                Some(RetryOn::ConnectFailure)
            }
            Self::UpstreamReset => Some(RetryOn::ResetBeforeResponse),
            Self::UpstreamTimeout(Wait::Send | Wait::Read) => Some(RetryOn::Timeout),
            Self::NoRoute
            | Self::MethodNotAllowed { .. }
            | Self::BadRequest(_)
            | Self::BadPath
            | Self::RequestTimeout
            | Self::BodyTooLarge
            | Self::UriTooLong
            | Self::HeaderTooLarge
            | Self::UpstreamProtocol
            | Self::NoEndpoint
            | Self::NoHealthyEndpoint
            | Self::Overloaded
            | Self::Draining
            | Self::Misdirected
            | Self::RateLimited => None,
        }
    }

    /// Whether the connection is closed after it: where the request ends cannot be told, or what is
    /// left of it is not worth reading.
    #[must_use]
    pub const fn closes(&self) -> bool {
        match self {
            Self::BadRequest(_)
            | Self::RequestTimeout
            | Self::BodyTooLarge
            | Self::UriTooLong
            | Self::HeaderTooLarge => true,
            Self::NoRoute
            | Self::MethodNotAllowed { .. }
            | Self::BadPath
            | Self::UpstreamConnect
            | Self::UpstreamTls
            | Self::UpstreamReset
            | Self::UpstreamProtocol
            | Self::UpstreamTimeout(_)
            | Self::NoEndpoint
            | Self::NoHealthyEndpoint
            | Self::Overloaded
            | Self::Draining
            | Self::Misdirected
            | Self::RateLimited => false,
        }
    }

    /// What went wrong, for people: part of the body.
    const fn reason(&self) -> &'static str {
        match self {
            Self::NoRoute => "Route Not Found",
            Self::MethodNotAllowed { .. } => "Method Not Allowed",
            Self::BadRequest(why) => why,
            Self::BadPath => "Bad Path",
            Self::RequestTimeout => "Request Timeout",
            Self::BodyTooLarge => "Body Too Large",
            Self::UriTooLong => "URI Too Long",
            Self::HeaderTooLarge => "Header Too Large",
            Self::UpstreamConnect => "Upstream Not Reachable",
            Self::UpstreamTls => "Upstream TLS Handshake Failed",
            Self::UpstreamReset => "Upstream Closed The Connection",
            Self::UpstreamProtocol => "Upstream Answer Malformed",
            Self::UpstreamTimeout(Wait::Connect) => "Upstream Connect Timeout",
            Self::UpstreamTimeout(Wait::Send) => "Upstream Send Timeout",
            Self::UpstreamTimeout(Wait::Read) => "Upstream Read Timeout",
            Self::NoEndpoint => "No Endpoint",
            Self::NoHealthyEndpoint => "No Healthy Endpoint",
            Self::Overloaded => "Overloaded",
            Self::Draining => "Draining",
            Self::Misdirected => "Misdirected Request",
            Self::RateLimited => "Too Many Requests",
        }
    }

    /// The body: JSON.
    pub(crate) fn body(&self) -> Bytes {
        let (status, reason) = (self.status().as_u16(), self.reason());
        Bytes::from(format!("{{\"error_msg\": \"{status} {reason}\"}}"))
    }

    /// The whole answer.
    pub(crate) fn response(&self) -> Response<Bytes> {
        let mut response = Response::new(self.body());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(&X_FERRYWAY_ERROR, HeaderValue::from_static(self.code()));
        if let Self::MethodNotAllowed { allow } = self {
            headers.insert(ALLOW, allow.clone());
        }
        response
    }

    /// Makes the answer close its connection where it should; HTTP/2 has no such header.
    pub(crate) fn close<B>(&self, version: Version, response: &mut Response<B>) {
        if self.closes() && version < Version::HTTP_2 {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
    }

    /// The whole answer as HTTP/1.1 bytes, for where no request could be read at all.
    pub(crate) fn bytes(&self) -> Bytes {
        let (status, code, body) = (self.status(), self.code(), self.body());
        let mut bytes = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nx-ferryway-error: {code}\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(&body);
        bytes.into()
    }

    /// Its place in [`CODES`].
    pub(crate) fn index(&self) -> usize {
        let code = self.code();
        CODES.iter().position(|known| *known == code).unwrap_or(0)
    }
}

/// All codes, as api.md lists them.
pub(crate) const CODES: [&str; 19] = [
    "no_route",
    "method_not_allowed",
    "bad_request",
    "bad_path",
    "request_timeout",
    "body_too_large",
    "uri_too_long",
    "header_too_large",
    "upstream_connect",
    "upstream_tls",
    "upstream_reset",
    "upstream_protocol",
    "upstream_timeout",
    "no_endpoint",
    "no_healthy_endpoint",
    "overloaded",
    "draining",
    "misdirected",
    "rate_limited",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Refusal> {
        vec![
            Refusal::NoRoute,
            Refusal::MethodNotAllowed {
                allow: HeaderValue::from_static("GET"),
            },
            Refusal::BadRequest("Bad Request"),
            Refusal::BadPath,
            Refusal::RequestTimeout,
            Refusal::BodyTooLarge,
            Refusal::UriTooLong,
            Refusal::HeaderTooLarge,
            Refusal::UpstreamConnect,
            Refusal::UpstreamTls,
            Refusal::UpstreamReset,
            Refusal::UpstreamProtocol,
            Refusal::UpstreamTimeout(Wait::Read),
            Refusal::NoEndpoint,
            Refusal::NoHealthyEndpoint,
            Refusal::Overloaded,
            Refusal::Draining,
            Refusal::Misdirected,
            Refusal::RateLimited,
        ]
    }

    /// The table of api.md.
    #[test]
    fn codes_and_statuses_are_the_contracts() {
        let got: Vec<_> = all()
            .iter()
            .map(|refusal| format!("{} {}", refusal.code(), refusal.status().as_u16()))
            .collect();
        let expect = "no_route 404,method_not_allowed 405,bad_request 400,bad_path 400,\
             request_timeout 408,body_too_large 413,uri_too_long 414,header_too_large 431,\
             upstream_connect 502,upstream_tls 502,upstream_reset 502,upstream_protocol 502,\
             upstream_timeout 504,no_endpoint 503,no_healthy_endpoint 503,overloaded 503,\
             draining 503,misdirected 421,rate_limited 429";
        assert_eq!(got.join(","), expect);
    }

    #[test]
    fn every_code_has_its_place() {
        for (index, refusal) in all().iter().enumerate() {
            assert_eq!(refusal.index(), index);
            assert_eq!(CODES[index], refusal.code());
        }
    }

    #[test]
    fn the_answer_is_json() {
        let response = Refusal::NoRoute.response();
        assert_eq!(response.body(), "{\"error_msg\": \"404 Route Not Found\"}");
        assert_eq!(response.headers()[&X_FERRYWAY_ERROR], "no_route");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    }

    #[test]
    fn blame_follows_the_status() {
        for refusal in all() {
            let expect = match refusal.status().as_u16() {
                400..=499 => Side::Client,
                502 | 504 => Side::Upstream,
                _ => Side::Gateway,
            };
            assert_eq!(refusal.side(), expect, "{refusal:?}");
            assert!(refusal.may_retry().is_none() || expect == Side::Upstream);
        }
    }

    #[test]
    fn bytes_are_one_whole_message() {
        let text = String::from_utf8(Refusal::HeaderTooLarge.bytes().to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"),
            "{head}"
        );
        assert!(
            head.contains(&format!("content-length: {}\r\n", body.len())),
            "{head}"
        );
        assert!(
            head.contains("x-ferryway-error: header_too_large"),
            "{head}"
        );
    }
}
