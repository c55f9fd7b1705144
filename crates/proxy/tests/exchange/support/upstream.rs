//! A strict upstream that plays a script.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use super::PATIENCE;

/// An upstream on a port of its own. It ends with the test's process.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    events: Receiver<Event>,
    go: Sender<()>,
}

/// What happened at an upstream, and on which of its connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A request came: its head as it was, its body decoded.
    Request {
        connection: usize,
        head: String,
        body: Vec<u8>,
    },
    /// Something came that a strict reader calls malformed.
    Malformed(String),
    /// The connection is closed: the other side did while nothing was sent, or the script did.
    Closed { connection: usize },
}

impl Upstream {
    /// Starts to play. Each line of the script is for one connection, the last for all further ones.
    /// Steps are separated by `|`:
    ///
    /// - `read`: read a request, strictly; `head`: its head only
    /// - `ok TEXT`: answer with 200 and this body; `say TEXT`: send this, `\r` and `\n` as written
    /// - `wait`: until [`go`](Self::go)
    /// - `close`, `reset`; `hold`: wait until the other side closes; `stall`: neither read nor close;
    ///   `again`: from the start of the line
    pub(crate) fn start(script: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (send, events) = channel();
        let (go, waits) = channel();
        let waits = Arc::new(Mutex::new(waits));
        let lines: Vec<String> = script.lines().map(str::to_owned).collect();
        thread::spawn(move || {
            for (number, socket) in listener.incoming().enumerate() {
                let line = lines
                    .get(number)
                    .or_else(|| lines.last())
                    .cloned()
                    .unwrap_or_default();
                let (socket, events) = (socket.expect("accepts"), send.clone());
                let waits = Arc::clone(&waits);
                thread::spawn(move || play(number, socket, &line, &events, &waits));
            }
        });
        Self {
            address,
            events,
            go,
        }
    }

    /// The next event.
    #[track_caller]
    pub(crate) fn event(&self) -> Event {
        self.events
            .recv_timeout(PATIENCE)
            .expect("something happens at the upstream")
    }

    /// The next request: its connection, head and body. Connections that end meanwhile are passed
    /// over.
    #[track_caller]
    pub(crate) fn request(&self) -> (usize, String, String) {
        loop {
            match self.event() {
                Event::Request {
                    connection,
                    head,
                    body,
                } => {
                    let body = String::from_utf8_lossy(&body).into_owned();
                    return (connection, head, body);
                }
                Event::Closed { .. } => {}
                Event::Malformed(why) => panic!("a malformed request: {why}"),
            }
        }
    }

    /// Lets one connection that waits go on.
    pub(crate) fn go(&self) {
        self.go.send(()).expect("the upstream plays");
    }

    /// What came up to a request for this target, as `METHOD target body` of each. What the gateway
    /// itself cut off is passed over: nobody takes that for a request.
    #[track_caller]
    pub(crate) fn seen_before(&self, target: &str) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            match self.event() {
                Event::Request { head, body, .. } => {
                    let (method, rest) = head.split_once(' ').unwrap_or_default();
                    let (asked, _) = rest.split_once(' ').unwrap_or_default();
                    if asked == target {
                        return seen;
                    }
                    let body = String::from_utf8_lossy(&body);
                    seen.push(format!("{method} {asked} {body}").trim_end().to_owned());
                }
                Event::Malformed(why) if !why.starts_with("cut off") => {
                    seen.push(format!("malformed: {why}"));
                }
                Event::Malformed(_) | Event::Closed { .. } => {}
            }
        }
    }

    /// Whether nothing has happened that was not asked for.
    pub(crate) fn is_quiet(&self) -> bool {
        self.events.try_recv().is_err()
    }
}

fn play(
    connection: usize,
    mut socket: TcpStream,
    line: &str,
    events: &Sender<Event>,
    waits: &Mutex<Receiver<()>>,
) {
    socket.set_nodelay(true).expect("a socket");
    let mut rest = Vec::new();
    'start: loop {
        for step in line.split('|').map(str::trim) {
            let (word, text) = step.split_once(' ').unwrap_or((step, ""));
            match word {
                "read" | "head" => match read_request(&mut socket, &mut rest, word == "read") {
                    Ok(Some((head, body))) => {
                        let _ = events.send(Event::Request {
                            connection,
                            head,
                            body,
                        });
                    }
                    Ok(None) => {
                        let _ = events.send(Event::Closed { connection });
                        return;
                    }
                    Err(why) => {
                        let _ = events.send(Event::Malformed(why));
                        return;
                    }
                },
                "ok" => {
                    let length = text.len();
                    let _ = write!(
                        socket,
                        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{text}"
                    );
                }
                "say" => {
                    let text = text.replace("\\r", "\r").replace("\\n", "\n");
                    let _ = socket.write_all(text.as_bytes());
                }
                "close" => {
                    let _ = socket.shutdown(Shutdown::Both);
                    let _ = events.send(Event::Closed { connection });
                    return;
                }
                "reset" => {
                    let linger = Some(std::time::Duration::ZERO);
                    let socket = socket2::Socket::from(socket);
                    socket.set_linger(linger).expect("a socket");
                    return;
                }
                "hold" => {
                    let mut sink = [0; 4096];
                    while socket.read(&mut sink).is_ok_and(|read| read > 0) {}
                    let _ = events.send(Event::Closed { connection });
                    return;
                }
                "stall" => {
                    // Neither reads nor closes.
                    thread::park();
                }
                "wait" => {
                    let waits = waits.lock().expect("nobody panicked");
                    waits.recv_timeout(PATIENCE).expect("somebody says go");
                }
                "again" => continue 'start,
                other => panic!("no step {other:?}"),
            }
        }
        return;
    }
}

/// One request; none if the other side closed between requests.
fn read_request(
    socket: &mut TcpStream,
    rest: &mut Vec<u8>,
    with_body: bool,
) -> Result<Option<(String, Vec<u8>)>, String> {
    let Some(head) = read_until(socket, rest, b"\r\n\r\n")? else {
        return Ok(None);
    };
    let mut lines = [httparse::EMPTY_HEADER; 200];
    if !httparse::Request::new(&mut lines)
        .parse(&head)
        .is_ok_and(|it| it.is_complete())
    {
        return Err(format!("no head: {:?}", String::from_utf8_lossy(&head)));
    }
    // What is beyond ASCII may be in the values of headers, and is not looked at.
    let head = head.iter().copied().map(char::from).collect::<String>();
    let framing = strict_head(&head)?;
    let body = match framing {
        _ if !with_body => Vec::new(),
        Framing::Length(length) => read_exactly(socket, rest, length)?,
        Framing::Chunked => read_chunks(socket, rest)?,
    };
    Ok(Some((head, body)))
}

enum Framing {
    Length(usize),
    Chunked,
}

/// What RFC 9112 wants of a request's head, and what this gateway never sends.
fn strict_head(head: &str) -> Result<Framing, String> {
    let wrong = |why: &str| Err(format!("{why}: {head:?}"));
    let mut lines = head.strip_suffix("\r\n\r\n").unwrap_or(head).split("\r\n");
    let words: Vec<_> = lines.next().unwrap_or_default().split(' ').collect();
    let [_method, target, "HTTP/1.1"] = words[..] else {
        return wrong("a bad request line");
    };
    let visible = target.bytes().all(|byte| (0x21..0x7f).contains(&byte));
    if !target.starts_with('/') || !visible || target.contains('#') {
        return wrong("a bad target");
    }
    let (mut hosts, mut lengths, mut codings) = (0, Vec::new(), Vec::new());
    for line in lines {
        let Some((name, value)) = line.split_once(": ") else {
            return wrong("a bad header line");
        };
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) || value.contains(['\r', '\n', '\0']) {
            return wrong("a bad header");
        }
        match name.to_ascii_lowercase().as_str() {
            "host" => hosts += 1,
            "content-length" => lengths.push(value.to_owned()),
            "transfer-encoding" => codings.push(value.to_owned()),
            "connection" | "keep-alive" | "te" | "upgrade" | "trailer" | "expect" => {
                return wrong("a hop-by-hop header");
            }
            _ => {}
        }
    }
    if hosts != 1 {
        return wrong("not one host");
    }
    match (&lengths[..], &codings[..]) {
        ([], []) => Ok(Framing::Length(0)),
        ([length], []) if length.bytes().all(|byte| byte.is_ascii_digit()) => length
            .parse()
            .map(Framing::Length)
            .map_err(|error| error.to_string()),
        ([], [coding]) if coding == "chunked" => Ok(Framing::Chunked),
        _ => wrong("bad framing"),
    }
}

fn read_chunks(socket: &mut TcpStream, rest: &mut Vec<u8>) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        let line = read_until(socket, rest, b"\r\n")?.ok_or("cut off: chunks that end early")?;
        let size = std::str::from_utf8(&line).unwrap_or_default().trim_end();
        let length = usize::from_str_radix(size, 16).map_err(|_| format!("a chunk of {size:?}"))?;
        let chunk = read_exactly(socket, rest, length + 2)?;
        if &chunk[length..] != b"\r\n" {
            return Err("a chunk without its end".to_owned());
        }
        body.extend_from_slice(&chunk[..length]);
        if length == 0 {
            return Ok(body);
        }
    }
}

fn read_exactly(
    socket: &mut TcpStream,
    rest: &mut Vec<u8>,
    length: usize,
) -> Result<Vec<u8>, String> {
    while rest.len() < length {
        if !read_more(socket, rest)? {
            return Err(format!(
                "cut off: a body of {} instead of {length}",
                rest.len()
            ));
        }
    }
    Ok(rest.drain(..length).collect())
}

/// Up to and with `end`; none if there is nothing at all.
fn read_until(
    socket: &mut TcpStream,
    rest: &mut Vec<u8>,
    end: &[u8],
) -> Result<Option<Vec<u8>>, String> {
    loop {
        if let Some(at) = rest.windows(end.len()).position(|window| window == end) {
            return Ok(Some(rest.drain(..at + end.len()).collect()));
        }
        if !read_more(socket, rest)? {
            return match rest.is_empty() {
                true => Ok(None),
                false => Err(format!("cut off: {:?}", String::from_utf8_lossy(rest))),
            };
        }
    }
}

fn read_more(socket: &mut TcpStream, rest: &mut Vec<u8>) -> Result<bool, String> {
    let mut buffer = [0; 16 * 1024];
    match socket.read(&mut buffer) {
        Ok(0) => Ok(false),
        Ok(read) => {
            rest.extend_from_slice(&buffer[..read]);
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}
