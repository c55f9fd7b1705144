//! HTTP/1.1 as bytes on a socket: every way in which a request can fail is seen and named.
//!
//! It reads what Ferryway's programs send: a status line, headers, and a body whose length is
//! given. Nothing is tried again and nothing is reopened.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// An open connection on which one request after another is sent.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// How long an exchange may take.
    limit: Duration,
    /// What was received and belongs to no answer yet.
    received: Vec<u8>,
}

/// An answer, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// As the status line has it.
    pub status: u16,
    /// The other side announces that it closes: this was the last exchange.
    pub closes: bool,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Failure {
    /// Nobody accepts.
    Connect(io::Error),
    /// The request could not be written.
    Send(io::Error),
    /// The connection broke before the answer's end.
    Receive(io::Error),
    /// The connection was closed, in good order, before the answer's end; so many bytes of it came.
    Closed {
        /// Bytes of the answer that came.
        after: usize,
    },
    /// The time for an exchange was over.
    Late(Duration),
    /// What came is no answer that this client reads.
    Malformed(&'static str),
}

impl Connection {
    /// Connects; `limit` is the most that this and each later exchange may take.
    ///
    /// # Errors
    ///
    /// Nobody accepts.
    pub async fn open(address: SocketAddr, limit: Duration) -> Result<Self, Failure> {
        let stream = timeout(limit, TcpStream::connect(address))
            .await
            .map_err(|_| Failure::Late(limit))?
            .map_err(Failure::Connect)?;
        // Not essential to any answer, and it fails only on a connection that is broken already.
        let _ = stream.set_nodelay(true);
        Ok(Self {
            stream,
            limit,
            received: Vec::new(),
        })
    }

    /// Sends a request and reads its answer to the end.
    ///
    /// # Errors
    ///
    /// There is no whole answer. The connection is of no use then.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<Reply, Failure> {
        let limit = self.limit;
        let exchange = async {
            self.stream
                .write_all(request)
                .await
                .map_err(Failure::Send)?;
            self.read().await
        };
        timeout(limit, exchange)
            .await
            .unwrap_or(Err(Failure::Late(limit)))
    }

    async fn read(&mut self) -> Result<Reply, Failure> {
        let head = loop {
            if let Some(head) = Head::parse(&self.received)? {
                break head;
            }
            if self.received.len() > HEAD_BYTES_MAX {
                return Err(Failure::Malformed("a head over 64 KiB"));
            }
            self.receive().await?;
        };
        let end = head.bytes + head.body_bytes;
        while self.received.len() < end {
            self.receive().await?;
        }
        let body = self.received[head.bytes..end].to_vec();
        self.received.drain(..end);
        if !self.received.is_empty() {
            return Err(Failure::Malformed("more than was asked for"));
        }
        Ok(Reply {
            status: head.status,
            closes: head.closes,
            body,
        })
    }

    async fn receive(&mut self) -> Result<(), Failure> {
        self.received.reserve(READ_BYTES);
        match self.stream.read_buf(&mut self.received).await {
            Ok(0) => Err(Failure::Closed {
                after: self.received.len(),
            }),
            Ok(_) => Ok(()),
            Err(error) => Err(Failure::Receive(error)),
        }
    }
}

/// A request as bytes. `further` are header lines, each with its line end.
#[must_use]
pub fn request(method: &str, host: &str, path: &str, further: &str, body: &[u8]) -> Vec<u8> {
    let length = match body.len() {
        0 => String::new(),
        length => format!("content-type: application/json\r\ncontent-length: {length}\r\n"),
    };
    let head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n{length}{further}\r\n");
    [head.as_bytes(), body].concat()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "not connected: {error}"),
            Self::Send(error) => write!(f, "not sent: {error}"),
            Self::Receive(error) => write!(f, "broken off: {error}"),
            Self::Closed { after } => write!(f, "closed after {after} bytes of the answer"),
            Self::Late(limit) => write!(f, "not answered within {limit:?}"),
            Self::Malformed(what) => write!(f, "unreadable answer: {what}"),
        }
    }
}

impl std::error::Error for Failure {}

/// What is needed of an answer's head.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    closes: bool,
    /// The length of the head itself.
    bytes: usize,
    body_bytes: usize,
}

impl Head {
    /// None: its end has not come yet.
    fn parse(received: &[u8]) -> Result<Option<Self>, Failure> {
        let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let text = std::str::from_utf8(&received[..end])
            .map_err(|_| Failure::Malformed("a head that is no text"))?;
        let mut lines = text.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok())
            .ok_or(Failure::Malformed("no status line of HTTP/1.1"))?;
        let (mut closes, mut length) = (false, None);
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().ok().filter(|bytes| *bytes <= BODY_BYTES_MAX);
            } else if name.eq_ignore_ascii_case("connection") {
                closes = value.eq_ignore_ascii_case("close");
            }
        }
        if status == NO_CONTENT {
            length = Some(0);
        }
        Ok(Some(Self {
            status,
            closes,
            bytes: end + 4,
            body_bytes: length.ok_or(Failure::Malformed("a body without a length in bounds"))?,
        }))
    }
}

/// A status whose answers have no body.
const NO_CONTENT: u16 = 204;
/// The longest head that is read.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The longest body that is read: lists of operations are the longest asked for.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The room made for each read.
const READ_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    const LIMIT: Duration = Duration::from_secs(10);

    /// Answers one request with these bytes and closes; `expect` is the reply or a part of the
    /// failure's text.
    #[track_caller]
    fn check(answer: &'static str, expect: Result<(u16, bool, &str), &str>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let got = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let serve = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut asked = [0; 1024];
                let length = stream.read(&mut asked).await.unwrap();
                // In two parts, to be put together again.
                let (first, second) = answer.as_bytes().split_at(answer.len() / 2);
                stream.write_all(first).await.unwrap();
                tokio::task::yield_now().await;
                stream.write_all(second).await.unwrap();
                String::from_utf8_lossy(&asked[..length]).into_owned()
            };
            let ask = async {
                let mut connection = Connection::open(address, LIMIT).await?;
                connection
                    .exchange(&request("GET", "a", "/b", "x: y\r\n", b""))
                    .await
            };
            let (asked, got) = tokio::join!(serve, ask);
            assert_eq!(asked, "GET /b HTTP/1.1\r\nhost: a\r\nx: y\r\n\r\n");
            got
        });
        match (got, expect) {
            (Ok(reply), Ok((status, closes, body))) => {
                let expected = Reply {
                    status,
                    closes,
                    body: body.into(),
                };
                assert_eq!(reply, expected);
            }
            (Err(failure), Err(part)) => {
                let text = failure.to_string();
                assert!(text.contains(part), "{part} in {text}");
            }
            (got, expect) => panic!("got {got:?}, expected {expect:?}"),
        }
    }

    #[test]
    fn answers() {
        check(
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
            Ok((200, false, "abc")),
        );
        check(
            "HTTP/1.1 503 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
            Ok((503, true, "")),
        );
        check("HTTP/1.1 204 None\r\na: b\r\n\r\n", Ok((204, false, "")));
    }

    #[test]
    fn failures() {
        check("", Err("closed after 0 bytes"));
        check("HTTP/1.1 200 OK\r\nconte", Err("closed after 22 bytes"));
        check(
            "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nabc",
            Err("closed after"),
        );
        check(
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nabc",
            Err("more than was asked for"),
        );
        check("HTTP/1.1 200 OK\r\n\r\n", Err("without a length"));
        check(
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
            Err("without a length in bounds"),
        );
        check("SSH-2.0\r\n\r\n", Err("no status line"));
    }

    #[test]
    fn nobody_there() {
        let [port] = ferryway_testkit::ports::free();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let opened = runtime.block_on(Connection::open(([127, 0, 0, 1], port).into(), LIMIT));
        assert!(
            matches!(opened, Err(Failure::Connect(_))),
            "port {port}: {opened:?}"
        );
    }
}
