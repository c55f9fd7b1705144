//! A caller of the API who can be cut off.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ferryway_testkit::Answer;
use serde_json::Value;

use crate::upstream::Client;

/// A connection to the API. An error means that nobody knows what became of the call.
#[derive(Debug)]
pub(crate) struct Caller {
    client: Client,
    host: SocketAddr,
}

/// A call, as it can be made again.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    /// Below `/api/v1`.
    pub(crate) path: String,
    pub(crate) key: Option<String>,
    /// The tag that what it changes must have.
    pub(crate) tag: Option<String>,
    pub(crate) body: Value,
}

impl Caller {
    pub(crate) fn connect(host: SocketAddr) -> io::Result<Self> {
        let client = Client::connect(host)?;
        Ok(Self { client, host })
    }

    /// How long an answer may take from now on.
    pub(crate) fn waits(&self, at_most: Duration) -> io::Result<()> {
        self.client.waits(at_most)
    }

    pub(crate) fn call(&mut self, request: &Request) -> io::Result<Answer> {
        let Request {
            method,
            path,
            key,
            tag,
            body,
        } = request;
        let line = |name: &str, value: &Option<String>| {
            let line = value.as_ref().map(|value| format!("{name}: {value}\r\n"));
            line.unwrap_or_default()
        };
        let body = body.to_string();
        let head = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             {}{}Content-Length: {}\r\n\r\n",
            self.host,
            line("Idempotency-Key", key),
            line("If-Match", tag),
            body.len()
        );
        self.exchange(&(head + &body))
    }

    pub(crate) fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.probe(&format!("/api/v1{path}"))
    }

    /// A GET at the root.
    pub(crate) fn probe(&mut self, path: &str) -> io::Result<Answer> {
        self.exchange(&format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n",
            self.host
        ))
    }

    /// All items of a list, over all its pages.
    #[track_caller]
    pub(crate) fn list(&mut self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("{path}?limit=1000{cursor}"));
            let page = page.unwrap_or_else(|error| panic!("{path}: {error}"));
            let page = page.json_of(200);
            let more = page["items"].as_array().expect("a list has items");
            items.extend(more.iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }

    fn exchange(&mut self, request: &str) -> io::Result<Answer> {
        self.client.send(request)?;
        let answer = self.client.answer()?;
        // An answer that was cut off is none.
        match answer.header("content-length") {
            Some(_) => Ok(answer),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}
