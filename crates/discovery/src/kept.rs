//! Last good answers, kept across restarts.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use ferryway_model::HostName;
use serde::{Deserialize, Serialize};

use crate::answer::{Service, clean_addresses, clean_services};

/// Where last good answers outlive the process: the instance's disk.
///
/// Called from the control runtime, one small value at a time and only when an answer changed.
/// Neither call may fail loudly: what cannot be kept is lost, what cannot be loaded was not kept.
pub trait Keep: Send + Sync + std::fmt::Debug {
    /// The last value saved under this key.
    fn load(&self, key: &str) -> Option<Vec<u8>>;
    /// Saves a value in place of the one before.
    fn save(&self, key: &str, value: &[u8]);
}

/// Keeps in memory: for tests, and for gateways without a disk.
#[derive(Debug, Default)]
pub struct KeepInMemory(Mutex<HashMap<String, Vec<u8>>>);

impl Keep for KeepInMemory {
    fn load(&self, key: &str) -> Option<Vec<u8>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned()
    }

    fn save(&self, key: &str, value: &[u8]) {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        values.insert(key.to_owned(), value.to_owned());
    }
}

/// The last good answers to one question and to those that follow from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) services: Vec<Service>,
    pub(crate) addresses: BTreeMap<HostName, Vec<IpAddr>>,
}

impl Kept {
    /// Reads what was kept. Names that are none are left out; anything else that does not fit
    /// means that nothing was kept.
    pub(crate) fn decode(value: &[u8]) -> Option<Self> {
        let Disk {
            services,
            addresses,
        } = serde_json::from_slice(value).ok()?;
        let service = |it: DiskService| {
            let DiskService {
                target,
                port,
                priority,
                weight,
            } = it;
            Some(Service {
                target: target.parse().ok()?,
                port,
                priority,
                weight,
            })
        };
        let named =
            |(name, addresses): (String, _)| Some((name.parse().ok()?, clean_addresses(addresses)));
        Some(Self {
            services: clean_services(services.into_iter().filter_map(service).collect()),
            addresses: addresses.into_iter().filter_map(named).collect(),
        })
    }

    /// Whether nothing is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.services.is_empty() && self.addresses.is_empty()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let Self {
            services,
            addresses,
        } = self;
        let service = |it: &Service| {
            let Service {
                target,
                port,
                priority,
                weight,
            } = it;
            let (port, priority, weight) = (*port, *priority, *weight);
            DiskService {
                target: target.to_string(),
                port,
                priority,
                weight,
            }
        };
        let disk = Disk {
            services: services.iter().map(service).collect(),
            addresses: addresses
                .iter()
                .map(|(name, it)| (name.to_string(), it.clone()))
                .collect(),
        };
        serde_json::to_vec(&disk).expect("strings, numbers and maps by string are JSON")
    }
}

#[derive(Serialize, Deserialize)]
struct Disk {
    services: Vec<DiskService>,
    addresses: BTreeMap<String, Vec<IpAddr>>,
}

#[derive(Serialize, Deserialize)]
struct DiskService {
    target: String,
    port: u16,
    priority: u16,
    weight: u16,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nonsense_was_not_kept() {
        for value in [
            "",
            "null",
            "[1]",
            "{\"services\": 1}",
            "{\"services\": [], \"addresses\": ",
        ] {
            assert_eq!(Kept::decode(value.as_bytes()), None, "{value}");
        }
        let some = br#"{"services": [], "addresses": {"a.example": ["0.0.0.0"], "?": ["::1"]}}"#;
        let name: HostName = "a.example".parse().unwrap();
        assert_eq!(
            Kept::decode(some).unwrap().addresses,
            BTreeMap::from([(name, vec![])])
        );
    }

    proptest! {
        #[test]
        fn what_is_kept_comes_back(
            services in prop::collection::vec(("[a-z]{1,9}", 1u16.., any::<u16>(), any::<u16>()), 0..5),
            addresses in prop::collection::btree_map(
                "[a-z]{1,9}\\.example",
                prop::collection::vec(any::<IpAddr>(), 0..4),
                0..4,
            ),
        ) {
            let service = |(target, port, priority, weight): (String, _, _, _)| {
                Service { target: target.parse().unwrap(), port, priority, weight }
            };
            let named = |(name, it): (String, _)| (name.parse().unwrap(), clean_addresses(it));
            let kept = Kept {
                services: clean_services(services.into_iter().map(service).collect()),
                addresses: addresses.into_iter().map(named).collect(),
            };
            prop_assert_eq!(Kept::decode(&kept.encode()), Some(kept));
        }
    }
}
