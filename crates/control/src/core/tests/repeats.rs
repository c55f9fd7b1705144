//! Calls that are repeated, and callers that leave.

use super::*;

on_each_engine!([
    an_idempotency_key_stands_for_its_first_call,
    a_change_that_began_is_made_whether_or_not_its_caller_stays,
]);

async fn an_idempotency_key_stands_for_its_first_call(on: Engine) {
    let house = House::new(on).await.with_groups().await;
    let key = |body: &[u8]| Idempotency {
        key: "k".into(),
        fingerprint: Digest::of(body),
    };
    let change = async |house: &House, key: &Idempotency, version: &str| {
        let request = publish("a", version, &["test"]);
        house
            .core
            .change(
                &actor(),
                &request,
                &CallOptions::default(),
                &IfMatch::Anything,
                Some(key),
            )
            .await
    };
    let first = change(&house, &key(b"1"), "1").await.expect("is published");
    let house = house.again().await;
    let second = change(&house, &key(b"1"), "1")
        .await
        .expect("is the first answer");
    assert_eq!(first.operation, second.operation);
    assert!(matches!(
        change(&house, &key(b"2"), "2").await,
        Err(CoreError::KeyReused)
    ));
    house.clock.advance(Duration::from_secs(25 * 3_600));
    let later = change(&house, &key(b"2"), "2")
        .await
        .expect("a day later the key is free");
    assert_ne!(first.operation, later.operation);
}

/// A caller that breaks off in the middle of a write doesn't break the write off.
async fn a_change_that_began_is_made_whether_or_not_its_caller_stays(on: Engine) {
    let house = House::new(on).await.with_groups().await;
    let key = Idempotency {
        key: "k".into(),
        fingerprint: Digest::of(b"1"),
    };
    let (actor, request) = (actor(), publish("a", "1", &["test"]));
    let options = CallOptions::default();
    let change = || {
        let core = &house.core;
        core.change(&actor, &request, &options, &IfMatch::Anything, Some(&key))
    };
    let mut leaving = Box::pin(change());
    assert!(futures_util::poll!(&mut leaving).is_pending());
    drop(leaving);
    // Nobody names the content in memory yet, and yet it stays.
    house.core.retain().await;
    let operation = loop {
        match change().await {
            Err(CoreError::KeyBusy) => tokio::task::yield_now().await,
            other => break other.expect("is what the first call made"),
        }
    };
    let made: Vec<_> = house.core.read(|memory| {
        let history = memory.history.values().flatten();
        history.map(|ran| Some(ran.operation)).collect()
    });
    assert_eq!(made, [operation.operation]);
    let house = house.again().await;
    assert_eq!(house.runs(), ["test: 1 1"]);
}
