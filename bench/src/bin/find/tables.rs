//! Tables as gateways have them, and requests that go through them.

use ferryway_model::{HostPattern, Name};
use ferryway_router::{Change, RequestHead, RouteSpec, RouteTable, ServiceRoutes};
use http::{HeaderMap, Method};

/// Sizes of tables, in routes.
pub(crate) const SIZES: [usize; 3] = [10, 10_000, 100_000];
/// Routes of a service, where nothing else is said.
pub(crate) const SERVICE: usize = 10;
pub(crate) const HOSTS: [Hosts; 4] = [Hosts::One, Hosts::None, Hosts::Spread, Hosts::Alike];
pub(crate) const CASES: [Case; 5] = [
    Case::Exact,
    Case::Parameter,
    Case::Prefix,
    Case::Miss,
    Case::WrongMethod,
];

/// How services have hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hosts {
    /// All have the same.
    One,
    /// None has any.
    None,
    /// Each has its own.
    Spread,
    /// None has any, and all paths begin with the same parameter: nothing parts them early.
    Alike,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Exact,
    Parameter,
    Prefix,
    /// A path under a service that has no such route.
    Miss,
    /// As [`Case::Exact`], but no route takes the method.
    WrongMethod,
}

/// A request, owned.
#[derive(Debug)]
pub(crate) struct Request {
    method: Method,
    host: String,
    path: String,
}

impl Hosts {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::None => "none",
            Self::Spread => "spread",
            Self::Alike => "alike",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        HOSTS.into_iter().find(|hosts| hosts.name() == text)
    }

    /// What paths have before them, in a pattern or, with a value for the parameter, in a request.
    fn before(self, parameter: &str) -> String {
        match self {
            Self::One | Self::None | Self::Spread => String::new(),
            Self::Alike => format!("/{parameter}"),
        }
    }

    fn of(self, service: usize) -> String {
        match self {
            Self::One | Self::None | Self::Alike => "api.example.com".to_owned(),
            Self::Spread => format!("s{service}.api.example.com"),
        }
    }
}

impl Case {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Parameter => "parameter",
            Self::Prefix => "prefix",
            Self::Miss => "miss",
            Self::WrongMethod => "wrong-method",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        CASES.into_iter().find(|case| case.name() == text)
    }
}

impl Request {
    /// The `n`th request of a case, to a table of this size.
    pub(crate) fn new(hosts: Hosts, size: usize, case: Case, n: usize) -> Self {
        // A step that is coprime to the number of services, so that they come mixed.
        let service = n.wrapping_mul(7_919) % (size / SERVICE);
        let rest = match case {
            Case::Exact | Case::WrongMethod => format!("items/r{}", n % EXACT),
            Case::Parameter => format!("users/{n}/orders"),
            Case::Prefix => format!("files/a/b{n}.txt"),
            Case::Miss => format!("nothing/here{n}"),
        };
        let method = match case {
            Case::WrongMethod => Method::DELETE,
            Case::Exact | Case::Parameter | Case::Prefix | Case::Miss => Method::GET,
        };
        Self {
            method,
            host: hosts.of(service),
            path: format!("{}/s{service}/{rest}", hosts.before("acme")),
        }
    }

    pub(crate) fn head<'r>(&'r self, headers: &'r HeaderMap) -> RequestHead<'r> {
        RequestHead {
            method: &self.method,
            host: Some(&self.host),
            path: &self.path,
            query: None,
            headers,
        }
    }
}

/// A table of so many routes, in services of [`SERVICE`].
pub(crate) fn table(hosts: Hosts, size: usize) -> RouteTable<u64> {
    let services = (0..size / SERVICE).map(|n| Change::Put(service(hosts, n, SERVICE, 0)));
    RouteTable::empty().with(services)
}

/// Of ten routes six are exact, two have a parameter, one is a prefix, one is both.
pub(crate) fn service(hosts: Hosts, n: usize, routes: usize, target: u64) -> ServiceRoutes<u64> {
    let before = hosts.before("{tenant}");
    let specs = (0..routes).map(|route| {
        let rest = match (route % 10, route / 10) {
            (exact @ 0..EXACT, 0) => format!("items/r{exact}"),
            (exact @ 0..EXACT, more) => format!("items{more}/r{exact}"),
            (6, more) => format!("users{}/{{id}}", Suffix(more)),
            (7, more) => format!("users{}/{{id}}/orders", Suffix(more)),
            (8, more) => format!("users{}/{{id}}/documents/*", Suffix(more)),
            (_, more) => format!("files{}/*", Suffix(more)),
        };
        RouteSpec {
            name: parsed(&format!("r{route}")),
            paths: vec![parsed(&format!("{before}/s{n}/{rest}"))],
            methods: vec![Method::GET, Method::POST],
            priority: 0,
            predicates: Vec::new(),
            target,
        }
    });
    let host: HostPattern = parsed(&hosts.of(n));
    let hosts = match hosts {
        Hosts::One | Hosts::Spread => vec![host],
        Hosts::None | Hosts::Alike => Vec::new(),
    };
    ServiceRoutes {
        service: parsed::<Name>(&format!("s{n}")),
        hosts,
        routes: specs.collect(),
    }
}

/// Exact routes of ten.
const EXACT: usize = 6;

/// Nothing for the first.
struct Suffix(usize);

impl std::fmt::Display for Suffix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            0 => Ok(()),
            n => write!(f, "{n}"),
        }
    }
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("is written in its form")
}
