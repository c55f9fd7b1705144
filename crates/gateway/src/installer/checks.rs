//! The checks of changed services, run through the real exchange against a table that serves nobody
//! yet.

use std::sync::Arc;
use std::time::Duration;

use ferryway_delivery::Service;
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
use super::secrets::Secrets;

/// Checks that run at once.
const PARALLEL_MAX: usize = 8;
/// What all checks of a transaction together get.
pub(crate) const TIME_MAX: Duration = Duration::from_secs(10);
/// Failing checks of a service that are told in full; of more, only the number is.
const TOLD_MAX: usize = 4;
/// The host of a check of a service that answers under any.
const ANY_HOST: &str = "127.0.0.1";
/// The label that stands for the `*` of a service's host.
const WILDCARD_LABEL: &str = "check";

/// Runs the checks of these services, all of them within `time`. One fault for each service of which
/// some fail: that is what an instance's hold, and an operation's instance, have room for.
pub(super) async fn run(
    prober: &Prober,
    table: &Arc<Table>,
    target: &View,
    services: impl Iterator<Item = Arc<Service>>,
    time: Duration,
) -> Vec<Fault> {
    let deadline = Instant::now() + time;
    // A disabled service serves nobody: there is nothing to check.
    let services: Vec<_> = services.filter(|it| it.enabled).collect();
    let ones = services.iter().enumerate().flat_map(|(place, service)| {
        let numbers = 0..service.definition.content.checks.len();
        numbers.map(move |number| One {
            service: Arc::clone(service),
            place: (place, number),
        })
    });
    let runs: Vec<_> = ones
        .map(|one| one.run(prober.clone(), Arc::clone(table), deadline, time))
        .collect();
    // In whatever order they end: one that hangs keeps none of the others from its turn.
    let failures = stream::iter(runs).buffer_unordered(PARALLEL_MAX);
    let mut failures: Vec<_> = failures.filter_map(std::future::ready).collect().await;
    failures.sort_unstable_by_key(|failure: &Failure| failure.place);
    let of_services = failures.chunk_by(|a, b| a.place.0 == b.place.0);
    of_services
        .filter_map(|failures| of_service(target, &services[failures.first()?.place.0], failures))
        .collect()
}

/// The fault that tells of a service's failing checks, in their order.
fn of_service(target: &View, service: &Service, failures: &[Failure]) -> Option<Fault> {
    let first = failures.first()?;
    let told = failures.iter().take(TOLD_MAX).map(|it| it.detail.as_str());
    let mut detail = told.collect::<Vec<_>>().join("; ");
    let more = failures.len().saturating_sub(TOLD_MAX);
    if more > 0 {
        detail.push_str(&format!("; {more} more fail"));
    }
    let key = Key::service(&service.definition.content.name);
    let path = format!("checks[{}]", first.place.1);
    Some(Fault {
        evidence: Some(first.evidence.clone()),
        ..fault(target, key, Stage::Check, "check_failed", &path, &detail)
    })
}

/// One check of a service.
struct One {
    service: Arc<Service>,
    /// Which service, and which of its checks.
    place: (usize, usize),
}

/// A check that failed.
struct Failure {
    place: (usize, usize),
    detail: String,
    evidence: String,
}

impl One {
    /// Sends the request and looks at the answer; a failure if it is not as expected. `time` is
    /// what ends at the deadline, for people.
    async fn run(
        self,
        prober: Prober,
        table: Arc<Table>,
        deadline: Instant,
        time: Duration,
    ) -> Option<Failure> {
        let check = self.check();
        let within = check.expect.within;
        let now = Instant::now();
        if now >= deadline {
            let why = format!("it was not run: all checks together get {time:?}");
            return Some(self.failed(None, &why));
        }
        let until = deadline.min(now + within.duration());
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
                let why = format!("no answer when the time of all checks was over ({time:?})");
                return Some(self.failed(None, &why));
            }
        };
        let wrong = disappointments(&check.expect, &answer);
        (!wrong.is_empty()).then(|| self.failed(Some(&answer), &wrong.join("; ")))
    }

    fn check(&self) -> &Check {
        &self.service.definition.content.checks[self.place.1]
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

    fn failed(&self, answer: Option<&Answer>, why: &str) -> Failure {
        let check = self.check();
        let secrets = Secrets::of(check);
        let detail = format!("check `{}` failed: {why}", check.name);
        Failure {
            place: self.place,
            detail: secrets.hide(&detail),
            evidence: evidence(check, &self.host(), answer, &secrets),
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
