//! A raw HTTP/1.1 client.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::PATIENCE;

/// A connection to the gateway.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) socket: TcpStream,
    rest: Vec<u8>,
}

/// A response, read strictly.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// The head, as it was.
    pub(crate) head: String,
    /// The body, decoded.
    pub(crate) body: Vec<u8>,
    /// Whether the body came to its end.
    pub(crate) whole: bool,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).expect("the gateway listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
        socket.set_nodelay(true).expect("a socket");
        Self {
            socket,
            rest: Vec::new(),
        }
    }

    /// Sends bytes; whether the gateway takes them is not looked at.
    pub(crate) fn send(&mut self, bytes: &str) {
        let _ = self.socket.write_all(bytes.as_bytes());
    }

    /// Sends a request and reads its response. The method is told from the request.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: &str) -> Response {
        self.send(request);
        self.response(request.starts_with("HEAD "))
    }

    /// Reads a response.
    #[track_caller]
    pub(crate) fn response(&mut self, to_head: bool) -> Response {
        let head = self.read_until(b"\r\n\r\n").unwrap_or_else(|| {
            panic!("no response, but {:?}", String::from_utf8_lossy(&self.rest))
        });
        let head = String::from_utf8(head).expect("a head of text");
        let status: u16 = head[9..12].parse().expect("a status");
        if (100..200).contains(&status) {
            return self.bodyless(status, head);
        }
        let header = |name: &str| {
            head.lines().find_map(|line| {
                let (key, value) = line.split_once(": ")?;
                key.eq_ignore_ascii_case(name)
                    .then(|| value.trim().to_owned())
            })
        };
        if to_head || status == 204 || status == 304 {
            return self.bodyless(status, head);
        }
        let (body, whole) = match (header("content-length"), header("transfer-encoding")) {
            (Some(length), None) => self.read_exactly(length.parse().expect("a length")),
            (None, Some(coding)) if coding == "chunked" => self.read_chunks(),
            (None, None) => (self.read_to_end(), true),
            other => panic!("a response framed as {other:?}"),
        };
        Response {
            status,
            head,
            body,
            whole,
        }
    }

    /// Whether the gateway closes the connection, with nothing more to say.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.rest.is_empty() && self.read_to_end().is_empty()
    }

    fn bodyless(&self, status: u16, head: String) -> Response {
        Response {
            status,
            head,
            body: Vec::new(),
            whole: true,
        }
    }

    fn read_until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self
                .rest
                .windows(end.len())
                .position(|window| window == end)
            {
                return Some(self.rest.drain(..at + end.len()).collect());
            }
            if !self.read_more() {
                return None;
            }
        }
    }

    fn read_exactly(&mut self, length: usize) -> (Vec<u8>, bool) {
        while self.rest.len() < length && self.read_more() {}
        let whole = self.rest.len() >= length;
        (
            self.rest.drain(..length.min(self.rest.len())).collect(),
            whole,
        )
    }

    fn read_chunks(&mut self) -> (Vec<u8>, bool) {
        let mut body = Vec::new();
        loop {
            let Some(line) = self.read_until(b"\r\n") else {
                return (body, false);
            };
            let size = String::from_utf8(line).expect("a chunk's size");
            let length = usize::from_str_radix(size.trim(), 16).expect("a chunk's size");
            if length == 0 {
                // Trailers, if any, up to the empty line.
                while self.read_until(b"\r\n").is_some_and(|line| line != b"\r\n") {}
                return (body, true);
            }
            let (chunk, whole) = self.read_exactly(length + 2);
            if !whole {
                return (body, false);
            }
            body.extend_from_slice(&chunk[..length]);
        }
    }

    fn read_to_end(&mut self) -> Vec<u8> {
        while self.read_more() {}
        std::mem::take(&mut self.rest)
    }

    fn read_more(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        match self.socket.read(&mut buffer) {
            Ok(read) => {
                self.rest.extend_from_slice(&buffer[..read]);
                read > 0
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("the gateway said nothing for {PATIENCE:?}")
            }
            Err(_reset) => false,
        }
    }
}

impl Response {
    /// A header's value, if there is exactly one.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.head.lines().filter_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        });
        values.next().filter(|_| values.next().is_none())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// `200 body`, `404 no_route` for a refusal, with `…` where the body broke off.
    pub(crate) fn summary(&self) -> String {
        let code = self.header("x-ferryway-error").map(str::to_owned);
        let end = if self.whole { "" } else { "…" };
        format!(
            "{} {}{end}",
            self.status,
            code.unwrap_or_else(|| self.text())
        )
    }
}
