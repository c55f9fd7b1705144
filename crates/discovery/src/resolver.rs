//! Asking DNS.
//!
//! hickory's resolver does the transport: UDP, TCP where an answer was truncated, following other
//! names. Two things it is not asked to do. It keeps no cache: when a question is put again is
//! decided by the rules of `follow.rs` alone. And it is given one server each: it would take a
//! server's SERVFAIL for an answer, where the next server may know better.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ferryway_model::HostName;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ServerOrderingStrategy,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::answer::{Addresses, Answer, Service, both, clean_services, usable};
use crate::follow::Question;
use crate::reach::{has_route, reachable};
use crate::system::System;

/// Answers questions, from given servers or as the system is set up.
#[derive(Debug)]
pub(crate) struct Resolver {
    source: Source,
    /// Per resolver: servers that do not answer must not hold up the questions to others.
    lookups: Semaphore,
}

#[derive(Debug)]
enum Source {
    /// These servers, and nothing else.
    Given(Result<Servers, String>),
    /// The system's servers; for the names of nodes also its hosts file and search domains.
    System(System),
}

/// Who asks: the system's hosts file and search domains are for names that people write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// The name of a node.
    Node,
    /// A registry's question, and what follows from it: names as they are.
    Registry,
}

/// What came back.
#[derive(Debug)]
pub(crate) enum Answered {
    /// About a host.
    Addresses(HostName, Answer<Addresses>),
    /// About a service.
    Services(Answer<Vec<Service>>),
}

impl Resolver {
    /// Asks these servers; the system's, where there are none.
    pub(crate) fn new(servers: &[SocketAddr]) -> Self {
        let source = match servers {
            [] => Source::System(System::new()),
            servers => Source::Given(Servers::new(servers)),
        };
        Self {
            source,
            lookups: Semaphore::new(LOOKUPS_MAX),
        }
    }

    /// Puts a question. Always answers, in bounded time once it is its turn.
    pub(crate) async fn ask(&self, question: Question, asker: For) -> Answered {
        // The semaphore is never closed; without a permit there would be one look-up more.
        let _permit = self.lookups.acquire().await;
        match question {
            Question::Addresses(name) => {
                let answer = self.addresses(&name, asker).await;
                Answered::Addresses(name, answer)
            }
            Question::Services(name) => Answered::Services(self.services(&name).await),
        }
    }

    async fn addresses(&self, name: &HostName, asker: For) -> Answer<Addresses> {
        let answer = match &self.source {
            Source::Given(Err(why)) => Answer::Failed(why.clone()),
            Source::Given(Ok(servers)) => servers.addresses(&absolute(name)).await,
            Source::System(system) => system.addresses(name, asker).await,
        };
        match answer {
            Answer::Found { records, ttl } => Answer::Found {
                records: reachable(records, has_route),
                ttl,
            },
            other => other,
        }
    }

    async fn services(&self, name: &HostName) -> Answer<Vec<Service>> {
        match &self.source {
            Source::Given(Err(why)) => Answer::Failed(why.clone()),
            Source::Given(Ok(servers)) => servers.services(&absolute(name)).await,
            Source::System(system) => match system.servers() {
                Ok(loaded) => loaded.servers.services(&absolute(name)).await,
                Err(why) => Answer::Failed(why),
            },
        }
    }
}

/// The name with the final dot that keeps it from being looked for in other domains.
pub(crate) fn absolute(name: &HostName) -> String {
    format!("{name}.")
}

/// Servers of which one is asked, the next one if it fails.
#[derive(Debug)]
pub(crate) struct Servers {
    resolvers: Vec<(SocketAddr, TokioResolver)>,
    /// The one that answered last. It stays the first to be asked until it fails.
    preferred: AtomicUsize,
}

impl Servers {
    pub(crate) fn new(servers: &[SocketAddr]) -> Result<Self, String> {
        let resolver = |&server: &SocketAddr| match resolver(server) {
            Ok(resolver) => Ok((server, resolver)),
            Err(error) => Err(format!("no resolver for {server}: {error}")),
        };
        let resolvers = servers.iter().map(resolver).collect::<Result<_, _>>()?;
        Ok(Self {
            resolvers,
            preferred: AtomicUsize::new(0),
        })
    }

    /// Both kinds of addresses.
    pub(crate) async fn addresses(&self, name: &str) -> Answer<Addresses> {
        let v4 = self.ask(name, RecordType::A, |data| match data {
            RData::A(address) if usable(address.0.into()) => Some(address.0),
            _ => None,
        });
        let v6 = self.ask(name, RecordType::AAAA, |data| match data {
            RData::AAAA(address) if usable(address.0.into()) => Some(address.0),
            _ => None,
        });
        let (v4, v6) = tokio::join!(v4, v6);
        both(v4, v6)
    }

    /// SRV records. A record without a usable target says that the service is not there (RFC 2782
    /// writes it as `.`).
    pub(crate) async fn services(&self, name: &str) -> Answer<Vec<Service>> {
        let answer = self
            .ask(name, RecordType::SRV, |data| match data {
                RData::SRV(srv) => Some(Service {
                    target: srv.target.to_ascii().parse().ok()?,
                    port: srv.port,
                    priority: srv.priority,
                    weight: srv.weight,
                }),
                _ => None,
            })
            .await;
        match answer {
            Answer::Found { records, ttl } => match clean_services(records) {
                records if records.is_empty() => Answer::Nothing {
                    name_exists: true,
                    ttl: Some(ttl),
                },
                records => Answer::Found { records, ttl },
            },
            other => other,
        }
    }

    /// Asks one server after the other until one answers.
    async fn ask<T>(
        &self,
        name: &str,
        kind: RecordType,
        read: impl Fn(&RData) -> Option<T>,
    ) -> Answer<Vec<T>> {
        let first = self.preferred.load(Ordering::Relaxed);
        let mut failed = "no server to ask".to_owned();
        for step in 0..self.resolvers.len() {
            let index = (first + step) % self.resolvers.len();
            let (server, resolver) = &self.resolvers[index];
            let lookup = timeout(SERVER_TIMEOUT, resolver.lookup(name, kind)).await;
            match judge(lookup.unwrap_or(Err(NetError::Timeout)), kind, &read) {
                Answer::Failed(why) => failed = format!("{server} {why} ({kind})"),
                answer => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return answer;
                }
            }
        }
        Answer::Failed(failed)
    }
}

/// What an answer of a server says about the question.
fn judge<T>(
    lookup: Result<Lookup, NetError>,
    kind: RecordType,
    read: impl Fn(&RData) -> Option<T>,
) -> Answer<Vec<T>> {
    match lookup {
        Ok(lookup) => {
            let answers = || lookup.answers().iter();
            // The chain of other names on the way counts: it holds no longer than its weakest link.
            let seconds = answers().map(|record| record.ttl).min().unwrap_or_default();
            let ttl = Duration::from_secs(seconds.into());
            let of_kind = answers().filter(|record| record.record_type() == kind);
            let records: Vec<T> = of_kind.filter_map(|record| read(&record.data)).collect();
            if records.is_empty() {
                Answer::Nothing {
                    name_exists: true,
                    ttl: Some(ttl),
                }
            } else {
                Answer::Found { records, ttl }
            }
        }
        Err(NetError::Dns(DnsError::NoRecordsFound(NoRecords {
            soa,
            ns,
            negative_ttl,
            response_code,
            ..
        }))) => {
            let ttl = negative_ttl.map(|seconds| Duration::from_secs(seconds.into()));
            match response_code {
                ResponseCode::NXDomain => Answer::Nothing {
                    name_exists: false,
                    ttl,
                },
                // "Ask those" is no answer to who asks for an answer.
                ResponseCode::NoError if ns.is_some() && soa.is_none() => {
                    Answer::Failed("refers to other servers".to_owned())
                }
                ResponseCode::NoError => Answer::Nothing {
                    name_exists: true,
                    ttl,
                },
                code => Answer::Failed(format!("answered: {code}")),
            }
        }
        Err(NetError::Timeout) => Answer::Failed("did not answer in time".to_owned()),
        Err(error) => Answer::Failed(format!("did not answer: {error}")),
    }
}

/// hickory's resolver for one server.
fn resolver(server: SocketAddr) -> Result<TokioResolver, NetError> {
    let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
    (udp.port, tcp.port) = (server.port(), server.port());
    let server = NameServerConfig::new(server.ip(), true, vec![udp, tcp]);
    let config = ResolverConfig::from_name_servers(vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    options.cache_size = 0;
    options.attempts = 0;
    options.timeout = QUERY_TIMEOUT;
    options.use_hosts_file = ResolveHosts::Never;
    options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
    builder.build()
}

/// How long one exchange with a server may take.
const QUERY_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a server may take in all: UDP, then TCP, then the names that a name stands for.
const SERVER_TIMEOUT: Duration = Duration::from_secs(4);
/// Questions to one set of servers that await an answer at once.
const LOOKUPS_MAX: usize = 64;
