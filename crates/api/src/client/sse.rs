//! Server-sent events from their bytes. No I/O.

/// Collects bytes into events. Lines end with LF or CR LF.
#[derive(Debug, Default)]
pub(super) struct Parser {
    line: Vec<u8>,
    name: String,
    data: String,
    id: Option<String>,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// The kind; empty if none was given.
    pub(super) name: String,
    /// The data; several lines are joined by LF.
    pub(super) data: String,
    /// The latest id that the stream has given.
    pub(super) id: Option<String>,
}

/// An event larger than [`EVENT_BYTES_MAX`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

impl Parser {
    /// Takes bytes in, wherever they were cut, and hands the events that they end to `events`.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        events: &mut impl Extend<Event>,
    ) -> Result<(), TooLarge> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if self.line.len() + self.data.len() > EVENT_BYTES_MAX {
                return Err(TooLarge);
            }
            if self.line.ends_with(b"\n") {
                events.extend(self.end_of_line());
            }
        }
        Ok(())
    }

    fn end_of_line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            return self.end_of_event();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            "id" => self.id = Some(value.to_owned()),
            // A comment (no name) keeps the connection alive; `retry` is the caller's to decide.
            _ => {}
        }
        None
    }

    fn end_of_event(&mut self) -> Option<Event> {
        let (name, data) = (
            std::mem::take(&mut self.name),
            std::mem::take(&mut self.data),
        );
        (!data.is_empty()).then(|| Event {
            name,
            data,
            id: self.id.clone(),
        })
    }
}

/// The largest event: the operation at its end, with 64 services in 32 groups.
pub(super) const EVENT_BYTES_MAX: usize = 32 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], piece: usize) -> Vec<Event> {
        let (mut parser, mut events) = (Parser::default(), Vec::new());
        for bytes in bytes.chunks(piece) {
            parser.feed(bytes, &mut events).expect("small events");
        }
        events
    }

    #[track_caller]
    fn check(stream: &str, expect: &[(&str, &str, Option<&str>)]) {
        for piece in [1, 2, 3, 7, stream.len().max(1)] {
            let events = read(stream.as_bytes(), piece);
            let got: Vec<_> = events
                .iter()
                .map(|event| (&*event.name, &*event.data, event.id.as_deref()))
                .collect();
            assert_eq!(got, expect, "in pieces of {piece}: {stream:?}");
        }
    }

    #[test]
    fn events_wherever_they_are_cut() {
        check(
            "event: state\nid: 7\ndata: {}\n\n",
            &[("state", "{}", Some("7"))],
        );
        check("data:a\r\ndata:b\r\n\r\n", &[("", "a\nb", None)]);
        check(": still here\n\nevent: end\n\n", &[]);
        check(
            "id: 1\ndata: é\n\ndata: y\n\ndata: cut",
            &[("", "é", Some("1")), ("", "y", Some("1"))],
        );
        check("retry: 3\nnonsense\ndata: x\n\n", &[("", "x", None)]);
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut parser = Parser::default();
        let piece = vec![b'x'; EVENT_BYTES_MAX / 2];
        let mut events = Vec::new();
        assert_eq!(parser.feed(&piece, &mut events), Ok(()));
        assert_eq!(parser.feed(&piece, &mut events), Ok(()));
        assert_eq!(parser.feed(b"x", &mut events), Err(TooLarge));
    }
}
