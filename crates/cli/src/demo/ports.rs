//! The ports of the demo: the usual ones of Ferryway, or consecutive ones.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use crate::exit::Failure;
use crate::table;

/// All that the demo listens on. 0: any free one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ports {
    pub(super) api: u16,
    pub(super) delivery: u16,
    pub(super) production: GatewayPorts,
    pub(super) test: GatewayPorts,
    pub(super) upstream: u16,
    pub(super) dns: u16,
}

/// What a gateway listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GatewayPorts {
    pub(super) http: u16,
    pub(super) https: u16,
    pub(super) status: u16,
}

impl Ports {
    /// Those that the documentation names, and any free ones for the outside world.
    pub(super) const USUAL: Self = Self {
        api: 7080,
        delivery: 7943,
        production: GatewayPorts {
            http: 9080,
            https: 9443,
            status: 9091,
        },
        test: GatewayPorts {
            http: 9180,
            https: 9543,
            status: 9191,
        },
        upstream: 0,
        dns: 0,
    };

    /// Those from `first` on, in the order of the table.
    pub(super) fn from(first: u16) -> Result<Self, Failure> {
        let last_first = u16::MAX - (COUNT - 1);
        if first > last_first {
            return Err(Failure::Usage(format!(
                "--ports-from {first} leaves less than {COUNT} ports: {last_first} at most"
            )));
        }
        let gateway = |n| GatewayPorts {
            http: first + n,
            https: first + n + 1,
            status: first + n + 2,
        };
        Ok(Self {
            api: first,
            delivery: first + 1,
            production: gateway(2),
            test: gateway(5),
            upstream: first + 8,
            dns: first + 9,
        })
    }

    /// Finds out whether all can be used, before anything is started.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let faults: Vec<_> = self
            .list()
            .into_iter()
            .filter_map(|(what, port)| Some((what, port, bind(port).err()?)))
            .map(|(what, port, error)| format!("port {port} ({what}) {}", reason(&error)))
            .collect();
        if faults.is_empty() {
            return Ok(());
        }
        Err(Failure::Other(format!(
            "{}; `ferryway demo --ports-from N` uses {COUNT} consecutive ports from N on",
            faults.join("; ")
        )))
    }

    /// The table of all ports.
    pub(super) fn text(&self) -> String {
        let line = |(what, port): (&str, u16)| vec![what.to_owned(), address(port).to_string()];
        let columns = ["WHAT", "ADDRESS"].map(str::to_owned).to_vec();
        table::render(columns, self.list().into_iter().map(line).collect())
    }

    fn list(&self) -> [(&'static str, u16); COUNT as usize] {
        let Self {
            api,
            delivery,
            production,
            test,
            upstream,
            dns,
        } = *self;
        [
            ("control plane, API", api),
            ("control plane, delivery", delivery),
            ("gateway of production, HTTP", production.http),
            ("gateway of production, TLS", production.https),
            ("gateway of production, status", production.status),
            ("gateway of test, HTTP", test.http),
            ("gateway of test, TLS", test.https),
            ("gateway of test, status", test.status),
            ("the upstream: httpbin.org", upstream),
            ("the DNS server that says so", dns),
        ]
    }
}

/// An address of the demo: it is for this machine alone.
pub(super) fn address(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Takes a port for a moment, for TCP and UDP.
fn bind(port: u16) -> io::Result<()> {
    // Port 0 is never busy.
    let _tcp = TcpListener::bind(address(port))?;
    UdpSocket::bind(address(port)).map(|_| ())
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "is in use".to_owned(),
        _ => format!("cannot be used: {error}"),
    }
}

/// How many ports there are.
const COUNT: u16 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_ports_in_the_order_of_the_table() {
        let ports = Ports::from(20_000).unwrap();
        let numbers: Vec<_> = ports.list().iter().map(|(_, port)| *port).collect();
        assert_eq!(numbers, (20_000..20_010).collect::<Vec<_>>());
        assert!(Ports::from(65_526).is_ok());
        assert_eq!(Ports::from(65_527).unwrap_err().exit() as u8, 2);
        insta::assert_snapshot!(ports.text(), @"
            WHAT                           ADDRESS
            control plane, API             127.0.0.1:20000
            control plane, delivery        127.0.0.1:20001
            gateway of production, HTTP    127.0.0.1:20002
            gateway of production, TLS     127.0.0.1:20003
            gateway of production, status  127.0.0.1:20004
            gateway of test, HTTP          127.0.0.1:20005
            gateway of test, TLS           127.0.0.1:20006
            gateway of test, status        127.0.0.1:20007
            the upstream: httpbin.org      127.0.0.1:20008
            the DNS server that says so    127.0.0.1:20009
        ");
    }

    #[test]
    fn a_busy_port_is_named_with_what_it_is_for() {
        let tcp = TcpListener::bind(address(0)).unwrap();
        let udp = UdpSocket::bind(address(0)).unwrap();
        let [api, http] = [tcp.local_addr(), udp.local_addr()].map(|it| it.unwrap().port());
        let mut ports = Ports {
            api,
            delivery: 0,
            production: GatewayPorts {
                http: 0,
                https: 0,
                status: 0,
            },
            test: GatewayPorts {
                http,
                https: 0,
                status: 0,
            },
            upstream: 0,
            dns: 0,
        };
        let message = ports.check().unwrap_err().to_string();
        let expect = format!(
            "port {api} (control plane, API) is in use; port {http} (gateway of test, HTTP) is in use; "
        );
        assert!(message.starts_with(&expect), "{message}");
        (ports.api, ports.test.http) = (0, 0);
        ports.check().unwrap();
    }
}
