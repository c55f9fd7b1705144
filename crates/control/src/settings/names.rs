//! By which names a control plane is reached.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// Most names of a control plane.
const NAMES_MAX: usize = 64;

/// The names of this control plane: those that are given, or those that it has by itself.
pub(super) fn own(given: Vec<String>, listening: [SocketAddr; 2]) -> Result<Vec<String>, String> {
    if given.len() > NAMES_MAX {
        return Err(format!("--names has more than {NAMES_MAX} names"));
    }
    if let Some(bad) = given.iter().find(|name| !is_host(name)) {
        return Err(format!(
            "--names {bad:?} is no host name or address; leave scheme and port out"
        ));
    }
    if !given.is_empty() {
        return Ok(given);
    }
    let addresses = listening.map(|address| address.ip());
    let addresses = addresses.iter().filter(|ip| !ip.is_unspecified());
    let mut names: BTreeSet<String> = addresses.map(ToString::to_string).collect();
    names.extend([
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ]);
    names.extend(host_name());
    Ok(names.into_iter().collect())
}

/// Whether a text can be a host in a certificate.
fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.parse::<IpAddr>().is_ok() || (text.len() <= 253 && text.split('.').all(is_label))
}

/// The name of this host, where it can stand in a certificate.
fn host_name() -> Option<String> {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy().into_owned();
    Some(host).filter(|host| is_host(host))
}

/// Where other control planes reach the delivery port: what is given, or what is known by itself.
///
/// # Errors
/// A sentence: it is no such address, or nothing is known.
pub(super) fn advertised(
    given: Option<String>,
    delivery: SocketAddr,
    name: Option<&String>,
    dev: bool,
) -> Result<String, String> {
    let (scheme, speaks) = if dev {
        ("http", "plaintext with --dev")
    } else {
        ("https", "TLS outside --dev")
    };
    match given {
        Some(url)
            if url
                .strip_prefix(scheme)
                .is_some_and(|rest| rest.starts_with("://")) =>
        {
            Ok(url)
        }
        Some(url) => Err(format!(
            "--advertise {url:?} must be {scheme}://HOST:PORT: the delivery port speaks {speaks}"
        )),
        None if !delivery.ip().is_unspecified() => Ok(format!("{scheme}://{delivery}")),
        None => {
            let host = name.cloned().or_else(host_name);
            let host = host.ok_or_else(|| {
                format!(
                    "--delivery {delivery} says no address, and this host has no name; say with \
                     --advertise where other control planes reach it"
                )
            })?;
            let port = delivery.port();
            Ok(match host.parse::<IpAddr>() {
                Ok(address) => format!("{scheme}://{}", SocketAddr::new(address, port)),
                Err(_) => format!("{scheme}://{host}:{port}"),
            })
        }
    }
}
