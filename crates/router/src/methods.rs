//! Sets of methods, as bits.

use std::fmt;

use http::Method;
use smallvec::SmallVec;

/// The methods of a route. Extension methods are one bit together, and are looked up by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Methods(u16);

/// The methods that routes passed over for their method alone would have taken: what `Allow` says.
#[derive(Clone, Debug)]
pub struct Allow<'t> {
    methods: Methods,
    extensions: SmallVec<[&'t Method; 1]>,
}

const STANDARD: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::PATCH,
    Method::OPTIONS,
    Method::TRACE,
    Method::CONNECT,
];
const EXTENSION: u16 = 1 << STANDARD.len();

impl Methods {
    const ALL: Self = Self(u16::MAX);

    /// The set of a route: no methods means all.
    pub(crate) fn of(methods: &[Method]) -> Self {
        if methods.is_empty() {
            return Self::ALL;
        }
        Self(
            methods
                .iter()
                .fold(0, |bits, method| bits | Self::one(method).0),
        )
    }

    /// The set of this method alone; of all extension methods, if it is one.
    pub(crate) fn one(method: &Method) -> Self {
        Self(match *method {
            Method::GET => 1,
            Method::HEAD => 1 << 1,
            Method::POST => 1 << 2,
            Method::PUT => 1 << 3,
            Method::DELETE => 1 << 4,
            Method::PATCH => 1 << 5,
            Method::OPTIONS => 1 << 6,
            Method::TRACE => 1 << 7,
            Method::CONNECT => 1 << 8,
            _ => EXTENSION,
        })
    }

    /// Whether `method`, which is `one`, is among those of a route whose list is `listed`.
    pub(crate) fn take(self, one: Self, method: &Method, listed: &[Method]) -> bool {
        self.0 & one.0 != 0 && (one.0 != EXTENSION || self == Self::ALL || listed.contains(method))
    }
}

impl<'t> Allow<'t> {
    /// Nothing yet.
    pub(crate) fn none() -> Self {
        Self {
            methods: Methods(0),
            extensions: SmallVec::new(),
        }
    }

    /// Whether no route was passed over for its method alone.
    pub(crate) fn is_none(&self) -> bool {
        self.methods == Methods(0)
    }

    /// Adds the methods of a route.
    pub(crate) fn add(&mut self, methods: Methods, listed: &'t [Method]) {
        self.methods.0 |= methods.0;
        if methods.0 & EXTENSION != 0 {
            let extension = |method: &&Method| Methods::one(method).0 == EXTENSION;
            for method in listed.iter().filter(extension) {
                if !self.extensions.contains(&method) {
                    self.extensions.push(method);
                }
            }
        }
    }

    /// The methods, each once; the well-known ones first.
    pub fn methods(&self) -> impl Iterator<Item = &Method> {
        let has = |method: &&Method| self.methods.0 & Methods::one(method).0 != 0;
        let standard = const { &STANDARD }.iter().filter(has);
        standard.chain(self.extensions.iter().copied())
    }
}

/// As the value of an `Allow` header: `GET, HEAD`.
impl fmt::Display for Allow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, method) in self.methods().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            write!(f, "{comma}{method}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_method_has_a_bit_of_its_own() {
        for (n, method) in STANDARD.iter().enumerate() {
            assert_eq!(Methods::one(method), Methods(1 << n), "{method}");
        }
    }
}
