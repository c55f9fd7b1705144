//! Wrong tokens, counted for each address they come from.
//!
//! Nobody guesses 256 bits; what is bounded here is the work and the noise that trying makes. So a
//! right token is always let in, also from an address that others share: only the wrong ones are
//! answered with a wait.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The count. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Attempts(Arc<Mutex<Counted>>);

#[derive(Debug, Default)]
struct Counted {
    /// Until when each address has used up what it may, were it to be silent.
    until: HashMap<IpAddr, Instant>,
    /// Wrong tokens since the last note in the audit.
    unnoted: u64,
    noted_next: Option<Instant>,
}

/// What is to be done about a wrong token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// It is not even answered as wrong, for so long.
    pub(super) wait: Option<Duration>,
    /// The audit is to say that so many came.
    pub(super) note: Option<u64>,
}

/// One wrong token in this time is nothing.
const EVERY: Duration = Duration::from_millis(500);
/// So many at once are somebody who looks for a mistake.
const BURST: u32 = 100;
/// Addresses told apart at one time; what comes on top is counted together.
const ADDRESSES_MAX: usize = 4_096;
/// The audit has a line at most this often, with the number of all since the one before.
const NOTE_EVERY: Duration = Duration::from_secs(60);

impl Attempts {
    /// A wrong token came from here.
    pub(super) fn failed(&self, from: IpAddr) -> Verdict {
        let now = Instant::now();
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted.unnoted += 1;
        let note = counted.noted_next.is_none_or(|next| now >= next).then(|| {
            counted.noted_next = Some(now + NOTE_EVERY);
            std::mem::take(&mut counted.unnoted)
        });
        let until = counted.slot(neighbourhood(from), now);
        let used = until.saturating_duration_since(now);
        let most = EVERY * BURST;
        let wait = (used + EVERY > most).then(|| (used + EVERY).saturating_sub(most));
        if wait.is_none() {
            *until = now + used + EVERY;
        }
        Verdict {
            wait: wait.map(|wait| wait.max(Duration::from_secs(1))),
            note,
        }
    }
}

impl Counted {
    fn slot(&mut self, from: IpAddr, now: Instant) -> &mut Instant {
        if self.until.len() >= ADDRESSES_MAX && !self.until.contains_key(&from) {
            self.until.retain(|_, until| *until > now);
        }
        let is_full = self.until.len() >= ADDRESSES_MAX && !self.until.contains_key(&from);
        let key = if is_full {
            Ipv6Addr::UNSPECIFIED.into()
        } else {
            from
        };
        self.until.entry(key).or_insert(now)
    }
}

/// An IPv4 address; of an IPv6 address the part that one customer has.
fn neighbourhood(from: IpAddr) -> IpAddr {
    match from {
        IpAddr::V4(_) => from,
        IpAddr::V6(address) => {
            let network = address.to_bits() & (u128::MAX << 64);
            Ipv6Addr::from_bits(network).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("is an address")
    }

    #[tokio::test(start_paused = true)]
    async fn wrong_tokens_are_slowed_down_for_each_address() {
        let attempts = Attempts::default();
        let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
        for n in 0..BURST {
            assert_eq!(attempts.failed(one).wait, None, "{n}");
        }
        assert_eq!(attempts.failed(one).wait, Some(Duration::from_secs(1)));
        assert_eq!(attempts.failed(other).wait, None);
        tokio::time::advance(EVERY).await;
        assert_eq!(attempts.failed(one).wait, None);
        assert!(attempts.failed(one).wait.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn the_audit_has_a_line_now_and_then() {
        let attempts = Attempts::default();
        let from = address("192.0.2.1");
        assert_eq!(attempts.failed(from).note, Some(1));
        for _ in 0..4 {
            assert_eq!(attempts.failed(from).note, None);
        }
        tokio::time::advance(NOTE_EVERY).await;
        assert_eq!(attempts.failed(from).note, Some(5));
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_is_bounded() {
        let attempts = Attempts::default();
        for n in 0..2 * ADDRESSES_MAX as u32 {
            attempts.failed(std::net::Ipv4Addr::from_bits(n).into());
        }
        let counted = attempts.0.lock().unwrap();
        assert!(counted.until.len() <= ADDRESSES_MAX + 1);
    }

    #[test]
    fn a_customer_of_ipv6_is_one_address() {
        let same = |a: &str, b: &str| neighbourhood(address(a)) == neighbourhood(address(b));
        assert!(same("2001:db8::1", "2001:db8::ffff:1"));
        assert!(!same("2001:db8::1", "2001:db8:0:1::1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
    }
}
