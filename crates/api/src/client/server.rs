//! Where a control plane is.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::{Authority, Scheme};

use super::error::InvalidServer;

/// A control plane's address, from `http[s]://HOST[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    authority: Authority,
    is_secured: bool,
}

impl Server {
    /// Host and port as the `Host` header has them.
    pub(super) fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// The host to connect to: a name, or an address without brackets.
    pub(super) fn host(&self) -> &str {
        let host = self.authority.host();
        host.strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host)
    }

    /// The port to connect to.
    pub(super) fn port(&self) -> u16 {
        let default = if self.is_secured {
            HTTPS_PORT
        } else {
            HTTP_PORT
        };
        self.authority.port_u16().unwrap_or(default)
    }

    /// Whether it is reached over TLS.
    pub(super) fn is_secured(&self) -> bool {
        self.is_secured
    }
}

impl FromStr for Server {
    type Err = InvalidServer;

    fn from_str(text: &str) -> Result<Self, InvalidServer> {
        let form = || InvalidServer::Form(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| form())?;
        let is_secured = uri.scheme() == Some(&Scheme::HTTPS);
        let is_ours = is_secured || uri.scheme() == Some(&Scheme::HTTP);
        let bare = uri.query().is_none() && matches!(uri.path(), "" | "/");
        match uri.authority() {
            Some(authority) if is_ours && bare && is_host_and_port(authority) => {
                let authority = authority.clone();
                Ok(Self {
                    authority,
                    is_secured,
                })
            }
            _ => Err(form()),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secured { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority)
    }
}

/// Whether there is a host, no user, and no port but one that is a port.
fn is_host_and_port(authority: &Authority) -> bool {
    let host = authority.host();
    let port = authority.as_str().strip_prefix(host);
    !host.is_empty() && (port == Some("") || port.is_some() && authority.port_u16().is_some())
}

const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let got = match text.parse::<Server>() {
            Ok(server) => format!(
                "{} at {}, {}",
                server.authority(),
                server.host(),
                server.port()
            ),
            Err(error) => error.to_string(),
        };
        assert_eq!(got, expect, "{text}");
    }

    #[test]
    fn addresses() {
        check("http://127.0.0.1:7080", "127.0.0.1:7080 at 127.0.0.1, 7080");
        check(
            "http://control.example/",
            "control.example at control.example, 80",
        );
        check("http://[::1]:7080", "[::1]:7080 at ::1, 7080");
        check(
            "https://control.example",
            "control.example at control.example, 443",
        );
        for text in [
            "",
            "127.0.0.1:7080",
            "control",
            "ftp://control",
            "http://",
            "http://control/api",
            "http://control/?a=b",
            "http://me:secret@control",
            "http://control:70800",
            "http://control:",
        ] {
            let expect =
                "is no address of a control plane: write http://HOST:PORT or https://HOST:PORT";
            check(text, &format!("{text:?} {expect}"));
        }
    }
}
