//! How the system resolves names: its servers, its search domains, its hosts file.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ferryway_model::HostName;
use hickory_resolver::Hosts;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use tokio::time::Instant;

use crate::answer::{Addresses, Answer};
use crate::resolver::{For, Servers, absolute};

/// The system's own way, read again now and then: networks, containers and people change it under
/// a running gateway.
#[derive(Debug)]
pub(crate) struct System {
    loaded: Mutex<Option<(Instant, Arc<Loaded>)>>,
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) servers: Servers,
    search: Vec<Name>,
    hosts: Hosts,
}

impl System {
    pub(crate) fn new() -> Self {
        Self {
            loaded: Mutex::new(None),
        }
    }

    /// Addresses of a name; of a node's, from the hosts file first, and a name of one label also
    /// in the search domains. (Names of several labels are taken as whole, whatever `ndots` says:
    /// a binding should mean the same in every gateway of its group.)
    pub(crate) async fn addresses(&self, name: &HostName, asker: For) -> Answer<Addresses> {
        let loaded = match self.servers() {
            Ok(loaded) => loaded,
            // The name of the machine itself needs no servers.
            Err(_) if name.as_str() == "localhost" => return found(loopback()),
            Err(why) => return Answer::Failed(why),
        };
        if asker == For::Registry {
            return loaded.servers.addresses(&absolute(name)).await;
        }
        if let Some(addresses) = loaded.in_hosts_file(name) {
            return found(addresses);
        }
        let mut failed = None;
        let mut nothing = Answer::Nothing {
            name_exists: false,
            ttl: None,
        };
        for name in loaded.names(name) {
            match loaded.servers.addresses(&name).await {
                found @ Answer::Found { .. } => return found,
                Answer::Failed(why) => failed = Some(why),
                none @ Answer::Nothing { .. } => nothing = none,
            }
        }
        // As long as one of the names has not been answered, it may be the one.
        failed.map_or(nothing, Answer::Failed)
    }

    /// The present set-up.
    pub(crate) fn servers(&self) -> Result<Arc<Loaded>, String> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some((at, loaded)) = &*loaded
            && now < *at + RELOAD_AFTER
        {
            return Ok(Arc::clone(loaded));
        }
        // Two small files, read in place: nobody but other look-ups waits.
        let fresh = Arc::new(Loaded::read()?);
        *loaded = Some((now, Arc::clone(&fresh)));
        Ok(fresh)
    }
}

impl Loaded {
    fn read() -> Result<Self, String> {
        let (config, _) = read_system_conf()
            .map_err(|error| format!("the system's resolver is not set up: {error}"))?;
        let (_, search, servers) = config.into_parts();
        let address = |port: u16, ip| SocketAddr::new(ip, port);
        let servers: Vec<_> = servers
            .iter()
            .map(|it| address(it.connections.first().map_or(DNS_PORT, |it| it.port), it.ip))
            .collect();
        Ok(Self {
            servers: Servers::new(&servers)?,
            search,
            // A machine without a hosts file has no hosts in it.
            hosts: Hosts::from_system().unwrap_or_default(),
        })
    }

    fn in_hosts_file(&self, name: &HostName) -> Option<Addresses> {
        let name = Name::from_ascii(absolute(name)).ok()?;
        let data = |kind| {
            let lookup = self
                .hosts
                .lookup_static_host(&Query::query(name.clone(), kind));
            let records = lookup
                .iter()
                .flat_map(|it| it.answers().iter().map(|it| it.data.clone()));
            records.collect::<Vec<RData>>()
        };
        let v4 = data(RecordType::A).into_iter().filter_map(|it| match it {
            RData::A(address) => Some(address.0),
            _ => None,
        });
        let v6 = data(RecordType::AAAA)
            .into_iter()
            .filter_map(|it| match it {
                RData::AAAA(address) => Some(address.0),
                _ => None,
            });
        let addresses = Addresses {
            v4: Some(v4.collect()),
            v6: Some(v6.collect()),
        };
        (addresses
            != Addresses {
                v4: Some(Vec::new()),
                v6: Some(Vec::new()),
            })
        .then_some(addresses)
    }

    /// The names to try for a name.
    fn names(&self, name: &HostName) -> Vec<String> {
        let mut names = Vec::new();
        if !name.as_str().contains('.') && name.as_str() != "localhost" {
            let in_domain = |domain: &Name| {
                let domain = domain.to_ascii();
                format!("{name}.{}.", domain.trim_matches('.'))
            };
            names.extend(self.search.iter().take(SEARCH_DOMAINS_MAX).map(in_domain));
        }
        names.push(absolute(name));
        names
    }
}

/// What needs no server holds until the files are read again.
fn found(records: Addresses) -> Answer<Addresses> {
    Answer::Found {
        records,
        ttl: RELOAD_AFTER,
    }
}

fn loopback() -> Addresses {
    Addresses {
        v4: Some(vec![Ipv4Addr::LOCALHOST]),
        v6: Some(vec![Ipv6Addr::LOCALHOST]),
    }
}

/// How long the system's files are taken to be as they were read.
const RELOAD_AFTER: Duration = Duration::from_secs(10);
/// Domains a name of one label is looked for in; libc has the same bound.
const SEARCH_DOMAINS_MAX: usize = 6;
/// Where DNS servers listen.
const DNS_PORT: u16 = 53;

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(hosts: &str, search: &[&str]) -> Loaded {
        let mut file = Hosts::default();
        file.read_hosts_conf(hosts.as_bytes()).unwrap();
        let search = search
            .iter()
            .map(|it| Name::from_ascii(it).unwrap())
            .collect();
        Loaded {
            servers: Servers::new(&[]).unwrap(),
            search,
            hosts: file,
        }
    }

    #[test]
    fn the_hosts_file_knows_names_of_both_families() {
        let loaded = loaded(
            "127.0.0.1 localhost\n::1 localhost\n10.0.0.1 a.example a\n",
            &[],
        );
        let find = |name: &str| loaded.in_hosts_file(&name.parse().unwrap());
        assert_eq!(find("localhost"), Some(loopback()));
        let one = Addresses {
            v4: Some(vec![[10, 0, 0, 1].into()]),
            v6: Some(vec![]),
        };
        assert_eq!(find("a.example"), Some(one.clone()));
        assert_eq!(find("a"), Some(one));
        assert_eq!(find("b.example"), None);
    }

    #[test]
    fn only_names_of_one_label_are_searched_for() {
        let loaded = loaded("", &["svc.example.", "example"]);
        let names = |name: &str| loaded.names(&name.parse().unwrap());
        assert_eq!(names("web"), ["web.svc.example.", "web.example.", "web."]);
        assert_eq!(names("web.prod"), ["web.prod."]);
        assert_eq!(names("localhost"), ["localhost."]);
    }
}
