//! wrk, and what it says.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use ferryway_bench::{Outcome, cpu};

use crate::case::Case;

/// What came of a load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sent {
    pub(crate) requests: u64,
    /// Per second.
    pub(crate) rate: f64,
}

/// Loads one address for some seconds.
///
/// # Errors
///
/// An answer was not 2xx, a connection broke, or wrk cannot be run.
pub(crate) fn load(
    core: usize,
    folder: &Path,
    case: &Case,
    address: SocketAddr,
    connections: u32,
    seconds: u32,
) -> Outcome<Sent> {
    let mut wrk = cpu::pinned(core, "wrk");
    wrk.arg("-t1")
        .arg(format!("-c{connections}"))
        .arg(format!("-d{seconds}s"));
    if case.post_bytes > 0 {
        let script = folder.join("post.lua");
        let body = format!("string.rep('x',{})", case.post_bytes);
        fs::write(&script, format!("wrk.method='POST'\nwrk.body={body}\n"))?;
        wrk.arg("-s").arg(script);
    }
    let output = wrk.arg(format!("http://{address}{}", case.path)).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    read(&text).ok_or_else(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!("errors under load at {address}:\n{text}{errors}").into()
    })
}

/// None: something failed.
fn read(text: &str) -> Option<Sent> {
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return None;
    }
    let lines = || text.lines().map(str::trim);
    let requests = lines().find_map(|line| line.split_once(" requests in ")?.0.parse().ok())?;
    let rate = lines().find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok())?;
    (requests > 0).then_some(Sent { requests, rate })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Option<Sent>) {
        assert_eq!(read(text), expect, "{text}");
    }

    #[test]
    fn what_wrk_says() {
        let good = "Running 1s test @ http://127.0.0.1:1/\n  1 threads and 64 connections\n  \
                    Thread Stats   Avg      Stdev     Max   +/- Stdev\n  41322 requests in 1.10s, \
                    52.01MB read\nRequests/sec:  37565.45\nTransfer/sec:     47.28MB\n";
        let sent = Sent {
            requests: 41_322,
            rate: 37_565.45,
        };
        check(good, Some(sent));
        check(&good.replace("41322", "0"), None);
        check(&format!("{good}  Non-2xx or 3xx responses: 1\n"), None);
        let broken = "  Socket errors: connect 0, read 1, write 0, timeout 0\n";
        check(&format!("{good}{broken}"), None);
        check("unable to connect", None);
    }
}
