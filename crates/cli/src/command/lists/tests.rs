use serde_json::{Value, json};

use super::*;
use crate::outcome::samples::{digest, operation};
use crate::table;

fn shown<T: Row + serde::de::DeserializeOwned>(items: Value) -> String {
    let items: Vec<T> = serde_json::from_value(items).unwrap();
    table::of(&items, "none", Paint::PLAIN)
}

const AT: &str = "2026-11-24T08:00:00.123456Z";

#[test]
fn groups() {
    let group = |name: &str, instances: Value| {
        json!({
            "name": name, "title": "Production Group", "description": "", "labels": {},
            "enforce_publishing": false, "revision": 42, "root": digest('a'),
            "instances": instances,
        })
    };
    let groups = json!([
        group(
            "production",
            json!({"online": 3, "offline": 1, "converged": 3})
        ),
        group(
            "staging",
            json!({"online": 2, "offline": 0, "converged": 1})
        ),
        group("test", json!({"online": 0, "offline": 0, "converged": 0})),
    ]);
    insta::assert_snapshot!(shown::<Group>(groups), @"
        NAME        TITLE             REVISION  INSTANCES
        production  Production Group  42        3/3 ok, 1 offline
        staging     Production Group  42        1/2 behind
        test        Production Group  42        none online
    ");
    assert_eq!(shown::<Group>(json!([])), "none\n");
}

#[test]
fn instances() {
    let instance = |host: &str, state: &str, effective: Value, held: Value| {
        json!({
            "id": format!("id-of-{host}"), "hostname": host, "build": "0.1.0", "state": state,
            "since": AT, "addresses": [], "desired": null, "effective": effective,
            "converged": held == json!([]), "held": held,
        })
    };
    let instances = json!([
        instance(
            "gw-1",
            "online",
            json!({"revision": 42, "root": "r"}),
            json!([])
        ),
        instance(
            "gw-2",
            "offline",
            Value::Null,
            json!([{"service": "httpbin", "code": "c", "message": "m"}])
        ),
    ]);
    insta::assert_snapshot!(shown::<Instance>(instances), @"
        ID          HOST  BUILD  STATE    SINCE                 REVISION  CONVERGED  HELD
        id-of-gw-1  gw-1  0.1.0  online   2026-11-24T08:00:00Z  42        yes
        id-of-gw-2  gw-2  0.1.0  offline  2026-11-24T08:00:00Z  -         no         httpbin
    ");
}

#[test]
fn services_and_versions() {
    let services = json!([{
        "title": "httpbin API", "description": "", "labels": {}, "digest": digest('a'),
        "created_at": AT, "created_by": "admin", "updated_at": AT, "updated_by": "admin",
        "versions": 2, "running_in": ["production", "test"],
        "name": "httpbin", "routes": [{"name": "a", "paths": ["/a"]}],
    }]);
    insta::assert_snapshot!(shown::<Service>(services), @"
        NAME     TITLE        ROUTES  VERSIONS  RUNNING IN       CHANGED
        httpbin  httpbin API  1       2         production,test  2026-11-24T08:00:00Z
    ");
    let versions = json!([{
        "version": "1.0.0", "digest": digest('a'), "created_at": AT, "created_by": "admin",
        "running_in": ["production"], "definition": {},
    }]);
    insta::assert_snapshot!(shown::<Version>(versions), @"
        VERSION  CREATED               BY     RUNNING IN  DIGEST
        1.0.0    2026-11-24T08:00:00Z  admin  production  blake3:aaaaaaaaaaaa
    ");
}

#[test]
fn what_groups_run_and_ran() {
    let binding = json!({"nodes": [{"host": "httpbin.org", "port": 80}]});
    let published = |version: Value, enabled: bool, held: u64| {
        json!({
            "service": "httpbin", "title": "", "version": version, "digest": digest('a'),
            "enabled": enabled, "binding": binding, "rollout": null,
            "convergence": {"online": 3, "converged": 3 - held, "held": held},
        })
    };
    let services = json!([
        published(json!("1.0.0"), true, 0),
        published(Value::Null, false, 1)
    ]);
    insta::assert_snapshot!(shown::<PublishedService>(services), @"
        SERVICE  VERSION     ENABLED  INSTANCES   BINDING
        httpbin  1.0.0       yes      3/3 ok      httpbin.org:80 weight 100
        httpbin  No Version  no       2/3 1 held  httpbin.org:80 weight 100
    ");
    let entry = |kind: &str, version: Value, digest: Value, binding: Value| {
        json!({
            "version": version, "digest": digest, "binding": binding, "enabled": true,
            "operation": "01973a5e-0000-7000-8000-000000000000", "kind": kind, "at": AT, "by": "admin",
        })
    };
    let entries = json!([
        entry("unpublish", Value::Null, Value::Null, Value::Null),
        entry("edit", Value::Null, json!(digest('b')), binding.clone()),
        entry("sync", json!("1.0.0"), json!(digest('a')), binding),
    ]);
    insta::assert_snapshot!(shown::<HistoryEntry>(entries), @"
        AT                    BY     WHAT       VERSION     ENABLED  BINDING                    DIGEST
        2026-11-24T08:00:00Z  admin  unpublish  none        yes
        2026-11-24T08:00:00Z  admin  edit       No Version  yes      httpbin.org:80 weight 100  blake3:bbbbbbbbbbbb
        2026-11-24T08:00:00Z  admin  sync       1.0.0       yes      httpbin.org:80 weight 100  blake3:aaaaaaaaaaaa
    ");
}

#[test]
fn registries() {
    let registry = |name: &str, endpoints: Value| json!({"name": name, "title": "", "kind": "dns", "endpoints": endpoints, "auth": null});
    let registries = json!([
        registry("production-dns", json!([])),
        registry("other", json!(["10.0.0.1:53", "10.0.0.2:53"])),
    ]);
    insta::assert_snapshot!(shown::<Registry>(registries), @"
        NAME            KIND  TITLE  ENDPOINTS
        production-dns  dns          the gateway's own
        other           dns          10.0.0.1:53,10.0.0.2:53
    ");
}

#[test]
fn tokens() {
    let token = |name: &str, expires: Value| {
        json!({
            "id": "01973a5e-0000-7000-8000-000000000000", "name": name, "scope": "write",
            "created_at": AT, "created_by": "admin", "expires_at": expires,
        })
    };
    let tokens = json!([token("ci", json!(AT)), token("ops", Value::Null)]);
    insta::assert_snapshot!(shown::<Token>(tokens), @"
        ID                                    NAME  SCOPE  EXPIRES               MADE                  MADE BY
        01973a5e-0000-7000-8000-000000000000  ci    write  2026-11-24T08:00:00Z  2026-11-24T08:00:00Z  admin
        01973a5e-0000-7000-8000-000000000000  ops   write  never                 2026-11-24T08:00:00Z  admin
    ");
}

#[test]
fn operations_and_the_audit() {
    let mut several = operation();
    let mut other = several.destinations[0].clone();
    (other.service, several.version) = ("users".to_owned(), None);
    several.destinations.push(other);
    insta::assert_snapshot!(table::of(&[operation(), several], "none", Paint::PLAIN), @"
        OPERATION                             AT                    BY     WHAT  SERVICE        VERSION  GROUPS      STATE
        01973a5e-0000-7000-8000-000000000000  2026-11-24T08:00:00Z  admin  sync  httpbin        1.0.1    production  succeeded
        01973a5e-0000-7000-8000-000000000000  2026-11-24T08:00:00Z  admin  sync  httpbin,users           production  succeeded
    ");
    let entries = json!([{
        "at": AT, "by": "admin", "from": "127.0.0.1", "action": "group.create",
        "target": "/gateway-groups/test", "before": null, "after": {}, "operation": null,
    }]);
    insta::assert_snapshot!(shown::<AuditEntry>(entries), @"
        AT                    BY     FROM       ACTION        TARGET                OPERATION
        2026-11-24T08:00:00Z  admin  127.0.0.1  group.create  /gateway-groups/test
    ");
}

/// What scripts get: the API's answer, a list as one page.
#[test]
fn as_scripts_read_it() {
    let page = json!({
        "items": [{
            "name": "production", "title": "生产环境", "description": "", "labels": {"team": "core"},
            "enforce_publishing": false, "revision": 42, "root": digest('a'),
            "instances": {"online": 3, "offline": 0, "converged": 3},
        }],
        "next_cursor": null,
    });
    let page: ferryway_api::List<Group> = serde_json::from_value(page).unwrap();
    let operation = operation();
    let all = [
        crate::screen::json(&page),
        crate::screen::yaml(&page),
        crate::screen::json(&operation),
        crate::screen::yaml(&operation),
    ];
    let all: Vec<_> = all.into_iter().map(Result::unwrap).collect();
    insta::assert_snapshot!(all.join("----\n"));
    let table = table::of(&page.items, "none", Paint::PLAIN);
    insta::assert_snapshot!(table, @"
        NAME        TITLE     REVISION  INSTANCES
        production  生产环境  42        3/3 ok
    ");
}
