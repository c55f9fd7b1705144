//! The pages, over an installer with content.

use ferryway_delivery::{Hold, Holds, Why};
use ferryway_model::{Digest, Key, Revision};
use ferryway_proto::{Epoch, Position};
use http_body_util::BodyExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use super::*;
use crate::installer::bench::{Bench, Step};

const SERVICE: &str =
    r#"{"name": "web", "hosts": ["a.example"], "routes": [{"name": "r", "paths": ["/*"]}]}"#;

struct Status {
    pages: Pages,
    bench: Bench,
}

impl Status {
    async fn start() -> Self {
        let bench = Bench::start().await;
        let (_, agent) = watch::channel(agent());
        let pages = Pages {
            who: Who {
                instance: Uuid::nil(),
                group: "test".parse().unwrap(),
                http: ([0, 0, 0, 0], 9_080).into(),
                https: ([0, 0, 0, 0], 9_443).into(),
                file: None,
            },
            phases: Phases::new(),
            agent,
            disk: None,
            installer: bench.installer.clone(),
            metrics: Metrics::new(1),
        };
        Self { pages, bench }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        self.ask(Method::GET, path).await
    }

    async fn ask(&self, method: Method, path: &str) -> (u16, String) {
        let response = self.pages.answer(&method, path);
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }
}

fn position(revision: u64) -> Position {
    Position {
        epoch: Epoch {
            store: Uuid::nil(),
            restores: 0,
        },
        revision: Revision(revision),
        root: Digest::of(b"a view"),
    }
}

/// One that holds a service.
fn agent() -> AgentStatus {
    let hold = Hold {
        digest: None,
        revision: Revision(8),
        why: Why::Rejected,
        code: "check_failed".to_owned(),
        path: "checks[0]".to_owned(),
        message: "it failed".to_owned(),
        evidence: None,
    };
    AgentStatus {
        address: Some("http://127.0.0.1:7943".to_owned()),
        connected: true,
        desired: Some(position(8)),
        effective: Some(position(7)),
        converged: false,
        held: Holds::new([(Key::service(&"web".parse().unwrap()), hold)].into()),
        confirmed: true,
    }
}

#[tokio::test]
async fn who_does_not_read_its_answer_keeps_no_place() {
    let Status {
        pages,
        bench: _bench,
    } = Status::start().await;
    let (mut client, socket) = tokio::io::duplex(64);
    let tasks = Tasks::new("test");
    tokio::time::pause();
    let began = Instant::now();
    let connection = tasks.spawn("status connection", |stop| {
        connection(socket, Arc::new(pages), stop)
    });
    let request = b"GET /status HTTP/1.1\r\nhost: a\r\n\r\n";
    client.write_all(request).await.unwrap();
    connection.finished().await;
    let most = CONNECTION_AGE_MAX + LAST_ANSWER_MAX + Duration::from_secs(1);
    assert!((CONNECTION_AGE_MAX..most).contains(&began.elapsed()));
}

#[tokio::test]
async fn probes_follow_the_phase() {
    let status = Status::start().await;
    let expect = [
        (
            Phase::Starting,
            503,
            "starting: no complete view is effective yet\n",
        ),
        (Phase::Serving, 200, "ready\n"),
        (Phase::Draining, 503, "draining\n"),
        // A phase never comes back.
        (Phase::Serving, 503, "draining\n"),
    ];
    for (phase, code, text) in expect {
        status.pages.phases.enter(phase);
        assert_eq!(status.get("/readyz").await, (code, text.to_owned()));
        assert_eq!(status.get("/healthz").await, (200, "ok\n".to_owned()));
    }
}

#[tokio::test]
async fn there_are_these_pages_and_they_are_read_only() {
    let status = Status::start().await;
    for path in ["/", "/status/", "/status/routes", "/healthz/x"] {
        assert_eq!(status.get(path).await.0, 404, "{path}");
    }
    for path in [
        "/healthz",
        "/readyz",
        "/metrics",
        "/status",
        "/status/services",
        "/status/upstreams",
    ] {
        assert_eq!(status.ask(Method::POST, path).await.0, 405, "{path}");
        assert_ne!(status.ask(Method::HEAD, path).await.0, 405, "{path}");
    }
    let allow = status.pages.answer(&Method::DELETE, "/status").headers()[ALLOW].clone();
    assert_eq!(allow, "GET, HEAD");
}

#[tokio::test]
async fn the_instance_says_where_it_stands() {
    let status = Status::start().await;
    let at = |revision: u64| json!({"revision": revision, "root": Digest::of(b"a view")});
    let expect = json!({
        "instance": Uuid::nil().to_string(),
        "group": "test",
        "build": BUILD,
        "state": "starting",
        "control": {"connected": true, "address": "http://127.0.0.1:7943"},
        "desired": at(8),
        "effective": at(7),
        "converged": false,
        "held": [{"service": "web", "code": "check_failed", "message": "it failed"}],
        "source": "control",
        "disk": null,
            "static": null,
        "listeners": {
            "http": {"address": "0.0.0.0:9080", "open": false},
            "https": {
                "address": "0.0.0.0:9443", "open": false, "reason": "the group has no certificate",
            },
        },
    });
    assert_eq!(status.json("/status").await, expect);
    status.pages.phases.enter(Phase::Serving);
    assert_eq!(
        status.json("/status").await["listeners"]["http"]["open"],
        true
    );
}

#[tokio::test]
async fn services_and_upstreams_are_shown() {
    let status = Status::start().await;
    assert_eq!(status.json("/status/services").await, json!({"items": []}));
    let (service, nodes) = (serde_json::from_str(SERVICE).unwrap(), status.bench.nodes());
    status
        .bench
        .applies(Step::default().put(&service, &nodes))
        .await;

    let shown = &status.json("/status/services").await["items"][0];
    assert_eq!(
        (&shown["service"], &shown["version"]),
        (&json!("web"), &json!("1.0.0"))
    );
    assert_eq!(
        (&shown["enabled"], &shown["routes"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(shown["hosts"], json!(["a.example"]));

    let shown = &status.json("/status/upstreams").await["items"][0];
    assert_eq!(
        (&shown["service"], &shown["source"]),
        (&json!("web"), &json!("fresh"))
    );
    assert_eq!(shown["stale_since"], Value::Null);
    let node = &nodes["nodes"][0];
    let address = format!("127.0.0.1:{}", node["port"]);
    let endpoint = json!({
        "name": "127.0.0.1", "address": address, "weight": 100, "priority": 0,
        "healthy": true, "connect_failures": 0, "in_flight": 0,
    });
    assert_eq!(shown["endpoints"], json!([endpoint]));

    let metrics = status.get("/metrics").await.1;
    for line in [
        "ferryway_upstream_endpoints{service=\"web\",state=\"healthy\"} 1",
        "ferryway_upstream_endpoints{service=\"web\",state=\"unhealthy\"} 0",
        "ferryway_revision{kind=\"desired\"} 8",
        "ferryway_revision{kind=\"effective\"} 7",
        "ferryway_converged 0",
        "ferryway_held_services 1",
        "ferryway_control_connected 1",
        "ferryway_apply_duration_seconds_count 1",
        "# TYPE ferryway_requests_total counter",
    ] {
        assert!(metrics.lines().any(|it| it == line), "{line} in\n{metrics}");
    }
    // A disabled service has no upstream.
    status
        .bench
        .applies(Step::default().put_disabled(&service, &nodes))
        .await;
    assert_eq!(status.json("/status/upstreams").await, json!({"items": []}));
}

#[tokio::test]
async fn metrics_are_what_prometheus_reads() {
    let status = Status::start().await;
    let response = status.pages.answer(&Method::GET, "/metrics");
    assert_eq!(response.headers()[CONTENT_TYPE], PROMETHEUS);
    let text = status.get("/metrics").await.1;
    let mut described = std::collections::BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert!(
                described.insert(rest.split(' ').next().unwrap()),
                "twice: {line}"
            );
        } else if !line.starts_with('#') {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let name = series.split('{').next().unwrap();
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|it| name.strip_suffix(it));
            let known = described.contains(name) || family.is_some_and(|it| described.contains(it));
            assert!(known, "no type before {line}");
        }
    }
}
