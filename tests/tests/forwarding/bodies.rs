//! Bodies go through both ways, whatever their size and framing.

use std::io::Write as _;

use ferryway_testkit::curl;
use tempfile::NamedTempFile;

use crate::calls::service;
use crate::site::Site;
use crate::upstream::{Client, Reply};

const MEGABYTE: usize = 1024 * 1024;

#[track_caller]
fn echo() -> Site {
    let site = Site::set();
    site.serve(&service("echo", &[("all", "/*")]));
    site.upstream.reply("/echo", [Reply::Echo]);
    site
}

/// Bytes that are not the same everywhere.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

#[test]
fn ten_megabytes_come_back_as_they_were() {
    let site = echo();
    let body = bytes(10 * MEGABYTE);
    let mut file = NamedTempFile::new().expect("a temporary file can be made");
    file.write_all(&body).expect("it can be written");
    let data = format!("@{}", file.path().display());
    for further in [
        &[][..],
        &["--header", "Transfer-Encoding: chunked"],
        &["--http2-prior-knowledge"],
    ] {
        let url = site.gateway.url("/echo");
        let args = [&["--data-binary", &data, &url], further].concat();
        let answer = curl(&args);
        assert_eq!(answer.status, 200);
        assert!(answer.body == body, "{further:?}: {}", answer.body.len());
    }
    assert_eq!(site.upstream.requests("/echo").len(), 3);
}

#[test]
fn each_piece_goes_on_before_the_next_comes() {
    let site = echo();
    let mut client = Client::connect(site.address()).expect("the gateway listens");
    let head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(head).expect("the gateway reads");
    for (number, piece) in ["first", "second", "third"].iter().enumerate() {
        let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
        client.send(chunk).expect("the gateway reads");
        if number == 0 {
            assert_eq!(client.head().expect("an early answer").status, 200);
        }
        let echoed = client.chunk().expect("the piece");
        assert_eq!(echoed, piece.as_bytes());
    }
    client.send("0\r\n\r\n").expect("the gateway reads");
    assert_eq!(client.chunk().expect("the end"), b"");
}

#[test]
fn a_bodys_framing_is_kept_or_made() {
    let site = echo();
    let data = ["--data-binary", "hello"];
    let chunked = ["--header", "Transfer-Encoding: chunked"];
    let url = site.gateway.url("/mirror");
    for (args, expect) in [
        (&data[..], ("content-length", "5")),
        (&[data, chunked].concat(), ("transfer-encoding", "chunked")),
    ] {
        assert_eq!(curl([args, &[&*url]].concat()).status, 200);
        let requests = site.upstream.requests("/mirror");
        let last = requests.last().expect("the request");
        assert_eq!(last.header(expect.0), Some(expect.1));
        assert_eq!(last.body, b"hello");
    }
    // None where there is no body.
    assert_eq!(curl([&url]).status, 200);
    let requests = site.upstream.requests("/mirror");
    let last = requests.last().expect("the request");
    assert_eq!(last.header("content-length"), None);
    assert_eq!(last.header("transfer-encoding"), None);
}

#[test]
fn an_answer_to_head_has_a_length_and_no_body() {
    let site = echo();
    site.upstream.reply("/text", [Reply::Text(200, "hello")]);
    let url = site.gateway.url("/text");
    let answer = curl(["--head", &url]);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-length"), Some("5"));
    assert_eq!(answer.text(), "");
    assert_eq!(site.upstream.requests("/text")[0].method(), "HEAD");
    assert_eq!(curl([&url]).text(), "hello");
}

#[test]
fn an_answer_that_breaks_off_breaks_off() {
    let site = echo();
    let part = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly a part";
    site.upstream.reply("/part", [Reply::Bytes(part)]);
    let error = ferryway_testkit::try_curl([site.gateway.url("/part")]);
    let error = error.expect_err("a body that is not whole is no answer");
    assert!(error.contains("transfer closed"), "{error}");
    assert_eq!(site.get("/mirror").status, 200);
}
