//! One gateway instance, its control plane, and an upstream that shows what it was sent.

use std::net::SocketAddr;

use ferryway_testkit::{Answer, Api, Control, Gateway, GatewayOptions, START_TIME_MAX, curl};
use serde_json::{Value, json};

use crate::calls::{define, nodes, publish, succeeded};
use crate::upstream::Upstream;

/// The group of a [`Site`].
pub(crate) const GROUP: &str = "test";

pub(crate) struct Site {
    // Dropped in this order: the gateway first, so that its last words are not about a lost control
    // plane.
    pub(crate) gateway: Gateway,
    pub(crate) control: Control,
    pub(crate) upstream: Upstream,
}

impl Site {
    /// Everything runs, and nothing is published.
    #[track_caller]
    pub(crate) fn set() -> Self {
        Self::with(&[])
    }

    /// As [`Self::set`], the gateway with these further flags.
    #[track_caller]
    pub(crate) fn with(flags: &[&str]) -> Self {
        let upstream = Upstream::start();
        let control = Control::start();
        make_group(&control.api(), GROUP);
        let mut gateway = Gateway::start(GatewayOptions {
            further: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            ..options(&control, GROUP)
        });
        gateway.wait_ready(START_TIME_MAX);
        Self {
            gateway,
            control,
            upstream,
        }
    }

    pub(crate) fn api(&self) -> Api {
        self.control.api()
    }

    /// Defines the service and publishes it as 1.0.0, with the upstream for its node.
    #[track_caller]
    pub(crate) fn serve(&self, service: &Value) -> Value {
        self.serve_from(service, &nodes(&[self.upstream.address()]))
    }

    /// As [`Self::serve`], with this binding.
    #[track_caller]
    pub(crate) fn serve_from(&self, service: &Value, binding: &Value) -> Value {
        let name = service["name"].as_str().expect("a service has a name");
        define(&self.api(), service);
        let answer = publish(&self.api(), name, "1.0.0", &[(GROUP, Some(binding))]);
        succeeded(&answer)
    }

    /// What the gateway answers at this path.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        curl([self.gateway.url(path)])
    }

    /// Where the gateway serves HTTP.
    pub(crate) fn address(&self) -> SocketAddr {
        http_address(&self.gateway)
    }
}

/// Makes an empty group.
#[track_caller]
pub(crate) fn make_group(api: &Api, name: &str) {
    api.post("/gateway-groups", &json!({"name": name}))
        .json_of(201);
}

/// A gateway of this group, at this control plane.
pub(crate) fn options(control: &Control, group: &str) -> GatewayOptions {
    GatewayOptions {
        control: control.delivery_url(),
        group: group.to_owned(),
        dns_servers: Vec::new(),
        further: Vec::new(),
    }
}

/// Where a gateway serves HTTP.
pub(crate) fn http_address(gateway: &Gateway) -> SocketAddr {
    let url = gateway.url("");
    url.strip_prefix("http://")
        .and_then(|address| address.parse().ok())
        .unwrap_or_else(|| panic!("{url} has an address"))
}

/// An answer of the gateway's own, as its status and its code.
#[track_caller]
pub(crate) fn own_answer(answer: &Answer) -> (u16, String) {
    let code = answer.header("x-ferryway-error").unwrap_or("none");
    if code != "none" {
        let body = answer.json();
        let message = body["error_msg"].as_str().unwrap_or_default();
        let status = answer.status.to_string();
        assert!(message.starts_with(&status), "{body} of a {status}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    (answer.status, code.to_owned())
}
