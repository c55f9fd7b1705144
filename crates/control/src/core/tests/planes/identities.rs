//! Who is let in, where several control planes let in.

use ferryway_api::JoinTokenDraft;

use super::*;
use crate::core::records::AuthorityKeyRecord;
use crate::secret::SecretDigest;

on_each_engine!([
    a_join_token_for_one_lets_one_in_at_two_at_once,
    one_for_many_lets_everybody_in_and_counts_them,
    what_one_refuses_all_refuse,
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

fn issued() -> Issued {
    let at = noon().now();
    Issued {
        serial: Uuid::now_v7(),
        authority: "a".to_owned(),
        at,
        expires_at: at,
    }
}

pub(in crate::core::tests) async fn join(
    house: &House,
    token: Uuid,
    instance: Uuid,
) -> Result<Issued, CoreError> {
    let joining = Joining {
        token,
        secret: SecretDigest::of(SECRET),
        group: named("test"),
        instance,
        key: instance.to_string(),
        from: "192.0.2.1".to_owned(),
    };
    let issued = issued();
    let joined = house.core.join(&joining, &issued).await;
    joined.map(|()| issued)
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
    let (token, instance) = (join_token(&one, true).await, Uuid::now_v7());
    let first = join(&one, token, instance).await.expect("is let in");
    let second = join(&two, token, instance).await.expect("is let in again");
    catches_up(&one, &two).await;
    for house in [&one, &two] {
        let is_refused = |issued: &Issued| house.core.is_refused(instance, issued.serial);
        assert!(!is_refused(&second));
        assert!(is_refused(&first) == (first.serial < second.serial));
    }
    let (actor, group) = (actor(), named("test"));
    let deleted = one.core.delete_join_token(&actor, &group, token);
    deleted.await.expect("is deleted");
    let late = join(&two, token, Uuid::now_v7()).await;
    let refused = late.expect_err("the token is gone").to_string();
    assert!(refused.contains("is not known here"), "{refused}");
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
