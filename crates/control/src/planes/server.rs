//! Answers those who follow this control plane.

use std::pin::Pin;
use std::sync::Arc;

use ferryway_delivery::server::Beside;
use ferryway_proto::limits::{PLANES_INSTANCES_MAX, PLANES_MESSAGE_BYTES_MAX, PLANES_PART_BYTES};
use ferryway_proto::planes_wire::planes_server::{Planes, PlanesServer};
use ferryway_proto::{FollowRequest, PROTOCOL, planes_wire};
use ferryway_runtime::Tasks;
use ferryway_tls::ControlName;
use prost::Message as _;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::Service as _;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::wire::standing;
use super::{BEAT, SILENCE_MAX};
use crate::core::{Core, Report};

/// Most control planes that follow this one.
const FOLLOWERS_MAX: usize = 64;

#[derive(Debug)]
struct Server {
    core: Core,
    plane: Uuid,
    places: Arc<Semaphore>,
    tasks: Tasks,
}

/// The service, to be served beside the delivery.
pub(crate) fn service(core: Core, plane: Uuid, tasks: &Tasks) -> Beside {
    let server = Server {
        core,
        plane,
        places: Arc::new(Semaphore::new(FOLLOWERS_MAX)),
        tasks: tasks.child("followers"),
    };
    let server = PlanesServer::new(server).max_encoding_message_size(PLANES_MESSAGE_BYTES_MAX);
    Arc::new(move |request| {
        let mut server = server.clone();
        Box::pin(async move {
            match server.call(request).await {
                Ok(answer) => answer,
                Err(never) => match never {},
            }
        })
    })
}

#[tonic::async_trait]
impl Planes for Server {
    type FollowStream = Pin<Box<dyn Stream<Item = Result<planes_wire::Told, Status>> + Send>>;

    async fn follow(
        &self,
        request: Request<planes_wire::FollowRequest>,
    ) -> Result<Response<Self::FollowStream>, Status> {
        let shown = request.extensions().get::<ControlName>().cloned();
        let request = FollowRequest::try_from(request.into_inner());
        let request = request.map_err(|error| Status::invalid_argument(error.to_string()))?;
        let FollowRequest {
            protocol: (min, max),
            plane,
            expected,
        } = request;
        if !(min..=max).contains(&PROTOCOL) {
            let why = format!("this control plane speaks protocol {PROTOCOL}");
            return Err(Status::failed_precondition(why));
        }
        // Without TLS nobody shows anything.
        if shown.is_some_and(|shown| shown.plane != plane) {
            let why = "the certificate shown is for another control plane";
            return Err(Status::permission_denied(why));
        }
        if expected != self.plane {
            return Err(Status::not_found("another control plane is here"));
        }
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| Status::resource_exhausted("too many follow"))?;
        let (outgoing, told) = mpsc::channel(1);
        let core = self.core.clone();
        self.tasks.spawn("tell a control plane", |stop| async move {
            tokio::select! {
                () = tell(&core, &outgoing) => {}
                () = stop.requested() => {}
            }
            drop(place);
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(told))))
    }
}

/// Tells how instances stand, until nobody listens. A follower that takes nothing for a while is
/// left: it begins anew, with everything, and costs nobody anything until then.
async fn tell(core: &Core, outgoing: &mpsc::Sender<Result<planes_wire::Told, Status>>) {
    let mut told = core.told();
    let all = *told.borrow();
    let (mut cursor, mut is_complete) = (0, false);
    loop {
        told.borrow_and_update();
        let (reports, next) = core.reports_after(cursor);
        cursor = next;
        let mut parts = parts(reports);
        if cursor >= all && !is_complete {
            is_complete = true;
            parts.push(planes_wire::Told {
                complete: true,
                ..planes_wire::Told::default()
            });
        }
        if parts.is_empty() {
            parts.push(planes_wire::Told::default()); // to be heard
        }
        for part in parts {
            let sent = timeout(SILENCE_MAX, outgoing.send(Ok(part))).await;
            if !matches!(sent, Ok(Ok(()))) {
                return;
            }
        }
        if cursor >= *told.borrow() && matches!(timeout(BEAT, told.changed()).await, Ok(Err(_))) {
            return;
        }
    }
}

/// Reports as messages that are not too large.
fn parts(reports: Vec<Report>) -> Vec<planes_wire::Told> {
    let mut parts: Vec<planes_wire::Told> = Vec::new();
    let mut bytes = 0;
    for standing in reports.into_iter().filter_map(standing) {
        let standing = planes_wire::Standing::from(standing);
        let size = standing.encoded_len();
        let last = parts.last_mut().filter(|part| {
            bytes + size <= PLANES_PART_BYTES && part.instances.len() < PLANES_INSTANCES_MAX
        });
        match last {
            Some(part) => {
                part.instances.push(standing);
                bytes += size;
            }
            None => {
                parts.push(planes_wire::Told {
                    instances: vec![standing],
                    complete: false,
                });
                bytes = size;
            }
        }
    }
    parts
}
