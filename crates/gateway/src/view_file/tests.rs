use std::fs;

use ferryway_model::Key;

use super::*;

const GROUP: &str = "kind: gateway_group\nname: production\n";
const REGISTRY: &str = "kind: registry\ngroup: production\nname: dns\ntype: dns\n";

fn published(service: &str, rest: &str) -> String {
    format!("kind: published_service\ngroup: production\nservice: {service}\n{rest}")
}

fn definition(service: &str, path: &str) -> String {
    format!("definition: {{name: {service}, routes: [{{name: all, paths: ['{path}']}}]}}\n")
}

const NODES: &str = "binding: {nodes: [{host: a.example, port: 80}]}\n";

fn file(texts: &[&str]) -> String {
    texts.join("---\n")
}

/// What became of a file `view.yaml`, without the folder's name.
fn read_as(text: &str, group: Option<&str>) -> Result<Export, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("view.yaml");
    fs::write(&path, text).unwrap();
    let group = group.map(|name| name.parse().unwrap());
    let root = format!("{}/", folder.path().display());
    read(&path, group.as_ref()).map_err(|why| why.replace(&root, ""))
}

#[track_caller]
fn refused(text: &str, expect: &[&str]) {
    let why = read_as(text, None).expect_err(text);
    for part in expect {
        assert!(why.contains(part), "{part} in {why}");
    }
    assert_eq!(why.matches("view.yaml:").count(), expect.len(), "{why}");
}

#[test]
fn a_whole_view() {
    let httpbin = published(
        "httpbin",
        &format!(
            "version: 1.0.0\n{NODES}{}",
            definition("httpbin", "/headers")
        ),
    );
    let edited = published(
        "orders",
        &format!(
            "enabled: false\nbinding: {{discovery: {{registry: dns, service: orders.example}}}}\n{}",
            definition("orders", "/orders/*"),
        ),
    );
    let from_hub = published("users", &format!("version: 2.0.0\n{NODES}"));
    let hub = "kind: service\nname: users\ntitle: Users\nroutes: [{name: all, paths: [/users]}]\n";
    let export = read_as(
        &file(&[GROUP, REGISTRY, &httpbin, &edited, &from_hub, hub]),
        None,
    )
    .unwrap();
    assert_eq!(export.group.as_str(), "production");
    assert_eq!((export.view.len(), export.content.len()), (4, 6));
    let service = |name: &str| export.view.service(&name.parse().unwrap()).unwrap().clone();
    assert_eq!(service("httpbin").version.unwrap().as_str(), "1.0.0");
    assert!(service("httpbin").enabled);
    assert_eq!(service("orders").version, None);
    assert!(!service("orders").enabled);
    assert!(export.content.contains_key(&service("users").definition));
    assert!(
        export
            .view
            .get(&Key::registry(&"dns".parse().unwrap()))
            .is_some()
    );
}

#[test]
fn an_export_is_read_as_it_was_written() {
    let httpbin = published(
        "httpbin",
        &format!("{NODES}{}", definition("httpbin", "/a")),
    );
    let export = read_as(&file(&[GROUP, &httpbin]), None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("export.json");
    export.write(&path).unwrap();
    let again = read(&path, None).unwrap();
    assert_eq!(
        (again.group, again.view.root()),
        (export.group, export.view.root())
    );
    fs::write(
        &path,
        r#"{"group": "g", "position": null, "entries": {}, "content": {}, "x": 1}"#,
    )
    .unwrap();
    let why = read(&path, None).unwrap_err();
    assert!(
        why.contains("export.json") && why.contains("unknown field"),
        "{why}"
    );
}

#[test]
fn which_group() {
    let other = "kind: registry\ngroup: test\nname: dns\ntype: dns\n";
    let both = file(&[GROUP, other]);
    let why = read_as(&both, None).unwrap_err();
    assert!(
        why.contains("(production, test); say with --group"),
        "{why}"
    );
    let production = read_as(&both, Some("production")).unwrap();
    assert_eq!(
        (production.group.as_str(), production.view.len()),
        ("production", 0)
    );
    assert_eq!(read_as(&both, Some("test")).unwrap().view.len(), 1);
    let why = read_as(&both, Some("staging")).unwrap_err();
    assert!(
        why.contains("nothing here is of the gateway group staging"),
        "{why}"
    );
    let hub = "kind: service\nname: s\nroutes: [{name: a, paths: [/a]}]\n";
    refused(hub, &["view.yaml:1:1: no document is of a gateway group"]);
    refused("", &["view.yaml:1:1: no document is of a gateway group"]);
}

#[test]
fn everything_that_is_wrong_is_said_at_its_line() {
    refused(
        "a: [",
        &["view.yaml:1:4: not readable as YAML or JSON: unclosed bracket"],
    );
    refused(
        &file(&[
            GROUP,
            GROUP,
            "kind: registry\ngroup: production\nname: dns\ntype: consul\n",
        ]),
        &[
            "view.yaml:4:1: declares gateway group production again, after 1:1",
            "view.yaml:10:1: type:",
        ],
    );
    let bare = published("httpbin", "version: 1.0.0\n");
    let lost = published(
        "orders",
        &format!(
            "binding: {{discovery: {{registry: dns, service: a}}}}\n{}",
            definition("orders", "/orders"),
        ),
    );
    refused(
        &file(&[GROUP, &bare, &lost]),
        &[
            "view.yaml:4:1: definition: is missing",
            "view.yaml:4:1: binding: is missing",
            "view.yaml:12:23: binding.discovery.registry: names the registry dns",
        ],
    );
    let digest = format!("digest: blake3:{}\n", "0".repeat(64));
    let hub = "kind: service\nname: httpbin\nroutes: [{name: a, paths: [/a]}]\n";
    let moved = published("httpbin", &format!("version: 1.0.0\n{digest}{NODES}"));
    refused(
        &file(&[GROUP, hub, &moved]),
        &["view.yaml:12:1: digest: is not the digest of httpbin"],
    );
}

#[test]
fn routes_that_nothing_tells_apart_are_refused() {
    let service = |name: &str, rest: &str| {
        published(name, &format!("{rest}{NODES}{}", definition(name, "/same")))
    };
    refused(
        &file(&[GROUP, &service("a", ""), &service("b", "")]),
        &["answers the same requests as the route all of a"],
    );
    assert!(
        read_as(
            &file(&[GROUP, &service("a", ""), &service("b", "enabled: false\n")]),
            None
        )
        .is_ok()
    );
}

#[test]
fn what_cannot_be_read() {
    let why = read(Path::new("nowhere/view.yaml"), None).unwrap_err();
    assert!(
        why.starts_with("--static: cannot read nowhere/view.yaml: "),
        "{why}"
    );
}
