use super::signpost::{Sign, Signpost};
use serde_json::json;

#[test]
fn from_the_left_a_literal_before_a_parameter_before_a_prefix() {
    let signpost = Signpost::set(&[
        Sign::at("all", "/*"),
        Sign::at("users", "/users/*"),
        Sign::at("user", "/users/{id}"),
        Sign::at("me", "/users/me"),
        Sign::at("files", "/users/{id}/files/*"),
        Sign::at("my-late-literal", "/{a}/late/literal"),
        Sign::at("early-literal", "/early/{b}/{c}"),
    ]);
    for (path, expect) in [
        ("/", "all"),
        ("/x", "all"),
        ("/users", "all"),
        ("/users/", "users"),
        ("/users/7", "user"),
        ("/users/me", "me"),
        ("/users/me/", "users"),
        ("/users/ME", "user"),
        ("/users/7/x", "users"),
        ("/users/7/files", "users"),
        ("/users/7/files/", "files"),
        ("/users/7/files/a/b", "files"),
        ("/users//files/a", "users"),
        ("/other/late/literal", "my-late-literal"),
        ("/early/late/literal", "early-literal"),
        ("/users/7?x=/users/me", "user"),
    ] {
        signpost.check(&format!("GET any {path}"), &format!("{expect} {path}"));
    }
}

#[test]
fn a_base_path_is_before_each_path_and_is_taken_off() {
    let signpost = Signpost::set(&[
        Sign::at("root", "/").base_path("/v1"),
        Sign::at("list", "/list").base_path("/v1"),
        Sign::at("tree", "/tree/*").base_path("/v1/deep"),
    ]);
    for (path, expect) in [
        ("/v1/list", "list /list"),
        ("/v1/list?a=/v1/b", "list /list?a=/v1/b"),
        ("/v1/", "root /"),
        ("/v1", "root /"),
        ("/list", "404 no_route"),
        ("/v1/v1/list", "404 no_route"),
        ("/v1/deep/tree/a/b/", "tree /tree/a/b/"),
        ("/v1/deep/tree/", "tree /tree/"),
    ] {
        signpost.check(&format!("GET any {path}"), expect);
    }
}

#[test]
fn a_prefix_at_a_base_path_is_everything_below_it() {
    let signpost = Signpost::set(&[Sign::at("all", "/*").base_path("/v1")]);
    for (path, expect) in [
        ("/v1/", "all /"),
        ("/v1", "all /"),
        ("/v1/x", "all /x"),
        ("/v1//x", "all //x"),
        ("/v1x", "404 no_route"),
        ("/x", "404 no_route"),
    ] {
        signpost.check(&format!("GET any {path}"), expect);
    }
}

#[test]
fn a_route_may_have_several_paths() {
    let signpost = Signpost::set(&[
        Sign::of("both", &json!({"paths": ["/a", "/b/{c}"]})),
        Sign::at("rest", "/*"),
    ]);
    for (path, expect) in [("/a", "both"), ("/b/x", "both"), ("/b", "rest")] {
        signpost.check(&format!("GET any {path}"), &format!("{expect} {path}"));
    }
}

#[test]
fn an_empty_gateway_knows_no_route() {
    let signpost = Signpost::set(&[]);
    signpost.check("GET any /", "404 no_route");
    let answer = signpost.get("/");
    assert_eq!(answer.text(), r#"{"error_msg": "404 Route Not Found"}"#);
    assert_eq!(answer.header("content-type"), Some("application/json"));
}
