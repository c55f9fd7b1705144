//! The server against clients that are no instances.

mod guard;
mod hostile;

use std::time::Duration;

use ferryway_model::{Digest, Name, Revision, View};
use ferryway_proto::wire::delivery_client::DeliveryClient;
use ferryway_proto::{
    AgentMessage, ControlMessage, FetchRequest, Hello, Limits, Reason, Reconcile, Resume,
    Source as StartedFrom, wire,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Streaming};

use super::*;
use crate::feed::Head;
use crate::testing::{epoch, name};

/// One group without content, and nobody who listens.
struct Nothing(Arc<Feed>);

impl Source for Nothing {
    fn feed(&self, group: &Name) -> Option<Arc<Feed>> {
        (group == self.0.group()).then(|| Arc::clone(&self.0))
    }

    async fn blobs(&self, _group: &Name, digests: &[Digest]) -> Result<Vec<Bytes>, Unavailable> {
        if digests.contains(&Digest::of(b"away")) {
            let reason = "the store is away".to_owned();
            return Err(Unavailable { reason });
        }
        Ok(Vec::new())
    }
}

impl Presence for Nothing {
    fn connected(&self, _peer: &Peer, _hello: &Hello) {}
    fn acked(&self, _peer: &Peer, _ack: &Ack) {}
    fn rejected(&self, _peer: &Peer, _nack: &Nack) {}
    fn reported(&self, _peer: &Peer, _status: &Status) {}
    fn disconnected(&self, _peer: &Peer) {}
}

/// A client with an open stream.
struct Client {
    rpc: DeliveryClient<Channel>,
    outgoing: mpsc::Sender<wire::AgentMessage>,
    incoming: Streaming<wire::ControlMessage>,
    tasks: Tasks,
}

fn feed() -> Arc<Feed> {
    let head = Head {
        epoch: epoch(1),
        revision: Revision(0),
        view: View::empty(),
    };
    Arc::new(Feed::new(name("test"), head))
}

/// Serves this feed; where, and for as long as these tasks are there.
async fn serve(feed: Arc<Feed>) -> (String, Tasks) {
    let nothing = Arc::new(Nothing(feed));
    let tasks = Tasks::new("test");
    let settings = ServerSettings::default();
    let random = Random::seeded(1);
    let server = DeliveryServer::new(Arc::clone(&nothing), nothing, settings, random, &tasks);
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("is bound"));
    tasks.spawn("server", move |stop| async move {
        server.serve(listener, stop).await.expect("serves");
    });
    (url, tasks)
}

async fn client() -> Client {
    let (url, tasks) = serve(feed()).await;
    let rpc = DeliveryClient::connect(url).await.expect("connects");
    client_of(rpc, tasks).await
}

/// A further stream over a connection.
async fn client_of(mut rpc: DeliveryClient<Channel>, tasks: Tasks) -> Client {
    let (outgoing, messages) = mpsc::channel(8);
    let answer = rpc
        .deliver(ReceiverStream::new(messages))
        .await
        .expect("opens a stream");
    Client {
        rpc,
        outgoing,
        incoming: answer.into_inner(),
        tasks,
    }
}

fn hello(group: &str) -> Hello {
    Hello {
        protocol: (1, 1),
        instance: Uuid::from_u128(1),
        boot: 1,
        attempt: 1,
        group: name(group),
        build: "test".to_owned(),
        hostname: "localhost".to_owned(),
        addresses: Vec::new(),
        schemas: vec![1],
        plugins: Vec::new(),
        limits: Limits {
            entries: 1,
            blob_bytes: 1,
            transaction_bytes: 1,
        },
        desired: None,
        effective: None,
        holds: Vec::new(),
        held: 0,
        source: StartedFrom::Empty,
    }
}

impl Client {
    async fn say(&self, message: AgentMessage) {
        self.outgoing.send(message.encode()).await.expect("is open");
    }

    async fn say_hello(&self, hello: Hello) {
        self.say(AgentMessage::Hello(Box::new(hello))).await;
    }

    async fn hear(&mut self) -> ControlMessage {
        let message = self
            .incoming
            .message()
            .await
            .expect("goes on")
            .expect("goes on");
        ControlMessage::decode(message).expect("is ours")
    }

    /// How the stream ends.
    async fn end(&mut self) -> (Code, String) {
        loop {
            match self.incoming.message().await {
                Ok(Some(_)) => {}
                Ok(None) => return (Code::Ok, String::new()),
                Err(status) => return (status.code(), status.message().to_owned()),
            }
        }
    }
}

#[track_caller]
fn check(got: &(Code, String), code: Code, part: &str) {
    assert!(got.0 == code && got.1.contains(part), "{got:?}");
}

#[tokio::test]
async fn a_stream_must_begin_with_a_hello() {
    let mut client = client().await;
    let reconcile = Reconcile {
        reason: Reason::Gap,
        buckets: None,
    };
    client.say(AgentMessage::Reconcile(reconcile)).await;
    check(
        &client.end().await,
        Code::FailedPrecondition,
        "must be a hello",
    );
}

#[tokio::test]
async fn a_stream_without_a_hello_is_ended() {
    let mut client = client().await;
    // From here on, time passes as soon as everybody waits.
    tokio::time::pause();
    check(&client.end().await, Code::DeadlineExceeded, "no hello came");
}

#[tokio::test]
async fn a_silent_instance_is_ended() {
    let mut client = client().await;
    client.say_hello(hello("test")).await;
    client.hear().await;
    tokio::time::pause();
    let start = tokio::time::Instant::now();
    check(&client.end().await, Code::DeadlineExceeded, "was silent");
    assert!(start.elapsed() >= Duration::from_secs(14));
}

#[tokio::test]
async fn messages_that_make_no_sense_end_the_stream() {
    let mut other = client().await;
    other
        .say_hello(Hello {
            protocol: (2, 9),
            ..hello("test")
        })
        .await;
    check(
        &other.end().await,
        Code::FailedPrecondition,
        "speaks protocol 1",
    );

    let mut twice = client().await;
    twice.say_hello(hello("test")).await;
    twice.say_hello(hello("test")).await;
    check(
        &twice.end().await,
        Code::FailedPrecondition,
        "was said before",
    );

    let mut unasked = client().await;
    unasked.say_hello(hello("test")).await;
    let reason = String::new();
    unasked
        .say(AgentMessage::Unsupported { id: 1, reason })
        .await;
    check(
        &unasked.end().await,
        Code::FailedPrecondition,
        "nothing was asked",
    );

    let mut empty = client().await;
    empty.say_hello(hello("test")).await;
    empty
        .outgoing
        .send(wire::AgentMessage::default())
        .await
        .unwrap();
    check(
        &empty.end().await,
        Code::InvalidArgument,
        "message is missing",
    );
}

#[tokio::test]
async fn who_cannot_be_served_is_asked_to_come_again() {
    let mut client = client().await;
    client.say_hello(hello("nowhere")).await;
    let ControlMessage::Welcome(welcome) = client.hear().await else {
        panic!("a welcome");
    };
    let Resume::Retry(retry) = welcome.resume else {
        panic!("{welcome:?}");
    };
    assert_eq!(retry.reason, "there is no gateway group nowhere");
    check(&client.end().await, Code::Ok, "");
}

#[tokio::test]
async fn content_is_for_open_streams() {
    let mut client = client().await;
    client.say_hello(hello("test")).await;
    let ControlMessage::Welcome(welcome) = client.hear().await else {
        panic!("a welcome");
    };
    let request = |session, digest| {
        let digests = vec![digest];
        wire::FetchRequest::from(FetchRequest { session, digests })
    };
    let gone = Digest::of(b"gone");
    let refused = client
        .rpc
        .fetch(request(Uuid::nil(), gone))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);

    let answer = client
        .rpc
        .fetch(request(welcome.session, gone))
        .await
        .unwrap();
    let chunk = answer.into_inner().message().await.unwrap().unwrap();
    assert_eq!(chunk.missing.len(), 1);

    let answer = client
        .rpc
        .fetch(request(welcome.session, Digest::of(b"away")))
        .await
        .unwrap();
    let refused = answer.into_inner().message().await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);

    let malformed = wire::FetchRequest {
        session: Bytes::new(),
        digests: Vec::new(),
    };
    let refused = client.rpc.fetch(malformed).await.unwrap_err();
    assert_eq!(
        refused.message(),
        "fetch_request.session is 0 bytes long; must be 16"
    );
}

#[tokio::test]
async fn enrolment_is_said_not_to_exist() {
    let mut client = client().await;
    let refused = client
        .rpc
        .enroll(wire::EnrollRequest::default())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    assert!(refused.message().contains("TLS"));
}
