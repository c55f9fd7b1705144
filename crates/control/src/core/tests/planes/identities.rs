//! Who is let in, where several control planes let in.

use ferryway_api::JoinTokenDraft;

use super::*;
use crate::core::records::{AuthorityKeyRecord, IdentityRecord};
use crate::secret::SecretDigest;

on_each_engine!([
    a_join_token_for_one_lets_one_in_at_two_at_once,
    one_for_many_lets_everybody_in_and_counts_them,
    what_one_refuses_all_refuse,
    numbers_rise_whatever_the_clocks_say,
    who_was_deleted_renews_nothing,
    who_joins_anew_ends_what_was_not_noted,
    an_authority_is_needed_until_the_new_certificate_was_shown,
    a_deletion_holds_against_tokens_of_before,
    a_reusable_token_takes_nothing_over,
    a_deletion_is_remembered_for_as_long_as_it_matters,
    the_first_authority_is_the_same_at_two_at_once,
]);

const SECRET: &[u8] = b"secret";

pub(in crate::core::tests) async fn join_token(house: &House, reusable: bool) -> Uuid {
    let draft = JoinTokenDraft {
        reusable,
        expires_at: None,
    };
    let id = Uuid::now_v7();
    let (core, actor, group) = (&house.core, actor(), named("test"));
    let made = core.create_join_token(&actor, &group, &draft, (id, SECRET), None);
    made.await.expect("is made");
    id
}

/// A certificate of an hour, made by a clock that says that it is to have this number.
fn issued(serial: Uuid) -> Issued {
    let at = noon().now();
    Issued {
        serial,
        authority: "a".to_owned(),
        at,
        expires_at: at + jiff::SignedDuration::from_hours(1),
    }
}

/// Numbers by clocks that are wrong.
const BEHIND: Uuid = Uuid::from_u128(1);
const AHEAD: Uuid = Uuid::from_u128(0x0fff_ffff_ffff_7000_8000_0000_0000_0000);

pub(in crate::core::tests) async fn join(
    house: &House,
    token: Uuid,
    instance: Uuid,
) -> Result<Issued, CoreError> {
    join_as(house, token, instance, "key", Uuid::now_v7()).await
}

async fn join_as(
    house: &House,
    token: Uuid,
    instance: Uuid,
    key: &str,
    serial: Uuid,
) -> Result<Issued, CoreError> {
    let joining = Joining {
        token,
        secret: SecretDigest::of(SECRET),
        group: named("test"),
        instance,
        key: key.to_owned(),
        from: "192.0.2.1".to_owned(),
    };
    let issued = issued(serial);
    let joined = house.core.join(&joining, &issued).await;
    joined.map(|serial| Issued { serial, ..issued })
}

/// Renews with the certificate of the number `shown`.
async fn renew(
    house: &House,
    instance: Uuid,
    shown: Uuid,
    issued: Issued,
) -> Result<Issued, CoreError> {
    let core = &house.core;
    let renewed = core.renewed(&named("test"), instance, shown, &issued).await;
    renewed.map(|serial| Issued { serial, ..issued })
}

async fn delete(house: &House, instance: Uuid) {
    let (actor, group, id) = (actor(), named("test"), instance.to_string());
    let deleted = house.core.delete_instance(&actor, &group, &id).await;
    deleted.expect("is deleted");
}

fn known(house: &House, instance: Uuid) -> IdentityRecord {
    let known = |memory: &Memory| memory.identities[&instance].record.clone();
    house.core.read(known)
}

#[track_caller]
fn refused(joined: Result<Issued, CoreError>, part: &str) {
    let why = joined.expect_err("is refused").to_string();
    assert!(why.contains(part), "{why}");
}

async fn a_join_token_for_one_lets_one_in_at_two_at_once(on: Engine) {
    let (one, two) = two(on).await;
    for _ in 0..10 {
        // Nobody waits for the second one to know of it.
        let token = join_token(&one, false).await;
        let instances = [Uuid::now_v7(), Uuid::now_v7()];
        let (a, b) = (
            join(&one, token, instances[0]),
            join(&two, token, instances[1]),
        );
        let (a, b) = Box::pin(futures_util::future::join(a, b)).await;
        let (winner, refused) = match (&a, &b) {
            (Ok(_), Err(refused)) => (0, refused),
            (Err(refused), Ok(_)) => (1, refused),
            _ => panic!("one is let in: {a:?} {b:?}"),
        };
        let why = format!("was used by the instance {}", instances[winner]);
        assert!(refused.to_string().contains(&why), "{refused}");
        // Its answer may have been lost: it asks again, elsewhere.
        let again = join([&two, &one][winner], token, instances[winner]).await;
        again.expect("is let in again");
    }
}

async fn one_for_many_lets_everybody_in_and_counts_them(on: Engine) {
    let (one, two) = two(on).await;
    let token = join_token(&one, true).await;
    let all = (0..40).map(|n| join([&one, &two][n % 2], token, Uuid::now_v7()));
    let joined = futures_util::future::join_all(all).await;
    assert!(joined.iter().all(Result::is_ok), "{joined:?}");
    for house in [&one, &two] {
        house.core.fence().await.expect("the store answers");
        let (uses, identities) = house.core.read(|memory| {
            (
                memory.join_tokens[&token].record.uses,
                memory.identities.len(),
            )
        });
        assert_eq!((uses, identities), (40, 40));
    }
}

async fn what_one_refuses_all_refuse(on: Engine) {
    let (one, two) = two(on).await;
    let (token, instance) = (join_token(&one, false).await, Uuid::now_v7());
    let first = join(&one, token, instance).await.expect("is let in");
    let second = join_as(&two, token, instance, "key", BEHIND).await;
    let second = second.expect("is let in again");
    catches_up(&one, &two).await;
    for house in [&one, &two] {
        let is_refused = |issued: &Issued| house.core.is_refused(instance, issued.serial);
        assert!(!is_refused(&second));
        assert!(is_refused(&first));
    }
    let (actor, group) = (actor(), named("test"));
    let deleted = one.core.delete_join_token(&actor, &group, token);
    deleted.await.expect("is deleted");
    let late = join(&two, token, Uuid::now_v7()).await;
    let refused = late.expect_err("the token is gone").to_string();
    assert!(refused.contains("is not known here"), "{refused}");
}

async fn numbers_rise_whatever_the_clocks_say(on: Engine) {
    let house = House::new(on).await.with_groups().await;
    for (first, then) in [(BEHIND, BEHIND), (AHEAD, BEHIND), (BEHIND, AHEAD)] {
        let instance = Uuid::now_v7();
        let token = join_token(&house, false).await;
        let joined = join_as(&house, token, instance, "1", first).await;
        let joined = joined.expect("is let in");
        let renewed = renew(&house, instance, joined.serial, issued(then)).await;
        let renewed = renewed.expect("is renewed");
        assert!(joined.serial < renewed.serial, "{joined:?} {renewed:?}");
        assert_eq!(known(&house, instance).serial, renewed.serial);
        delete(&house, instance).await;
        let token = join_token(&house, false).await;
        let after = join_as(&house, token, instance, "2", then).await;
        let after = after.expect("is let in again");
        let is_refused = |issued: &Issued| house.core.is_refused(instance, issued.serial);
        assert_eq!(
            [&joined, &renewed, &after].map(is_refused),
            [true, true, false]
        );
        delete(&house, instance).await;
        assert!(is_refused(&after));
    }
}

async fn who_was_deleted_renews_nothing(on: Engine) {
    let house = House::new(on).await.with_groups().await;
    let (token, instance) = (join_token(&house, false).await, Uuid::now_v7());
    let joined = join(&house, token, instance).await.expect("is let in");
    // It was let in with what it has shown, and only then it was deleted.
    delete(&house, instance).await;
    let late = renew(&house, instance, joined.serial, issued(AHEAD)).await;
    refused(late, "was deleted, or has joined anew");
    assert!(
        house
            .core
            .is_refused(instance, known(&house, instance).serial)
    );
}

async fn who_joins_anew_ends_what_was_not_noted(on: Engine) {
    let house = House::new(on).await.with_groups().await;
    let (token, instance) = (join_token(&house, false).await, Uuid::now_v7());
    let joined = join(&house, token, instance).await.expect("is let in");
    // It was renewed, and the note of it was lost.
    let lost = Uuid::now_v7();
    let token = join_token(&house, false).await;
    let anew = join_as(&house, token, instance, "other", Uuid::now_v7()).await;
    let anew = anew.expect("is let in");
    let is_refused = |serial| house.core.is_refused(instance, serial);
    let all = [joined.serial, lost, anew.serial];
    assert_eq!(all.map(is_refused), [true, true, false]);
    // One of a clock that is ahead is known as soon as it is shown.
    let end = noon().now() + jiff::SignedDuration::from_hours(9);
    assert!(house.core.is_news(instance, AHEAD, end));
    house
        .core
        .shown(instance, AHEAD, end)
        .await
        .expect("is noted");
    let noted = known(&house, instance);
    assert_eq!((noted.serial, noted.expires_at), (AHEAD, end));
    delete(&house, instance).await;
    assert!(house.core.is_refused(instance, AHEAD));
    assert!(!house.core.is_news(instance, AHEAD, end), "it is refused");
}

async fn an_authority_is_needed_until_the_new_certificate_was_shown(on: Engine) {
    let house = House::new(on).await.with_groups().await;
    let (token, instance) = (join_token(&house, false).await, Uuid::now_v7());
    let joined = join(&house, token, instance).await.expect("is let in");
    let of_b = || Issued {
        authority: "b".to_owned(),
        ..issued(Uuid::now_v7())
    };
    let needed = || ["a", "b"].map(|authority| known(&house, instance).needs(authority));
    assert_eq!(needed(), [true, false]);
    // No answer arrives, twice.
    for _ in 0..2 {
        let renewed = renew(&house, instance, joined.serial, of_b()).await;
        let last = renewed.expect("is renewed");
        assert_eq!(needed(), [true, true]);
        assert_eq!(known(&house, instance).held(), "a");
        let end = last.expires_at;
        assert!(!house.core.is_news(instance, joined.serial, end));
        assert!(house.core.is_news(instance, last.serial, end));
    }
    let last = known(&house, instance);
    let shown = house.core.shown(instance, last.serial, last.expires_at);
    shown.await.expect("is noted");
    assert_eq!(needed(), [false, true]);
    assert!(
        !house.core.is_news(instance, last.serial, last.expires_at),
        "once"
    );

    // Who shows it where it renews the next one has it too.
    let second = Uuid::now_v7();
    let token = join_token(&house, false).await;
    let mut shown = join(&house, token, second).await.expect("is let in").serial;
    for is_needed in [true, false] {
        let renewed = renew(&house, second, shown, of_b()).await;
        shown = renewed.expect("is renewed").serial;
        assert_eq!(known(&house, second).needs("a"), is_needed);
    }
    // A certificate that ends earlier does not end the memory of those that end later.
    let soon = Issued {
        expires_at: noon().now(),
        ..of_b()
    };
    let before = known(&house, second).expires_at;
    let renewed = renew(&house, second, shown, soon).await;
    renewed.expect("is renewed");
    assert_eq!(known(&house, second).expires_at, before);
}

async fn a_deletion_holds_against_tokens_of_before(on: Engine) {
    let house = House::new(on).await.with_groups().await;
    let instance = Uuid::now_v7();
    let (many, used, unused) = (
        join_token(&house, true).await,
        join_token(&house, false).await,
        join_token(&house, false).await,
    );
    join(&house, used, instance).await.expect("is let in");
    delete(&house, instance).await;
    for token in [many, used, unused] {
        let why = format!("the join token {token} was made at 2026-11-24T12:00:00Z, and");
        refused(join(&house, token, instance).await, &why);
    }
    // They let others in.
    let other = join(&house, many, Uuid::now_v7()).await;
    other.expect("is let in");
    // One that is made by the same clock at the same time is one of after.
    let token = join_token(&house, true).await;
    let back = join(&house, token, instance).await;
    back.expect("is let in again");
    refused(join(&house, unused, instance).await, "make a new one");
}

async fn a_reusable_token_takes_nothing_over(on: Engine) {
    let house = House::new(on).await.with_groups().await;
    let (many, instance) = (join_token(&house, true).await, Uuid::now_v7());
    let joined = join(&house, many, instance).await.expect("is let in");
    let other = join(&house, many, Uuid::now_v7()).await;
    other.expect("is let in");
    // The answer may have been lost, and others have joined since.
    let again = join(&house, many, instance).await.expect("is let in again");
    assert!(house.core.is_refused(instance, joined.serial));
    let uses = house
        .core
        .read(|memory| memory.join_tokens[&many].record.uses);
    assert_eq!(uses, 2, "counted once");
    let thief = |key| join_as(&house, many, instance, key, AHEAD);
    refused(thief("thief").await, "has a certificate already");
    assert!(!house.core.is_refused(instance, again.serial));
    // Once it has renewed, the answer has come.
    let renewed = renew(&house, instance, again.serial, issued(Uuid::now_v7())).await;
    renewed.expect("is renewed");
    refused(thief("key").await, "make a join token for one alone");
    let one = join_token(&house, false).await;
    let joined = join_as(&house, one, instance, "own", Uuid::now_v7()).await;
    joined.expect("is let in");
}

async fn a_deletion_is_remembered_for_as_long_as_it_matters(on: Engine) {
    const WEEKS: Duration = Duration::from_secs(30 * 24 * 3_600);
    let house = House::new(on).await.with_groups().await;
    let draft = JoinTokenDraft {
        reusable: true,
        expires_at: Some(noon().now() + jiff::SignedDuration::from_hours(40 * 24)),
    };
    let (many, instance) = (Uuid::now_v7(), Uuid::now_v7());
    let (actor, group) = (actor(), named("test"));
    let made = house
        .core
        .create_join_token(&actor, &group, &draft, (many, SECRET), None);
    made.await.expect("is made");
    join(&house, many, instance).await.expect("is let in");
    delete(&house, instance).await;
    assert!(house.clock.advance(WEEKS));
    house.core.retain().await;
    refused(join(&house, many, instance).await, "was deleted at");
    assert!(house.clock.advance(WEEKS));
    for _ in 0..2 {
        // First the token, and then what is remembered because of it.
        house.core.retain().await;
        house.core.fence().await.expect("the store answers");
    }
    assert!(house.core.read(|memory| memory.identities.is_empty()));
}

async fn the_first_authority_is_the_same_at_two_at_once(on: Engine) {
    let (one, two) = two(on).await;
    let of = |name: &str| AuthorityKeyRecord {
        certificate: name.to_owned(),
        sealed_key: String::new(),
    };
    let (a, b) = futures_util::future::join(
        one.core.first_authority(of("one")),
        two.core.first_authority(of("two")),
    )
    .await;
    for kept in [a, b] {
        kept.expect("one of them is kept");
    }
    let (one, two) = (one.core.authorities(), two.core.authorities());
    assert_eq!(one, two);
    assert_eq!(one.map(|record| record.authorities.len()), Some(1));
}
