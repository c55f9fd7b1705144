//! Where an upstream is.

use super::*;

#[tokio::test]
async fn bindings() {
    let discovery = |fields: Value| {
        let mut body =
            json!({"binding": {"discovery": {"registry": "dns", "service": "a.example"}}});
        merge(&mut body["binding"]["discovery"], fields);
        body
    };
    let service = "422 invalid binding.discovery.service";
    check(vec![
        row(BIND, &json!({}), "422 required", "give binding, enabled, or both"),
        row(BIND, &json!({"binding": {}}), "422 required binding", "nodes"),
        row(BIND, &json!({"binding": {"nodes": []}}), "422 required binding.nodes", "at least one node"),
        row(BIND, &json!({"binding": {"nodes": [{"host": "a"}], "discovery": {"registry": "dns", "service": "a"}}}), "422 invalid binding", "exactly one"),
        row(BIND, &json!({"binding": {"nodes": [{"host": "a"}], "scheme": "gopher"}}), "422 invalid binding.scheme", "known are"),
        row(BIND, &json!({"binding": {"nodes": [{"host": "a"}], "scheme": "https"}}), "422 unsupported binding.scheme", "leave it out"),
        row(BIND, &discovery(json!({"service": ""})), service, "without spaces"),
        row(BIND, &discovery(json!({"service": "a b"})), service, "without spaces"),
        row(BIND, &discovery(json!({"service": "a\u{0}"})), service, "control characters"),
        row(BIND, &discovery(json!({"service": "x".repeat(513)})), "422 limit_exceeded binding.discovery.service", "at most 512"),
        row(BIND, &discovery(json!({"registry": "none"})), "422 registry_missing binding.discovery.registry", "none"),
        row(PUT_REGISTRY, &json!({"kind": "dns", "auth": {"user": "x"}}), "422 unsupported auth", "leave it out"),
        row(PUT_REGISTRY, &json!({"kind": "consul"}), "422 unsupported kind", "consul"),
        row(PUT_REGISTRY, &json!({"kind": "zookeeper"}), "422 invalid kind", "this build knows dns"),
        row(PUT_REGISTRY, &json!({"kind": "dns", "endpoints": ["1.2.3.4:53", "1.2.3.4:53"]}), "422 duplicate endpoints[1]", "again"),
    ])
    .await;
    // What its registry cannot answer.
    let api = Api::furnished().await;
    api.check(PUT_REGISTRY, json!({"kind": "dns"}), "201").await;
    for (fields, expect) in [
        (json!({"service": "_a"}), "422 invalid binding.discovery"),
        (json!({"service": "a:0"}), "422 invalid binding.discovery"),
        (
            json!({"service": "a:65536"}),
            "422 invalid binding.discovery",
        ),
        (json!({"service": "a:+80"}), "422 invalid binding.discovery"),
        (json!({"service": "a/b"}), "422 invalid binding.discovery"),
        (json!({"service": "ä"}), "422 invalid binding.discovery"),
        (json!({"group": "g"}), "422 invalid binding.discovery"),
        (
            json!({"namespace": "a b"}),
            "422 invalid binding.discovery.namespace",
        ),
        (json!({"namespace": ".."}), "422 invalid binding.discovery"),
    ] {
        let body = discovery(fields);
        let reply = api
            .send(
                "PATCH",
                "/gateway-groups/test/services/httpbin",
                body.clone(),
            )
            .await;
        let line = reply.line();
        assert!(line.starts_with(expect), "{body}: {line} {}", reply.text);
    }
}
