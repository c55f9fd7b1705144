//! Names, URLs and JSON as Python's libraries write them.

/// `x-b3-traceid` as `X-B3-Traceid`: a letter after anything but a letter is a capital.
pub(super) fn title_case(name: &str) -> String {
    let mut after_letter = false;
    name.chars()
        .map(|char| {
            let titled = if after_letter {
                char
            } else {
                char.to_ascii_uppercase()
            };
            after_letter = char.is_ascii_alphabetic();
            titled
        })
        .collect()
}

/// JSON text with everything but ASCII as `\u` escapes. Such characters occur in strings only.
pub(super) fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for char in json.chars() {
        if char.is_ascii() {
            text.push(char);
        } else {
            for unit in char.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text
}

/// A key or value of a query or a form: `+` is a space, escapes are decoded, and bytes that make no
/// UTF-8 stay escapes.
pub(super) fn form_part(encoded: &[u8]) -> String {
    let spaced: Vec<u8> = encoded
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    utf8_or_escapes(&unescape(&spaced, b""))
}

/// The path of a URL as a browser would show it. The server decodes it, the library encodes what
/// has to be, and decodes again what it may.
pub(super) fn url_path(path: &str) -> String {
    let quoted = escape(&unescape(path.as_bytes(), b""), b"!$&'()*+,/:;=@%");
    utf8_or_escapes(&unescape(quoted.as_bytes(), b"/?#"))
}

/// The query of a URL as a browser would show it.
pub(super) fn url_query(query: &[u8]) -> String {
    let quoted = escape(query, b"!$&'()*+,/:;=?@%");
    utf8_or_escapes(&unescape(quoted.as_bytes(), b"&=+#"))
}

/// Standard base64 with padding.
pub(super) fn base64(bytes: &[u8]) -> String {
    let digit = |bits: u32, shift: u32| char::from(BASE64[(bits >> shift & 63) as usize]);
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        text.extend([digit(bits, 18), digit(bits, 12)]);
        text.push(if chunk.len() > 1 { digit(bits, 6) } else { '=' });
        text.push(if chunk.len() > 2 { digit(bits, 0) } else { '=' });
    }
    text
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Decodes `%XX`. What decodes to a byte of `kept`, or, where anything is kept, to one that is
/// never safe in a URL, stays as it is; so does what is no escape.
fn unescape(text: &[u8], kept: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let byte = (text[at] == b'%')
            .then(|| text.get(at + 1..at + 3).and_then(hex))
            .flatten();
        let unsafe_always = |byte: u8| byte <= b' ' || byte == b'%' || byte == 0x7f;
        match byte {
            Some(byte) if kept.is_empty() || !(kept.contains(&byte) || unsafe_always(byte)) => {
                decoded.push(byte);
                at += 3;
            }
            _ => {
                decoded.push(text[at]);
                at += 1;
            }
        }
    }
    decoded
}

fn hex(digits: &[u8]) -> Option<u8> {
    // `from_str_radix` alone would take a sign too.
    let digits = std::str::from_utf8(digits).ok()?;
    let all_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u8::from_str_radix(digits, 16).ok().filter(|_| all_hex)
}

/// Encodes as `%XX` all but letters, digits, `_.-~` and `safe`.
fn escape(bytes: &[u8], safe: &[u8]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-~".contains(&byte);
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        if plain(*byte) || safe.contains(byte) {
            text.push(char::from(*byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

fn utf8_or_escapes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.push_str(&escape(chunk.invalid(), b""));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_titled_as_python_does() {
        for (name, expected) in [
            ("host", "Host"),
            ("x-b3-traceid", "X-B3-Traceid"),
            ("x-3abc", "X-3Abc"),
            ("", ""),
        ] {
            assert_eq!(title_case(name), expected);
        }
    }

    #[test]
    fn json_is_ascii() {
        assert_eq!(ascii("\"aü€😀\""), "\"a\\u00fc\\u20ac\\ud83d\\ude00\"");
    }

    #[test]
    fn base64_is_padded() {
        for (bytes, expected) in [
            (&b""[..], ""),
            (b"f", "Zg=="),
            (b"fo", "Zm8="),
            (b"foo", "Zm9v"),
            (b"\xff\xfe\xfd\xfc", "//79/A=="),
        ] {
            assert_eq!(base64(bytes), expected);
        }
    }

    #[test]
    fn form_parts() {
        for (encoded, expected) in [
            ("a+b%20c", "a b c"),
            ("%C3%BC", "ü"),
            ("%ff", "%FF"),
            ("%zz%+1%4", "%zz% 1%4"),
        ] {
            assert_eq!(form_part(encoded.as_bytes()), expected, "{encoded}");
        }
    }

    #[test]
    fn paths_and_queries() {
        for (path, expected) in [
            ("a%20b", "a%20b"),
            ("%C3%BC%25x//y", "ü%x//y"),
            ("a%2Fb%3Fc", "a/b%3Fc"),
            ("%41%7E%22", "A~\""),
            ("%ff", "%FF"),
        ] {
            assert_eq!(url_path(path), expected, "{path}");
        }
        for (query, expected) in [
            ("p=a+b%20c", "p=a+b%20c"),
            ("u=%C3%BC%26%41", "u=ü%26A"),
            ("s='(~)\"", "s='(~)\""),
        ] {
            assert_eq!(url_query(query.as_bytes()), expected, "{query}");
        }
    }
}
