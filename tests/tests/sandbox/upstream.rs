//! The same requests to the sandbox's upstream and to the real httpbin: same answers.

use std::collections::BTreeSet;
use std::time::Duration;

use ferryway_runtime::Tasks;
use ferryway_sandbox::upstream::Upstream;
use ferryway_testkit::{Answer, Httpbin, curl};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn answers_are_httpbins_byte_for_byte() {
    let httpbin = Httpbin::start();
    let tasks = Tasks::new("test");
    let address = "127.0.0.1:0".parse().expect("an address");
    let upstream = Upstream::start(address, &tasks)
        .await
        .expect("a free port can be bound");

    for request in REQUESTS {
        let (path, args) = request.split_last().expect("a request has a path");
        let at = |origin: String| {
            // The same Host for both: the ports are not.
            let mut all = vec!["--header".to_owned(), "Host: httpbin.org".to_owned()];
            all.extend(args.iter().map(|arg| (*arg).to_owned()));
            all.push(format!("{origin}{path}"));
            curl(all)
        };
        let (real, ours) = (
            at(httpbin.url("")),
            at(format!("http://{}", upstream.address())),
        );
        assert_eq!(ours.status, real.status, "status of {request:?}");
        assert_eq!(
            compared_headers(&ours),
            compared_headers(&real),
            "headers of {request:?}"
        );
        assert_eq!(ours.text(), real.text(), "body of {request:?}");
    }
    assert!(tasks.stop(Duration::from_secs(10)).await);
}

/// All but those that belong to the server in front and not to httpbin.
fn compared_headers(answer: &Answer) -> BTreeSet<(String, String)> {
    let of_server = ["server", "date", "connection", "content-length"];
    answer
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        .filter(|(name, _)| !of_server.contains(&name.as_str()))
        .map(|(name, value)| match name.as_str() {
            // A set, which httpbin writes in an order of the day.
            "allow" => (
                name,
                value
                    .split(", ")
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .collect(),
            ),
            _ => (name, value),
        })
        .collect()
}

/// Arguments of curl, the path last.
const REQUESTS: &[&[&str]] = &[
    &["/headers"],
    &["--head", "/headers"],
    &[
        "--header",
        "X-Forwarded-For: 1.2.3.4",
        "--header",
        "Via: 1.1 a",
        "/headers",
    ],
    &[
        "--header",
        "X-Forwarded-Host: b",
        "--header",
        "X-Request-Id: c",
        "/headers",
    ],
    &[
        "--header",
        "X-Forwarded-For: 1.2.3.4",
        "/headers?show_env=1",
    ],
    &[
        "--header", "X-Dup: 1", "--header", "x-dup: 2", "--header", "X_Low: 3", "/headers",
    ],
    &[
        "--header",
        "X-B3-TraceId: 3",
        "--header",
        "X-3abc: \u{fc}",
        "/headers",
    ],
    &[
        "--header",
        "Cookie: a=1",
        "--header",
        "Cookie: b=2",
        "/headers",
    ],
    &["--header", "Origin: http://page.example", "/headers"],
    &["--request", "POST", "/headers"],
    &["--request", "OPTIONS", "/headers"],
    &[
        "--request",
        "OPTIONS",
        "--header",
        "Access-Control-Request-Headers: X-A",
        "/anything/a",
    ],
    &["/anything"],
    &["/anything/a%20b/%C3%BC%25x//y?q=1&q=2&e=&f&p=a+b%20c&u=%C3%BC&sp='(~)"],
    &["/anything/%41%2F%3F%22%7E?a=%26%41%22&b=%zz&c=%ff&&=d"],
    &["--header", "X-Forwarded-Proto: https", "/anything"],
    &["--header", "X-Forwarded-For: 9.9.9.9, 8.8.8.8", "/anything"],
    &["--header", "Host: httpbin.org:80", "/anything"],
    &["--header", "Host: httpbin.org:8080", "/anything"],
    &[
        "--json",
        r#"{"b": 1, "a": [1.5, null, "ü😀"], "c": {"e": true, "d": -0.25}}"#,
        "/anything",
    ],
    &["--json", "{", "/anything"],
    &["--data", "x=1&y=2&x=3&z=a+b%21", "/anything"],
    &[
        "--request",
        "PUT",
        "--header",
        "Content-Type: text/plain",
        "--data",
        "a\u{fc}b",
        "/anything",
    ],
    &[
        "--request",
        "PATCH",
        "--header",
        "Content-Type:",
        "--data-binary",
        "@/dev/null",
        "/anything",
    ],
    &["--request", "DELETE", "/anything/a"],
    &[
        "--request",
        "POST",
        "--header",
        "Transfer-Encoding: chunked",
        "--data",
        "a=b",
        "/anything",
    ],
    &["--head", "/anything"],
    &["/anything/"],
    &["/status/200"],
    &["/status/204"],
    &["/status/302"],
    &["/status/304"],
    &["/status/401"],
    &["/status/407"],
    &["/status/404"],
    &["--request", "POST", "/status/503"],
    &["/status/many"],
    &["/delay/0.05"],
    &["--data", "a=b", "/delay/0"],
    &["/none-such"],
    &["/headers/"],
];
