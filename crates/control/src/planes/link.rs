//! Follows another control plane.

use std::time::Duration;

use ferryway_delivery::{CannotDial, dial};
use ferryway_proto::limits::PLANES_MESSAGE_BYTES_MAX;
use ferryway_proto::planes_wire::planes_client::PlanesClient;
use ferryway_proto::{DecodeError, FollowRequest, PROTOCOL, Told, planes_wire};
use ferryway_runtime::{Backoff, Random, Stop};
use ferryway_tls::TlsError;
use tokio::time::timeout;
use tonic::{Code, Status};
use uuid::Uuid;

use super::SILENCE_MAX;
use super::wire::report;
use crate::core::Core;
use crate::identity::Identity;
use crate::settings::whole;

/// How long a connection, and the answer on it, may take.
const DIAL_MAX: Duration = Duration::from_secs(2);
/// The first wait before another try is at most this long, and the last at most that.
const AGAIN_MIN: Duration = Duration::from_millis(50);
const AGAIN_MAX: Duration = Duration::from_secs(1);

/// Why a link is down.
#[derive(Debug, thiserror::Error)]
enum Down {
    #[error(transparent)]
    Dial(#[from] CannotDial),
    #[error("there is no certificate to show")]
    Certificate(#[from] TlsError),
    #[error("{}", .0.message())]
    Refused(#[from] Box<Status>),
    #[error("it sent what this build cannot read: {0}")]
    Unreadable(#[from] DecodeError),
    #[error("it was silent for {SILENCE_MAX:?}")]
    Silent,
    #[error("it ended the stream")]
    Ended,
}

/// Follows a control plane until `stop`.
pub(super) async fn run(
    (core, identity): (Core, Identity),
    plane: Uuid,
    other: Uuid,
    url: String,
    stop: Stop,
) {
    let mut backoff = Backoff::new(AGAIN_MIN, AGAIN_MAX);
    let mut random = Random::from_entropy();
    let mut is_said = false;
    for number in 1.. {
        let mut is_whole = false;
        let followed = async {
            let request = FollowRequest {
                protocol: (PROTOCOL, PROTOCOL),
                plane,
                expected: other,
            };
            follow((&core, &identity), request, &url, number, &mut is_whole).await
        };
        let down = tokio::select! {
            down = followed => down,
            () = stop.requested() => return,
        };
        core.unfollowed(other);
        if is_whole {
            backoff.reset();
            is_said = false;
        }
        if matches!(&down, Down::Refused(status) if status.code() == Code::NotFound) {
            // It was there, and is not any more: its record need not grow old.
            if let Err(error) = core.plane_is_gone(other).await {
                tracing::debug!(%error, "a control plane that is gone can't be cleared away");
            }
        } else if !std::mem::replace(&mut is_said, true) {
            let why = whole(&down);
            tracing::warn!(plane = %other, url, why, "another control plane can't be followed; what is known of its instances stays as it was");
        }
        let wait = backoff.next(&mut random);
        if timeout(wait, stop.requested()).await.is_ok() {
            return;
        }
    }
}

/// Follows it once; and why that ended.
async fn follow(
    state: (&Core, &Identity),
    request: FollowRequest,
    url: &str,
    number: u64,
    is_whole: &mut bool,
) -> Down {
    match try_follow(state, request, url, number, is_whole).await {
        Ok(never) => match never {},
        Err(down) => down,
    }
}

async fn try_follow(
    (core, identity): (&Core, &Identity),
    request: FollowRequest,
    url: &str,
    number: u64,
    is_whole: &mut bool,
) -> Result<std::convert::Infallible, Down> {
    let other = request.expected;
    let tls = identity.caller(request.plane)?;
    let dialled = timeout(DIAL_MAX, async {
        let channel = dial(url, tls).await?;
        let mut client =
            PlanesClient::new(channel).max_decoding_message_size(PLANES_MESSAGE_BYTES_MAX);
        let answer = client
            .follow(planes_wire::FollowRequest::from(request))
            .await;
        Ok::<_, Down>(answer.map_err(Box::new)?.into_inner())
    });
    let mut told = dialled.await.map_err(|_| Down::Silent)??;
    loop {
        let part = timeout(SILENCE_MAX, told.message()).await;
        let part = part.map_err(|_| Down::Silent)?.map_err(Box::new)?;
        let Told {
            instances,
            complete,
        } = part.ok_or(Down::Ended)?.try_into()?;
        if !instances.is_empty() {
            core.relayed(other, number, instances.into_iter().map(report).collect());
        }
        if complete {
            core.followed(other, number);
            *is_whole = true;
            tracing::info!(plane = %other, url, "follows another control plane");
        }
    }
}
