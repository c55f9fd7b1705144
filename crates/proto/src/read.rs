//! Reading single fields. Each function names its field in what it refuses.

use std::time::Duration;

use ferryway_model::{Digest, Name};
use uuid::Uuid;

use crate::error::DecodeError;
use crate::limits::WAIT_MILLIS_MAX;

pub(crate) fn required<T>(field: &str, value: Option<T>) -> Result<T, DecodeError> {
    value.ok_or_else(|| DecodeError::new(field, "is missing"))
}

pub(crate) fn digest(field: &str, bytes: &[u8]) -> Result<Digest, DecodeError> {
    Digest::try_from(bytes).map_err(|_| wrong_length(field, bytes, 32))
}

/// A digest that may be absent.
pub(crate) fn digest_or_none(field: &str, bytes: &[u8]) -> Result<Option<Digest>, DecodeError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    digest(field, bytes).map(Some)
}

pub(crate) fn uuid(field: &str, bytes: &[u8]) -> Result<Uuid, DecodeError> {
    Uuid::from_slice(bytes).map_err(|_| wrong_length(field, bytes, 16))
}

fn wrong_length(field: &str, bytes: &[u8], expect: usize) -> DecodeError {
    let len = bytes.len();
    DecodeError::new(field, format!("is {len} bytes long; must be {expect}"))
}

pub(crate) fn name(field: &str, text: &str) -> Result<Name, DecodeError> {
    text.parse()
        .map_err(|error: ferryway_model::InvalidName| DecodeError::new(field, error.to_string()))
}

pub(crate) fn text(field: &str, text: String, bytes_max: usize) -> Result<String, DecodeError> {
    let len = text.len();
    if len > bytes_max {
        let why = format!("is {len} bytes long; at most {bytes_max} are allowed");
        return Err(DecodeError::new(field, why));
    }
    Ok(text)
}

/// A wait or an interval.
pub(crate) fn millis(field: &str, millis: u32) -> Result<Duration, DecodeError> {
    if millis > WAIT_MILLIS_MAX {
        let why = format!("is {millis} ms; at most {WAIT_MILLIS_MAX} ms are allowed");
        return Err(DecodeError::new(field, why));
    }
    Ok(Duration::from_millis(millis.into()))
}

/// The other way: what does not fit is the longest that does.
pub(crate) fn to_millis(duration: Duration) -> u32 {
    let millis = u32::try_from(duration.as_millis()).unwrap_or(WAIT_MILLIS_MAX);
    millis.min(WAIT_MILLIS_MAX)
}

/// A list, each item read by `read`.
pub(crate) fn list<W, T>(
    field: &str,
    items: Vec<W>,
    max: usize,
    read: impl Fn(W) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let count = items.len();
    if count > max {
        let why = format!("has {count} items; at most {max} are allowed");
        return Err(DecodeError::new(field, why));
    }
    let items = items.into_iter().enumerate();
    items
        .map(|(n, item)| read(item).map_err(|error| error.within(format_args!("{field}[{n}]"))))
        .collect()
}

/// A list of short texts.
pub(crate) fn texts(
    field: &str,
    items: Vec<String>,
    max: usize,
    bytes_max: usize,
) -> Result<Vec<String>, DecodeError> {
    list(field, items, max, |item| text("", item, bytes_max))
}

/// A value of an enumeration. Its zero means "not said", and is refused as much as an unknown one.
pub(crate) fn choice<W: TryFrom<i32>, T>(
    field: &str,
    number: i32,
    read: impl Fn(W) -> Option<T>,
) -> Result<T, DecodeError> {
    let known = W::try_from(number).ok().and_then(read);
    known.ok_or_else(|| unknown(field, number))
}

pub(crate) fn unknown(field: &str, number: i32) -> DecodeError {
    DecodeError::new(
        field,
        format!("is {number}, which this build does not know"),
    )
}
