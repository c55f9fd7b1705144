//! What is sent, and what comes back.

/// One kind of request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
    /// Of the body that is sent; 0: a GET.
    pub(crate) post_bytes: usize,
    /// That Ferryway has. The others have one in any case.
    pub(crate) routes: usize,
}

/// All of them.
pub(crate) const CASES: [Case; 4] = [
    Case {
        name: "get-1k",
        path: "/1k",
        post_bytes: 0,
        routes: 1,
    },
    Case {
        name: "get-64k",
        path: "/64k",
        post_bytes: 0,
        routes: 1,
    },
    Case {
        name: "post-10k",
        path: "/post",
        post_bytes: 10 * 1024,
        routes: 1,
    },
    Case {
        name: "routes-10000",
        path: "/1k",
        post_bytes: 0,
        routes: 10_000,
    },
];

/// What the upstream answers with at `/NAME`, in bytes.
pub(crate) const FILES: [(&str, usize); 2] = [("1k", 1024), ("64k", 64 * 1024)];

impl Case {
    /// The case of this name; otherwise the names that there are.
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        let found = CASES.into_iter().find(|case| case.name == name);
        found.ok_or_else(|| format!("there are {}", CASES.map(|case| case.name).join(", ")))
    }
}
