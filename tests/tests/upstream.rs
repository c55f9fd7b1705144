//! An upstream that shows what it was sent, byte for byte, and answers what a test tells it to.
//!
//! It is no HTTP library's: what the gateway sends is read as it stands on the wire, and answers may
//! be broken on purpose.

mod message;

use std::collections::{HashMap, VecDeque};
use std::io::{self, BufReader, Read as _, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

pub(crate) use message::{Client, Request};

/// A running upstream on a free port of 127.0.0.1, ended when dropped.
#[derive(Debug)]
pub(crate) struct Upstream {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

/// What the upstream answers at a path.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// 200, and the request's head as it came.
    Mirror,
    /// This status and body.
    Text(u16, &'static str),
    /// 200, and the request's body, piece by piece as it comes.
    Echo,
    /// These bytes, and then the end of the connection.
    Bytes(&'static [u8]),
    /// The end of the connection.
    Close,
    /// Nothing, for as long as the gateway waits.
    Silence,
    /// 200, and a body without an end, for as long as the gateway reads.
    Endless,
}

#[derive(Debug, Default)]
struct State {
    /// By path, to be given in this order; the last one stays.
    replies: HashMap<String, VecDeque<Reply>>,
    requests: Vec<Request>,
    connections: Vec<TcpStream>,
    ended: bool,
}

impl Upstream {
    /// Starts one that mirrors at every path.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::new(Mutex::new(State::default()));
        let own = Arc::clone(&state);
        thread::spawn(move || accept(&listener, &own));
        Self { address, state }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, answers requests for this path with these in turn, and then with the last one.
    pub(crate) fn reply(&self, path: &str, replies: impl IntoIterator<Item = Reply>) {
        let replies = replies.into_iter().collect();
        lock(&self.state).replies.insert(path.to_owned(), replies);
    }

    /// The requests for this path so far.
    pub(crate) fn requests(&self, path: &str) -> Vec<Request> {
        let state = lock(&self.state);
        let requests = state.requests.iter();
        requests
            .filter(|request| request.path() == path)
            .cloned()
            .collect()
    }

    /// How many connections were opened so far.
    pub(crate) fn connections(&self) -> usize {
        lock(&self.state).connections.len()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        state.ended = true;
        for connection in &state.connections {
            // One that has ended by itself cannot be ended again.
            let _ = connection.shutdown(Shutdown::Both);
        }
        drop(state);
        // Wakes the acceptor.
        let _ = TcpStream::connect(self.address);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, state: &Arc<Mutex<State>>) {
    for connection in listener.incoming() {
        let Ok(connection) = connection else { continue };
        let mut locked = lock(state);
        if locked.ended {
            return;
        }
        if let Ok(other) = connection.try_clone() {
            locked.connections.push(other);
        }
        drop(locked);
        let state = Arc::clone(state);
        // A connection that breaks is the gateway's right; the test looks at what came of it.
        thread::spawn(move || serve(&connection, &state).is_ok());
    }
}

/// Answers requests until the other side, or a reply, ends the connection.
fn serve(connection: &TcpStream, state: &Mutex<State>) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut reader = BufReader::new(connection);
    let mut writer = connection;
    while let Some(mut request) = Request::read_head(&mut reader)? {
        let reply = next_reply(state, request.path());
        if let Reply::Echo = reply {
            writer.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
            request.read_body(&mut reader, |piece| write_chunk(writer, piece))?;
            writer.write_all(b"0\r\n\r\n")?;
            lock(state).requests.push(request);
            continue;
        }
        let mut body = Vec::new();
        request.read_body(&mut reader, |piece| {
            body.extend_from_slice(piece);
            Ok(())
        })?;
        request.body = body;
        let is_head = request.method() == "HEAD";
        let mirror = request.text();
        lock(state).requests.push(request);
        match reply {
            Reply::Mirror => write_text(writer, 200, &mirror, is_head)?,
            Reply::Text(status, text) => write_text(writer, status, text, is_head)?,
            Reply::Bytes(bytes) => {
                writer.write_all(bytes)?;
                return connection.shutdown(Shutdown::Both);
            }
            Reply::Close => return connection.shutdown(Shutdown::Both),
            Reply::Silence => {
                reader.read_to_end(&mut Vec::new())?;
            }
            Reply::Endless => {
                writer.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
                loop {
                    writer.write_all(&[b'x'; 16 * 1024])?;
                }
            }
            Reply::Echo => unreachable!("it is answered while its body is read"),
        }
    }
    Ok(())
}

fn next_reply(state: &Mutex<State>, path: &str) -> Reply {
    match lock(state).replies.get_mut(path) {
        Some(replies) if replies.len() > 1 => replies.pop_front(),
        Some(replies) => replies.front().cloned(),
        None => None,
    }
    .unwrap_or(Reply::Mirror)
}

fn write_text(mut writer: impl Write, status: u16, text: &str, is_head: bool) -> io::Result<()> {
    let length = text.len();
    let head = format!("HTTP/1.1 {status} Some Reason\r\ncontent-length: {length}\r\n\r\n");
    let body = if is_head { "" } else { text };
    writer.write_all(format!("{head}{body}").as_bytes())
}

fn write_chunk(mut writer: impl Write, piece: &[u8]) -> io::Result<()> {
    write!(writer, "{:x}\r\n", piece.len())?;
    writer.write_all(piece)?;
    writer.write_all(b"\r\n")
}
