//! What may come back from DNS, cleaned.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ferryway_model::HostName;

/// The answer to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer<T> {
    /// Some, for this long.
    Found { records: T, ttl: Duration },
    /// The server says that there is none (for how long, if it says so): the name exists without
    /// such records, or it does not exist.
    Nothing {
        name_exists: bool,
        ttl: Option<Duration>,
    },
    /// No answer, or one that says nothing about the question.
    Failed(String),
}

/// The addresses of a name. A family is `None` where its question failed while the other's was
/// answered: nothing is known about it, and what was known stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub(crate) v4: Option<Vec<Ipv4Addr>>,
    pub(crate) v6: Option<Vec<Ipv6Addr>>,
}

/// One SRV record. Ordered, so that the order of an answer does not matter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Service {
    pub(crate) target: HostName,
    pub(crate) port: u16,
    pub(crate) priority: u16,
    pub(crate) weight: u16,
}

impl Addresses {
    /// All addresses, IPv4 first; families that are not known here as they are in `before`.
    pub(crate) fn or(self, before: &[IpAddr]) -> Vec<IpAddr> {
        let unknown = |it: &IpAddr| {
            if it.is_ipv4() {
                self.v4.is_none()
            } else {
                self.v6.is_none()
            }
        };
        let kept = before.iter().copied().filter(unknown);
        let v4 = self.v4.iter().flatten().copied().map(IpAddr::V4);
        let v6 = self.v6.iter().flatten().copied().map(IpAddr::V6);
        clean_addresses(v4.chain(v6).chain(kept).collect())
    }
}

/// Both questions about a name as one answer.
///
/// "No such name" holds for both types, even if the other question failed; "no such records" holds
/// for one.
pub(crate) fn both(v4: Answer<Vec<Ipv4Addr>>, v6: Answer<Vec<Ipv6Addr>>) -> Answer<Addresses> {
    use Answer::{Failed, Found, Nothing};
    let found = |v4, v6, ttl| Found {
        records: Addresses { v4, v6 },
        ttl,
    };
    match (v4, v6) {
        (
            Found { records: v4, ttl },
            Found {
                records: v6,
                ttl: other,
            },
        ) => found(Some(v4), Some(v6), ttl.min(other)),
        (Found { records: v4, ttl }, Nothing { .. }) => found(Some(v4), Some(Vec::new()), ttl),
        (Nothing { .. }, Found { records: v6, ttl }) => found(Some(Vec::new()), Some(v6), ttl),
        (Found { records: v4, ttl }, Failed(_)) => found(Some(v4), None, ttl),
        (Failed(_), Found { records: v6, ttl }) => found(None, Some(v6), ttl),
        (
            Nothing { name_exists, ttl },
            Nothing {
                name_exists: also,
                ttl: other,
            },
        ) => {
            let ttl = ttl.into_iter().chain(other).min();
            Nothing {
                name_exists: name_exists && also,
                ttl,
            }
        }
        (
            Nothing {
                name_exists: false,
                ttl,
            },
            Failed(_),
        )
        | (
            Failed(_),
            Nothing {
                name_exists: false,
                ttl,
            },
        ) => Nothing {
            name_exists: false,
            ttl,
        },
        (Failed(why), _) | (_, Failed(why)) => Failed(why),
    }
}

/// Each usable address once, IPv4 first.
pub(crate) fn clean_addresses(mut addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    addresses.retain(|address| usable(*address));
    addresses.sort_unstable();
    addresses.dedup();
    addresses.truncate(ENDPOINTS_MAX);
    addresses
}

/// Whether somebody can be reached at an address at all.
pub(crate) fn usable(address: IpAddr) -> bool {
    let nobody = address.is_unspecified() || address.is_multicast();
    !nobody && address != IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// Each record once, without those that have no port.
pub(crate) fn clean_services(mut services: Vec<Service>) -> Vec<Service> {
    services.retain(|it| it.port != 0);
    services.sort_unstable();
    services.dedup();
    services.truncate(ENDPOINTS_MAX);
    services
}

/// Endpoints of one target, and records of one answer; what is beyond is left out.
pub(crate) const ENDPOINTS_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(9);

    /// What came of the A question (`-` none, `x` no such name, `!` failed, else addresses), of
    /// the AAAA question, and what follows where 10.0.0.9 and 2001:db8::9 were known.
    #[track_caller]
    fn check(v4: &str, v6: &str, expect: &str) {
        fn answer<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> Answer<Vec<T>> {
            match text {
                "-" => Answer::Nothing {
                    name_exists: true,
                    ttl: None,
                },
                "x" => Answer::Nothing {
                    name_exists: false,
                    ttl: Some(TTL),
                },
                "!" => Answer::Failed("timed out".to_owned()),
                _ => {
                    let records = text.split(' ').map(|it| it.parse().unwrap()).collect();
                    Answer::Found { records, ttl: TTL }
                }
            }
        }
        let before = ["10.0.0.9".parse().unwrap(), "2001:db8::9".parse().unwrap()];
        let got = match both(answer(v4), answer(v6)) {
            Answer::Found { records, ttl } => {
                assert_eq!(ttl, TTL);
                let all: Vec<_> = records.or(&before).iter().map(IpAddr::to_string).collect();
                all.join(" ")
            }
            Answer::Nothing { name_exists, .. } => format!("nothing, exists: {name_exists}"),
            Answer::Failed(why) => why,
        };
        assert_eq!(got, expect, "{v4} / {v6}");
    }

    #[test]
    fn two_questions_make_one_answer() {
        check(
            "10.0.0.2 10.0.0.1",
            "2001:db8::1",
            "10.0.0.1 10.0.0.2 2001:db8::1",
        );
        check("10.0.0.1", "-", "10.0.0.1");
        check("-", "2001:db8::1", "2001:db8::1");
        check("-", "-", "nothing, exists: true");
        check("x", "x", "nothing, exists: false");
    }

    #[test]
    fn a_failed_question_leaves_what_was_known() {
        check("10.0.0.1", "!", "10.0.0.1 2001:db8::9");
        check("!", "2001:db8::1", "10.0.0.9 2001:db8::1");
        check("-", "!", "timed out");
        check("!", "!", "timed out");
        check("!", "x", "nothing, exists: false");
    }

    #[test]
    fn addresses_that_reach_nobody_are_dropped() {
        check(
            "0.0.0.0 10.0.0.1 10.0.0.1 255.255.255.255 224.0.0.1",
            ":: ff02::1",
            "10.0.0.1",
        );
    }

    #[test]
    fn services_are_distinct_and_have_ports() {
        let service = |port, weight| Service {
            target: "a.example".parse().unwrap(),
            port,
            priority: 0,
            weight,
        };
        let services = vec![service(2, 1), service(0, 1), service(1, 1), service(2, 1)];
        assert_eq!(clean_services(services), [service(1, 1), service(2, 1)]);
    }
}
