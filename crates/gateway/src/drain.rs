//! The polite end.
//!
//! Readiness fails at once, so that whoever sends clients here stops doing so; accepting goes on
//! for a while, because they need that while to notice; then the workers accept what waits, close
//! their listeners and let connections end with the request they are at.

use std::time::Duration;

use ferryway_proxy::{Limits, Workers};
use tokio::time::sleep;

use crate::phase::{Phase, Phases};

/// What the workers' own bound on a drain gets on top, before they are ended from here.
const SLACK: Duration = Duration::from_secs(1);

/// Drains the workers: `delay` of going on as before, and the time of [`Limits::drain_time`] at
/// most for what is open. `at_once` cuts it short: whatever is open then is closed. Whether every
/// connection came to its own end.
pub(crate) async fn drain(
    workers: Workers,
    phases: &Phases,
    delay: Duration,
    limits: &Limits,
    at_once: impl Future<Output = ()>,
) -> bool {
    phases.enter(Phase::Draining);
    let politely = async {
        sleep(delay).await;
        workers.stop(limits.drain_time + SLACK).await
    };
    tokio::select! {
        clean = politely => clean,
        () = at_once => false,
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::io::ErrorKind;
    use std::sync::Arc;

    use ferryway_proxy::{LiveTable, Metrics, Settings, Table};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;

    use super::*;
    use crate::sockets::Reserved;

    struct Serving {
        workers: Workers,
        phases: Phases,
        client: TcpStream,
    }

    async fn serving() -> Serving {
        let reserved = Reserved::bind(([127, 0, 0, 1], 0).into(), 1).unwrap();
        let address = reserved.address();
        let live = Arc::new(LiveTable::new(Table::empty()));
        let listeners = reserved.listen().unwrap();
        let settings = Settings::default();
        let workers = Workers::start(&settings, listeners, &live, &Metrics::new(1)).unwrap();
        let phases = Phases::new();
        phases.enter(Phase::Serving);
        let client = TcpStream::connect(address).await.unwrap();
        Serving {
            workers,
            phases,
            client,
        }
    }

    /// One request, and the head of its answer.
    async fn ask(client: &mut TcpStream) -> String {
        client
            .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        let mut head = vec![0; 1_024];
        let read = client.read(&mut head).await.unwrap();
        String::from_utf8_lossy(&head[..read]).into_owned()
    }

    #[tokio::test]
    async fn kept_connections_end_and_no_new_ones_begin() {
        let Serving {
            workers,
            phases,
            mut client,
        } = serving().await;
        let address = client.peer_addr().unwrap();
        assert!(ask(&mut client).await.starts_with("HTTP/1.1 404"));
        let limits = Limits::default();
        assert!(drain(workers, &phases, Duration::ZERO, &limits, pending()).await);
        assert_eq!(phases.now(), Phase::Draining);
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        let refused = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn accepting_goes_on_for_the_delay_and_a_second_word_ends_it() {
        let Serving {
            workers,
            phases,
            mut client,
        } = serving().await;
        let address = client.peer_addr().unwrap();
        let (now, told) = oneshot::channel::<()>();
        let at_once = async { drop(told.await) };
        let limits = Limits::default();
        let drained = drain(workers, &phases, Duration::MAX / 4, &limits, at_once);
        let meanwhile = async {
            assert!(ask(&mut client).await.starts_with("HTTP/1.1 404"));
            let mut other = TcpStream::connect(address).await.unwrap();
            assert!(ask(&mut other).await.starts_with("HTTP/1.1 404"));
            now.send(()).unwrap();
            other
        };
        let (clean, mut other) = tokio::join!(drained, meanwhile);
        assert!(!clean);
        // Whether as an end or as a reset: it is over.
        assert!(matches!(other.read(&mut [0]).await, Ok(0) | Err(_)));
    }
}
