//! Lengths of time, as definitions write them: `"250ms"`, `"5s"`, `"1m30s"`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A length of time in whole milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u64);

/// A text that is no [`Span`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number with a unit (ms, s, m, h), as in \"250ms\", \"5s\" or \"1m30s\"")]
pub struct InvalidSpan;

/// Units from the largest to the smallest, with their milliseconds.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Span {
    /// So many milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// So many seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1_000)
    }

    /// The length in milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The length for timers.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl FromStr for Span {
    type Err = InvalidSpan;

    fn from_str(text: &str) -> Result<Self, InvalidSpan> {
        let mut rest = text;
        let mut total = 0u64;
        let mut last_unit = u64::MAX;
        while !rest.is_empty() || text.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let number: u64 = rest[..digits].parse().map_err(|_| InvalidSpan)?;
            rest = &rest[digits..];
            let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
            let unit = &rest[..letters];
            rest = &rest[letters..];
            let (_, millis) = UNITS
                .iter()
                .find(|(name, _)| *name == unit)
                .ok_or(InvalidSpan)?;
            if *millis >= last_unit {
                return Err(InvalidSpan);
            }
            last_unit = *millis;
            total = number
                .checked_mul(*millis)
                .and_then(|part| total.checked_add(part))
                .ok_or(InvalidSpan)?;
        }
        Ok(Self(total))
    }
}

/// The one canonical spelling: the largest unit that divides the length evenly, where minutes and
/// hours begin at two (`60s`, `90s`, `5m`, `2h`), as people write them.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MINUTE: u64 = 60_000;
        let fits = |unit: u64| {
            let least = if unit >= MINUTE { 2 * unit } else { unit };
            self.0 >= least && self.0.is_multiple_of(unit)
        };
        match UNITS.iter().find(|(_, millis)| fits(*millis)) {
            Some((name, millis)) => write!(f, "{}{name}", self.0 / millis),
            None => f.write_str("0s"),
        }
    }
}

impl serde::Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expect: Option<(u64, &str)>) {
        let got = text
            .parse::<Span>()
            .ok()
            .map(|span| (span.as_millis(), span.to_string()));
        assert_eq!(
            got,
            expect.map(|(millis, text)| (millis, text.to_owned())),
            "{text:?}"
        );
    }

    #[test]
    fn spellings() {
        check("250ms", Some((250, "250ms")));
        check("5s", Some((5_000, "5s")));
        check("60s", Some((60_000, "60s")));
        check("5m", Some((300_000, "5m")));
        check("1h", Some((3_600_000, "60m")));
        check("1m30s", Some((90_000, "90s")));
        check("2h", Some((7_200_000, "2h")));
        check("0s", Some((0, "0s")));
        for bad in [
            "",
            "5",
            "s",
            "5 s",
            "-5s",
            "1.5s",
            "5s1m",
            "5s5s",
            "1d",
            "99999999999999999h",
            "5S",
        ] {
            check(bad, None);
        }
    }

    proptest! {
        #[test]
        fn text_and_back(millis in 0u64..1 << 50) {
            let span = Span::from_millis(millis);
            prop_assert_eq!(span.to_string().parse::<Span>(), Ok(span));
        }
    }
}
