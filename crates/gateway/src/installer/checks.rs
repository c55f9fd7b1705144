//! The checks of changed services, run through the real exchange against a table that serves nobody
//! yet.

use std::sync::Arc;
use std::time::Duration;

use ferryway_delivery::{Candidate, Service};
use ferryway_model::{Check, HostPattern, Key, View};
use ferryway_proto::{Fault, Stage};
use ferryway_proxy::{Answer, Prober, Table};
use futures_util::StreamExt as _;
use futures_util::stream;
use http::Request;
use http::header::{ACCEPT, HOST, USER_AGENT};
use tokio::time::{Instant, timeout_at};

use super::evidence::evidence;
use super::expectation::disappointments;
use super::fault;

/// Checks that run at once.
const PARALLEL_MAX: usize = 8;
/// What all checks of a candidate together get.
const TIME_MAX: Duration = Duration::from_secs(10);
/// The host of a check of a service that answers under any.
const ANY_HOST: &str = "127.0.0.1";
/// The label that stands for the `*` of a service's host.
const WILDCARD_LABEL: &str = "check";

/// Runs the checks of the services that change, and answers those that fail.
pub(super) async fn run(prober: &Prober, table: &Arc<Table>, candidate: &Candidate) -> Vec<Fault> {
    let deadline = Instant::now() + TIME_MAX;
    let checks = checks(candidate);
    let runs: Vec<_> = checks
        .into_iter()
        .map(|one| one.run(prober.clone(), Arc::clone(table), deadline))
        .collect();
    let outcomes = stream::iter(runs).buffered(PARALLEL_MAX);
    outcomes.filter_map(std::future::ready).collect().await
}

fn checks(candidate: &Candidate) -> Vec<One> {
    let services = candidate.services.iter();
    let services = services.filter_map(|it| it.content.as_ref().filter(|it| it.enabled));
    let checks = services.flat_map(|service| {
        let numbers = 0..service.definition.content.checks.len();
        numbers.map(|number| One {
            service: Arc::clone(service),
            number,
            target: candidate.target.clone(),
        })
    });
    checks.collect()
}

/// One check of a service.
struct One {
    service: Arc<Service>,
    number: usize,
    /// The candidate's.
    target: View,
}

impl One {
    /// Sends the request and looks at the answer; a fault if it is not as expected.
    async fn run(self, prober: Prober, table: Arc<Table>, deadline: Instant) -> Option<Fault> {
        let check = self.check();
        let within = check.expect.within;
        let until = deadline.min(Instant::now() + within.duration());
        let request = match request(check, &self.host()) {
            Ok(request) => request,
            Err(error) => return Some(self.failed(None, &error.to_string())),
        };
        let answer = match timeout_at(until, prober.probe(table, request)).await {
            Ok(Some(answer)) => answer,
            Ok(None) => return Some(self.failed(None, "the gateway could not run it")),
            Err(_) if until < deadline => {
                let why = format!("expected an answer within {within}, got none");
                return Some(self.failed(None, &why));
            }
            Err(_) => {
                let why = format!("no answer when the time of all checks was over ({TIME_MAX:?})");
                return Some(self.failed(None, &why));
            }
        };
        let wrong = disappointments(&check.expect, &answer);
        (!wrong.is_empty()).then(|| self.failed(Some(&answer), &wrong.join("; ")))
    }

    fn check(&self) -> &Check {
        &self.service.definition.content.checks[self.number]
    }

    fn host(&self) -> String {
        if let Some(host) = &self.check().host {
            return host.as_str().to_owned();
        }
        let (binding, definition) = (&self.service.binding, &self.service.definition);
        match binding.content.effective_hosts(&definition.content).first() {
            Some(HostPattern::Exact(host)) => host.as_str().to_owned(),
            Some(HostPattern::Suffix(suffix)) => format!("{WILDCARD_LABEL}.{}", suffix.as_str()),
            None => ANY_HOST.to_owned(),
        }
    }

    fn failed(&self, answer: Option<&Answer>, why: &str) -> Fault {
        let check = self.check();
        let detail = format!("check `{}` failed: {why}", check.name);
        let path = format!("checks[{}]", self.number);
        let key = Key::service(&self.service.definition.content.name);
        Fault {
            evidence: Some(evidence(check, &self.host(), answer)),
            ..fault(
                &self.target,
                key,
                Stage::Check,
                "check_failed",
                &path,
                &detail,
            )
        }
    }
}

fn request(check: &Check, host: &str) -> http::Result<Request<()>> {
    let mut request = Request::builder()
        .method(&check.method)
        .uri(&*check.path)
        .header(HOST, host);
    for (name, value) in &check.headers {
        request = request.header(&**name, &**value);
    }
    let says = |name: &str| check.headers.keys().any(|it| it.eq_ignore_ascii_case(name));
    if !says(USER_AGENT.as_str()) {
        request = request.header(
            USER_AGENT,
            concat!("ferryway-check/", env!("CARGO_PKG_VERSION")),
        );
    }
    if !says(ACCEPT.as_str()) {
        request = request.header(ACCEPT, "*/*");
    }
    request.body(())
}
