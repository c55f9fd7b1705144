//! What an attacker sends, from either side, and what must come of it: reliability.md's classes, as
//! lists of cases.

mod http2;
mod mutations;
mod requests;
mod timing;
mod upstreams;

/// The bytes of a case: a line ends with CR LF, `␊` and `␍` are LF and CR alone, and any other
/// character is the byte of its number.
fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => bytes.extend_from_slice(b"\r\n"),
            '␊' => bytes.push(b'\n'),
            '␍' => bytes.push(b'\r'),
            other => bytes.push(u8::try_from(u32::from(other)).expect("a byte")),
        }
    }
    bytes
}
