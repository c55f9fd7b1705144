//! The real httpbin.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use crate::environment::venv;
use crate::eventually::{START_TIME_MAX, eventually};
use crate::program::{Program, Signal};
use crate::{loopback, ports};

/// A running httpbin (PyPI `httpbin` under `gunicorn`), stopped when dropped.
#[derive(Debug)]
pub struct Httpbin {
    program: Program,
    address: SocketAddr,
}

impl Httpbin {
    /// Starts one on a free port of 127.0.0.1 and waits until it answers.
    pub fn start() -> Self {
        let [port] = ports::free();
        Self::start_at((Ipv4Addr::LOCALHOST, port).into())
    }

    /// Starts one on port 80 of a loopback address of its own, so that its name in a URL, and in
    /// the Host header a gateway sends it, needs no port.
    ///
    /// # Panics
    ///
    /// When the user may not listen on port 80.
    pub fn start_on_port_80() -> Self {
        Self::start_at((loopback::free_at(80), 80).into())
    }

    /// Starts one at this address and waits until it answers.
    pub fn start_at(address: SocketAddr) -> Self {
        let mut command = Command::new(venv().join("bin/gunicorn"));
        command.arg("--bind").arg(address.to_string());
        // One process with threads: it keeps connections open, as the gateway's pool expects of an
        // upstream, and for longer than any test takes, so that no answer depends on a race with
        // the end of an idle connection.
        command.args([
            "--worker-class",
            "gthread",
            "--workers",
            "1",
            "--threads",
            "8",
        ]);
        command.args(["--keep-alive", "120", "--graceful-timeout", "1"]);
        command.args(["--access-logfile", "-", "--access-logformat", ACCESS_LINE]);
        // The control socket has one fixed place per user, which tests must not share.
        command.args(["--no-control-socket", "httpbin:app"]);
        let mut program = Program::start(format!("httpbin at {address}"), command);
        // `/status/200` and not `/headers`, which `served` counts.
        program.wait_for_http(&format!("http://{address}/status/200"), START_TIME_MAX);
        Self { program, address }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The host part of [`Self::address`].
    pub fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    /// `http://ADDRESS` followed by `path`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How many requests for this path it has answered. The last ones may be missing for a moment:
    /// it counts after it has answered.
    pub fn served(&self, path: &str) -> usize {
        let line = format!("served {path}");
        self.program
            .stdout()
            .lines()
            .filter(|own| *own == line)
            .count()
    }

    /// Waits until it has counted so many requests for this path.
    ///
    /// # Panics
    ///
    /// When it has had more, or not so many in a few seconds.
    #[track_caller]
    pub fn expect_served(&self, path: &str, count: usize) {
        let what = format!("{count} requests for {path} at {}", self.address);
        let served = eventually(COUNT_TIME_MAX, &what, || {
            Some(self.served(path)).filter(|served| *served >= count)
        });
        assert_eq!(served, count, "{what}");
    }
}

impl Drop for Httpbin {
    fn drop(&mut self) {
        // Killed outright, gunicorn's worker would keep the port until it notices that it is alone.
        // On an interrupt the master ends its worker at once. Should it not, then the program is
        // killed after all, as any is.
        self.program.signal(Signal::INT);
        self.program.end_within(STOP_TIME_MAX);
    }
}

const ACCESS_LINE: &str = "served %(U)s";
const STOP_TIME_MAX: Duration = Duration::from_secs(10);
const COUNT_TIME_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curl;
    use serde_json::json;

    #[test]
    fn answers_and_counts() {
        let httpbin = Httpbin::start();
        let answer = curl([httpbin.url("/headers"), "-A".to_owned(), "me".to_owned()]).json_of(200);
        let host = httpbin.address().to_string();
        assert_eq!(
            answer,
            json!({"headers": {"Accept": "*/*", "Host": host, "User-Agent": "me"}})
        );
        httpbin.expect_served("/headers", 1);
        httpbin.expect_served("/ip", 0);
    }
}
