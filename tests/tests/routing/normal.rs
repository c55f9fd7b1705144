//! One normal form of a path, for matching and for the upstream.

use super::signpost::{Sign, Signpost};

#[test]
fn matched_and_sent_in_normal_form() {
    let signpost = Signpost::set(&[Sign::at("admin", "/admin/*"), Sign::at("all", "/*")]);
    for (target, expect) in [
        ("/%61dmin/x", "admin /admin/x"),
        ("/%61%64%6D%69%6e/x", "admin /admin/x"),
        ("/x/../admin/y", "admin /admin/y"),
        ("/x/%2e%2E/admin/y", "admin /admin/y"),
        ("/./admin/./y", "admin /admin/y"),
        ("/admin/../x", "all /x"),
        ("/admin/..", "all /"),
        ("/admin/.", "admin /admin/"),
        ("/admin%2Fx", "all /admin%2Fx"),
        ("/admin%2fx", "all /admin%2Fx"),
        ("//admin/x", "all //admin/x"),
        ("/admin//x", "admin /admin//x"),
        ("/admin/%c3%bc", "admin /admin/%C3%BC"),
        ("/admin/%7euser", "admin /admin/~user"),
        ("/admin/%252e%252e/x", "admin /admin/%252e%252e/x"),
        ("/ADMIN/x", "all /ADMIN/x"),
        ("/admin/a;b=c", "admin /admin/a;b=c"),
        ("/admin/x?q=%61&p=../%2f", "admin /admin/x?q=%61&p=../%2f"),
        ("/admin/x?", "admin /admin/x?"),
    ] {
        signpost.check(&format!("GET any {target}"), expect);
    }
}

#[test]
fn what_has_no_normal_form_is_refused() {
    let signpost = Signpost::set(&[Sign::at("all", "/*")]);
    for target in [
        "/..",
        "/../x",
        "/x/../..",
        "/x/%2e%2e/%2e%2e/y",
        "/%zz",
        "/%",
        "/%4",
        "/x%00%",
    ] {
        signpost.check(&format!("GET any {target}"), "400 bad_path");
    }
}

#[test]
fn raw_bytes_beyond_ascii_are_refused() {
    let signpost = Signpost::set(&[Sign::at("all", "/*")]);
    signpost.check("GET any /\u{fc}", "400 bad_request");
}

#[test]
fn a_base_path_cannot_be_left() {
    let signpost = Signpost::set(&[Sign::at("all", "/*").base_path("/v1")]);
    for (target, expect) in [
        ("/v1/../secret", "404 no_route"),
        ("/v1/%2e%2e/secret", "404 no_route"),
        ("/v1%2f..%2fsecret", "404 no_route"),
        ("/v1/a/../../v1/b", "all /b"),
        ("/%76%31/x", "all /x"),
    ] {
        signpost.check(&format!("GET any {target}"), expect);
    }
}
