//! Writers at the same time: none is lost, none is told of another's state, and what came before is
//! what the audit says.

use futures_util::future::join_all;

use super::*;

/// So many that a writer which is tried again whenever another comes in between would give up.
const WRITERS: usize = 32;

/// A body with this title.
type Titled = fn(String) -> Value;

/// Every resource that is written whole: its path, and its body.
fn resources() -> [(&'static str, Titled); 3] {
    [
        ("/gateway-groups/new", |title| json!({"title": title})),
        (
            "/gateway-groups/test/registries/new",
            |title| json!({"kind": "dns", "title": title}),
        ),
        (
            "/services/new",
            |title| json!({"title": title, "routes": [{"name": "r", "paths": ["/new"]}]}),
        ),
    ]
}

/// The audit's entries of a resource, oldest first.
async fn audit(api: &Api, path: &str) -> Vec<Value> {
    let audit = api.get("/audit?limit=1000").await.json();
    let items = audit["items"].as_array().expect("is a list").iter().rev();
    let of_it = items.filter(|item| item["target"] == path[1..]);
    of_it.cloned().collect()
}

/// The statuses of calls made at the same time, in order.
async fn statuses(calls: impl Iterator<Item = impl Future<Output = Reply>>) -> Vec<u16> {
    let mut statuses: Vec<_> = join_all(calls)
        .await
        .iter()
        .map(|reply| reply.status.as_u16())
        .collect();
    statuses.sort_unstable();
    statuses
}

#[tokio::test]
async fn each_waits_its_turn() {
    let api = Api::furnished().await;
    for (path, body) in resources() {
        let puts = (0..WRITERS).map(|n| api.send("PUT", path, body(n.to_string())));
        let mut expect = vec![200; WRITERS - 1];
        expect.push(201);
        assert_eq!(statuses(puts).await, expect, "one of them makes {path}");
        let entries = audit(&api, path).await;
        assert_eq!(entries.len(), WRITERS, "{path}");
        for pair in entries.windows(2) {
            assert_eq!(pair[0]["after"], pair[1]["before"], "{path}");
        }
        let last = entries.last().expect("there are some");
        let there = api.get(path).await.json();
        assert_eq!(there["title"], last["after"]["title"], "{path}");
    }
}

#[tokio::test]
async fn patches_add_up() {
    let api = Api::furnished().await;
    for path in ["/gateway-groups/test", "/services/httpbin"] {
        let label = |n: usize| json!({"labels": {format!("l{n}"): "x"}});
        let patches = (0..WRITERS).map(|n| api.send("PATCH", path, label(n)));
        let puts_between = statuses(patches).await;
        assert_eq!(puts_between, vec![200; WRITERS], "{path}");
        let there = api.get(path).await.json();
        for n in 0..WRITERS {
            assert_eq!(there["labels"][format!("l{n}")], "x", "{path} {n}");
        }
    }
}

/// Of those who saw the same state one writes, and the others are told that it changed.
#[tokio::test]
async fn one_of_those_who_saw_the_same_writes() {
    let api = Api::furnished().await;
    for (path, body) in resources() {
        let made = api.send("PUT", path, body("first".to_owned())).await;
        let seen = [("if-match", made.header(ETAG))];
        let put = |n: usize| api.with_headers("PUT", path, &seen, body(n.to_string()));
        let mut expect = vec![200];
        expect.resize(WRITERS, 412);
        assert_eq!(statuses((0..WRITERS).map(put)).await, expect, "{path}");

        let now = api.get(path).await;
        let seen = [("if-match", now.header(ETAG))];
        let delete = api.with_headers("DELETE", path, &seen, Value::Null);
        let put = api.with_headers("PUT", path, &seen, body("last".to_owned()));
        let (deleted, put) = tokio::join!(delete, put);
        let both = (deleted.status.as_u16(), put.status.as_u16());
        assert!([(204, 412), (412, 200)].contains(&both), "{path}: {both:?}");
    }
}
