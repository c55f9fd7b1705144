//! The REST API over one connection that is kept, and timed.

use std::net::SocketAddr;
use std::time::Duration;

use ferryway_api::{DeliveryState, InstanceDelivery, Operation, OperationState};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::Outcome;
use crate::wire::{Connection, Reply, request};

/// A caller of a control plane that runs with `--dev`.
#[derive(Debug)]
pub struct Api {
    connection: Connection,
    host: String,
}

/// A publish that was answered.
#[derive(Clone, Debug)]
pub struct Published {
    /// From sending the call to the last byte of the answer.
    pub answered_after: Duration,
    /// The operation as it was answered.
    pub operation: Operation,
}

impl Api {
    /// Connects to the API at this address.
    ///
    /// # Errors
    ///
    /// Nobody accepts.
    pub async fn open(address: SocketAddr) -> Outcome<Self> {
        Ok(Self {
            connection: Connection::open(address, ANSWER_TIME_MAX).await?,
            host: address.to_string(),
        })
    }

    /// Makes a gateway group.
    ///
    /// # Errors
    ///
    /// No answer, or a refusal.
    pub async fn create_group(&mut self, name: &str) -> Outcome<()> {
        let body = json!({"name": name});
        self.call("POST", "/gateway-groups", &body, 201).await
    }

    /// Puts a service into the hub.
    ///
    /// # Errors
    ///
    /// No answer, or a refusal.
    pub async fn create_service(&mut self, definition: &Value) -> Outcome<()> {
        self.call("POST", "/services", definition, 201).await
    }

    /// Replaces the hub's definition of a service.
    ///
    /// # Errors
    ///
    /// No answer, or a refusal.
    pub async fn put_service(&mut self, name: &str, definition: &Value) -> Outcome<()> {
        let path = format!("/services/{name}");
        self.call("PUT", &path, definition, 200).await
    }

    /// Publishes the hub's definition to these groups, `[{"group": …, "binding": …}]`, and waits
    /// for the end of delivery.
    ///
    /// # Errors
    ///
    /// No answer, a refusal, or an operation that did not succeed everywhere.
    pub async fn publish(
        &mut self,
        service: &str,
        version: &str,
        groups: &Value,
    ) -> Outcome<Published> {
        let path = format!("/services/{service}/publish?wait=30s");
        let body = json!({"version": version, "groups": groups});
        let ask = self.request("POST", &path, &body);
        let start = Instant::now();
        let reply = self.connection.exchange(&ask).await?;
        let answered_after = start.elapsed();
        let operation: Operation = serde_json::from_slice(&accepted(&path, reply, 200)?)?;
        if operation.state != OperationState::Succeeded {
            return Err(format!("publish of {service} {version} ended as {operation:?}").into());
        }
        Ok(Published {
            answered_after,
            operation,
        })
    }

    /// Sends a change of what groups run, as `/gateway-groups/test/sync`, and reads the operation
    /// that it is answered with, which may be under way.
    ///
    /// # Errors
    ///
    /// No answer, or a refusal.
    pub async fn change(&mut self, path: &str, body: &Value) -> Outcome<Published> {
        let ask = self.request("POST", path, body);
        let start = Instant::now();
        let reply = self.connection.exchange(&ask).await?;
        let answered_after = start.elapsed();
        let expect = if reply.status == 202 { 202 } else { 200 };
        let operation = serde_json::from_slice(&accepted(path, reply, expect)?)?;
        Ok(Published {
            answered_after,
            operation,
        })
    }

    /// Reads the resource at a path; says how long that took, to the last byte.
    ///
    /// # Errors
    ///
    /// No answer, or another one than 200.
    pub async fn get(&mut self, path: &str) -> Outcome<(Duration, Vec<u8>)> {
        let ask = request("GET", &self.host, &format!("/api/v1{path}"), "", b"");
        let start = Instant::now();
        let reply = self.connection.exchange(&ask).await?;
        let took = start.elapsed();
        Ok((took, accepted(path, reply, 200)?))
    }

    async fn call(&mut self, method: &str, path: &str, body: &Value, expect: u16) -> Outcome<()> {
        let ask = self.request(method, path, body);
        let reply = self.connection.exchange(&ask).await?;
        accepted(path, reply, expect).map(drop)
    }

    fn request(&self, method: &str, path: &str, body: &Value) -> Vec<u8> {
        let path = format!("/api/v1{path}");
        request(method, &self.host, &path, "", body.to_string().as_bytes())
    }
}

impl Published {
    /// How the only instance fared, which must have applied it.
    ///
    /// # Errors
    ///
    /// There is another number of instances, or it is in another state.
    pub fn applied_by_one(&self) -> Outcome<&InstanceDelivery> {
        let mut instances = self
            .operation
            .destinations
            .iter()
            .flat_map(|it| &it.instances);
        match (instances.next(), instances.next()) {
            (Some(one), None) if one.state == DeliveryState::Applied => Ok(one),
            _ => {
                let shown = &self.operation.destinations;
                Err(format!("not applied by exactly one instance: {shown:?}").into())
            }
        }
    }
}

fn accepted(path: &str, reply: Reply, expect: u16) -> Outcome<Vec<u8>> {
    if reply.status == expect {
        return Ok(reply.body);
    }
    let body = String::from_utf8_lossy(&reply.body).into_owned();
    Err(format!("{path} is answered with {}: {body}", reply.status).into())
}

/// Longer than the longest wait asked for.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(40);
