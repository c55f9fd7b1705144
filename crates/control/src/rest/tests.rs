//! The API over a real core and store, called without a socket. Each test is rows of calls with
//! what they are answered; `Api` is the only place that knows how to call.

mod access;
mod apply;
mod bad_input;
mod contract;
mod delivery;
mod errors;
mod idempotency;
mod join_tokens;
mod lists;
mod overview;
mod parallel;
mod plain;
mod published;
mod revision;
mod shrink;
mod socket;
mod table;
mod tokens;

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{
    ALLOW, AUTHORIZATION, CONTENT_TYPE, ETAG, HOST, IF_MATCH, LOCATION, RETRY_AFTER,
};
use axum::http::{HeaderMap, Request, StatusCode};
use ferryway_runtime::{Clock, Tasks};
use ferryway_store::Store;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;
use uuid::Uuid;

use super::{Access, router};
use crate::core::Core;
use crate::identity::{Identity, IdentitySettings, Proof};

const TOKEN: &str = "fw_a-token-of-the-administrator-for-tests";

/// A control plane of its own, on a folder that goes with it.
struct Api {
    dir: TempDir,
    tasks: Tasks,
    clock: Clock,
    core: Core,
    identity: Identity,
    router: Router,
}

/// What was answered.
#[derive(Debug)]
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Api {
    async fn new() -> Self {
        Self::with(Access::Token(TOKEN.to_owned())).await
    }

    async fn with(access: Access) -> Self {
        let dir = tempfile::tempdir().expect("a folder can be made");
        let clock = Clock::manual("2026-11-24T12:00:00Z".parse().expect("is a time"));
        Self::on(dir, clock, access).await
    }

    async fn on(dir: TempDir, clock: Clock, access: Access) -> Self {
        let tasks = Tasks::new("test");
        let store = Store::open(dir.path(), Uuid::now_v7())
            .await
            .expect("opens");
        let core = Core::open(store, None, clock.clone(), &tasks)
            .await
            .expect("opens");
        let settings = IdentitySettings::for_tests(dir.path());
        let identity = Identity::start(&core, &settings, Proof::Certificates, &tasks)
            .await
            .expect("an authority is made");
        let router = router(
            (core.clone(), identity.clone()),
            access,
            clock.clone(),
            tasks.stopping(),
        );
        Self {
            dir,
            tasks,
            clock,
            core,
            identity,
            router,
        }
    }

    /// Stops, and starts again on the same folder.
    async fn again(self) -> Self {
        assert!(self.tasks.stop(Duration::from_secs(5)).await);
        self.core.close().await;
        let Self { dir, clock, .. } = self;
        Self::on(dir, clock, Access::Token(TOKEN.to_owned())).await
    }

    /// Two groups, `test` and `production`; httpbin in the hub, and as 1.0.0 in `test`.
    async fn furnished() -> Self {
        let api = Self::new().await;
        for group in ["test", "production"] {
            let made = api
                .send("POST", "/gateway-groups", json!({"name": group}))
                .await;
            assert_eq!(made.status, 201, "{made:?}");
        }
        let made = api.send("POST", "/services", httpbin()).await;
        assert_eq!(made.status, 201, "{made:?}");
        let body = json!({"version": "1.0.0", "groups": [{"group": "test", "binding": nodes("a.example")}]});
        let published = api.send("POST", "/services/httpbin/publish", body).await;
        assert_eq!(published.status, 200, "{published:?}");
        api
    }

    /// Sends a request as it is, but for the path's base.
    async fn raw(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Reply {
        let under_base = !path.starts_with("//");
        let uri = if under_base {
            format!("/api/v1{path}")
        } else {
            path[1..].to_owned()
        };
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.into()).expect("is a request");
        let response = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("is infallible");
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.expect("the body comes");
        let text = String::from_utf8(bytes.to_vec()).expect("is text");
        Reply {
            status: parts.status,
            headers: parts.headers,
            text,
        }
    }

    /// Sends with the token and more headers. A body that is null is none.
    async fn with_headers(
        &self,
        method: &str,
        path: &str,
        more: &[(&str, &str)],
        body: Value,
    ) -> Reply {
        let bearer = format!("Bearer {TOKEN}");
        let mut headers = vec![(AUTHORIZATION.as_str(), bearer.as_str())];
        let body = match body {
            Value::Null => String::new(),
            body => {
                headers.push((CONTENT_TYPE.as_str(), "application/json"));
                body.to_string()
            }
        };
        headers.extend(more);
        self.raw(method, path, &headers, body).await
    }

    async fn send(&self, method: &str, path: &str, body: Value) -> Reply {
        self.with_headers(method, path, &[], body).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, Value::Null).await
    }

    /// Sends `METHOD PATH`, and checks the status and, of a refusal, every problem: `409 exists name`.
    #[track_caller]
    fn check<'a>(
        &'a self,
        call: &'a str,
        body: Value,
        expect: &'a str,
    ) -> impl Future<Output = Value> + 'a {
        let place = std::panic::Location::caller();
        async move {
            let (method, path) = call.split_once(' ').expect("is a method and a path");
            let reply = self.send(method, path, body).await;
            assert_eq!(reply.line(), expect, "{call} at {place}: {}", reply.text);
            if reply.text.is_empty() {
                Value::Null
            } else {
                reply.json()
            }
        }
    }
}

impl Reply {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    fn header(&self, name: impl axum::http::header::AsHeaderName) -> &str {
        self.headers
            .get(name)
            .map(|value| value.to_str().expect("is text"))
            .unwrap_or_default()
    }

    /// The status; of a refusal each error as its code and place too.
    fn line(&self) -> String {
        let mut line = self.status.as_u16().to_string();
        if self.status.as_u16() < 400 {
            return line;
        }
        assert_eq!(
            self.header(CONTENT_TYPE),
            "application/problem+json",
            "{self:?}"
        );
        let body = self.json();
        assert_eq!(body["status"], self.status.as_u16());
        let kind = body["type"].as_str().expect("has a type");
        assert!(kind.starts_with("/problems/"), "{kind}");
        assert!(
            body["title"].is_string() && body["detail"].is_string(),
            "{body}"
        );
        let problems = body["problems"].as_array().expect("always has problems");
        assert!(!problems.is_empty(), "{body}");
        for problem in problems {
            let is_warning = problem["severity"] == "warning";
            let text = |field: &str| problem[field].as_str().expect("is a text").to_owned();
            assert!(!text("message").is_empty(), "{problem}");
            if !is_warning {
                line.push_str(format!(" {} {}", text("code"), text("path")).trim_end());
            }
        }
        line
    }
}

fn httpbin() -> Value {
    json!({
        "name": "httpbin", "title": "httpbin API", "labels": {"team": "core"},
        "routes": [{"name": "anything", "paths": ["/anything/*"]}],
    })
}

fn nodes(host: &str) -> Value {
    json!({"nodes": [{"host": host}]})
}
