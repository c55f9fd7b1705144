//! A guarded port against certificates that are not what they should be.

use ferryway_proto::{EnrollReply, EnrollRequest};
use ferryway_runtime::Clock;
use ferryway_tls::{
    Acceptor, Authority, Certificate, CertificateRequest, Connector, ControlName, InstanceKey,
    InstanceName, Now, TrustDomain, Validity,
};
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpStream;
use tonic::transport::Endpoint;
use tower::{Service, service_fn};

use super::*;
use crate::server::{Beside, Enrolling, Guard, NotEnrolled, Registrar};

/// Knows every instance but the deleted ones, and gives certificates to who shows `token`.
struct Register {
    authority: Arc<Authority>,
    deleted: Mutex<Vec<Uuid>>,
    clock: Clock,
}

impl Register {
    fn issue(&self, request: &EnrollRequest) -> Result<EnrollReply, NotEnrolled> {
        let asked = CertificateRequest::read(&request.certificate_request)
            .map_err(|error| NotEnrolled::Refused(error.to_string()))?;
        let name = instance(request.group.as_str(), request.instance);
        let chain = issue_to(&self.authority, &name, &asked, now());
        Ok(EnrollReply {
            chain: chain.into_iter().map(Bytes::from).collect(),
            authorities: vec![self.authority.anchor().to_vec().into()],
        })
    }
}

impl Registrar for Register {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn knows(&self, name: &InstanceName, _certificate: &Certificate) -> Result<(), String> {
        let deleted = self.deleted.lock().expect("nobody panicked");
        if deleted.contains(&name.instance) {
            return Err("the instance was deleted".to_owned());
        }
        Ok(())
    }

    fn knows_control(&self, name: &ControlName) -> Result<(), String> {
        if name.domain == domain() {
            return Ok(());
        }
        Err("the trust domain is another".to_owned())
    }

    fn enroll(&self, request: EnrollRequest, _from: String) -> Enrolling {
        let reply = match request.token.as_deref() {
            Some("token") => self.issue(&request),
            _ => Err(NotEnrolled::Refused("not this token".to_owned())),
        };
        Box::pin(async move { reply })
    }

    fn renew(&self, request: EnrollRequest, _shown: Uuid, _from: String) -> Enrolling {
        let reply = self.issue(&request);
        Box::pin(async move { reply })
    }
}

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().expect("is a time")
}

fn domain() -> TrustDomain {
    "ferryway.internal".parse().expect("is a domain")
}

fn instance(group: &str, instance: Uuid) -> InstanceName {
    InstanceName {
        domain: domain(),
        group: group.to_owned(),
        instance,
    }
}

fn day(now: Timestamp) -> Validity {
    Validity {
        now,
        lifetime: SignedDuration::from_hours(24),
    }
}

fn issue_to(
    authority: &Authority,
    name: &InstanceName,
    asked: &CertificateRequest,
    at: Timestamp,
) -> Vec<Vec<u8>> {
    let issued = authority.issue(name, asked, Uuid::now_v7(), day(at));
    issued.expect("is issued")
}

/// A guarded port, and the way to it.
struct Port {
    authority: Arc<Authority>,
    register: Arc<Register>,
    address: SocketAddr,
    key: InstanceKey,
    tasks: Tasks,
}

impl Port {
    async fn open() -> Self {
        let authority = Authority::make(&domain(), Uuid::from_u128(1), now());
        let authority = Arc::new(authority.expect("is made"));
        let clock = Now::new(now);
        let key = authority
            .server_key(&domain(), &[], &[], Uuid::from_u128(2), day(now()))
            .expect("is made");
        let acceptor = Acceptor::of_instances(key, [authority.anchor()], clock);
        let register = Arc::new(Register {
            authority: Arc::clone(&authority),
            deleted: Mutex::new(vec![Uuid::from_u128(66)]),
            clock: Clock::manual(now()),
        });
        let guard = Guard {
            acceptor: acceptor.expect("fits"),
            registrar: Arc::clone(&register) as Arc<dyn Registrar>,
        };
        let tasks = Tasks::new("test");
        let nothing = Arc::new(Nothing(feed()));
        let (source, presence) = (Arc::clone(&nothing), nothing);
        let (settings, random) = (ServerSettings::default(), Random::seeded(1));
        let server = DeliveryServer::guarded(source, presence, settings, guard, random, &tasks)
            .beside(says_who_calls());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("is free");
        let address = listener.local_addr().expect("is bound");
        tasks.spawn("server", move |stop| async move {
            server.serve(listener, stop).await.expect("serves");
        });
        Self {
            authority,
            register,
            address,
            key: InstanceKey::make().expect("is made"),
            tasks,
        }
    }

    /// A certificate of this port's authority, issued so many hours from now.
    fn chain(&self, name: &InstanceName, hours: i64) -> Vec<Vec<u8>> {
        let asked = self.key.request().expect("is made");
        let asked = CertificateRequest::read(&asked).expect("is one");
        let at = now() + SignedDuration::from_hours(hours);
        issue_to(&self.authority, name, &asked, at)
    }

    /// A certificate for a control plane, by this port's authority.
    fn control_chain(&self, domain: &str, hours: i64) -> Vec<Vec<u8>> {
        let name = ControlName {
            domain: domain.parse().expect("is a domain"),
            plane: Uuid::from_u128(7),
        };
        let validity = day(now() + SignedDuration::from_hours(hours));
        let authority = &self.authority;
        let issued = authority.issue_to_control(&name, &self.key, Uuid::now_v7(), validity);
        issued.expect("is issued")
    }

    /// What the service beside the delivery answers, or what is answered in its place.
    async fn beside(&self, chain: Option<&[Vec<u8>]>) -> (Code, String) {
        let mut channel = self.channel(chain).await;
        let call = http::Request::post("/beside/Call");
        let call = call.body(Body::empty()).expect("is a request");
        std::future::poll_fn(|cx| Service::<http::Request<_>>::poll_ready(&mut channel, cx))
            .await
            .expect("is ready");
        let answer = channel.call(call).await.expect("is answered");
        let status = tonic::Status::from_header_map(answer.headers()).expect("is a status");
        (status.code(), status.message().to_owned())
    }

    fn delete(&self, instance: u128) {
        let mut deleted = self.register.deleted.lock().expect("nobody panicked");
        deleted.push(Uuid::from_u128(instance));
    }

    /// A stream that is served, as the instance 1 of the group `test`.
    async fn served(&self) -> Client {
        let rpc = self.dial(Some(&self.chain(&one(), 0))).await;
        let client = open_stream(rpc, self.tasks.clone()).await;
        let mut client = client.expect("opens");
        client.say_hello(hello("test")).await;
        client.hear().await;
        client
    }

    async fn dial(&self, chain: Option<&[Vec<u8>]>) -> DeliveryClient<Channel> {
        DeliveryClient::new(self.channel(chain).await)
    }

    async fn channel(&self, chain: Option<&[Vec<u8>]>) -> Channel {
        let clock = Now::new(now);
        let connector = match chain {
            None => Connector::pinned(self.authority.fingerprint(), clock),
            Some(chain) => {
                Connector::of_instance([self.authority.anchor()], chain, &self.key, clock)
            }
        };
        let (connector, address) = (connector.expect("fits"), self.address);
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("is one");
        let channel = endpoint
            .connect_with_connector(service_fn(move |_| {
                let connector = connector.clone();
                async move {
                    let plain = TcpStream::connect(address).await?;
                    let secured = connector.connect("127.0.0.1", plain).await;
                    secured.map(TokioIo::new).map_err(io::Error::other)
                }
            }))
            .await;
        channel.expect("connects")
    }

    /// How a stream ends that says hello as the instance 1 of the group `test`.
    async fn greet(&self, chain: Option<&[Vec<u8>]>) -> (Code, String) {
        let rpc = self.dial(chain).await;
        let mut client = match open_stream(rpc, self.tasks.clone()).await {
            Ok(client) => client,
            Err(status) => return (status.code(), status.message().to_owned()),
        };
        client.say_hello(hello("test")).await;
        match client.incoming.message().await {
            Ok(Some(message)) => match ControlMessage::decode(message).expect("is ours") {
                ControlMessage::Welcome(_) => (Code::Ok, String::new()),
                other => panic!("{other:?}"),
            },
            Ok(None) => (Code::Ok, "ended".to_owned()),
            Err(status) => (status.code(), status.message().to_owned()),
        }
    }

    async fn enroll(&self, chain: Option<&[Vec<u8>]>, token: Option<&str>) -> (Code, String) {
        let request = EnrollRequest {
            token: token.map(ToOwned::to_owned),
            certificate_request: self.key.request().expect("is made").into(),
            group: name("test"),
            instance: Uuid::from_u128(1),
        };
        let mut rpc = self.dial(chain).await;
        match rpc.enroll(wire::EnrollRequest::from(request)).await {
            Ok(reply) => {
                let reply = EnrollReply::try_from(reply.into_inner()).expect("is ours");
                let own = Certificate::read(&reply.chain[0]).expect("is one");
                (Code::Ok, own.instance.expect("names one").to_string())
            }
            Err(status) => (status.code(), status.message().to_owned()),
        }
    }
}

/// A service beside the delivery, which says who calls.
fn says_who_calls() -> Beside {
    Arc::new(|request| {
        let name = request.extensions().get::<ControlName>();
        let said = name.map_or_else(|| "nobody".to_owned(), ToString::to_string);
        Box::pin(async move { tonic::Status::new(Code::Ok, said).into_http() })
    })
}

/// A stream, or why there is none: a server may end the connection before it answers.
async fn open_stream(
    mut rpc: DeliveryClient<Channel>,
    tasks: Tasks,
) -> Result<Client, tonic::Status> {
    let (outgoing, messages) = mpsc::channel(8);
    let answer = rpc.deliver(ReceiverStream::new(messages)).await?;
    Ok(Client {
        rpc,
        outgoing,
        incoming: answer.into_inner(),
        tasks,
    })
}

fn one() -> InstanceName {
    instance("test", Uuid::from_u128(1))
}

const HOURS_OF_A_WEEK: i64 = 7 * 24;

#[tokio::test]
async fn who_is_who_it_says_is_served() {
    let port = Port::open().await;
    check(
        &port.greet(Some(&port.chain(&one(), 0))).await,
        Code::Ok,
        "",
    );
}

#[tokio::test]
async fn others_are_not_served_and_told_why() {
    let port = Port::open().await;
    let (no, other) = (Code::PermissionDenied, Code::Unauthenticated);
    check(
        &port.greet(None).await,
        other,
        "none was shown; enrol with a join token",
    );
    for (name, hours, code, part) in [
        (
            instance("production", Uuid::from_u128(1)),
            0,
            no,
            "is for the gateway group production",
        ),
        (
            instance("test", Uuid::from_u128(2)),
            0,
            no,
            "and the instance says that it is 00000000",
        ),
        (
            one(),
            -25,
            other,
            "expired at 2026-11-24T11:00:00Z, and it is 2026-11-24T12:00:00Z here; renew",
        ),
        (
            one(),
            -25 - HOURS_OF_A_WEEK,
            other,
            "too long ago to renew it",
        ),
        (one(), 2, other, "one of the clocks is wrong"),
    ] {
        let got = port.greet(Some(&port.chain(&name, hours))).await;
        check(&got, code, part);
    }
}

#[tokio::test]
async fn what_is_beside_is_for_control_planes_alone() {
    let port = Port::open().await;
    let own = "ferryway.internal";
    let (no, other) = (Code::PermissionDenied, Code::Unauthenticated);
    for (chain, code, part) in [
        (
            Some(port.control_chain(own, 0)),
            Code::Ok,
            "spiffe://ferryway.internal/control/00000000-0000-0000-0000-000000000007",
        ),
        (None, other, "none was shown"),
        (
            Some(port.chain(&one(), 0)),
            no,
            "is none of a control plane",
        ),
        (
            Some(port.control_chain("else.where", 0)),
            no,
            "trust domain",
        ),
        (Some(port.control_chain(own, -25)), other, "clocks is wrong"),
        (Some(port.control_chain(own, 2)), other, "clocks is wrong"),
    ] {
        check(&port.beside(chain.as_deref()).await, code, part);
    }
    // And a control plane is no instance.
    let chain = port.control_chain(own, 0);
    check(
        &port.greet(Some(&chain)).await,
        no,
        "names no gateway instance",
    );
    check(
        &port.enroll(Some(&chain), None).await,
        no,
        "names no gateway instance",
    );
}

#[tokio::test]
async fn a_deleted_instance_is_told_so() {
    let port = Port::open().await;
    let deleted = instance("test", Uuid::from_u128(66));
    let mut rpc = port.dial(Some(&port.chain(&deleted, 0))).await;
    let request = EnrollRequest {
        token: None,
        certificate_request: port.key.request().expect("is made").into(),
        group: name("test"),
        instance: Uuid::from_u128(66),
    };
    let refused = rpc
        .enroll(wire::EnrollRequest::from(request))
        .await
        .unwrap_err();
    assert_eq!(refused.message(), "the instance was deleted");
    let mut client = open_stream(rpc, port.tasks.clone()).await.expect("opens");
    client
        .say_hello(Hello {
            instance: Uuid::from_u128(66),
            ..hello("test")
        })
        .await;
    check(&client.end().await, Code::PermissionDenied, "was deleted");
}

#[tokio::test]
async fn certificates_are_for_tokens_and_for_certificates() {
    let port = Port::open().await;
    let name = one().to_string();
    check(&port.enroll(None, Some("token")).await, Code::Ok, &name);
    check(
        &port.enroll(None, Some("other")).await,
        Code::PermissionDenied,
        "not this token",
    );
    check(
        &port.enroll(None, None).await,
        Code::Unauthenticated,
        "none was shown",
    );
    for (hours, code, part) in [
        (0, Code::Ok, name.as_str()),
        (-25, Code::Ok, name.as_str()),
        (-23 - HOURS_OF_A_WEEK, Code::Ok, name.as_str()),
        (
            -25 - HOURS_OF_A_WEEK,
            Code::Unauthenticated,
            "start the instance with a new join token",
        ),
    ] {
        let chain = port.chain(&one(), hours);
        check(&port.enroll(Some(&chain), None).await, code, part);
    }
    let other = port.chain(&instance("test", Uuid::from_u128(2)), 0);
    check(
        &port.enroll(Some(&other), None).await,
        Code::PermissionDenied,
        "is for the instance",
    );
}

#[tokio::test]
async fn content_is_for_the_certificate_of_the_stream() {
    let port = Port::open().await;
    let rpc = port.dial(Some(&port.chain(&one(), 0))).await;
    let mut client = open_stream(rpc, port.tasks.clone()).await.expect("opens");
    client.say_hello(hello("test")).await;
    let ControlMessage::Welcome(welcome) = client.hear().await else {
        panic!("a welcome");
    };
    let request = || {
        let digests = vec![Digest::of(b"gone")];
        wire::FetchRequest::from(FetchRequest {
            session: welcome.session,
            digests,
        })
    };
    assert!(client.rpc.fetch(request()).await.is_ok());
    let stranger = instance("test", Uuid::from_u128(2));
    for (chain, code) in [
        (None, Code::Unauthenticated),
        (Some(port.chain(&stranger, 0)), Code::PermissionDenied),
    ] {
        let mut other = port.dial(chain.as_deref()).await;
        let refused = other.fetch(request()).await.unwrap_err();
        assert_eq!(refused.code(), code);
    }
    // The stream has not heard of it yet.
    port.delete(1);
    let refused = client.rpc.fetch(request()).await.unwrap_err();
    assert_eq!(refused.message(), "the instance was deleted");
}

#[tokio::test]
async fn who_shows_no_certificate_does_not_stay() {
    let port = Port::open().await;
    let mut rpc = port.dial(None).await;
    tokio::time::pause();
    let refused = loop {
        let request = wire::EnrollRequest::default();
        match rpc.enroll(request).await {
            Err(status) if status.code() == Code::InvalidArgument => {
                tokio::time::advance(Duration::from_secs(10)).await;
            }
            other => break other,
        }
    };
    assert!(refused.is_err_and(|status| status.code() != Code::InvalidArgument));
}

#[tokio::test]
async fn who_shows_no_certificate_is_answered_before_anything_of_it_is_read() {
    let port = Port::open().await;
    let mut rpc = port.dial(None).await;
    // It says nothing: the answer comes all the same.
    let (_outgoing, messages) = mpsc::channel::<wire::AgentMessage>(1);
    let refused = rpc.deliver(ReceiverStream::new(messages)).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let fetch = wire::FetchRequest::default();
    let refused = rpc.fetch(fetch).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_request_for_a_certificate_is_small() {
    let port = Port::open().await;
    for chain in [None, Some(port.chain(&one(), 0))] {
        let mut rpc = port.dial(chain.as_deref()).await;
        let request = wire::EnrollRequest {
            certificate_request: vec![0; 32 * 1024].into(),
            ..wire::EnrollRequest::default()
        };
        let refused = rpc.enroll(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::OutOfRange, "{refused}");
    }
}

#[tokio::test]
async fn a_stream_ends_when_its_certificate_is_not_taken_any_more() {
    let port = Port::open().await;
    let mut client = port.served().await;
    port.delete(1);
    tokio::time::pause();
    let start = tokio::time::Instant::now();
    check(&client.end().await, Code::PermissionDenied, "was deleted");
    assert!(start.elapsed() <= HEARTBEAT);
}

#[tokio::test]
async fn a_stream_whose_certificate_has_ended_is_to_come_again() {
    let port = Port::open().await;
    let mut client = port.served().await;
    let day = Duration::from_secs(24 * 60 * 60 + 1);
    assert!(port.register.clock.advance(day));
    tokio::time::pause();
    let last = loop {
        match client.hear().await {
            ControlMessage::Heartbeat(_) => {}
            last => break last,
        }
    };
    assert!(matches!(last, ControlMessage::GoAway(_)), "{last:?}");
    check(&client.end().await, Code::Ok, "");
}
