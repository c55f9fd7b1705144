//! Join tokens and the authority: made, shown once, used, refused.

use ferryway_delivery::Registrar as _;
use ferryway_delivery::server::NotEnrolled;
use ferryway_proto::EnrollRequest;
use ferryway_tls::{Certificate, InstanceKey, JoinToken};
use uuid::Uuid;

use super::*;

const TOKENS: &str = "/gateway-groups/test/join-tokens";

/// Makes a join token; its secret.
async fn token(api: &Api, body: Value) -> String {
    let made = api.send("POST", TOKENS, body).await;
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.json()["id"].as_str().expect("is a text").to_owned();
    assert_eq!(made.header(LOCATION), format!("/api/v1{TOKENS}/{id}"));
    let secret = made.json()["secret"].as_str().expect("is shown").to_owned();
    let fingerprint = secret.parse::<JoinToken>().expect("is one").authority;
    let authority = api.get("/authority").await.json();
    let issues = &authority["authorities"][0];
    assert_eq!(issues["fingerprint"], fingerprint.to_string());
    secret
}

/// What an instance is answered that shows this token.
async fn join(
    api: &Api,
    secret: &str,
    instance: u128,
    key: &InstanceKey,
) -> Result<Certificate, String> {
    ask(api, Ok(secret), "test", instance, key).await
}

/// What an instance is answered that shows this certificate.
async fn renew(api: &Api, shown: &Certificate) -> Result<Certificate, String> {
    let name = shown.instance.as_ref().expect("names one");
    let instance = name.instance.as_u128();
    ask(api, Err(shown), &name.group, instance, &key()).await
}

async fn ask(
    api: &Api,
    shown: Result<&str, &Certificate>,
    group: &str,
    instance: u128,
    key: &InstanceKey,
) -> Result<Certificate, String> {
    let request = EnrollRequest {
        token: shown.ok().map(ToOwned::to_owned),
        certificate_request: key.request().expect("is made").into(),
        group: group.parse().expect("is a name"),
        instance: Uuid::from_u128(instance),
    };
    let from = "192.0.2.1".to_owned();
    let answer = match shown {
        Ok(_) => api.identity.enroll(request, from).await,
        Err(shown) => api.identity.renew(request, shown.serial, from).await,
    };
    match answer {
        Ok(reply) => Ok(Certificate::read(&reply.chain[0]).expect("is one")),
        Err(NotEnrolled::Refused(why)) => Err(why),
        Err(NotEnrolled::Unavailable(why)) => panic!("{why}"),
    }
}

fn key() -> InstanceKey {
    InstanceKey::make().expect("is made")
}

#[track_caller]
fn refused(got: &Result<Certificate, String>, part: &str) {
    assert!(got.as_ref().is_err_and(|why| why.contains(part)), "{got:?}");
}

#[tokio::test]
async fn one_instance_joins_with_one_token() {
    let api = Api::furnished().await;
    let secret = token(&api, json!({})).await;
    let own = key();
    let certificate = join(&api, &secret, 1, &own).await.expect("joins");
    let name = certificate.instance.expect("names one");
    assert_eq!(
        (name.group.as_str(), name.instance),
        ("test", Uuid::from_u128(1))
    );
    // The answer may have been lost; the same instance with the same key asks again.
    join(&api, &secret, 1, &own).await.expect("is the same");
    refused(
        &join(&api, &secret, 1, &key()).await,
        "was used by the instance",
    );
    refused(
        &join(&api, &secret, 2, &key()).await,
        "was used by the instance",
    );

    let list = api.get(TOKENS).await.json();
    let shown = &list["items"][0];
    assert_eq!(
        (&shown["uses"], &shown["used_by"]),
        (&json!(1), &json!(Uuid::from_u128(1)))
    );
    assert!(!list.to_string().contains(&secret));
    let authority = api.get("/authority").await.json();
    assert_eq!(authority["authorities"][0]["instances"], json!({"test": 1}));
    let audit = api.get("/audit?limit=1000").await.text;
    for action in ["create join token", "join", "join refused"] {
        assert!(
            audit.contains(&format!("\"action\":\"{action}\"")),
            "{action}"
        );
    }
    assert!(!audit.contains(secret.split('.').nth(2).expect("has a secret")));
}

#[tokio::test]
async fn a_reusable_token_lets_many_in_until_it_expires() {
    let api = Api::furnished().await;
    let body = json!({"reusable": true, "expires_at": "2026-11-24T13:00:00Z"});
    let secret = token(&api, body).await;
    for instance in 1..=3 {
        join(&api, &secret, instance, &key()).await.expect("joins");
    }
    assert!(api.clock.advance(Duration::from_secs(3_600)));
    refused(
        &join(&api, &secret, 4, &key()).await,
        "expired at 2026-11-24T13:00:00Z",
    );
}

#[tokio::test]
async fn what_lets_nobody_in() {
    let api = Api::furnished().await;
    let secret = token(&api, json!({})).await;
    refused(
        &ask(&api, Ok(&secret), "production", 1, &key()).await,
        "the join token is for the gateway group test, and the instance says that it belongs to production",
    );
    let mut forged = secret.clone().into_bytes();
    let at = secret.find('.').expect("has parts") + 40;
    forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).expect("is text");
    refused(&join(&api, &forged, 1, &key()).await, "not known here");
    refused(&join(&api, "fwj1.x", 1, &key()).await, "is no join token");
    join(&api, &secret, 1, &key()).await.expect("joins");
    let other = token(&api, json!({})).await;
    let id = api.get(TOKENS).await.json()["items"][1]["id"].clone();
    let path = format!("{TOKENS}/{}", id.as_str().expect("is a text"));
    assert_eq!(api.send("DELETE", &path, Value::Null).await.status, 204);
    refused(
        &join(&api, &other, 2, &key()).await,
        "it was deleted, or never made",
    );
}

#[tokio::test]
async fn who_joins_anew_ends_what_it_had() {
    let api = Api::furnished().await;
    let first = token(&api, json!({})).await;
    let before = join(&api, &first, 1, &key()).await.expect("joins");
    let name = before.instance.clone().expect("names one");
    assert_eq!(api.identity.knows(&name, &before), Ok(()));
    let renewed = renew(&api, &before).await.expect("renews");
    assert_eq!(api.identity.knows(&name, &before), Ok(()), "until its end");
    let second = token(&api, json!({})).await;
    let after = join(&api, &second, 1, &key()).await.expect("joins");
    for old in [&before, &renewed] {
        let why = api.identity.knows(&name, old).expect_err("is refused");
        assert!(why.contains("start it with a new join token"), "{why}");
    }
    assert_eq!(api.identity.knows(&name, &after), Ok(()));
    let taken = json!({"reusable": true});
    let made = api
        .send("POST", "/gateway-groups/production/join-tokens", taken)
        .await;
    let secret = made.json()["secret"].as_str().expect("is shown").to_owned();
    refused(
        &ask(&api, Ok(&secret), "production", 1, &key()).await,
        "belongs to the gateway group test",
    );
}

#[tokio::test]
async fn the_authority_is_exchanged_while_both_are_trusted() {
    let api = Api::furnished().await;
    let secret = token(&api, json!({"reusable": true})).await;
    let held = join(&api, &secret, 1, &key()).await.expect("joins");
    let old = api.get("/authority").await.json()["authorities"][0]["fingerprint"].clone();
    let old = old.as_str().expect("is a text").to_owned();
    let path = format!("/authority/{old}");
    assert_eq!(
        api.send("DELETE", &path, Value::Null).await.status,
        409,
        "it issues"
    );
    let rotated = api.send("POST", "/authority/rotate", Value::Null).await;
    assert_eq!(rotated.status, 200, "{rotated:?}");
    let all = rotated.json()["authorities"].clone();
    assert_eq!(all.as_array().map(Vec::len), Some(2));
    assert_eq!(
        (&all[0]["issues"], &all[1]["issues"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(all[0]["instances"], json!({"test": 1}));
    let again = api.send("POST", "/authority/rotate", Value::Null).await;
    assert_eq!(again.status, 409, "one at a time");

    let renewed = renew(&api, &held).await.expect("renews");
    let name = renewed.instance.clone().expect("names one");
    let (one, none) = (json!({"test": 1}), json!({}));
    // The answer may be lost on its way.
    for (shown, holds) in [(None, [&one, &none]), (Some(&renewed), [&none, &one])] {
        if let Some(shown) = shown {
            assert_eq!(api.identity.knows(&name, shown), Ok(()));
        }
        api.identity.note_shown().await;
        let all = api.get("/authority").await.json()["authorities"].clone();
        let instances = [&all[0]["instances"], &all[1]["instances"]];
        assert_eq!(instances, holds);
    }
    assert_eq!(api.send("DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(api.send("DELETE", &path, Value::Null).await.status, 404);
    let left = api.get("/authority").await.json()["authorities"].clone();
    assert_eq!(left.as_array().map(Vec::len), Some(1));
}
