//! Changes that go on and on: a new version of one of a few services, to one group or to all.

use std::net::SocketAddr;
use std::time::Duration;

use ferryway_api::Operation;
use ferryway_bench::Outcome;
use ferryway_bench::api::{Api, Published};
use ferryway_bench::content::{self, Content};
use serde_json::{Value, json};

use crate::fill::group;

/// Makes changes over a connection of its own.
#[derive(Debug)]
pub(crate) struct Changer {
    api: Api,
    content: Content,
    /// The services that it changes.
    of: std::ops::Range<usize>,
    groups: u8,
    /// Changes so far.
    made: usize,
}

impl Changer {
    /// Of these services, none of which anybody else changes.
    pub(crate) async fn new(
        api: SocketAddr,
        content: Content,
        of: std::ops::Range<usize>,
        groups: u8,
    ) -> Outcome<Self> {
        Ok(Self {
            api: Api::open(api).await?,
            content,
            of,
            groups,
            made: 0,
        })
    }

    /// Gives the next service another definition and publishes it to a group; says which service.
    /// Waits for no instance.
    pub(crate) async fn publish(&mut self, to: u8) -> Outcome<String> {
        let service = self.of.start + self.made % self.of.len();
        self.made += 1;
        let name = content::name(service);
        let definition = self.content.definition(service, self.made);
        self.api.put_service(&name, &definition).await?;
        let path = format!("/services/{name}/publish");
        let version = format!("1.0.{}", self.made);
        let body = json!({"version": version, "groups": [{"group": group(to)}]});
        self.api.change(&path, &body).await?;
        Ok(name)
    }

    /// Runs in all other groups what the first one runs of a service. Waits for no instance.
    pub(crate) async fn sync(&mut self, service: &str) -> Outcome<Published> {
        let to: Vec<Value> = (1..self.groups)
            .map(|n| json!({"group": group(n)}))
            .collect();
        let path = format!("/gateway-groups/{}/services/{service}/sync", group(0));
        self.api.change(&path, &json!({"to": to})).await
    }

    /// Waits for an operation's end.
    pub(crate) async fn end_of(&mut self, operation: &Operation) -> Outcome<(Duration, Operation)> {
        let id = operation.operation.ok_or("an operation without an id")?;
        let (took, body) = self.api.get(&format!("/operations/{id}?wait=30s")).await?;
        Ok((took, serde_json::from_slice(&body)?))
    }

    /// So many operations: of every ten, nine publish to one group, each time another, and one
    /// syncs to all but the first.
    pub(crate) async fn operations(&mut self, count: usize) -> Outcome<()> {
        for (n, to) in (0..count).zip((0..self.groups).cycle()) {
            if n % 10 == 9 {
                let first = content::name(self.of.start);
                self.sync(&first).await?;
            } else {
                self.publish(to).await?;
            }
        }
        Ok(())
    }
}
