//! The signals a program answers to: stop (SIGINT, SIGTERM) and look again (SIGHUP).
//!
//! From the moment one of these is listened to, the system's own reaction (ending the process) is
//! off for good. So listen before the program starts to serve, and keep what was returned.

use std::fmt;
use std::io;

use tokio::signal::unix::{self, SignalKind};

/// Starts to listen for SIGINT and SIGTERM.
///
/// # Errors
///
/// When the system refuses the handler.
pub fn shutdown() -> io::Result<Shutdown> {
    Ok(Shutdown {
        interrupt: unix::signal(SignalKind::interrupt())?,
        terminate: unix::signal(SignalKind::terminate())?,
    })
}

/// Starts to listen for SIGHUP.
///
/// # Errors
///
/// When the system refuses the handler.
pub fn hangup() -> io::Result<Hangup> {
    Ok(Hangup {
        hangup: unix::signal(SignalKind::hangup())?,
    })
}

/// Waits for somebody to end the program.
#[derive(Debug)]
pub struct Shutdown {
    interrupt: unix::Signal,
    terminate: unix::Signal,
}

impl Shutdown {
    /// The next request to end. A second one usually means "now".
    pub async fn requested(&mut self) -> Cause {
        tokio::select! {
            _ = self.interrupt.recv() => Cause::Interrupt,
            _ = self.terminate.recv() => Cause::Terminate,
        }
    }
}

/// Who asked for the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// SIGINT: Ctrl-C on a terminal.
    Interrupt,
    /// SIGTERM: a supervisor.
    Terminate,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        })
    }
}

/// Waits for somebody to ask for another look at files and settings.
#[derive(Debug)]
pub struct Hangup {
    hangup: unix::Signal,
}

impl Hangup {
    /// The next SIGHUP. Several that came while nobody waited count as one.
    pub async fn next(&mut self) {
        self.hangup.recv().await;
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn send(signal: &str) {
        let me = std::process::id().to_string();
        let status = Command::new("kill")
            .args([signal, &me])
            .status()
            .expect("kill is there");
        assert!(status.success());
    }

    #[tokio::test]
    async fn each_signal_is_heard_and_named() {
        let mut shutdown = shutdown().unwrap();
        let mut hangup = hangup().unwrap();
        send("-TERM");
        assert_eq!(shutdown.requested().await, Cause::Terminate);
        send("-INT");
        assert_eq!(shutdown.requested().await, Cause::Interrupt);
        send("-HUP");
        hangup.next().await;
        send("-HUP");
        hangup.next().await;
    }
}
