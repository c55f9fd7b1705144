//! Both ends against each other, with good certificates and with bad ones.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::*;

const NOW: i64 = 1_800_000_000;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn later(hours: i64) -> Timestamp {
    now() + SignedDuration::from_hours(hours)
}

fn clock(at: Timestamp) -> Now {
    Now::new(move || at)
}

fn domain() -> TrustDomain {
    "ferryway.internal".parse().unwrap()
}

fn authority(id: u128) -> Authority {
    Authority::make(&domain(), Uuid::from_u128(id), now()).unwrap()
}

fn day() -> Validity {
    Validity {
        now: now(),
        lifetime: SignedDuration::from_hours(24),
    }
}

fn name() -> InstanceName {
    InstanceName {
        domain: domain(),
        group: "test".to_owned(),
        instance: Uuid::from_u128(5),
    }
}

fn server_key(authority: &Authority, vouched: &[Vec<u8>]) -> ServerKey {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    authority
        .server_key(&domain(), &names, vouched, Uuid::from_u128(9), day())
        .unwrap()
}

fn issued(authority: &Authority, key: &InstanceKey) -> Vec<Vec<u8>> {
    let request = CertificateRequest::read(&key.request().unwrap()).unwrap();
    authority
        .issue(&name(), &request, Uuid::now_v7(), day())
        .unwrap()
}

/// What each end gets of a handshake: at the server what it read of the client, in words.
async fn shake(acceptor: &Acceptor, connector: &Connector) -> (String, String) {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let at_client = async {
        match connector.connect("localhost", client).await {
            Err(error) => error.to_string(),
            Ok(mut stream) => {
                use tokio::io::AsyncReadExt as _;
                let mut byte = [0];
                match stream.read(&mut byte).await {
                    Ok(_) => "connected".to_owned(),
                    Err(error) => HandshakeError::from(error).to_string(),
                }
            }
        }
    };
    let at_server = async {
        match acceptor.accept(server).await {
            Err(error) => error.to_string(),
            Ok(Accepted {
                mut stream,
                certificate,
            }) => {
                use tokio::io::AsyncWriteExt as _;
                let _ = stream.write_all(b"x").await;
                match certificate {
                    None => "nobody".to_owned(),
                    Some(certificate) => certificate.to_string(),
                }
            }
        }
    };
    tokio::join!(at_server, at_client)
}

#[track_caller]
fn check(got: &(String, String), server: &str, client: &str) {
    assert!(got.0.contains(server) && got.1.contains(client), "{got:#?}");
}

#[tokio::test]
async fn the_first_contact_is_verified_by_the_fingerprint() {
    let own = authority(1);
    let acceptor =
        Acceptor::of_instances(server_key(&own, &[]), [own.anchor()], clock(now())).unwrap();
    let right = Connector::pinned(own.fingerprint(), clock(now())).unwrap();
    check(&shake(&acceptor, &right).await, "nobody", "connected");
    let other = Connector::pinned(authority(2).fingerprint(), clock(now())).unwrap();
    check(
        &shake(&acceptor, &other).await,
        "does not accept our certificate",
        "another authority than the join token's",
    );
}

#[tokio::test]
async fn a_wrong_clock_is_said() {
    let own = authority(1);
    let acceptor =
        Acceptor::of_instances(server_key(&own, &[]), [own.anchor()], clock(now())).unwrap();
    let late = Connector::pinned(own.fingerprint(), clock(later(48))).unwrap();
    check(
        &shake(&acceptor, &late).await,
        "does not accept",
        "has expired by this host's clock",
    );
    let early = Connector::pinned(own.fingerprint(), clock(later(-48))).unwrap();
    check(
        &shake(&acceptor, &early).await,
        "does not accept",
        "not valid yet by this host's clock",
    );
}

#[tokio::test]
async fn instances_are_known_by_their_certificates() {
    let (own, other) = (authority(1), authority(2));
    let key = InstanceKey::make().unwrap();
    let chain = issued(&own, &key);
    let as_instance = |chain: &[Vec<u8>]| {
        Connector::of_instance([own.anchor()], chain, &key, clock(now())).unwrap()
    };
    // Three weeks late by the server's clock: the chain is verified, the time is somebody else's.
    for at in [now(), later(24 * 21), later(-24)] {
        let acceptor =
            Acceptor::of_instances(server_key(&own, &[]), [own.anchor()], clock(at)).unwrap();
        let got = shake(&acceptor, &as_instance(&chain)).await;
        check(&got, &name().to_string(), "connected");
    }
    let acceptor =
        Acceptor::of_instances(server_key(&own, &[]), [own.anchor()], clock(now())).unwrap();
    let strange = issued(&other, &key);
    check(
        &shake(&acceptor, &as_instance(&strange)).await,
        "not trusted here",
        "does not trust the authority",
    );
}

fn issued_to_control(authority: &Authority, key: &InstanceKey) -> Vec<Vec<u8>> {
    let name = ControlName {
        domain: domain(),
        plane: Uuid::from_u128(6),
    };
    authority
        .issue_to_control(&name, key, Uuid::now_v7(), day())
        .unwrap()
}

#[tokio::test]
async fn control_planes_that_call_are_known_by_their_certificates() {
    let own = authority(1);
    let key = InstanceKey::make().unwrap();
    let chain = issued_to_control(&own, &key);
    let acceptor =
        Acceptor::of_instances(server_key(&own, &[]), [own.anchor()], clock(now())).unwrap();
    let connector = Connector::of_instance([own.anchor()], &chain, &key, clock(now())).unwrap();
    let name = "spiffe://ferryway.internal/control/00000000-0000-0000-0000-000000000006";
    check(&shake(&acceptor, &connector).await, name, "connected");
    let certificate = Certificate::read(&chain[0]).unwrap();
    assert_eq!(certificate.instance, None, "it is no instance");
}

#[tokio::test]
async fn who_calls_is_no_control_plane_that_is_called() {
    for issued in [issued, issued_to_control] {
        nobody_poses(issued).await;
    }
}

async fn nobody_poses(issued: fn(&Authority, &InstanceKey) -> Vec<Vec<u8>>) {
    let own = authority(1);
    let key = InstanceKey::make().unwrap();
    let chain = issued(&own, &key);
    let all: Vec<&[u8]> = chain
        .iter()
        .map(Vec::as_slice)
        .chain([own.anchor()])
        .collect();
    let posing =
        ServerKey::from_pem(certificates_pem(all).as_bytes(), key.to_pem().as_bytes()).unwrap();
    let acceptor = Acceptor::of_instances(posing, [own.anchor()], clock(now())).unwrap();
    let victim = Connector::pinned(own.fingerprint(), clock(now())).unwrap();
    check(
        &shake(&acceptor, &victim).await,
        "",
        "the certificate is not accepted",
    );
}

#[tokio::test]
async fn while_the_authority_changes_both_are_trusted() {
    let (old, new) = (authority(1), authority(2));
    let vouched = old.vouch(&new, Uuid::from_u128(3), day()).unwrap();
    let vouched = [vouched, old.anchor().to_vec()];
    let acceptor = Acceptor::of_instances(
        server_key(&new, &vouched),
        [new.anchor(), old.anchor()],
        clock(now()),
    )
    .unwrap();
    let key = InstanceKey::make().unwrap();
    // What was issued before, by one that knows the old authority alone; and the reverse.
    for (issuer, knows) in [(&old, &old), (&new, &new), (&new, &old), (&old, &new)] {
        let chain = issued(issuer, &key);
        let connector =
            Connector::of_instance([knows.anchor()], &chain, &key, clock(now())).unwrap();
        check(
            &shake(&acceptor, &connector).await,
            &name().to_string(),
            "connected",
        );
    }
    for token in [&old, &new] {
        let connector = Connector::pinned(token.fingerprint(), clock(now())).unwrap();
        check(&shake(&acceptor, &connector).await, "nobody", "connected");
    }
    // The old one is dropped: connections to come are judged by what is trusted then.
    acceptor
        .replace(server_key(&new, &[]), [new.anchor()])
        .unwrap();
    let chain = issued(&old, &key);
    let connector =
        Connector::of_instance([new.anchor(), old.anchor()], &chain, &key, clock(now())).unwrap();
    check(
        &shake(&acceptor, &connector).await,
        "not trusted here",
        "does not trust the authority",
    );
}

#[test]
fn an_authority_is_kept_as_certificate_and_key() {
    let own = authority(1);
    let again = Authority::from_der(own.anchor(), &own.key()).unwrap();
    assert_eq!(again.fingerprint(), own.fingerprint());
    let other = authority(2);
    let error = Authority::from_der(own.anchor(), &other.key()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the authority's key is not the one of its certificate"
    );
    let key = InstanceKey::make().unwrap();
    let leaf = issued(&own, &key);
    let error = Authority::from_pem(
        certificates_pem([leaf[0].as_slice()]).as_bytes(),
        &key.to_pem(),
    );
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("none of an authority")
    );
}

#[test]
fn a_key_may_stand_behind_its_certificates() {
    let key = InstanceKey::make().unwrap();
    let own = authority(1);
    let chain = certificates_pem([own.anchor()]);
    let kept = InstanceKey::from_pem(&format!("{chain}{}", key.to_pem())).unwrap();
    assert_eq!(kept.to_pem(), key.to_pem());
    assert!(InstanceKey::from_pem(&chain).is_err());
}

#[test]
fn requests_are_verified() {
    let request = InstanceKey::make().unwrap().request().unwrap();
    let key = CertificateRequest::read(&request).unwrap().key();
    for n in 0..request.len() {
        let mut changed = request.clone();
        changed[n] ^= 1;
        // The name of the algorithm that stands beside the signature is not signed.
        let read = CertificateRequest::read(&changed);
        assert!(
            read.is_err() || read.is_ok_and(|read| read.key() == key),
            "byte {n}"
        );
    }
    assert!(
        CertificateRequest::read(&[0; 5_000])
            .unwrap_err()
            .to_string()
            .contains("longer")
    );
}

#[test]
fn the_time_of_a_certificate() {
    let chain = issued(&authority(1), &InstanceKey::make().unwrap());
    let certificate = Certificate::read(&chain[0]).unwrap();
    assert_eq!(certificate.instance, Some(name()));
    for (at, expect) in [
        (later(-1), Time::Early),
        (now(), Time::Valid),
        (later(24), Time::Valid),
        (later(25), Time::Renewable),
        (later(24 * 8), Time::Renewable),
        (later(24 * 8 + 1), Time::Expired),
    ] {
        assert_eq!(certificate.time(at), expect, "{at}");
    }
}
