//! What all verbs share: send the change, follow its delivery or show its plan, and say how it
//! went.

use ferryway_api::Operation;
use ferryway_api::body::OptionsBody;
use ferryway_api::client::{Ask, Require};
use ferryway_model::{Name, VersionNumber};
use http::Method;
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::{Delivery, Preview, Waiting};
use crate::exit::{Exit, Failure};
use crate::follow;
use crate::outcome;
use crate::plan::{self, Background};
use crate::session::Session;
use crate::undo;

/// A call that makes an operation.
#[derive(Debug)]
pub(crate) struct Change {
    method: Method,
    path: String,
    body: Option<Value>,
    if_match: Option<String>,
    /// Where the definition that a service gets is to be read, for the plan's background.
    definitions: Vec<(String, String)>,
}

impl Change {
    pub(crate) fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            body: None,
            if_match: None,
            definitions: Vec::new(),
        }
    }

    /// With this body.
    pub(crate) fn body(mut self, body: &impl Serialize) -> Result<Self, Failure> {
        let body = serde_json::to_value(body)
            .map_err(|error| Failure::Other(format!("cannot write the call: {error}")))?;
        self.body = Some(body);
        Ok(self)
    }

    /// Only while the resource is as the caller has seen it.
    pub(crate) fn if_match(mut self, etag: Option<String>) -> Self {
        self.if_match = etag;
        self
    }

    /// The definition that the service gets can be read at this path.
    pub(super) fn of(mut self, service: &Name, path: String) -> Self {
        self.definitions.push((service.to_string(), path));
        self
    }

    /// Sends it, and shows the plan of a dry run, or how delivery went.
    pub(crate) async fn deliver(
        self,
        session: &Session,
        preview: &Preview,
        waiting: &Waiting,
    ) -> Result<Exit, Failure> {
        let mut operation = self.send(session).await?;
        if preview.dry_run {
            let background = self.background(session, &operation).await;
            let shown = |paint| plan::text(&operation, &background, paint);
            session.screen.show(&operation, shown)?;
        } else {
            operation = follow::to_the_end(session, operation, waiting).await?;
            let shown = undo::from_what_ran(session, &operation).await;
            session
                .screen
                .show(&operation, |paint| outcome::text(&shown, paint))?;
        }
        Ok(outcome::exit(&operation))
    }

    async fn send(&self, session: &Session) -> Result<Operation, Failure> {
        let ask = Ask {
            method: self.method.clone(),
            path: &self.path,
            body: self.body.as_ref(),
            require: self
                .if_match
                .as_deref()
                .map_or(Require::Anything, Require::Seen),
        };
        let answer = session.client.call(ask).await.map_err(Failure::of_change)?;
        Ok(answer.body)
    }

    /// What the plan does not say. It is read after the plan and may be newer, and what cannot be
    /// read is left out: the plan itself is true without it.
    async fn background(&self, session: &Session, operation: &Operation) -> Background {
        let mut background = Background::default();
        if !session.screen.is_for_people() {
            return background;
        }
        for (service, path) in self.definitions.iter().take(READS_MAX) {
            if let Ok(found) = session.client.get::<Value>(path).await {
                // A version has the definition inside; others are it.
                background.learn_routes(service, found.get("definition").unwrap_or(&found));
            }
        }
        let there = operation
            .destinations
            .iter()
            .filter(|it| it.from_digest.is_some());
        for destination in there.take(READS_MAX) {
            let (group, service) = (&destination.group, &destination.service);
            let path = format!("/gateway-groups/{group}/services/{service}");
            if let Ok(mut found) = session.client.get::<Value>(&path).await {
                let key = (group.clone(), service.clone());
                background.bindings.insert(key, found["binding"].take());
            }
        }
        background
    }
}

/// The options of a call that has them in its body.
pub(super) fn options(delivery: &Delivery) -> OptionsBody {
    let Delivery { preview, waves, .. } = delivery;
    OptionsBody {
        rollout: (!waves.is_empty()).then(|| json!({"waves": waves})),
        supersede: None,
        dry_run: preview.dry_run.then_some(true),
        expect_plan: preview.expect_plan.map(|digest| digest.to_string()),
    }
}

/// The options of a call that has them in its query.
pub(crate) fn query(preview: &Preview) -> String {
    let dry_run = preview.dry_run.then(|| "dry_run=true".to_owned());
    let expect_plan = preview
        .expect_plan
        .map(|digest| format!("expect_plan={digest}"));
    let parts: Vec<_> = [dry_run, expect_plan].into_iter().flatten().collect();
    if parts.is_empty() {
        String::new()
    } else {
        format!("?{}", parts.join("&"))
    }
}

pub(super) fn hub_definition(service: &Name) -> String {
    format!("/services/{service}")
}

pub(super) fn version_definition(service: &Name, version: &VersionNumber) -> String {
    format!("/services/{service}/versions/{version}")
}

pub(super) fn definition_in(group: &Name, service: &Name) -> String {
    format!("/gateway-groups/{group}/services/{service}/definition")
}

/// Reads for a plan's background, of each sort.
const READS_MAX: usize = 64;
