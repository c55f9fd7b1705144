//! What is another one each time, under a name that stays.

use std::path::Path;

use regex::{NoExpand, Regex};

use crate::calls::text;
use crate::site::{GROUP, Site};

/// Puts names in the place of times, ids, addresses and the like.
pub(super) struct Redacted {
    /// What is known of this run, in the order in which it is replaced.
    known: Vec<(String, &'static str)>,
    host: Regex,
    patterns: Vec<(Regex, &'static str)>,
    applied: Regex,
    spaces: Regex,
}

const PATTERNS: &[(&str, &str)] = &[
    // As wide as what they stand for, where that stands in tables.
    (
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "[id................................]",
    ),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "[time..............]"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", "[time]"),
    ("blake3:[0-9a-f]{12,64}", "[digest]"),
    ("fw_[A-Za-z0-9_-]{20,}", "[secret]"),
    (r"fwj1\.[A-Za-z0-9_.-]{20,}", "[secret]"),
    (r"  \d+(\.\d+)? ?m?s\b", "  [took]"),
    (r#"(took"?: "?)\d+(\.\d+)? ?m?s\b"#, "${1}[took]"),
    (r"127\.0\.0\.1:\d{4,5}", "[address]"),
    (r#"(port"?: )\d{4,5}"#, "${1}[port]"),
];

impl Redacted {
    pub(super) fn of(site: &Site, folder: &Path) -> Self {
        let list = format!("/gateway-groups/{GROUP}/instances");
        let instances = site.api().get(&list).json();
        let host = regex::escape(text(&instances["items"][0]["hostname"]));
        let pattern = |text: &str| Regex::new(&format!("(?m){text}")).expect("is a pattern");
        Self {
            known: vec![
                (site.control.origin(), "[server]"),
                (site.upstream.address().to_string(), "[upstream]"),
                (folder.display().to_string(), "[folder]"),
            ],
            host: pattern(&format!(r"\b{host}\b")),
            patterns: PATTERNS
                .iter()
                .map(|(text, name)| (pattern(text), *name))
                .collect(),
            applied: pattern(r"^\S+ in \S+  \[host\]  (applied|pending).*\n"),
            spaces: pattern(r"(\S)   +"),
        }
    }

    pub(super) fn text(&self, said: &str) -> String {
        let mut text = said.to_owned();
        for (value, name) in &self.known {
            text = text.replace(value, name);
        }
        let named = self.host.replace_all(&text, NoExpand("[host]"));
        // What is there at once may be there before anybody follows it.
        text = self.applied.replace_all(&named, "").into_owned();
        if text.contains("[host]") {
            // As wide as this machine's name, columns would differ from machine to machine.
            text = self.spaces.replace_all(&text, "$1  ").into_owned();
        }
        for (pattern, name) in &self.patterns {
            text = pattern.replace_all(&text, *name).into_owned();
        }
        text
    }
}
