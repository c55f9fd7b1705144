//! Services that say which of them a request reached.

use ferryway_testkit::{Answer, curl};
use serde_json::{Value, json};

use crate::calls::{define, nodes, publish, succeeded};
use crate::site::{GROUP, Site};

pub(super) struct Signpost {
    site: Site,
}

/// One service: its name, and its definition's hosts, base path and routes, all as api.md has them.
/// Routes get their names here.
pub(super) struct Sign {
    pub(super) name: &'static str,
    pub(super) hosts: &'static [&'static str],
    pub(super) base_path: &'static str,
    pub(super) routes: Value,
}

impl Sign {
    /// A service for any host with one route, at this path.
    pub(super) fn at(name: &'static str, path: &str) -> Self {
        Self::of(name, &json!({"paths": [path]}))
    }

    /// A service for any host with this one route.
    pub(super) fn of(name: &'static str, route: &Value) -> Self {
        Self {
            name,
            hosts: &[],
            base_path: "",
            routes: json!([route]),
        }
    }

    pub(super) fn hosts(self, hosts: &'static [&'static str]) -> Self {
        Self { hosts, ..self }
    }

    pub(super) fn base_path(self, base_path: &'static str) -> Self {
        Self { base_path, ..self }
    }

    /// The service gives its name to the upstream as the host.
    fn definition(&self) -> Value {
        let mut routes = self.routes.clone();
        for (number, route) in routes.as_array_mut().into_iter().flatten().enumerate() {
            route["name"] = json!(format!("r{number}"));
        }
        json!({
            "name": self.name, "hosts": self.hosts, "base_path": self.base_path, "routes": routes,
            "upstream": {"host_header": {"mode": "rewrite", "value": self.name}},
        })
    }
}

impl Signpost {
    /// All these services are served.
    #[track_caller]
    pub(super) fn set(signs: &[Sign]) -> Self {
        let site = Site::set();
        for sign in signs {
            site.serve(&sign.definition());
        }
        Self { site }
    }

    /// As [`Self::set`], these hosts replacing those of all services.
    #[track_caller]
    pub(super) fn set_with_hosts(hosts: &Value, signs: &[Sign]) -> Self {
        let site = Site::set();
        let mut binding = nodes(&[site.upstream.address()]);
        binding["hosts"] = hosts.clone();
        for sign in signs {
            define(&site.api(), &sign.definition());
            let groups = [(GROUP, Some(&binding))];
            succeeded(&publish(&site.api(), sign.name, "1", &groups));
        }
        Self { site }
    }

    /// What the gateway answers at this path.
    #[track_caller]
    pub(super) fn get(&self, path: &str) -> Answer {
        self.site.get(path)
    }

    /// Sends `METHOD HOST TARGET`, each further line a header, and compares what became of it:
    /// `SERVICE TARGET` as the upstream saw it, or `STATUS CODE` of the gateway's own answer.
    #[track_caller]
    pub(super) fn check(&self, request: &str, expect: &str) {
        let (line, headers) = request.split_once('\n').unwrap_or((request, ""));
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().expect("METHOD HOST TARGET");
        let (method, host, target) = (word(), word(), word());
        let mut args = vec!["--request", method, "--path-as-is", "--request-target"];
        let host = format!("Host: {host}");
        args.extend([target, "--header", &host]);
        for header in headers.lines() {
            args.extend(["--header", header.trim()]);
        }
        let url = self.site.gateway.url("/");
        args.push(&url);
        let answer = curl(&args);
        let got = match answer.header("x-ferryway-error") {
            Some(code) => match answer.header("allow") {
                Some(allow) => format!("{} {code} {allow}", answer.status),
                None => format!("{} {code}", answer.status),
            },
            None => seen(&answer.text()),
        };
        assert_eq!(got, expect, "of {request:?}");
    }
}

/// Host and target in a mirrored head.
fn seen(head: &str) -> String {
    let target = head.split(' ').nth(1).unwrap_or_default();
    let host = head.lines().find_map(|line| line.strip_prefix("host: "));
    format!("{} {target}", host.unwrap_or_default())
}
