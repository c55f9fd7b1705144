//! Upstreams that a registry finds, or does not.

use ferryway_testkit::Dns;
use serde_json::{Value, json};

use crate::calls::{codes, define, publish, service, succeeded};
use crate::site::{GROUP, Site};

/// What a publish says of an upstream for which the registry has nobody: it serves, and is warned
/// of.
#[test]
fn an_upstream_without_endpoints_is_warned_of() {
    let dns = Dns::start();
    let site = Site::set();
    dns.set_addresses("orders.example", &[site.upstream.address().ip()]);
    dns.set_empty("nobody.example");
    let registry = json!({"kind": "dns", "endpoints": [dns.address().to_string()]});
    let path = format!("/gateway-groups/{GROUP}/registries/names");
    site.api().put(&path, &registry).json_of(201);
    define(&site.api(), &service("orders", &[("all", "/orders")]));
    for (version, name, warnings) in [
        ("1", "orders.example", &[][..]),
        ("2", "nobody.example", &["upstream_empty"]),
    ] {
        let binding = json!({"discovery": {"registry": "names", "service": name}});
        let answer = publish(&site.api(), "orders", version, &[(GROUP, Some(&binding))]);
        let operation = succeeded(&answer);
        assert_eq!(codes(&operation, "warning"), warnings, "{operation:#}");
        let instance = &operation["destinations"][0]["instances"][0];
        let code = warnings.first().map_or(Value::Null, |code| json!(code));
        assert_eq!(instance["code"], code, "{operation:#}");
    }
}
