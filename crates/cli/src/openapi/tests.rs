use ferryway_model::document::Document;
use serde_json::json;

use super::*;
use crate::files::single;

/// The definition as YAML, and the findings as they are shown.
fn shown(name: &str, text: &str) -> String {
    let source = single(name, text).unwrap();
    let import = import(source.value(), None).unwrap_or_else(|finding| panic!("{finding:?}"));
    let mut value = serde_json::to_value(&import.service).unwrap();
    value["kind"] = json!("service");
    if let Err(problems) = Document::parse(&value) {
        panic!("{name} makes no service: {problems:?}");
    }
    let mut text = crate::screen::yaml(&import.service).unwrap();
    for Finding { path, message } in &import.findings {
        text.push_str(&format!("{}: {path}: {message}\n", source.place(path)));
    }
    text
}

#[test]
fn the_petstore() {
    insta::assert_snapshot!(shown(
        "petstore.yaml",
        include_str!("samples/petstore.yaml")
    ));
}

#[test]
fn references_extensions_and_names() {
    insta::assert_snapshot!(shown("shop.json", include_str!("samples/shop.json")));
}

#[test]
fn what_is_lost_is_said() {
    insta::assert_snapshot!(shown("hard.yaml", include_str!("samples/hard.yaml")));
}

#[track_caller]
fn refused(document: &Value, path: &str, part: &str) {
    let finding = import(document, None).expect_err("must be refused");
    assert_eq!(finding.path, path, "{finding:?}");
    assert!(finding.message.contains(part), "{finding:?}");
}

#[test]
fn what_is_no_document() {
    let get = json!({"get": {}});
    refused(&json!({"swagger": "2.0"}), "swagger", "convert");
    refused(&json!({"openapi": "4.0.0"}), "openapi", "no version 3");
    refused(
        &json!({"name": "s", "routes": []}),
        "",
        "no field `openapi`",
    );
    refused(&json!({"openapi": "3.0.0"}), "paths", "there are none");
    refused(
        &json!({"openapi": "3.0.0", "paths": {}}),
        "paths",
        "no operation",
    );
    refused(
        &json!({"openapi": "3.0.0", "paths": {"/a.{x}": get}}),
        "paths./a.{x}",
        "not the whole segment; GET left out",
    );
    refused(
        &json!({"openapi": "3.0.0", "info": {"title": "日本"}, "paths": {"/a": get}}),
        "info.title",
        "--name",
    );
}

#[test]
fn texts_that_are_too_long_are_cut_and_it_is_said() {
    let document = json!({
        "openapi": "3.0.0",
        "info": {"title": "é".repeat(200), "description": "a\r\nb\u{1b}[31m"},
        "paths": {"/a": {"get": {}}},
    });
    let name = "s".parse().unwrap();
    let import = import(&document, Some(&name)).unwrap();
    assert_eq!(import.service.title, "é".repeat(128));
    assert_eq!(import.service.description, "a\nb[31m");
    assert_eq!(import.findings.len(), 1, "{:?}", import.findings);
    assert_eq!(import.findings[0].path, "info.title");
}

#[test]
fn servers() {
    let check = |servers: Value, hosts: &[&str], base_path: &str, findings: usize| {
        let document = json!({
            "openapi": "3.0.0", "info": {"title": "s"}, "servers": servers,
            "paths": {"/a": {"get": {}}},
        });
        let import = import(&document, None).unwrap();
        let got = (import.service.hosts, import.service.base_path);
        assert_eq!(
            got,
            (
                hosts.iter().map(|&it| it.to_owned()).collect(),
                base_path.to_owned()
            )
        );
        assert_eq!(import.findings.len(), findings, "{:?}", import.findings);
    };
    let url = |url: &str| json!([{"url": url}]);
    check(json!([]), &[], "", 0);
    check(url("/"), &[], "", 0);
    check(url("/v1/"), &[], "/v1", 0);
    check(
        url("https://API.example:443/a/b"),
        &["api.example"],
        "/a/b",
        1,
    );
    check(
        json!([{"url": "https://a.example"}, {"url": "https://b.example"}]),
        &["a.example", "b.example"],
        "",
        1,
    );
    check(url("http://[::1]:80"), &["[::1]"], "", 0);
    check(url("https://{h}.example"), &[], "", 1);
    check(url("https://a{h.example"), &[], "", 1);
    check(url("https://user@a.example"), &[], "", 1);
    check(url("ftp://a.example"), &[], "", 1);
    check(url("v1"), &[], "", 1);
    check(url("/v1?x=y"), &[], "", 1);
    check(
        json!([{"description": "no url"}, {"url": "/b"}]),
        &[],
        "/b",
        1,
    );
}
