use serde_json::json;

use super::signpost::{Sign, Signpost};

fn signs() -> [Sign; 4] {
    [
        Sign::at("exact", "/*").hosts(&["api.example.com"]),
        Sign::at("long", "/*").hosts(&["*.example.com"]),
        Sign::at("short", "/*").hosts(&["*.com", "other.org"]),
        Sign::at("any", "/*"),
    ]
}

#[test]
fn exact_before_longer_wildcard_before_shorter_before_none() {
    let signpost = Signpost::set(&signs());
    for (host, expect) in [
        ("api.example.com", "exact"),
        ("API.Example.COM", "exact"),
        ("api.example.com:9080", "exact"),
        ("api.example.com.", "exact"),
        ("www.example.com", "long"),
        ("a.b.example.com", "long"),
        ("x.api.example.com", "long"),
        ("example.com", "short"),
        ("other.com", "short"),
        ("other.org", "short"),
        ("www.other.org", "any"),
        ("com", "any"),
        ("xexample.com", "short"),
        ("127.0.0.1", "any"),
        ("[::1]:9080", "any"),
    ] {
        signpost.check(&format!("GET {host} /x"), &format!("{expect} /x"));
    }
}

#[test]
fn a_less_specific_host_is_tried_when_the_paths_of_the_other_do_not_match() {
    let signpost = Signpost::set(&[
        Sign::at("exact", "/only").hosts(&["api.example.com"]),
        Sign::at("wild", "/wild/*").hosts(&["*.example.com"]),
        Sign::at("any", "/any/*"),
    ]);
    for (request, expect) in [
        ("GET api.example.com /only", "exact /only"),
        ("GET api.example.com /wild/x", "wild /wild/x"),
        ("GET api.example.com /any/x", "any /any/x"),
        ("GET api.example.com /none", "404 no_route"),
        ("GET www.example.com /only", "404 no_route"),
    ] {
        signpost.check(request, expect);
    }
}

#[test]
fn a_bindings_hosts_replace_the_versions() {
    let hosts = json!(["api.test.example"]);
    let signpost = Signpost::set_with_hosts(&hosts, &[signs().into_iter().next().expect("four")]);
    signpost.check("GET api.test.example /x", "exact /x");
    signpost.check("GET api.example.com /x", "404 no_route");
}

#[test]
fn a_binding_without_hosts_serves_any() {
    let hosts = json!([]);
    let signpost = Signpost::set_with_hosts(&hosts, &[signs().into_iter().next().expect("four")]);
    signpost.check("GET api.example.com /x", "exact /x");
    signpost.check("GET whatever.example /x", "exact /x");
}
