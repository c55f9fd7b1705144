//! Declarative files: applied, compared, dumped and taken back, and wrong in every way.

use ferryway_testkit::Control;
use serde_json::json;

use super::terminal::Terminal;
use crate::site::{GROUP, Site, make_group};

const PRODUCTION: &str = "
kind: gateway_group
name: production
title: Production Group
labels: {team: core}
---
kind: registry
group: production
name: names
type: dns
endpoints: ['127.0.0.1:53']
";

fn orders(path: &str) -> String {
    format!(
        "kind: service\nname: orders\ntitle: All the orders\nlabels: {{team: core}}\n\
         routes:\n  - name: all\n    paths: ['{path}']\n"
    )
}

fn published(group: &str, version: &str, node: &str) -> String {
    format!(
        "kind: published_service\ngroup: {group}\nservice: orders\nversion: {version}\n\
         binding:\n  nodes:\n    - {{host: {}, port: {}}}\n",
        node.split(':').next().unwrap_or_default(),
        node.split(':').nth(1).unwrap_or_default(),
    )
}

/// A folder `all` that declares two groups, a service and where it runs.
fn write_all(terminal: &Terminal, path: &str, version: &str, node: &str) {
    terminal.write("all/groups/production.yaml", PRODUCTION);
    terminal.write("all/orders/service.yaml", &orders(path));
    for group in [GROUP, "production"] {
        let name = format!("all/orders/in-{group}.yaml");
        terminal.write(&name, &published(group, version, node));
    }
}

#[test]
fn files_are_made_true() {
    let site = Site::set();
    let terminal = Terminal::at(&site.control.origin());
    let node = site.upstream.address().to_string();
    write_all(&terminal, "/orders", "1.0.0", &node);

    terminal.shows("validate -f all", &["5 documents, no problems"]);
    terminal.ends("diff -f all --exit-code", 6);
    terminal.shows(
        "apply -f all --dry-run",
        &[
            "+ gateway group production",
            "+ registry names in production",
            "+ service orders",
            "orders  none → 1.0.0   test, 1 instance",
            "+ route all   /orders",
            "5 to create",
        ],
    );
    assert_eq!(site.get("/orders").status, 404);
    terminal.shows(
        "apply -f all",
        &["5 created", "orders in test  1/1 applied"],
    );
    assert_eq!(site.get("/orders").status, 200);

    // What is as declared stays as it is.
    let before = terminal.json("group get test")["revision"].clone();
    terminal.shows("apply -f all", &["nothing to do", "5 unchanged"]);
    terminal.ends("diff -f all --exit-code", 0);
    assert_eq!(terminal.json("group get test")["revision"], before);

    write_all(&terminal, "/orders/*", "1.1.0", &node);
    let planned = terminal.json("apply -f all --dry-run");
    assert_eq!(planned["state"], "planned", "{planned:#}");
    terminal.shows(
        "diff -f all",
        &[
            "~ service orders",
            "orders  1.0.0 → 1.1.0   test, 1 instance",
            "~ route all",
        ],
    );
    let applied = terminal.json("apply -f all");
    assert_eq!(applied["state"], "succeeded", "{applied:#}");
    assert_eq!(site.get("/orders/7").status, 200);
    let unchanged = terminal.json("apply -f all");
    assert_eq!(unchanged["state"], "unchanged", "{unchanged:#}");
}

#[test]
fn what_was_dumped_is_taken_back_unchanged() {
    let site = Site::set();
    let terminal = Terminal::at(&site.control.origin());
    let node = site.upstream.address().to_string();
    write_all(&terminal, "/orders", "1.0.0", &node);
    terminal.shows("apply -f all", &["5 created"]);
    // What the hub has by now runs nowhere; what runs in one group was edited in place.
    terminal.write(
        "hub.yaml",
        "name: orders\nroutes: [{name: all, paths: [/new]}]\n",
    );
    terminal.shows("service edit orders -f hub.yaml", &["is changed"]);
    terminal.write(
        "edited.yaml",
        "name: orders\nroutes: [{name: all, paths: [/edited]}]\n",
    );
    terminal.shows(
        "service edit orders --in production -f edited.yaml",
        &["production"],
    );
    terminal.shows("disable orders --in production", &[]);

    terminal.shows("dump -f out", &["6 files in out"]);
    terminal.ends("diff -f out --exit-code", 0);
    terminal.shows("apply -f out", &["nothing to do", "6 unchanged"]);
    let text = terminal.run("dump").stdout;
    terminal.write("dump.yaml", &text);
    terminal.shows("validate -f dump.yaml", &["6 documents, no problems"]);
    terminal.ends("diff -f dump.yaml --exit-code", 0);

    // Another control plane makes the very same views of it.
    let other = Control::start();
    let there = Terminal::at(&other.origin());
    there.write("dump.yaml", &text);
    there.shows("apply -f dump.yaml", &["6 created"]);
    for group in [GROUP, "production"] {
        let root =
            |terminal: &Terminal| terminal.json(&format!("group get {group}"))["root"].clone();
        assert_eq!(root(&there), root(&terminal), "{group}");
    }
    there.shows("apply -f dump.yaml", &["nothing to do"]);

    terminal.shows("registry delete names --in production", &[]);
    terminal.shows(
        "dump -f out",
        &["registries/names.yaml is of an earlier dump"],
    );
}

#[test]
fn what_is_wrong_is_shown_where_it_stands() {
    let site = Site::set();
    let terminal = Terminal::at(&site.control.origin());
    let node = site.upstream.address().to_string();
    write_all(&terminal, "orders", "1.0.0", &node);
    let place = "all/orders/service.yaml:7:13: routes[0].paths[0]";
    terminal.says("validate -f all", 1, &[place]);
    terminal.says("apply -f all", 3, &[place]);
    terminal.says("diff -f all", 3, &[place]);
    terminal.write("all/orders/service.yaml", "kind: service\nname: [\n");
    terminal.says(
        "apply -f all",
        1,
        &["all/orders/service.yaml:2:7: not readable"],
    );

    // What only the control plane can know.
    write_all(&terminal, "/orders", "1.0.0", &node);
    terminal.write(
        "all/orders/in-test.yaml",
        "kind: published_service\ngroup: test\nservice: orders\nversion: 1.0.0\nbinding:\n  \
         discovery:\n    registry: nowhere\n    service: a\n",
    );
    let place = "all/orders/in-test.yaml:7:5: binding.discovery.registry";
    terminal.says("apply -f all --dry-run", 3, &[place]);
    terminal.says("apply -f all", 3, &[place]);
    terminal.ends("group get production", 1);
    terminal.says("apply -f nowhere.yaml", 1, &["cannot read nowhere.yaml"]);
    terminal.says("apply", 2, &["--file"]);

    terminal.write(
        "service.yaml",
        "name: users\nroutes:\n  - name: all\n    path: /users\n",
    );
    terminal.says(
        "service create -f service.yaml",
        1,
        &["service.yaml:4:5: routes[0].path: is no field here"],
    );
}

#[test]
fn what_is_declared_no_more_goes_where_that_is_asked_for() {
    let site = Site::set();
    let terminal = Terminal::at(&site.control.origin());
    let node = site.upstream.address().to_string();
    write_all(&terminal, "/orders", "1.0.0", &node);
    terminal.shows("apply -f all", &["5 created"]);
    terminal.write(
        "kept.yaml",
        &format!("{PRODUCTION}---\n{}", orders("/orders")),
    );
    terminal.shows("apply -f kept.yaml", &["nothing to do"]);
    terminal.shows(
        "diff -f kept.yaml --prune team=core",
        &["- published service orders in test", "2 to delete"],
    );
    assert_eq!(site.get("/orders").status, 200);
    terminal.shows("apply -f kept.yaml --prune team=core --yes", &["2 deleted"]);
    assert_eq!(site.get("/orders").status, 404);
    terminal.says("apply -f kept.yaml --prune team", 2, &["no KEY=VALUE"]);
    terminal.write("empty.yaml", "# nothing\n");
    terminal.says(
        "apply -f empty.yaml --prune team=core",
        1,
        &["no documents"],
    );
}

/// More than fits into one transaction is made in steps that are told.
#[test]
fn what_is_too_much_for_one_transaction_goes_in_steps() {
    let control = Control::start();
    let terminal = Terminal::at(&control.origin());
    let services = (0..100).map(|n| {
        format!("---\nkind: service\nname: s{n}\nroutes: [{{name: all, paths: ['/s{n}']}}]\n")
    });
    let published = (0..100).map(|n| {
        format!(
            "---\nkind: published_service\ngroup: production\nservice: s{n}\nversion: 1.0.0\n\
             binding: {{nodes: [{{host: 127.0.0.1, port: 80}}]}}\n"
        )
    });
    let text: String = services.chain(published).collect();
    terminal.write("all.yaml", &format!("{PRODUCTION}{text}"));
    terminal.shows(
        "apply -f all.yaml",
        &[
            "too much for one transaction: it takes 7 steps",
            "step 1 of 7: gateway groups and registries, 2 documents",
            "step 4 of 7: services (3 of 3), 20 documents",
            "step 7 of 7: published services in production (3 of 3), 20 documents",
        ],
    );
    terminal.shows("apply -f all.yaml", &["nothing to do", "202 unchanged"]);
}

#[test]
fn an_openapi_document_becomes_a_service() {
    let control = Control::start();
    make_group(&control.api(), GROUP);
    let terminal = Terminal::at(&control.origin());
    terminal.write(
        "api.yaml",
        "openapi: 3.1.0\ninfo: {title: Pet Store}\nservers: [{url: /v1}]\npaths:\n  \
         /pets/{petId}:\n    get: {operationId: showPet}\n  /pets.{format}:\n    get: {}\n",
    );
    let imported = terminal.run("import openapi api.yaml --document");
    assert_eq!(imported.code, Some(0), "{imported:?}");
    assert!(
        imported
            .stderr
            .contains("warning  api.yaml:7:3: paths./pets.{format}"),
        "{imported:?}"
    );
    terminal.write("service.yaml", &imported.stdout);
    terminal.shows("apply -f service.yaml", &["1 created"]);
    let found = terminal.json("service get pet-store");
    assert_eq!(found["base_path"], "/v1");
    assert_eq!(found["routes"][0]["paths"], json!(["/pets/{pet_id}"]));
    terminal.shows(
        "import openapi api.yaml --name pets --create",
        &["pets is in the hub"],
    );
    terminal.says(
        "import openapi service.yaml",
        1,
        &["service.yaml:1:1: this is no OpenAPI"],
    );
}
