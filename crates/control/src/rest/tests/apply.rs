//! Declarative calls: what is made, what stays untouched, what is refused, what it leaves behind.

use ferryway_api::body::OptionsBody;
use ferryway_api::{Applied, ApplyBody, Operation, OperationKind, OperationState, ResourceAction};

use super::delivery::Puppet;
use super::*;

fn group(name: &str) -> Value {
    json!({"kind": "gateway_group", "name": name})
}

fn registry(group: &str) -> Value {
    json!({"kind": "registry", "group": group, "name": "dns", "type": "dns", "title": "DNS"})
}

fn service(name: &str) -> Value {
    json!({"kind": "service", "name": name, "title": name, "labels": {"team": "core"},
        "routes": [{"name": "r", "paths": [format!("/{name}")]}]})
}

fn runs(group: &str, service: &str, version: &str) -> Value {
    json!({"kind": "published_service", "group": group, "service": service, "version": version,
        "binding": {"nodes": [{"host": "up.example", "port": 80}]}})
}

/// Everything of two groups, in an order in which nothing could be made one by one.
fn all() -> Vec<Value> {
    let found = json!({"discovery": {"registry": "dns", "service": "b.example"}});
    let mut discovered = runs("production", "b", "1");
    discovered["binding"] = found;
    vec![
        discovered,
        runs("test", "a", "1"),
        runs("test", "b", "1"),
        registry("production"),
        service("a"),
        service("b"),
        group("production"),
        group("test"),
    ]
}

fn body(resources: &[Value]) -> Value {
    json!({"resources": resources})
}

fn pruned(resources: &[Value]) -> Value {
    json!({"resources": resources, "prune": {"labels": {"team": "core"}}})
}

impl Api {
    async fn apply(&self, body: &Value) -> Applied {
        let reply = self.send("POST", "/apply", body.clone()).await;
        assert!(reply.status.is_success(), "{reply:?}");
        serde_json::from_value(reply.json()).expect("is an answer")
    }

    /// What the store holds of operations, audit entries and revisions.
    fn marks(&self) -> (usize, usize, Vec<u64>) {
        self.core.read(|memory| {
            let heads = memory.groups.values().map(|group| group.head.revision.0);
            (memory.operations.len(), memory.audit.len(), heads.collect())
        })
    }

    /// Everything, as documents, made of what the API shows: no test knows the memory better.
    async fn dump(&self) -> Vec<Value> {
        let items = async |path: &str| {
            let list = self.get(path).await.json();
            assert_eq!(list["next_cursor"], Value::Null, "one page is enough");
            list["items"].as_array().expect("is a list").clone()
        };
        let mut documents = Vec::new();
        for mut group in items("/gateway-groups").await {
            group["kind"] = json!("gateway_group");
            let name = group["name"].as_str().expect("has a name").to_owned();
            documents.push(group);
            for mut registry in items(&format!("/gateway-groups/{name}/registries")).await {
                registry["type"] = registry["kind"].take();
                registry["kind"] = json!("registry");
                registry["group"] = json!(name);
                documents.push(registry);
            }
            for mut published in items(&format!("/gateway-groups/{name}/services")).await {
                let service = published["service"].as_str().expect("has a name");
                let path = format!("/gateway-groups/{name}/services/{service}/definition");
                published["definition"] = self.get(&path).await.json();
                published["kind"] = json!("published_service");
                published["group"] = json!(name);
                documents.push(published);
            }
        }
        for mut service in items("/services").await {
            service["kind"] = json!("service");
            documents.push(service);
        }
        documents
    }

    /// The views' roots, by group.
    async fn roots(&self) -> Vec<(String, String)> {
        let groups = self.get("/gateway-groups").await.json();
        let groups = groups["items"].as_array().expect("is a list").clone();
        let text = |value: &Value| value.as_str().expect("is a text").to_owned();
        let roots = groups
            .iter()
            .map(|it| (text(&it["name"]), text(&it["root"])));
        roots.collect()
    }
}

/// What became of each resource, in lines: `create test/a`, `delete b`.
fn actions(applied: &Applied) -> Vec<String> {
    let lines = applied.resources.iter().map(|it| {
        let action = json!(it.action);
        let action = action.as_str().expect("is a text");
        match &it.group {
            Some(group) => format!("{action} {group}/{}", it.name),
            None => format!("{action} {}", it.name),
        }
    });
    lines.collect()
}

#[tokio::test]
async fn everything_in_one_transaction_and_one_revision() {
    let api = Api::new().await;
    let applied = api.apply(&body(&all())).await;
    assert_eq!(applied.state, OperationState::Succeeded);
    assert!(
        applied
            .resources
            .iter()
            .all(|it| it.action == ResourceAction::Create)
    );
    let (operations, audits, revisions) = api.marks();
    assert_eq!((operations, audits, revisions), (1, 1, vec![1, 1]));

    let operation = applied.operation.expect("was made");
    let id = operation.operation.expect("has an id");
    assert_eq!(operation.kind, OperationKind::Apply);
    let revisions: Vec<_> = operation.destinations.iter().map(|d| d.revision).collect();
    assert_eq!(revisions, [Some(1); 3]);
    let shown = api.get(&format!("/operations/{id}")).await.json();
    assert_eq!(shown, json!(operation), "it is kept as it was answered");
    let listed = api.get("/operations").await.json();
    assert_eq!(listed["items"][0]["kind"], "apply", "{listed}");

    let history = api
        .get("/gateway-groups/test/services/a/history")
        .await
        .json();
    let entry = &history["items"][0];
    assert_eq!(
        (&entry["kind"], &entry["version"]),
        (&json!("apply"), &json!("1"))
    );
    assert_eq!(entry["operation"], json!(id));
    let versions = api.get("/services/b/versions").await.json();
    assert_eq!(
        versions["items"][0]["running_in"],
        json!(["production", "test"])
    );

    let audit = api.get("/audit").await.json();
    let entry = &audit["items"][0];
    assert_eq!(entry["operation"], json!(id));
    assert_eq!(entry["action"], "apply");
    for place in [
        "gateway-groups/test",
        "gateway-groups/production/registries/dns",
        "services/a",
        "gateway-groups/test/services/b",
    ] {
        assert_eq!(entry["before"][place], Value::Null, "{place}");
        assert!(entry["after"][place].is_object(), "{place}: {entry}");
        assert!(
            entry["target"]
                .as_str()
                .is_some_and(|it| it.split(' ').any(|it| it == place))
        );
    }

    // The same store, read again.
    let (roots, dump) = (api.roots().await, api.dump().await);
    let api = api.again().await;
    assert_eq!(api.roots().await, roots);
    assert_eq!(api.dump().await, dump);
    let shown = api.get(&format!("/operations/{id}")).await.json();
    assert_eq!(shown, json!(operation));
}

#[tokio::test]
async fn a_second_time_nothing_is_written() {
    let api = Api::new().await;
    api.apply(&body(&all())).await;
    let marks = api.marks();
    for documents in [all(), api.dump().await] {
        let applied = api.apply(&pruned(&documents)).await;
        assert_eq!(applied.state, OperationState::Unchanged);
        assert_eq!(applied.operation, None);
        assert_eq!(applied.problems, []);
        let stays = |it: &ferryway_api::AppliedResource| {
            it.action == ResourceAction::Unchanged && it.before.is_none() && it.after.is_none()
        };
        assert!(
            applied.resources.iter().all(stays),
            "{:?}",
            applied.resources
        );
        assert_eq!(api.marks(), marks);
    }
}

#[tokio::test]
async fn what_is_dumped_comes_back_whole() {
    let api = Api::furnished().await;
    let mut more = all();
    // A service of each kind: in No Version state under enforcement, disabled, one in the hub only.
    more.push(
        json!({"kind": "published_service", "group": "test", "service": "a", "enabled": false,
        "definition": {"name": "a", "routes": [{"name": "edited", "paths": ["/x/{id}"]}]},
        "binding": {"nodes": [{"host": "::1", "port": 1, "weight": 7}], "hosts": ["*.x.io"]}}),
    );
    more.remove(1);
    api.apply(&body(&more)).await;
    let enforced = json!({"kind": "gateway_group", "name": "test", "title": "Test", "labels": {"x": "y"}, "enforce_publishing": true});
    api.apply(&body(&[enforced, service("spare")])).await;

    let (dump, roots) = (api.dump().await, api.roots().await);
    let other = Api::new().await;
    let applied = other.apply(&body(&dump)).await;
    assert_eq!(applied.state, OperationState::Succeeded);
    assert_eq!(other.roots().await, roots);
    assert_eq!(
        other.apply(&body(&dump)).await.state,
        OperationState::Unchanged
    );
    let same = |documents: &[Value]| {
        let added = ["created_at", "updated_at", "revision", "versions"];
        let mut documents = documents.to_vec();
        for document in &mut documents {
            let fields = document.as_object_mut().expect("is an object");
            fields.retain(|field, _| !added.contains(&field.as_str()));
        }
        documents
    };
    assert_eq!(same(&other.dump().await), same(&dump));
}

#[tokio::test]
async fn only_what_changes_moves() {
    let api = Api::new().await;
    api.apply(&body(&all())).await;
    // Titles move no view.
    let mut titled = service("a");
    titled["title"] = json!("A");
    let mut named = registry("production");
    named["title"] = json!("Names");
    let applied = api
        .apply(&body(&[titled.clone(), named, group("test")]))
        .await;
    assert_eq!(
        actions(&applied),
        ["update a", "update production/dns", "unchanged test"]
    );
    assert_eq!(
        applied.state,
        OperationState::Succeeded,
        "nobody is waited for"
    );
    let change = &applied.resources[0];
    let side = |side: &Option<Value>| side.as_ref().map(|side| side["title"].clone());
    assert_eq!(
        (side(&change.before), side(&change.after)),
        (Some(json!("a")), Some(json!("A")))
    );
    assert_eq!(change.changes, None);
    assert_eq!(api.marks().2, [1, 1]);
    // A registry moves its group's, a new version the one that runs it.
    let mut slower = registry("production");
    slower["min_ttl"] = json!("9s");
    titled["routes"][0]["paths"] = json!(["/other"]);
    let applied = api
        .apply(&body(&[slower, titled, runs("test", "a", "2")]))
        .await;
    assert_eq!(
        actions(&applied),
        ["update production/dns", "update a", "update test/a"]
    );
    let changes = applied.resources[1]
        .changes
        .as_ref()
        .expect("the definition is another");
    assert_eq!(changes.routes.changed[0].route, "r");
    assert_eq!(api.marks().2, [2, 2]);
}

#[tokio::test]
async fn a_dry_run_is_what_the_call_would_be() {
    let api = Api::new().await;
    let marks = api.marks();
    let mut asked = body(&all());
    asked["dry_run"] = json!(true);
    let planned = api.apply(&asked).await;
    assert_eq!(planned.state, OperationState::Planned);
    assert_eq!(api.marks(), marks);
    let operation = planned.operation.expect("is shown");
    assert_eq!(
        (operation.operation, operation.destinations.len()),
        (None, 3)
    );
    assert!(operation.destinations.iter().all(|d| d.revision.is_none()));

    let mut call = body(&all());
    call["expect_plan"] = json!(planned.plan);
    let mut other = body(&all()[1..]);
    other["expect_plan"] = json!(planned.plan);
    api.check("POST /apply", other, "409 plan_changed expect_plan")
        .await;
    let applied = api.apply(&call).await;
    assert_eq!(applied.plan, planned.plan);
    assert_eq!(applied.resources, planned.resources);
    api.check("POST /apply", call, "409 plan_changed expect_plan")
        .await;

    // Problems are inside, wherever the call can be read.
    let broken = json!({"resources": [runs("nowhere", "a", "1"), {"kind": "service", "name": "S"}], "dry_run": true});
    let planned = api.apply(&broken).await;
    let codes: Vec<_> = planned
        .problems
        .iter()
        .map(|p| format!("{} {}", p.code, p.path))
        .collect();
    assert_eq!(
        codes,
        ["invalid resources[1].name", "required resources[1].routes"]
    );
    let refused = json!({"resources": [runs("nowhere", "a", "1")], "dry_run": true});
    let planned = api.apply(&refused).await;
    assert_eq!(planned.problems[0].code, "group_missing");
    assert_eq!(planned.state, OperationState::Planned);
    let unreadable = json!({"resources": [{"kind": "service", "nmae": 1}], "dry_run": true});
    api.check("POST /apply", unreadable, "400 required resources[0].name required resources[0].routes unknown_field resources[0].nmae").await;
}

#[tokio::test]
async fn refusals_name_every_place_and_change_nothing() {
    let api = Api::new().await;
    api.apply(&body(&all())).await;
    let (marks, dump) = (api.marks(), api.dump().await);
    let mut same_route = service("c");
    same_route["routes"][0]["paths"] = json!(["/a"]);
    let mut enforced = group("test");
    enforced["enforce_publishing"] = json!(true);
    let edited = json!({"kind": "published_service", "group": "test", "service": "a",
        "definition": {"name": "a", "routes": [{"name": "r", "paths": ["/z"]}]}});
    let unbound =
        json!({"kind": "published_service", "group": "production", "service": "a", "version": "1"});
    let rows = [
        (json!({}), "422 required resources"),
        (
            json!({"resources": [], "prune": {"labels": {}}}),
            "422 required prune.labels",
        ),
        (
            body(&[json!({"kind": "consumer"})]),
            "422 invalid resources[0].kind",
        ),
        (
            body(&[group("a"), group("a")]),
            "422 duplicate resources[1]",
        ),
        (
            body(&[registry("nowhere")]),
            "422 group_missing resources[0].group",
        ),
        (
            body(&[unbound]),
            "422 binding_required resources[0].binding",
        ),
        (
            body(&[runs("test", "x", "1")]),
            "422 service_missing resources[0].version",
        ),
        (
            body(&[runs("test", "c", "1"), same_route]),
            "409 route_conflict resources[1].routes[0].paths[0]",
        ),
        (
            body(&[edited, enforced]),
            "409 publishing_enforced resources[0].definition",
        ),
        (
            body(&[
                json!({"kind": "published_service", "group": "test", "service": "a", "version": "1",
                "definition": {"name": "a", "routes": [{"name": "r", "paths": ["/z"]}]}}),
            ]),
            "422 invalid resources[0].definition",
        ),
        (
            json!({"resources": (0..33).map(|n| group(&format!("g{n}"))).collect::<Vec<_>>()}),
            "422 limit_exceeded resources",
        ),
    ];
    for (call, expect) in rows {
        api.check("POST /apply", call, expect).await;
    }
    // Within the limits of a call, but not of one transaction.
    let mut many: Vec<_> = (0..64).map(|n| service(&format!("s{n}"))).collect();
    many.push(group("many"));
    many.extend((0..64).map(|n| runs("many", &format!("s{n}"), "1")));
    api.check("POST /apply", body(&many), "422 limit_exceeded")
        .await;
    let mut asked = body(&many);
    asked["dry_run"] = json!(true);
    let planned = api.apply(&asked).await;
    let stops = planned
        .problems
        .iter()
        .find(|problem| problem.code == "limit_exceeded");
    assert!(stops.is_some(), "a dry run tells it too");
    assert_eq!(api.marks(), marks);
    assert_eq!(api.dump().await, dump);
    // Half of it fits.
    api.apply(&body(&many[..65])).await;
}

#[tokio::test]
async fn what_no_document_names_goes_by_label() {
    let api = Api::new().await;
    let mut documents = all();
    documents[6]["labels"] = json!({"team": "core"});
    documents.push(runs("production", "other", "1"));
    let mut other = service("other");
    other["labels"] = json!({});
    documents.push(other.clone());
    api.apply(&body(&documents)).await;

    // Everything of the team but `a` in `test`; production still has a service of others.
    let kept = [runs("test", "a", "1"), service("a"), group("test")];
    let refused = api.send("POST", "/apply", pruned(&kept)).await;
    assert_eq!(refused.line(), "409 in_use prune.labels");
    assert!(
        refused.text.contains("other"),
        "holders are named: {}",
        refused.text
    );
    api.check(
        "DELETE /gateway-groups/production/services/other",
        Value::Null,
        "200",
    )
    .await;

    let revision = api.get("/gateway-groups/production").await.json()["revision"].clone();
    let applied = api.apply(&pruned(&kept)).await;
    assert_eq!(
        actions(&applied),
        [
            "unchanged test/a",
            "unchanged a",
            "unchanged test",
            "delete production",
            "delete production/dns",
            "delete b",
            "delete production/b",
            "delete test/b",
        ]
    );
    assert_eq!(applied.state, OperationState::Succeeded);
    api.check(
        "GET /gateway-groups/production",
        Value::Null,
        "404 not_found",
    )
    .await;
    api.check("GET /services/b", Value::Null, "404 not_found")
        .await;
    let left = api.get("/gateway-groups/test/services").await.json();
    assert_eq!(left["items"].as_array().map(Vec::len), Some(1));

    // A group made anew goes on counting, and has nothing of before.
    let applied = api
        .apply(&body(&[group("production"), registry("production")]))
        .await;
    assert_eq!(
        actions(&applied),
        ["create production", "create production/dns"]
    );
    let again = api.get("/gateway-groups/production").await.json()["revision"].clone();
    let number = |revision: &Value| revision.as_u64().expect("is a number");
    assert_eq!(number(&again), number(&revision) + 2);
    let api = api.again().await;
    assert_eq!(
        api.get("/gateway-groups/production").await.json()["revision"],
        again
    );
}

#[tokio::test]
async fn a_group_with_an_instance_online_does_not_go() {
    let api = Api::new().await;
    let mut labelled = group("test");
    labelled["labels"] = json!({"team": "core"});
    api.apply(&body(&[labelled, group("spare")])).await;
    let _instance = Puppet::joins(&api);
    let refused = api.send("POST", "/apply", pruned(&[])).await;
    assert_eq!(refused.line(), "409 in_use prune.labels");
    assert!(refused.text.contains("gate-1"), "{}", refused.text);
}

#[tokio::test]
async fn who_may_only_read_may_not_even_try() {
    let api = Api::new().await;
    let draft = json!({"name": "dashboard", "scope": "read"});
    let made = api.check("POST /tokens", draft, "201").await;
    let bearer = format!("Bearer {}", made["secret"].as_str().expect("is shown once"));
    let headers = [
        (AUTHORIZATION.as_str(), bearer.as_str()),
        (CONTENT_TYPE.as_str(), "application/json"),
    ];
    let mut asked = body(&all());
    asked["dry_run"] = json!(true);
    for body in [body(&all()), asked] {
        let reply = api.raw("POST", "/apply", &headers, body.to_string()).await;
        assert_eq!(reply.line(), "403 forbidden");
    }
}

#[tokio::test]
async fn instances_are_waited_for() {
    let api = Api::new().await;
    api.apply(&body(&[group("test"), group("production")]))
        .await;
    let instance = Puppet::joins(&api);
    let reply = api.send("POST", "/apply", body(&all())).await;
    assert_eq!(reply.status, 202);
    let applied: Applied = serde_json::from_value(reply.json()).expect("is an answer");
    assert_eq!(applied.state, OperationState::Progressing);
    let id = applied
        .operation
        .as_ref()
        .and_then(|it| it.operation)
        .expect("was made");
    assert_eq!(reply.header(LOCATION), format!("/api/v1/operations/{id}"));
    instance.applies();
    let ended = api.get(&format!("/operations/{id}")).await.json();
    assert_eq!(ended["state"], "succeeded");
    assert_eq!(
        ended["resources"].as_array().map(Vec::len),
        Some(all().len())
    );
}

#[tokio::test]
async fn a_repeated_call_is_answered_as_the_first_was() {
    let api = Api::new().await;
    let post = async |key: &str, body: Value| {
        let headers = [("idempotency-key", key)];
        api.with_headers("POST", "/apply", &headers, body).await
    };
    let first = post("a", body(&all())).await;
    let marks = api.marks();
    let second = post("a", body(&all())).await;
    assert_eq!((second.status, second.json()), (first.status, first.json()));
    assert_eq!(api.marks(), marks);
    assert_eq!(post("a", body(&[])).await.line(), "422 required resources");
    let other = post("a", body(&[group("x")])).await;
    assert_eq!(other.line(), "422 idempotency_key_reused");
    // A key is remembered although nothing changes; else its call could change something later.
    let first = post("b", body(&all())).await;
    assert_eq!(first.json()["state"], "unchanged");
    let mut titled = service("a");
    titled["title"] = json!("A");
    api.apply(&body(&[titled])).await;
    let second = post("b", body(&all())).await;
    assert_eq!(second.json(), first.json());
    let revisions = |marks: (usize, usize, Vec<u64>)| marks.2;
    assert_eq!(revisions(api.marks()), [1, 1]);
}

/// Calls at the same time about the same groups: each is whole, in some order.
#[tokio::test]
async fn at_the_same_time() {
    let api = Api::new().await;
    api.apply(&body(&[group("test"), group("production")]))
        .await;
    let call = |name: &'static str| {
        let documents = [
            service(name),
            runs("test", name, "1"),
            runs("production", name, "1"),
        ];
        let api = &api;
        async move { api.apply(&body(&documents)).await.state }
    };
    let states = tokio::join!(call("a"), call("b"), call("c"), call("d"));
    let done = OperationState::Succeeded;
    assert_eq!(states, (done, done, done, done));
    assert_eq!(api.marks().2, [4, 4]);
}

#[test]
fn what_a_client_sends_is_what_is_read() {
    let body = ApplyBody {
        resources: all(),
        prune: None,
        options: OptionsBody::default(),
    };
    let call = ferryway_api::ApplyCall::read(&json!(body)).expect("is a call");
    assert_eq!(call.apply.documents.len(), all().len());
    // An operation without resources is stored and shown without the field.
    let operation: Operation = serde_json::from_value(json!({
        "operation": null, "kind": "sync", "by": "admin", "created_at": "2026-11-24T12:00:00Z",
        "ended_at": null, "state": "planned", "service": null, "version": null, "digest": null,
        "plan": "", "problems": [], "destinations": [],
    }))
    .expect("is one of before");
    assert_eq!(json!(operation).get("resources"), None);
}
