//! Where a body ends.

use bytes::{Buf as _, Bytes, BytesMut};
use http::HeaderMap;

use super::head::{Malformed, head_end, read_headers};

/// Takes a body out of the bytes that follow its head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decoder {
    /// It is over, or there is none.
    Done,
    /// So many bytes are left.
    Length(u64),
    /// Chunks, each with its size.
    Chunked(Chunks),
    /// All until the connection closes.
    UntilClose,
}

/// Where in a chunked body the reader is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Chunks {
    /// Before a line with a size.
    Size,
    /// In a chunk with so many bytes left.
    Data(u64),
    /// Before the CR LF after a chunk.
    DataEnd,
    /// After the last chunk.
    Trailers,
}

/// What comes next in a body.
#[derive(Debug)]
pub(crate) enum Decoded {
    /// Some of it; never empty.
    Data(Bytes),
    /// More bytes must be read first.
    More,
    /// The end, with the trailers, if there were any.
    End(Option<HeaderMap>),
}

impl Decoder {
    /// A chunked body.
    pub(crate) const fn chunked() -> Self {
        Self::Chunked(Chunks::Size)
    }

    /// A body of this length.
    pub(crate) const fn length(length: u64) -> Self {
        match length {
            0 => Self::Done,
            length => Self::Length(length),
        }
    }

    /// Whether the body is over.
    pub(crate) fn is_done(&self) -> bool {
        *self == Self::Done
    }

    /// How many bytes are left, where that is known.
    pub(crate) fn left(&self) -> Option<u64> {
        match self {
            Self::Done => Some(0),
            Self::Length(left) => Some(*left),
            Self::Chunked(_) | Self::UntilClose => None,
        }
    }

    /// Takes what comes next from the front of `buffer`.
    pub(crate) fn decode(&mut self, buffer: &mut BytesMut) -> Result<Decoded, Malformed> {
        match self {
            Self::Done => Ok(Decoded::End(None)),
            Self::UntilClose if buffer.is_empty() => Ok(Decoded::More),
            Self::UntilClose => Ok(Decoded::Data(buffer.split().freeze())),
            Self::Length(left) => {
                let Some(data) = take(buffer, left) else {
                    return Ok(Decoded::More);
                };
                if *left == 0 {
                    *self = Self::Done;
                }
                Ok(Decoded::Data(data))
            }
            Self::Chunked(chunks) => {
                let decoded = chunks.decode(buffer)?;
                if let Decoded::End(_) = decoded {
                    *self = Self::Done;
                }
                Ok(decoded)
            }
        }
    }

    /// The connection has closed, with nothing left to decode: whether the body is whole.
    pub(crate) fn closed(&mut self) -> bool {
        if *self == Self::UntilClose {
            *self = Self::Done;
        }
        self.is_done()
    }
}

impl Chunks {
    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Decoded, Malformed> {
        loop {
            *self = match self {
                Self::Size => match read_size(buffer)? {
                    None => return Ok(Decoded::More),
                    Some(0) => Self::Trailers,
                    Some(size) => Self::Data(size),
                },
                Self::Data(left) => {
                    let Some(data) = take(buffer, left) else {
                        return Ok(Decoded::More);
                    };
                    if *left == 0 {
                        *self = Self::DataEnd;
                    }
                    return Ok(Decoded::Data(data));
                }
                Self::DataEnd => match buffer.get(..2) {
                    None if buffer.first().is_some_and(|byte| *byte != b'\r') => {
                        return Err(Malformed);
                    }
                    None => return Ok(Decoded::More),
                    Some(b"\r\n") => {
                        buffer.advance(2);
                        Self::Size
                    }
                    Some(_) => return Err(Malformed),
                },
                Self::Trailers => {
                    let trailers = read_trailers(buffer)?;
                    return Ok(trailers.map_or(Decoded::More, Decoded::End));
                }
            };
        }
    }
}

/// What is there of the bytes that are left.
fn take(buffer: &mut BytesMut, left: &mut u64) -> Option<Bytes> {
    let there = buffer
        .len()
        .min(usize::try_from(*left).unwrap_or(usize::MAX));
    if there == 0 {
        return None;
    }
    *left -= there as u64;
    Some(buffer.split_to(there).freeze())
}

/// A line with a chunk's size, and perhaps extensions, which are dropped.
fn read_size(buffer: &mut BytesMut) -> Result<Option<u64>, Malformed> {
    let Some(end) = memchr::memchr(b'\n', buffer) else {
        let hopeless = buffer.len() > CHUNK_LINE_BYTES_MAX || !is_size_line(buffer);
        return if hopeless { Err(Malformed) } else { Ok(None) };
    };
    let Some(line) = buffer[..end].strip_suffix(b"\r") else {
        return Err(Malformed);
    };
    // Blanks lead to an extension: alone they are only the beginning of a line.
    let ends_blank = matches!(line.last(), Some(b' ' | b'\t')) && !line.contains(&b';');
    let wrong = ends_blank || line.contains(&b'\r') || !is_size_line(line);
    if line.len() > CHUNK_LINE_BYTES_MAX || wrong {
        return Err(Malformed);
    }
    let digits = line
        .iter()
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    if !(1..=CHUNK_DIGITS_MAX).contains(&digits) {
        return Err(Malformed);
    }
    let size = line[..digits].iter().fold(0, |size, digit| {
        size * 16 + u64::from(char::from(*digit).to_digit(16).unwrap_or_default())
    });
    buffer.advance(end + 1);
    Ok(Some(size))
}

/// Whether a line may be, or begin, one with a size: hex digits, then nothing, or blanks and `;` and
/// visible text.
fn is_size_line(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let digits = line
        .iter()
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    let rest = &line[digits..];
    let blanks = rest
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count();
    match rest.get(blanks) {
        None => digits > 0 || line.is_empty(),
        Some(b';') => {
            digits > 0
                && rest
                    .iter()
                    .all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..))
        }
        Some(_) => false,
    }
}

/// The lines after the last chunk, up to and with the empty one.
fn read_trailers(buffer: &mut BytesMut) -> Result<Option<Option<HeaderMap>>, Malformed> {
    if buffer.starts_with(b"\r\n") {
        buffer.advance(2);
        return Ok(Some(None));
    }
    match head_end(buffer, 0)? {
        Some(end) if end <= TRAILER_BYTES_MAX => {
            let lines = buffer.split_to(end).freeze();
            let mut trailers = HeaderMap::new();
            read_headers(&lines, &lines, &mut trailers)?;
            Ok(Some(Some(trailers)))
        }
        None if buffer.len() <= TRAILER_BYTES_MAX => Ok(None),
        _ => Err(Malformed),
    }
}

/// Longest line with a chunk's size, in bytes.
const CHUNK_LINE_BYTES_MAX: usize = 256;
/// Most hex digits of a chunk's size: 64 pebibytes, and no overflow in sight.
const CHUNK_DIGITS_MAX: usize = 15;
/// Longest trailers, in bytes.
const TRAILER_BYTES_MAX: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Decodes `text`, given in pieces that end where `cuts` says; the body, or `!`.
    fn decode(mut decoder: Decoder, text: &[u8], cuts: &[usize]) -> String {
        let mut ends: Vec<_> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
        ends.push(text.len());
        ends.sort_unstable();
        let (mut buffer, mut body, mut from) = (BytesMut::new(), Vec::new(), 0);
        for end in ends {
            buffer.extend_from_slice(&text[from..end]);
            from = end;
            loop {
                match decoder.decode(&mut buffer) {
                    Ok(Decoded::Data(data)) => {
                        assert!(!data.is_empty());
                        body.extend_from_slice(&data);
                    }
                    Ok(Decoded::More) => break,
                    Ok(Decoded::End(trailers)) => {
                        assert!(decoder.is_done());
                        // All of it has been read by now, as the end was found only now.
                        buffer.extend_from_slice(&text[from..]);
                        let trailers = trailers.map_or(0, |trailers| trailers.len());
                        let body = String::from_utf8_lossy(&body).into_owned();
                        return format!("{body}+{trailers}|{}", String::from_utf8_lossy(&buffer));
                    }
                    Err(Malformed) => return "!".to_owned(),
                }
            }
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        if decoder.closed() {
            format!("{body}+0|")
        } else {
            format!("{body}…")
        }
    }

    #[track_caller]
    fn check(decoder: Decoder, text: &str, expect: &str) {
        assert_eq!(decode(decoder, text.as_bytes(), &[]), expect, "{text:?}");
    }

    #[test]
    fn lengths() {
        check(Decoder::length(0), "GET", "+0|GET");
        check(Decoder::length(2), "hiGET", "hi+0|GET");
        check(Decoder::length(9), "hi", "hi…");
        check(Decoder::UntilClose, "all of it", "all of it+0|");
    }

    #[test]
    fn chunks() {
        let check = |text, expect| check(Decoder::chunked(), text, expect);
        check("2\r\nhi\r\n0\r\n\r\nGET", "hi+0|GET");
        check("1\r\nh\r\n01\r\ni\r\n000\r\n\r\n", "hi+0|");
        check("A\r\n0123456789\r\n0\r\n\r\n", "0123456789+0|");
        check("2;x=\"y\"\r\nhi\r\n0 ; z\r\n\r\n", "hi+0|");
        check("0\r\nx-sum: 1\r\ny: 2\r\n\r\nGET", "+2|GET");
        check("2\r\nhi\r\n", "hi…");
        check("2\r\nh", "h…");
        for bad in [
            "x\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x1\r\n",
            " 1\r\n",
            "1 \r\n",
            "1\t\r\n",
            "0\r\n\n",
            "0\r\nx: 1\n",
            "1 1\r\n",
            "\r\n",
            "1\n",
            "1\r\r\n",
            "1;\rx\r\n",
            "1;\nx",
            "2;\0\r\n",
            "2\r\nhi0\r\n",
            "2\r\nhi\n0\r\n",
            "2\r\nhiX",
            "ffffffffffffffff\r\n",
            "10000000000000000\r\n",
            "0\r\nbad line\r\n\r\n",
            "0\r\nx: 1\n\r\n\r\n",
            "0\r\n x: 1\r\n\r\n",
        ] {
            let got = decode(Decoder::chunked(), bad.as_bytes(), &[]);
            assert!(got.ends_with('!'), "{bad:?}: {got:?}");
        }
        let long = format!("1;{}\r\n", "x".repeat(CHUNK_LINE_BYTES_MAX));
        check(&long, "!");
        check(&long[..long.len() - 2], "!");
        check(
            &format!("0\r\nx: {}\r\n", "y".repeat(TRAILER_BYTES_MAX)),
            "!",
        );
    }

    proptest! {
        /// However the bytes are cut into reads, they mean the same.
        #[test]
        fn cuts_change_nothing(
            text in "([0-9a-f]{1,3}(;x)?\r\n|hi|\r\n|0\r\n\r\n|2\r\nhi\r\n|x: 1\r\n|\n| ){0,8}",
            cuts in prop::collection::vec(0usize..100, 0..6),
        ) {
            let whole = decode(Decoder::chunked(), text.as_bytes(), &[]);
            let cut = decode(Decoder::chunked(), text.as_bytes(), &cuts);
            // Cut in pieces, a malformed body may have given some data first.
            prop_assert_eq!(whole, cut);
        }
    }
}
