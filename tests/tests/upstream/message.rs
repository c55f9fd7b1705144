//! HTTP/1.1 messages as they stand on the wire, read without a library's help or forgiveness.

use std::io::{self, BufRead, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use ferryway_testkit::Answer;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The request line.
    line: String,
    /// Names in lower case, in the order they came.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Reads a head; none where the connection ends before one begins.
    pub(crate) fn read_head(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let Some((line, headers)) = read_head(reader)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            line,
            headers,
            body: Vec::new(),
        }))
    }

    /// Reads the body of this head and hands it on piece by piece.
    pub(crate) fn read_body(
        &self,
        reader: &mut impl BufRead,
        piece: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let framing = Framing::of(&self.headers).unwrap_or(Framing::Length(0));
        read_body(reader, framing, piece)
    }

    pub(crate) fn method(&self) -> &str {
        self.line.split(' ').next().unwrap_or_default()
    }

    /// The target as it came, query included.
    pub(crate) fn target(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn path(&self) -> &str {
        let target = self.target();
        target.split_once('?').map_or(target, |(path, _)| path)
    }

    /// The value of the first header of this name, given in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(own, _)| own == name)?;
        Some(value)
    }

    /// The head, a line each.
    pub(crate) fn text(&self) -> String {
        let headers = self.headers.iter();
        let lines = headers.map(|(name, value)| format!("{name}: {value}\n"));
        format!("{}\n{}", self.line, lines.collect::<String>())
    }
}

/// A client that sends what it is told to, byte for byte.
#[derive(Debug)]
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

/// Longer than any answer takes that comes at all.
const READ_TIME_MAX: Duration = Duration::from_secs(30);

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(READ_TIME_MAX))?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// How long an answer may be silent from now on.
    pub(crate) fn waits(&self, at_most: Duration) -> io::Result<()> {
        self.stream.get_ref().set_read_timeout(Some(at_most))
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())
    }

    /// Reads one answer, of a request that was no HEAD.
    pub(crate) fn answer(&mut self) -> io::Result<Answer> {
        let mut answer = self.head()?;
        let framing = Framing::of(&answer.headers).unwrap_or(Framing::End);
        let mut body = Vec::new();
        read_body(&mut self.stream, framing, |piece| {
            body.extend_from_slice(piece);
            Ok(())
        })?;
        answer.body = body;
        Ok(answer)
    }

    /// Reads the head of an answer, and leaves its body for [`Self::chunk`].
    pub(crate) fn head(&mut self) -> io::Result<Answer> {
        let ended = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let (line, headers) = read_head(&mut self.stream)?.ok_or_else(ended)?;
        let status = line.split(' ').nth(1).and_then(|it| it.parse().ok());
        Ok(Answer {
            status: status.ok_or_else(|| broken(&line))?,
            headers,
            body: Vec::new(),
        })
    }

    /// Reads one chunk of a chunked body; the last one is empty.
    pub(crate) fn chunk(&mut self) -> io::Result<Vec<u8>> {
        read_chunk(&mut self.stream)
    }

    /// Whether the other side has ended the connection, and nothing was left to read.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.stream.fill_buf().is_ok_and(<[u8]>::is_empty)
    }
}

/// A first line, and headers with their names in lower case.
type Head = (String, Vec<(String, String)>);

/// Where a body ends.
#[derive(Clone, Copy, Debug)]
enum Framing {
    Length(u64),
    Chunked,
    /// With the connection.
    End,
}

impl Framing {
    fn of(headers: &[(String, String)]) -> Option<Self> {
        let value = |name: &str| headers.iter().find(|(own, _)| own == name);
        if value("transfer-encoding").is_some() {
            return Some(Self::Chunked);
        }
        let (_, length) = value("content-length")?;
        length.parse().ok().map(Self::Length)
    }
}

fn read_head(reader: &mut impl BufRead) -> io::Result<Option<Head>> {
    let first = read_line(reader)?;
    if first.is_empty() {
        return Ok(None);
    }
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?;
        if line.is_empty() {
            return Ok(Some((first, headers)));
        }
        let (name, value) = line.split_once(':').ok_or_else(|| broken(&line))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn read_body(
    reader: &mut impl BufRead,
    framing: Framing,
    mut piece: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    if let Framing::Chunked = framing {
        loop {
            let chunk = read_chunk(reader)?;
            if chunk.is_empty() {
                return Ok(());
            }
            piece(&chunk)?;
        }
    }
    let mut left = match framing {
        Framing::Length(length) => length,
        Framing::Chunked | Framing::End => u64::MAX,
    };
    while left > 0 {
        let available = reader.fill_buf()?;
        if available.is_empty() {
            let is_whole = matches!(framing, Framing::End);
            return is_whole.then_some(()).ok_or_else(|| broken("a body"));
        }
        let length =
            usize::try_from(left).map_or(available.len(), |left| left.min(available.len()));
        piece(&available[..length])?;
        reader.consume(length);
        left -= length as u64;
    }
    Ok(())
}

fn read_chunk(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let line = read_line(reader)?;
    let length = usize::from_str_radix(&line, 16).map_err(|_| broken(&line))?;
    let mut chunk = vec![0; length];
    reader.read_exact(&mut chunk)?;
    let end = read_line(reader)?;
    end.is_empty().then_some(chunk).ok_or_else(|| broken(&end))
}

/// A line without its end; an empty one also where the connection has ended.
fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line)
}

fn broken(what: &str) -> io::Error {
    io::Error::other(format!("broken off or malformed: {what:?}"))
}
