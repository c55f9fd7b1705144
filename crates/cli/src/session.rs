//! One run of the command line: with whom it speaks, and how it shows what it hears.

use std::fs;
use std::io::{self, IsTerminal, Write as _};
use std::path::Path;

use ferryway_api::Client;
use ferryway_runtime::Clock;
use ferryway_tls::Now;

use crate::args::Global;
use crate::contexts::{self, Context, Contexts};
use crate::exit::Failure;
use crate::screen::Screen;

/// What every command works with.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) screen: Screen,
    ask: bool,
}

impl Session {
    /// Finds the control plane: flags and environment (which are together already) first, then the
    /// current context, then the default. Nothing is connected yet.
    pub(crate) fn new(global: &Global) -> Result<Self, Failure> {
        let (server, token) = (given(global.server.as_ref()), given(global.token.as_ref()));
        let context = match server {
            Some(_) => None,
            None => load_contexts()?.current().cloned(),
        };
        let ca = given_path(global.ca.as_deref()).map(Path::to_path_buf);
        let ca = ca.or_else(|| context.as_ref()?.ca.clone());
        let (server, token) = choose(server, token, context);
        let client = client(&server, token.as_deref(), ca.as_deref())?;
        Ok(Self {
            client,
            screen: Screen::new(global.output, global.color),
            ask: !global.yes,
        })
    }

    /// Says something beside the answer, on standard error.
    pub(crate) fn note(&self, what: &str) -> Result<(), Failure> {
        writeln!(io::stderr(), "{what}").map_err(Failure::local("cannot write to standard error"))
    }

    /// Asks on a terminal whether to go on; elsewhere, and with `--yes`, the answer is yes.
    pub(crate) fn confirm(&self, question: &str) -> Result<bool, Failure> {
        if !self.ask || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Ok(true);
        }
        // On standard error: the answer of the command alone goes to standard output.
        let asked = write!(io::stderr(), "{question} [y/N] ");
        let mut answer = String::new();
        asked
            .and_then(|()| io::stdin().read_line(&mut answer))
            .map_err(Failure::local("cannot ask"))?;
        Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }
}

/// Reads the contexts of the user.
fn load_contexts() -> Result<Contexts, Failure> {
    match contexts::path(|name| std::env::var_os(name)) {
        Ok(path) => Contexts::load(&path),
        // A user without a home remembers nothing, and may still use the default.
        Err(_) => Ok(Contexts::default()),
    }
}

/// A flag or variable that says something; an empty variable does not.
pub(crate) fn given(value: Option<&String>) -> Option<String> {
    value.filter(|value| !value.is_empty()).cloned()
}

/// A file that says something; an empty variable does not.
pub(crate) fn given_path(path: Option<&Path>) -> Option<&Path> {
    path.filter(|path| !path.as_os_str().is_empty())
}

/// A client of this server; with TLS one that believes what is under the authorities of this file,
/// else under the system's.
pub(crate) fn client(
    server: &str,
    token: Option<&str>,
    ca: Option<&Path>,
) -> Result<Client, Failure> {
    let client = if server.starts_with("https://") {
        let authorities = match ca {
            Some(file) => fs::read(file).map_err(Failure::local(format!(
                "cannot read the authorities in {}",
                file.display()
            )))?,
            None => system_authorities()?,
        };
        let clock = Clock::system();
        Client::secured(server, token, &authorities, Now::new(move || clock.now()))
    } else {
        Client::new(server, token)
    };
    client.map_err(|error| Failure::Usage(error.to_string()))
}

/// The authorities that this host trusts.
fn system_authorities() -> Result<Vec<u8>, Failure> {
    let found = BUNDLES.iter().find_map(|path| fs::read(path).ok());
    found.ok_or_else(|| {
        Failure::Usage(
            "this host has no list of authorities; say whom to believe with --ca FILE".to_owned(),
        )
    })
}

/// Where systems keep the authorities that they trust.
const BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// The server and the token for it. A context's token goes to no server but the context's own.
fn choose(
    server: Option<String>,
    token: Option<String>,
    context: Option<Context>,
) -> (String, Option<String>) {
    match (server, context) {
        (Some(server), _) => (server, token),
        (None, Some(context)) => (context.server, token.or(context.token)),
        (None, None) => (SERVER_DEFAULT.to_owned(), token),
    }
}

/// Where a control plane listens that was told nothing else.
pub(crate) const SERVER_DEFAULT: &str = "http://127.0.0.1:7080";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_says_where_and_who() {
        let context = || {
            Some(Context {
                server: "http://c".to_owned(),
                token: Some("c".to_owned()),
                ca: None,
            })
        };
        let text = |text: &str| Some(text.to_owned());
        for (server, token, context, expect) in [
            (None, None, None, (SERVER_DEFAULT, None)),
            (None, None, context(), ("http://c", Some("c"))),
            (None, text("f"), context(), ("http://c", Some("f"))),
            (text("http://f"), None, context(), ("http://f", None)),
            (text("http://f"), text("f"), None, ("http://f", Some("f"))),
        ] {
            let chosen = choose(server, token, context);
            assert_eq!((chosen.0.as_str(), chosen.1.as_deref()), expect);
        }
    }
}
