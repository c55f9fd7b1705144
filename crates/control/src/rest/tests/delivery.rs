//! Operations under way: what is answered while delivery goes on, and what is said of it.

use ferryway_delivery::{Peer, Presence};
use ferryway_model::{Key, Name};
use ferryway_proto::{
    Ack, AckStage, Epoch, Fault, HeldEntry, Hello, Limits, Nack, Position, Source, Stage, Status,
    Warnings,
};
use uuid::Uuid;

use super::*;

/// An instance of the group `test` that says what it is told to say.
pub(super) struct Puppet {
    core: Core,
    peer: Peer,
}

impl Puppet {
    pub(super) fn joins(api: &Api) -> Self {
        Self::of_build(api, "0.1.0", 1)
    }

    /// One whose build loads definitions of this form.
    pub(super) fn of_build(api: &Api, build: &str, schema: u32) -> Self {
        let group: Name = "test".parse().expect("is a name");
        let (instance, session) = (Uuid::now_v7(), Uuid::now_v7());
        let peer = Peer {
            instance,
            boot: 1,
            attempt: 1,
            session,
            group: group.clone(),
            address: None,
        };
        let hello = Hello {
            protocol: (1, 1),
            instance,
            boot: 1,
            attempt: 1,
            group,
            build: build.to_owned(),
            hostname: "gate-1".to_owned(),
            addresses: vec!["127.0.0.1:9080".to_owned()],
            schemas: vec![schema],
            plugins: Vec::new(),
            limits: Limits {
                entries: 1,
                blob_bytes: 1,
                transaction_bytes: 1,
            },
            desired: None,
            effective: None,
            holds: Vec::new(),
            held: 0,
            source: Source::Empty,
        };
        let puppet = Self {
            core: api.core.clone(),
            peer,
        };
        puppet.core.connected(&puppet.peer, &hello);
        puppet.applies();
        puppet
    }

    pub(super) fn id(&self) -> String {
        self.peer.instance.to_string()
    }

    /// Where its group's view is.
    fn position(&self) -> Position {
        let head = self
            .core
            .read(|memory| memory.groups[&self.peer.group].head);
        let epoch = Epoch {
            store: Uuid::nil(),
            restores: 0,
        };
        Position {
            epoch,
            revision: head.revision,
            root: head.root,
        }
    }

    pub(super) fn applies(&self) {
        let position = self.position();
        let (build, swap) = (Duration::ZERO, Duration::ZERO);
        let stage = AckStage::Applied {
            build,
            swap,
            table_bytes: 0,
        };
        let at = Some(position);
        let ack = Ack {
            transaction: position.revision,
            stage,
            desired: at,
            effective: at,
        };
        self.core.acked(&self.peer, &ack);
    }

    /// Says that it keeps httpbin as it was, for this reason.
    pub(super) fn holds(&self, code: &str) {
        let position = self.position();
        let held = HeldEntry {
            key: Key::service(&"httpbin".parse().expect("is a name")),
            digest: Some(ferryway_model::Digest::of(code.as_bytes())),
            code: code.to_owned(),
            path: String::new(),
            detail: "it waits".to_owned(),
            revision: position.revision,
        };
        let status = Status {
            desired: Some(position),
            effective: None,
            holds: vec![held],
            held: 1,
        };
        self.core.reported(&self.peer, &status);
    }

    /// Says that it found this of httpbin where it serves already.
    pub(super) fn warns(&self, code: &str) {
        let position = self.position();
        let fault = Fault {
            key: Key::service(&"httpbin".parse().expect("is a name")),
            digest: None,
            stage: Stage::Runtime,
            code: code.to_owned(),
            path: "binding.discovery".to_owned(),
            detail: "is as the test wants it".to_owned(),
            evidence: None,
        };
        let warnings = Warnings {
            transaction: position.revision,
            found: Some(vec![fault]),
        };
        self.core.warned(&self.peer, &warnings);
    }

    pub(super) fn rejects(&self) {
        let position = self.position();
        let fault = Fault {
            key: Key::service(&"httpbin".parse().expect("is a name")),
            digest: None,
            stage: Stage::Check,
            code: "check_failed".to_owned(),
            path: "checks[0]".to_owned(),
            detail: "expected 200, got 500".to_owned(),
            evidence: Some(r#"{"response":{"status":500}}"#.to_owned()),
        };
        let root = ferryway_model::Digest::of(b"what it had");
        let effective = Some(Position { root, ..position });
        let nack = Nack {
            transaction: position.revision,
            desired: Some(position),
            effective,
            faults: vec![fault],
            cut: 0,
        };
        self.core.rejected(&self.peer, &nack);
    }
}

const PUBLISH: &str = "/services/httpbin/publish";

fn version(version: &str) -> Value {
    json!({"version": version, "groups": [{"group": "test"}]})
}

#[tokio::test]
async fn under_way_until_the_instance_answers() {
    let api = Api::furnished().await;
    let puppet = Puppet::joins(&api);
    let begun = api.send("POST", PUBLISH, version("2")).await;
    let operation = begun.json();
    let path = format!("/operations/{}", operation["operation"].as_str().unwrap());
    assert_eq!(
        (begun.status.as_u16(), begun.header(LOCATION)),
        (202, format!("/api/v1{path}").as_str())
    );
    assert_eq!(operation["state"], "progressing");
    assert_eq!(
        operation["destinations"][0]["instances"][0]["state"],
        "pending"
    );
    let published = "/gateway-groups/test/services/httpbin";
    let behind = json!({"online": 1, "converged": 0, "held": 0});
    assert_eq!(api.get(published).await.json()["convergence"], behind);

    let waiting = format!("{path}?wait=5m");
    let (ended, ()) = tokio::join!(api.get(&waiting), async { puppet.applies() });
    assert_eq!(
        (ended.status.as_u16(), &ended.json()["state"]),
        (200, &json!("succeeded"))
    );
    let converged = json!({"online": 1, "converged": 1, "held": 0});
    assert_eq!(api.get(published).await.json()["convergence"], converged);
    assert_eq!(
        api.get("/matrix").await.json()["rows"][0]["cells"]["test"]["converged"],
        1
    );

    // A change that waits is answered as it ends: 200, not 202.
    let waits = format!("{PUBLISH}?wait=5m");
    let answered = api.send("POST", &waits, version("3"));
    let applied = async {
        let runs_3 = |value: &Value| value["version"] == "3";
        while !runs_3(&api.get(published).await.json()) {
            tokio::task::yield_now().await;
        }
        puppet.applies();
    };
    let (answered, ()) = tokio::join!(answered, applied);
    assert_eq!(
        (answered.status.as_u16(), &answered.json()["state"]),
        (200, &json!("succeeded"))
    );
}

#[tokio::test]
async fn a_plan_warns_of_instances_that_cannot_load_it() {
    let api = Api::furnished().await;
    let _new = Puppet::joins(&api);
    let _old = Puppet::of_build(&api, "0.0.9", 0);
    let body = json!({"version": "2.0.0", "groups": [{"group": "test"}], "dry_run": true});
    let planned = api.send("POST", "/services/httpbin/publish", body).await;
    let problem = &planned.json()["destinations"][0]["problems"][0];
    assert_eq!(problem["code"], "instance_too_old", "{planned:?}");
    let message = problem["message"].as_str().expect("has one");
    assert!(
        message.starts_with("gate-1 (build 0.0.9) in test can't load"),
        "{message}"
    );
}

/// A rejection is an answer to the call, no error of it.
#[tokio::test]
async fn rejected_and_held() {
    let api = Api::furnished().await;
    let puppet = Puppet::joins(&api);
    let begun = api.send("POST", PUBLISH, version("2")).await.json();
    puppet.rejects();
    let path = format!("/operations/{}", begun["operation"].as_str().unwrap());
    let failed = api.get(&path).await;
    assert_eq!(
        (failed.status.as_u16(), &failed.json()["state"]),
        (200, &json!("failed"))
    );
    let delivery = &failed.json()["destinations"][0]["instances"][0];
    assert_eq!(
        (&delivery["state"], &delivery["code"]),
        (&json!("rejected"), &json!("check_failed"))
    );
    assert_eq!(delivery["evidence"]["response"]["status"], 500);

    let published = api
        .get("/gateway-groups/test/services/httpbin")
        .await
        .json();
    assert_eq!(published["version"], "2", "the change is committed");
    assert_eq!(
        published["convergence"],
        json!({"online": 1, "converged": 0, "held": 1})
    );
    let sync = json!({"to": [{"group": "production", "binding": nodes("b")}], "dry_run": true});
    let planned = api
        .check(
            "POST /gateway-groups/test/services/httpbin/sync",
            sync,
            "200",
        )
        .await;
    assert!(
        planned.to_string().contains("source_not_converged"),
        "{planned}"
    );

    let group = api.get("/gateway-groups/test").await.json();
    assert_eq!(
        group["instances"],
        json!({"online": 1, "offline": 0, "converged": 0})
    );
    let list = api.get("/gateway-groups/test/instances").await.json();
    let instance = &list["items"][0];
    assert_eq!(
        (&instance["hostname"], &instance["state"]),
        (&json!("gate-1"), &json!("online"))
    );
    assert_eq!(
        (&instance["held"][0]["service"], &instance["converged"]),
        (&json!("httpbin"), &json!(false))
    );
    let path = format!(
        "/gateway-groups/test/instances/{}",
        instance["id"].as_str().unwrap()
    );
    assert_eq!(&api.get(&path).await.json(), instance);
    for query in ["q=GATE", "q=none"] {
        let found = api
            .get(&format!("/gateway-groups/test/instances?{query}"))
            .await
            .json();
        assert_eq!(
            found["items"].as_array().unwrap().len(),
            usize::from(query == "q=GATE")
        );
    }

    api.check(&format!("DELETE {path}"), Value::Null, "409 in_use")
        .await;
    puppet.core.disconnected(&puppet.peer);
    assert_eq!(api.get(&path).await.json()["state"], "offline");
    // Known from the store only, as after a restart.
    let api = api.again().await;
    assert_eq!(api.get(&path).await.json()["state"], "offline");
    api.check(&format!("DELETE {path}"), Value::Null, "204")
        .await;
    api.check(&format!("GET {path}"), Value::Null, "404 not_found")
        .await;
}

/// Events as `event id` and their data, as they came.
fn events(text: &str) -> Vec<(String, Value)> {
    let blocks = text.split("\n\n").filter(|block| !block.is_empty());
    let read = |block: &str| {
        let field = |name: &str| {
            block
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .expect("has the field")
        };
        let data = serde_json::from_str(field("data: ")).expect("is JSON");
        (format!("{} {}", field("event: "), field("id: ")), data)
    };
    blocks.map(read).collect()
}

#[tokio::test]
async fn events_come_as_they_happen_and_can_be_caught_up_with() {
    let api = Api::furnished().await;
    let puppet = Puppet::joins(&api);
    let begun = api.send("POST", PUBLISH, version("2")).await.json();
    let path = format!(
        "/operations/{}/events",
        begun["operation"].as_str().unwrap()
    );
    let (live, ()) = tokio::join!(api.get(&path), async { puppet.applies() });
    let live = events(&live.text);
    let names: Vec<_> = live.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["instance 1", "state 2", "end 3"]);
    assert_eq!(live[0].1["instance"]["state"], "applied");
    let state = json!({"group": "test", "service": "httpbin", "state": "succeeded"});
    assert_eq!(live[1].1, state);
    assert_eq!(
        (&live[2].1["operation"], &live[2].1["state"]),
        (&begun["operation"], &json!("succeeded"))
    );

    assert_eq!(events(&api.get(&path).await.text), live, "they are kept");
    let later = api
        .with_headers("GET", &path, &[("last-event-id", "2")], Value::Null)
        .await;
    assert_eq!(events(&later.text), live[2..]);
    // Numbers begin anew with the process: one that was never given asks for all there is.
    let other = [("last-event-id", "57")];
    let all = api.with_headers("GET", &path, &other, Value::Null).await;
    assert_eq!(events(&all.text), live);
}

/// Whoever waits is answered when the process stops, so that it can.
#[tokio::test]
async fn a_stop_ends_waits_and_streams() {
    let api = Api::furnished().await;
    let _puppet = Puppet::joins(&api);
    let begun = api.send("POST", PUBLISH, version("2")).await.json();
    let path = format!("/operations/{}", begun["operation"].as_str().unwrap());
    let (waiting, events) = (format!("{path}?wait=5m"), format!("{path}/events"));
    let (waited, listened, stopped) = tokio::join!(
        api.get(&waiting),
        api.get(&events),
        api.tasks.stop(Duration::from_secs(5))
    );
    assert_eq!(waited.json()["state"], "progressing");
    assert_eq!(
        (listened.status.as_u16(), listened.text.as_str()),
        (200, "")
    );
    assert!(stopped);
}

#[tokio::test]
async fn an_ended_operation_is_told_at_once() {
    let api = Api::furnished().await;
    let operation = api.get("/operations").await.json()["items"][0].clone();
    let path = format!(
        "/operations/{}/events",
        operation["operation"].as_str().unwrap()
    );
    let events = api.get(&path).await;
    assert_eq!(
        (events.status.as_u16(), events.header(CONTENT_TYPE)),
        (200, "text/event-stream")
    );
    let mut lines = events.text.lines();
    assert_eq!(lines.next(), Some("event: end"));
    assert_eq!(lines.next(), Some("id: 1"));
    let data = lines
        .next()
        .and_then(|line| line.strip_prefix("data: "))
        .expect("has data");
    assert_eq!(serde_json::from_str::<Value>(data).unwrap(), operation);

    let later = api
        .with_headers("GET", &path, &[("last-event-id", "41")], Value::Null)
        .await;
    assert!(
        later.text.starts_with("event: end\nid: 42\n"),
        "{}",
        later.text
    );
    let last = u64::MAX.to_string();
    let last = [("last-event-id", last.as_str())];
    let last = api.with_headers("GET", &path, &last, Value::Null).await;
    assert!(last.text.starts_with("event: end\n"), "{}", last.text);
    let bad = api
        .with_headers("GET", &path, &[("last-event-id", "x")], Value::Null)
        .await;
    assert_eq!(bad.line(), "400 invalid_header");
    let none = "/operations/0193b5c8-0000-7000-8000-000000000000/events";
    api.check(&format!("GET {none}"), Value::Null, "404 not_found")
        .await;
    api.check(&format!("GET {path}?x=1"), Value::Null, "400 invalid_query")
        .await;
}
