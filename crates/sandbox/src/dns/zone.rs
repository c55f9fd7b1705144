//! What the server knows, and the answers that follow from it. No I/O.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, SOA, SRV};
use hickory_proto::rr::{DNSClass, Name, RData, Record as WireRecord, RecordType};

use super::Fault;

/// One record of a name. Times to live are in seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An IPv4 address.
    A {
        /// Time to live, seconds.
        ttl: u32,
        /// The address.
        address: Ipv4Addr,
    },
    /// An IPv6 address.
    Aaaa {
        /// Time to live, seconds.
        ttl: u32,
        /// The address.
        address: Ipv6Addr,
    },
    /// Where a service is (RFC 2782).
    Srv {
        /// Time to live, seconds.
        ttl: u32,
        /// The lower, the sooner.
        priority: u16,
        /// The share among those of one priority.
        weight: u16,
        /// The port.
        port: u16,
        /// The name of the host.
        target: String,
    },
    /// Another name for this one. Stands alone at its name.
    Cname {
        /// Time to live, seconds.
        ttl: u32,
        /// The name to look at instead.
        target: String,
    },
}

/// A name that DNS cannot carry.
#[derive(Debug, PartialEq, Eq)]
pub struct InvalidName(String);

impl std::fmt::Display for InvalidName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` is not a domain name", self.0)
    }
}

impl std::error::Error for InvalidName {}

/// All names, and the fault in force.
#[derive(Debug, Default)]
pub(super) struct Zone {
    /// By fully qualified name in lower case.
    names: BTreeMap<Name, Vec<(u32, RData)>>,
    pub(super) fault: Fault,
}

impl Zone {
    pub(super) fn set(&mut self, name: &str, records: Vec<Record>) -> Result<(), InvalidName> {
        let records = records.into_iter().map(parse).collect::<Result<_, _>>()?;
        self.names.insert(qualified(name)?, records);
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &str) {
        // A name that cannot be parsed cannot have been set.
        if let Ok(name) = qualified(name) {
            self.names.remove(&name);
        }
    }

    /// The answer to a query, whole: cutting it to a transport is the transport's business.
    pub(super) fn answer(&self, request: &Message) -> Message {
        let mut answer = Message::response(request.metadata.id, request.metadata.op_code);
        answer.metadata = Metadata::response_from_request(&request.metadata);
        answer.metadata.authoritative = true;
        answer.add_queries(request.queries.iter().cloned());
        if request.edns.is_some() {
            let mut edns = Edns::new();
            edns.set_max_payload(UDP_BYTES_MAX);
            answer.set_edns(edns);
        }
        answer.metadata.response_code = match request.queries.as_slice() {
            _ if self.fault == Fault::ServFail => ResponseCode::ServFail,
            _ if request.metadata.message_type != MessageType::Query => ResponseCode::FormErr,
            _ if request.metadata.op_code != OpCode::Query => ResponseCode::NotImp,
            [query] if query.query_class() == DNSClass::IN => self.look_up(query, &mut answer),
            [_] => ResponseCode::Refused,
            _ => ResponseCode::FormErr,
        };
        answer
    }

    /// Adds the records that answer a query, following other names for the one asked for.
    fn look_up(&self, query: &Query, answer: &mut Message) -> ResponseCode {
        let mut name = query.name().clone();
        for _ in 0..CNAME_CHAIN_MAX {
            let Some(records) = self.names.get(&name.to_lowercase()) else {
                answer.add_authority(negative());
                return self.code_without_records(&name);
            };
            let alias = records.iter().find_map(|(_, data)| match data {
                RData::CNAME(target) => Some(target.0.clone()),
                _ => None,
            });
            let wanted = if alias.is_some() {
                RecordType::CNAME
            } else {
                query.query_type()
            };
            let found = records
                .iter()
                .filter(|(_, data)| data.record_type() == wanted);
            answer.add_answers(
                found.map(|(ttl, data)| WireRecord::from_rdata(name.clone(), *ttl, data.clone())),
            );
            match alias {
                Some(target) if query.query_type() != RecordType::CNAME => name = target,
                _ => {
                    if answer
                        .answers
                        .last()
                        .is_none_or(|last| last.record_type() != wanted)
                    {
                        answer.add_authority(negative());
                    }
                    return ResponseCode::NoError;
                }
            }
        }
        ResponseCode::ServFail
    }

    /// A name above an existing one exists, even with nothing at it (RFC 8020).
    fn code_without_records(&self, name: &Name) -> ResponseCode {
        if self.names.keys().any(|known| name.zone_of(known)) {
            ResponseCode::NoError
        } else {
            ResponseCode::NXDomain
        }
    }
}

/// The SOA of the root, of which this server believes to be the authority: it says how long a
/// "no" may be believed.
fn negative() -> WireRecord {
    let (name, seconds) = (Name::root, NEGATIVE_TTL_SECONDS.cast_signed());
    let soa = SOA::new(
        name(),
        name(),
        1,
        seconds,
        seconds,
        seconds,
        NEGATIVE_TTL_SECONDS,
    );
    WireRecord::from_rdata(name(), NEGATIVE_TTL_SECONDS, RData::SOA(soa))
}

fn parse(record: Record) -> Result<(u32, RData), InvalidName> {
    Ok(match record {
        Record::A { ttl, address } => (ttl, RData::A(A(address))),
        Record::Aaaa { ttl, address } => (ttl, RData::AAAA(AAAA(address))),
        Record::Srv {
            ttl,
            priority,
            weight,
            port,
            target,
        } => (
            ttl,
            RData::SRV(SRV::new(priority, weight, port, qualified(&target)?)),
        ),
        Record::Cname { ttl, target } => (ttl, RData::CNAME(CNAME(qualified(&target)?))),
    })
}

fn qualified(name: &str) -> Result<Name, InvalidName> {
    let invalid = |_| InvalidName(name.to_owned());
    let mut name = Name::from_ascii(name).map_err(invalid)?.to_lowercase();
    name.set_fqdn(true);
    Ok(name)
}

/// How long a "no" may be believed.
const NEGATIVE_TTL_SECONDS: u32 = 1;
/// Names followed for one query; more is a loop.
const CNAME_CHAIN_MAX: u32 = 8;
/// The longest answer over UDP, whatever a client offers: what passes a network unfragmented.
pub(super) const UDP_BYTES_MAX: u16 = 1232;

#[cfg(test)]
mod tests {
    use super::*;

    fn zone() -> Zone {
        let mut zone = Zone::default();
        let a = |last| Record::A {
            ttl: 7,
            address: [10, 0, 0, last].into(),
        };
        zone.set("two.example", vec![a(1), a(2)]).unwrap();
        zone.set(
            "six.example",
            vec![Record::Aaaa {
                ttl: 7,
                address: Ipv6Addr::LOCALHOST,
            }],
        )
        .unwrap();
        zone.set("empty.example.", vec![]).unwrap();
        let cname = |target: &str| {
            vec![Record::Cname {
                ttl: 3,
                target: target.to_owned(),
            }]
        };
        zone.set("alias.example", cname("Two.Example")).unwrap();
        zone.set("dangling.example", cname("gone.example")).unwrap();
        zone.set("loop.example", cname("loop.example")).unwrap();
        let target = "two.example".to_owned();
        let srv = Record::Srv {
            ttl: 9,
            priority: 1,
            weight: 2,
            port: 80,
            target,
        };
        zone.set("_http._tcp.svc.example", vec![srv]).unwrap();
        zone
    }

    /// Asks `NAME TYPE`; answers the code, the records and whether there is an SOA.
    #[track_caller]
    fn check(question: &str, expect: &str) {
        let (name, kind) = question.split_once(' ').unwrap();
        let mut request = Message::query();
        let query = Query::query(Name::from_ascii(name).unwrap(), kind.parse().unwrap());
        request.add_query(query);
        let answer = zone().answer(&request);
        let records = answer
            .answers
            .iter()
            .map(|it| format!(" {} {}", it.ttl, it.data));
        let soa = answer.authorities.iter().map(|_| " SOA".to_owned());
        let rest: String = records.chain(soa).collect();
        assert_eq!(format!("{:?}{rest}", answer.metadata.response_code), expect);
        assert_eq!(answer.metadata.id, request.metadata.id);
    }

    #[test]
    fn names_answer_what_they_have() {
        check("two.example. A", "NoError 7 10.0.0.1 7 10.0.0.2");
        check("TWO.example. A", "NoError 7 10.0.0.1 7 10.0.0.2");
        check("six.example. AAAA", "NoError 7 ::1");
        check(
            "_http._tcp.svc.example. SRV",
            "NoError 9 1 2 80 two.example.",
        );
    }

    #[test]
    fn none_of_a_type_is_not_none_of_a_name() {
        check("two.example. AAAA", "NoError SOA");
        check("empty.example. A", "NoError SOA");
        check("_tcp.svc.example. A", "NoError SOA");
        check("gone.example. A", "NXDomain SOA");
    }

    #[test]
    fn other_names_are_followed() {
        check(
            "alias.example. A",
            "NoError 3 two.example. 7 10.0.0.1 7 10.0.0.2",
        );
        check("alias.example. AAAA", "NoError 3 two.example. SOA");
        check("alias.example. CNAME", "NoError 3 two.example.");
        check("dangling.example. A", "NXDomain 3 gone.example. SOA");
    }

    #[test]
    fn a_loop_of_names_ends() {
        let answer = {
            let mut request = Message::query();
            request.add_query(Query::query(
                Name::from_ascii("loop.example.").unwrap(),
                RecordType::A,
            ));
            zone().answer(&request)
        };
        assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    }

    #[test]
    fn what_is_no_query_is_refused() {
        let code = |request: &Message| zone().answer(request).metadata.response_code;
        assert_eq!(code(&Message::query()), ResponseCode::FormErr);
        let mut update = Message::new(1, MessageType::Query, OpCode::Update);
        update.add_query(Query::query(Name::root(), RecordType::A));
        assert_eq!(code(&update), ResponseCode::NotImp);
        let mut chaos = Message::query();
        let mut query = Query::query(Name::root(), RecordType::A);
        query.set_query_class(DNSClass::CH);
        chaos.add_query(query);
        assert_eq!(code(&chaos), ResponseCode::Refused);
    }

    #[test]
    fn names_that_dns_cannot_carry() {
        let long = "x".repeat(64);
        let mut zone = Zone::default();
        assert_eq!(zone.set(&long, vec![]), Err(InvalidName(long.clone())));
        let cname = vec![Record::Cname {
            ttl: 1,
            target: long.clone(),
        }];
        assert_eq!(zone.set("fine", cname), Err(InvalidName(long)));
        assert!(zone.names.is_empty());
    }
}
