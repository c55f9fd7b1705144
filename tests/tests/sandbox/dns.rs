//! The sandbox's DNS server, asked by dnspython: a resolver and a server that share a codec could
//! share its mistakes.

use std::process::Command;

use ferryway_sandbox::dns::Fault;
use ferryway_testkit::{Dns, venv};
use serde_json::{Value, json};

#[test]
fn another_librarys_resolver_reads_what_was_set() {
    let dns = Dns::start();
    let addresses = ["127.0.0.2", "127.0.0.3", "::1"].map(|it| it.parse().expect("an address"));
    dns.set_addresses("httpbin.org", &addresses);
    dns.set_service("_httpbin._tcp.svc.example", "httpbin.org", 8080);
    dns.set_empty("empty.example");

    let ask = [
        (
            "httpbin.org",
            "A",
            json!(["NOERROR", 1, ["127.0.0.2", "127.0.0.3"]]),
        ),
        ("HTTPBIN.org", "AAAA", json!(["NOERROR", 1, ["::1"]])),
        (
            "_httpbin._tcp.svc.example",
            "SRV",
            json!(["NOERROR", 1, ["0 100 8080 httpbin.org."]]),
        ),
        ("empty.example", "A", json!(["NOERROR", null, []])),
        ("none-such.example", "A", json!(["NXDOMAIN", null, []])),
    ];
    for transport in ["udp", "tcp"] {
        for (name, kind, expected) in &ask {
            assert_eq!(
                query(&dns, transport, name, kind),
                *expected,
                "{name} {kind} {transport}"
            );
        }
    }
    assert_eq!(dns.queries(), 2 * ask.len() as u64);

    dns.server().fail(Fault::ServFail);
    assert_eq!(
        query(&dns, "udp", "httpbin.org", "A"),
        json!(["SERVFAIL", null, []])
    );
}

/// `[code, TTL of the answers, answers in order]`, as dnspython reads it.
#[track_caller]
fn query(dns: &Dns, transport: &str, name: &str, kind: &str) -> Value {
    let address = dns.address();
    let output = Command::new(venv().join("bin/python"))
        .args(["-c", SCRIPT, transport, name, kind])
        .args([address.ip().to_string(), address.port().to_string()])
        .output()
        .expect("Python can be run");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).expect("the script writes JSON")
}

const SCRIPT: &str = r#"
import json, sys
import dns.message, dns.query, dns.rcode
transport, name, kind, host, port = sys.argv[1:]
ask = {"udp": dns.query.udp, "tcp": dns.query.tcp}[transport]
answer = ask(dns.message.make_query(name, kind), host, timeout=10, port=int(port))
sets = [s for s in answer.answer]
texts = sorted(record.to_text() for s in sets for record in s)
ttl = sets[0].ttl if sets else None
print(json.dumps([dns.rcode.to_text(answer.rcode()), ttl, texts]))
"#;
