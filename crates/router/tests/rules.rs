//! Each rule of the contract's "Which route answers", `hosts`, `paths`, `methods` and `match`.

mod support;

use ferryway_router::{Change, RouteTable};
use support::{ask, services, table};

/// `expect` is a service or `service/route`, `404`, or `405` and what is allowed.
#[track_caller]
fn check(routes: &str, request: &str, expect: &str) {
    let expect = match expect.starts_with("40") || expect.contains('/') {
        true => expect.to_owned(),
        false => format!("{expect}/r"),
    };
    assert_eq!(ask(&table(routes), request), expect, "{request}");
}

#[track_caller]
fn check_all(routes: &str, cases: &[(&str, &str)]) {
    cases
        .iter()
        .for_each(|(request, expect)| check(routes, request, expect));
}

#[test]
fn an_exact_host_beats_a_wildcard_and_a_longer_one_a_shorter() {
    let routes = "any: /\nio: *.io/\nx: *.x.io/\nkx: *.k.x.io/\nk: k.x.io/";
    check_all(
        routes,
        &[
            ("GET k.x.io/", "k"),
            ("GET l.x.io/", "x"),
            ("GET l.k.x.io/", "kx"),
            ("GET m.l.k.x.io/", "kx"),
            ("GET x.io/", "io"),
            ("GET io/", "any"),
            ("GET y.com/", "any"),
            ("GET /", "any"),
            ("GET .x.io/", "io"),
            ("GET a..x.io/", "x"),
            ("GET [::1]/", "any"),
        ],
    );
}

#[test]
fn hosts_are_compared_in_lower_case_without_port_and_trailing_dot() {
    check_all(
        "a: K.x.io,[0::1],127.0.0.1/",
        &[
            ("GET K.X.io.:9080/", "a"),
            ("GET [::1]:9080/", "a"),
            ("GET 127.0.0.1:80/", "a"),
            ("GET kk.x.io/", "404"),
            ("GET x.k.x.io/", "404"),
            ("GET /", "404"),
        ],
    );
}

#[test]
fn the_host_decides_before_the_path() {
    check_all(
        "a: k.x.io/*\nb: *.x.io/users/7",
        &[("GET k.x.io/users/7", "a"), ("GET l.x.io/users/7", "b")],
    );
}

/// It is taken off before the request goes upstream, and an empty rest is `/`.
#[test]
fn the_base_path_alone_is_the_root_of_its_service() {
    let star = "a: /* base:/api";
    check_all(
        star,
        &[
            ("GET /api", "a"),
            ("GET /api/", "a"),
            ("GET /api/x", "a"),
            ("GET /apix", "404"),
            ("GET /", "404"),
        ],
    );
    check_all(
        "a: / base:/api",
        &[("GET /api", "a"), ("GET /api/", "a"), ("GET /api/x", "404")],
    );
    check("a: /files/* base:/api", "GET /api/files", "404");
    check("a: /files/* base:/api", "GET /api", "404");
    // What ends there by itself is more specific; a parameter and a star are less.
    let others = "a: GET /* base:/api\nb: GET /{p}\nc: /*\nd: POST /api";
    check_all(
        others,
        &[
            ("GET /api", "a"),
            ("POST /api", "d"),
            ("PUT /api", "c"),
            ("GET /b", "b"),
        ],
    );
    check("a: /* base:/api +5\nb: /api", "GET /api", "b");
    let both = "a/root: GET / base:/api\na/all: /* base:/api";
    check_all(
        both,
        &[
            ("GET /api", "a/root"),
            ("POST /api", "a/all"),
            ("GET /api/", "a/root"),
            ("GET /api/x", "a/all"),
        ],
    );
}

#[test]
fn a_literal_beats_a_parameter_and_a_parameter_a_star() {
    let routes = "star: /users/*\nparam: /users/{id}\nlit: /users/me\nall: /*";
    check_all(
        routes,
        &[
            ("GET /users/me", "lit"),
            ("GET /users/7", "param"),
            ("GET /users/", "star"),
            ("GET /users/7/x", "star"),
            ("GET /users", "all"),
            ("GET /", "all"),
        ],
    );
}

#[test]
fn paths_are_read_from_the_left() {
    check_all(
        "a: /{x}/b/c\nb: /a/{y}/{z}\nc: /a/b/*\nd: /{x}/{y}/*",
        &[
            ("GET /a/b/c", "c"),
            ("GET /a/x/c", "b"),
            ("GET /x/b/c", "a"),
            ("GET /x/b/d", "d"),
            ("GET /a/x/c/d", "d"),
        ],
    );
    check("a: /{x}/a/*\nb: /{x}/{y}/b", "GET /1/a/b", "a");
}

#[test]
fn segments_are_whole_and_parameters_not_empty() {
    let routes = "p: /a/{x}\ns: /files/*\nps: /u/{id}/f/*\nslash: /a/\ndouble: //";
    check_all(
        routes,
        &[
            ("GET /a/1", "p"),
            ("GET /a/", "slash"),
            ("GET /a", "404"),
            ("GET /a/1/", "404"),
            ("GET /a/%2F", "p"),
            ("GET /a/{x}", "p"),
            ("GET /files/", "s"),
            ("GET /files/a//b/", "s"),
            ("GET /files", "404"),
            ("GET /filesystem", "404"),
            ("GET /u/1/f/", "ps"),
            ("GET /u/1/f", "404"),
            ("GET /u//f/x", "404"),
            ("GET //", "double"),
            ("GET /", "404"),
            ("OPTIONS *", "404"),
        ],
    );
}

#[test]
fn a_prefix_of_everything_needs_a_path() {
    check_all(
        "a: /*",
        &[("OPTIONS *", "404"), ("GET //", "a"), ("GET /", "a")],
    );
}

#[test]
fn of_equal_paths_priority_then_predicates_then_names_decide() {
    check("a: /x\nb: /x +1", "GET /x", "b");
    check("a: /x -1\nb: /x", "GET /x", "b");
    check("a: /x\nb: /x header:h", "GET /x h:1", "b");
    check("a: /x header:h\nb: /x +1", "GET /x h:1", "b");
    check(
        "a: /x header:h\nb: /x header:h query:q",
        "GET /x?q h:1",
        "b",
    );
    check("b: /x\na: /x", "GET /x", "a");
    check("a/two: /{x}\na/one: /{y}", "GET /x", "a/one");
    check("a/b: /x\na-b/a: /x", "GET /x", "a/b");
}

#[test]
fn priority_does_not_reach_over_a_more_specific_path() {
    check("a: /{x} +9\nb: /x -9", "GET /x", "b");
    check("a: /* +9\nb: /{x} -9", "GET /x", "b");
}

#[test]
fn what_fails_gives_way_down_to_less_specific_paths_and_hosts() {
    let routes = "
        one: k.x.io/u/me header:v=1
        two: k.x.io/u/{id} header:v=2
        three: k.x.io/u/* header:v=3
        four: k.x.io/* header:v=4
        five: *.x.io/u/me header:v=5
        six: /{x}/me header:v=6";
    for (n, service) in ["one", "two", "three", "four", "five", "six"]
        .iter()
        .enumerate()
    {
        check(routes, &format!("GET k.x.io/u/me v:{}", n + 1), service);
    }
    check(routes, "GET k.x.io/u/me v:7", "404");
}

#[test]
fn overlaps_of_one_head_give_way_too() {
    let routes = "
        a: /{p}/a/{q} header:v=1
        b: /{p}/a/* header:v=2
        c: /{p}/{q}/b header:v=3
        d: /{p}/{q}/{r} header:v=4
        e: /{p}/{q}/* header:v=5
        f: /{p}/* header:v=6";
    for (n, service) in ["a", "b", "c", "d", "e", "f"].iter().enumerate() {
        check(routes, &format!("GET /1/a/b v:{}", n + 1), service);
    }
}

#[test]
fn many_patterns_that_begin_alike() {
    let lines: Vec<_> = (0..40)
        .map(|n| format!("s{n}: /{{t}}/r{n}/{{id}}\nt{n}: GET /{{t}}/r{n}"))
        .collect();
    let routes = lines.join("\n") + "\nany: POST /{t}/{r}\nall: POST /{t}/*\nonly: /{t}";
    check_all(
        &routes,
        &[
            ("GET /a/r7/1", "s7"),
            ("GET /a/r39", "t39"),
            ("PUT /a/r39", "405 GET, POST"),
            ("POST /a/r39", "any"),
            ("POST /a/r39/1/2", "all"),
            ("POST /a/", "all"),
            ("GET /a", "only"),
            ("GET //r7/1", "404"),
            ("GET /", "404"),
        ],
    );
}

#[test]
fn methods_none_means_all_and_get_does_not_imply_head() {
    check_all(
        "all: /all\nget: GET /get\next: PURGE,GET /ext",
        &[
            ("BREW /all", "all"),
            ("HEAD /get", "405 GET"),
            ("PURGE /ext", "ext"),
            ("BREW /ext", "405 GET, PURGE"),
        ],
    );
}

#[test]
fn method_not_allowed_says_the_union_of_what_else_would_have_matched() {
    let routes = "
        a: PUT k.x.io/x
        b: GET,PURGE k.x.io/{p}
        c: DELETE *.x.io/*
        d: PATCH,PURGE /x header:h=1
        e: POST /y";
    check_all(
        routes,
        &[
            ("TRACE k.x.io/x h:1", "405 GET, PUT, DELETE, PATCH, PURGE"),
            // Its predicates would not have held: it was not passed over for its method alone.
            ("TRACE k.x.io/x h:2", "405 GET, PUT, DELETE, PURGE"),
            ("TRACE /x h:2", "404"),
            ("DELETE k.x.io/x", "c"),
        ],
    );
}

#[test]
fn predicates_look_at_every_value() {
    check_all(
        "a: /h header:x=1\nb: /n header:x!=1\nc: /q query:q=b|c\nd: /p query:q^=ab
         e: /r cookie:c~=^[0-9]+$\nf: /e header:!x\ng: /c cookie:c",
        &[
            ("GET /h x:2 x:1", "a"),
            ("GET /h x:2", "404"),
            ("GET /n x:2 x:1", "404"),
            ("GET /n x:2", "b"),
            ("GET /n", "b"),
            ("GET /q?q=a&q=%62", "c"),
            ("GET /q?q=a", "404"),
            ("GET /q", "404"),
            ("GET /p?q=x&q=abc", "d"),
            ("GET /r cookie:d=1;c=12", "e"),
            ("GET /r cookie:c=x cookie:c=1", "e"),
            ("GET /r cookie:c=x", "404"),
            ("GET /e", "f"),
            ("GET /e x:", "404"),
            ("GET /c cookie:c=", "g"),
            ("GET /c cookie:d=", "404"),
        ],
    );
}

#[test]
fn hostile_paths_are_answered() {
    let table = table("a: /*\nb: /x/{y}/z");
    for path in [
        "/".repeat(64 * 1024),
        "/x".repeat(32 * 1024),
        format!("/{}", "a".repeat(64 * 1024)),
    ] {
        assert_eq!(ask(&table, &format!("GET {path}")), "a/r");
    }
}

#[test]
fn another_table_leaves_this_one_as_it_was() {
    let first = table("a/one: k.x.io/x\na/two: k.x.io/y\nb: k.x.io/x");
    let second = first.with(services("a: l.x.io/x").into_iter().map(Change::Put));
    let third = second.with([
        Change::Remove("b".parse().unwrap()),
        Change::Remove("zz".parse().unwrap()),
    ]);
    let answers = |table: &RouteTable<String>| {
        ["GET k.x.io/x", "GET k.x.io/y", "GET l.x.io/x"]
            .map(|request| ask(table, request))
            .join(" ")
    };
    assert_eq!(answers(&first), "a/one a/two 404");
    assert_eq!(answers(&second), "b/r 404 a/r");
    assert_eq!(answers(&third), "404 404 a/r");
    assert_eq!([&first, &second, &third].map(RouteTable::len), [3, 2, 1]);
    assert!(RouteTable::<()>::empty().is_empty() && !first.is_empty());
}

#[test]
fn a_table_is_listed_in_the_order_of_precedence() {
    let table = table(
        "a/one: GET,PURGE k.x.io/{x}/b +2
         a/two: k.x.io/{x}/* header:h
         a/three: k.x.io/{y}/b header:h query:q
         b: /*
         c: *.io,*.x.io/x -1",
    );
    let expect = "\
k.x.io/{x}/b GET,PURGE +2: a/one
k.x.io/{y}/b 2 predicates: a/three
k.x.io/{x}/* 1 predicate: a/two
*.x.io/x -1: c/r
*.io/x -1: c/r
/*: b/r
";
    assert_eq!(table.to_string(), expect);
}
