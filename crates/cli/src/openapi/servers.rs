//! `servers`: under which hosts an API is served, and below which path.

use ferryway_model::{BasePath, HostPattern};
use serde_json::Value;

use super::Reader;

/// What the servers of a document say together.
#[derive(Debug, Default)]
pub(super) struct Served {
    /// Without a port: a gateway has its own. None: any host.
    pub(super) hosts: Vec<String>,
    pub(super) base_path: String,
}

const HTTPS_NOT_TAKEN: &str = "https is not taken over: on which ports and with which certificates \
                               a service is served is its gateway group's matter";

impl Reader<'_> {
    pub(super) fn servers(&mut self) -> Served {
        let mut served = Served::default();
        let mut base_path: Option<String> = None;
        // Once is enough.
        let mut says_https = false;
        let servers = self.root["servers"].as_array();
        for (n, server) in servers.into_iter().flatten().enumerate() {
            let path = format!("servers[{n}]");
            let url = address(server);
            let read = url.and_then(|url| Ok((split(&url)?, url.starts_with("https:"))));
            let ((host, base), is_https) = match read {
                Ok(read) => read,
                Err(why) => {
                    self.note(&path, format!("{why}; left out"));
                    continue;
                }
            };
            if is_https && !says_https {
                says_https = true;
                self.note(&path, HTTPS_NOT_TAKEN);
            }
            if let Some(host) = host
                && !served.hosts.contains(&host)
            {
                served.hosts.push(host);
            }
            match &base_path {
                None => base_path = Some(base),
                Some(first) if *first == base => {}
                Some(first) => {
                    let message = format!(
                        "is below {:?}, and a service has one base path: {first:?} of the server \
                         before it is taken",
                        base
                    );
                    self.note(&path, message);
                }
            }
        }
        served.base_path = base_path.unwrap_or_default();
        served
    }
}

/// The URL of a server, its variables at their defaults.
fn address(server: &Value) -> Result<String, String> {
    let Some(url) = server["url"].as_str() else {
        return Err("has no url".to_owned());
    };
    let mut address = String::new();
    let mut rest = url;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else {
            return Err(format!("{url:?} has a '{{' without an end"));
        };
        let Some(default) = server["variables"][name]["default"].as_str() else {
            return Err(format!("its variable {name} has no default"));
        };
        address.push_str(before);
        address.push_str(default);
        rest = after;
    }
    address.push_str(rest);
    Ok(address)
}

/// The host, if it names one, and the base path.
fn split(url: &str) -> Result<(Option<String>, String), String> {
    let (host, path) = match url.split_once("://") {
        Some(("http" | "https", rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            (Some(host(authority)?), path)
        }
        Some((scheme, _)) => return Err(format!("{scheme} is neither http nor https")),
        None if url.starts_with("//") => {
            return Err(format!("{url:?} names no scheme"));
        }
        None if url.starts_with('/') || url.is_empty() => (None, url),
        None => {
            return Err(format!(
                "{url:?} is relative to where the document lies; write it from '/' on"
            ));
        }
    };
    let path = path.trim_end_matches('/');
    match path.parse::<BasePath>() {
        Ok(base) => Ok((host, base.to_string())),
        Err(error) => Err(format!("the path {path:?} {error}")),
    }
}

fn host(authority: &str) -> Result<String, String> {
    let end = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    match end.parse::<HostPattern>() {
        Ok(host) => Ok(host.to_string()),
        Err(error) => Err(format!("the host {end:?} {error}")),
    }
}
