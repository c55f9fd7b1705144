//! Enrolment: a join token, or the certificate that is to be renewed, for a certificate.

use std::time::Duration;

use ferryway_proto::limits::MESSAGE_BYTES_MAX;
use ferryway_proto::wire::delivery_client::DeliveryClient;
use ferryway_proto::{EnrollReply, EnrollRequest, wire};
use ferryway_runtime::{Backoff, Random, Stop};
use ferryway_tls::{Certificate, Connector};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tonic::transport::Endpoint;
use tonic::{Code, Status};

use super::credentials::{Credentials, CredentialsError};
use super::dial::{Controls, Route, connect};
use super::whole;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(super) enum EnrollError {
    #[error("cannot connect")]
    Connect(#[from] tonic::transport::Error),
    #[error("the control plane gives this instance no certificate: {}", .0.message())]
    Refused(Box<Status>),
    #[error("the control plane's answer makes no sense: {0}")]
    Senseless(String),
    #[error("no certificate within {ENROLL_MAX:?}")]
    TimedOut,
    #[error(transparent)]
    Own(#[from] CredentialsError),
}

/// How long an enrolment may take.
const ENROLL_MAX: Duration = Duration::from_secs(15);
/// The first wait after a renewal that failed; the waits grow, and are drawn from the whole span.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// The longest.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// How often the clock is looked at while nothing is due: it may be set meanwhile, and a host that
/// slept has not counted.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// What the connection to this control plane is to be made with: first a certificate, where there
/// is none yet.
pub(super) async fn connector(
    credentials: &Credentials,
    endpoint: &Endpoint,
    controls: &Controls,
) -> Result<Connector, EnrollError> {
    if let Some(held) = credentials.held() {
        return Ok(held.connector);
    }
    join(credentials, endpoint, controls).await?;
    let held = credentials.held();
    held.map(|held| held.connector)
        .ok_or_else(|| EnrollError::Senseless("it holds no certificate".to_owned()))
}

/// Renews the certificate in time, for as long as the instance runs. What is effective serves on,
/// whether that succeeds or not.
pub(super) async fn keep_renewed(
    credentials: Credentials,
    controls: Controls,
    mut random: Random,
    stop: Stop,
) {
    let mut turn = random.below(controls.endpoints.len() as u64) as usize;
    let mut jitter = random.unit();
    let mut backoff = Backoff::new(RETRY_MIN, RETRY_MAX);
    let mut said = None;
    loop {
        // The driver asks for the first one, when it dials.
        tokio::select! {
            () = credentials.joined() => {}
            () = stop.requested() => return,
        }
        let fresh = credentials.fresh_for(jitter).unsigned_abs();
        tokio::select! {
            () = sleep(fresh.min(LOOK_EVERY)), if !fresh.is_zero() => continue,
            () = credentials.asked_to_renew() => {}
            () = std::future::ready(()), if fresh.is_zero() => {}
            () = stop.requested() => return,
        }
        let Some((address, endpoint)) = controls.endpoints.get(turn) else {
            return;
        };
        let renewed = tokio::select! {
            renewed = renew(&credentials, endpoint, &controls) => renewed,
            () = stop.requested() => return,
        };
        match renewed {
            Ok(certificate) => {
                let until = certificate.not_after;
                tracing::info!(address, %until, "this instance's certificate was renewed");
                (said, jitter) = (None, random.unit());
                backoff.reset();
            }
            Err(error) => {
                let why = whole(&error);
                if said.as_ref() != Some(&why) {
                    let until = credentials.valid_until().map(|until| until.to_string());
                    tracing::warn!(
                        address,
                        why,
                        until,
                        "this instance's certificate could not be renewed; what is effective serves on, and it is tried again"
                    );
                }
                said = Some(why);
                turn = (turn + 1) % controls.endpoints.len().max(1);
                tokio::select! {
                    () = sleep(backoff.next(&mut random)) => {}
                    () = stop.requested() => return,
                }
            }
        }
    }
}

/// Asks for a new certificate with the old one; where that is refused, with the join token if
/// there is one: somebody may have given it for just that.
pub(super) async fn renew(
    credentials: &Credentials,
    endpoint: &Endpoint,
    controls: &Controls,
) -> Result<Certificate, EnrollError> {
    let Some(held) = credentials.held() else {
        return join(credentials, endpoint, controls).await;
    };
    let key =
        std::sync::Arc::new(ferryway_tls::InstanceKey::make().map_err(CredentialsError::from)?);
    let renewed = ask(credentials, endpoint, controls, held.connector, None, &key).await;
    match renewed {
        Err(EnrollError::Refused(status))
            if credentials.token().is_some()
                && matches!(
                    status.code(),
                    Code::PermissionDenied | Code::Unauthenticated
                ) =>
        {
            join(credentials, endpoint, controls)
                .await
                .map_err(|_| EnrollError::Refused(status))
        }
        other => other,
    }
}

async fn join(
    credentials: &Credentials,
    endpoint: &Endpoint,
    controls: &Controls,
) -> Result<Certificate, EnrollError> {
    let token = credentials.token().ok_or_else(|| {
        EnrollError::Senseless("there is neither a certificate nor a join token".to_owned())
    })?;
    let connector =
        Connector::pinned(token.authority, credentials.now()).map_err(CredentialsError::from)?;
    let key = credentials.joining_key()?;
    let token = token.to_string();
    let certificate = ask(
        credentials,
        endpoint,
        controls,
        connector,
        Some(token),
        &key,
    )
    .await?;
    tracing::info!(%certificate, "enrolled: from now on this instance proves who it is by its certificate");
    Ok(certificate)
}

async fn ask(
    credentials: &Credentials,
    endpoint: &Endpoint,
    controls: &Controls,
    connector: Connector,
    token: Option<String>,
    key: &std::sync::Arc<ferryway_tls::InstanceKey>,
) -> Result<Certificate, EnrollError> {
    let request = EnrollRequest {
        token,
        certificate_request: key.request().map_err(CredentialsError::from)?.into(),
        group: credentials.group().clone(),
        instance: credentials.instance(),
    };
    let route = Route {
        dial: controls.dial.clone(),
        tls: Some(connector),
    };
    let asked = timeout(ENROLL_MAX, async {
        let channel = connect(endpoint, route).await?;
        let mut client = DeliveryClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let reply = client.enroll(wire::EnrollRequest::from(request)).await;
        let reply = reply.map_err(|status| EnrollError::Refused(Box::new(status)))?;
        EnrollReply::try_from(reply.into_inner())
            .map_err(|error| EnrollError::Senseless(format!("enroll_reply.{error}")))
    });
    let EnrollReply { chain, authorities } = asked.await.unwrap_or(Err(EnrollError::TimedOut))?;
    let plain = |all: Vec<bytes::Bytes>| all.into_iter().map(|der| der.to_vec()).collect();
    let (chain, authorities): (Vec<_>, Vec<_>) = (plain(chain), plain(authorities));
    let (credentials, key) = (credentials.clone(), std::sync::Arc::clone(key));
    let taken = spawn_blocking(move || credentials.take(&key, &chain, &authorities)).await;
    taken
        .map_err(|_| EnrollError::Senseless("taking it panicked".to_owned()))?
        .map_err(EnrollError::Own)
}
