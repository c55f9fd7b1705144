//! Several control planes over one store, in one process: what holds on one holds on all.

mod conflicts;
pub(super) mod identities;
mod linked;
mod sweeps;

use super::*;

on_each_engine!([
    what_one_answers_the_other_knows,
    changes_at_two_at_once_all_happen_each_once,
    a_key_used_at_two_at_once_makes_one_change,
    a_key_used_for_plain_resources_at_two_at_once_makes_one,
    tags_hold_at_all,
    one_that_starts_while_another_writes_knows_everything,
]);

/// Two control planes over one store.
async fn two(on: Engine) -> (House, House) {
    let one = House::among_others(on).await.with_groups().await;
    let two = one.beside().await;
    (one, two)
}

/// Waits until a control plane holds what another one holds now.
async fn catches_up(house: &House, with: &House) {
    let revision = with.core.read(|memory| memory.revision);
    house.core.holds(revision).await.expect("follows");
}

async fn what_one_answers_the_other_knows(on: Engine) {
    let (one, two) = two(on).await;
    one.publish("1", &["test"]).await.expect("is published");
    catches_up(&two, &one).await;
    assert_eq!(two.runs(), ["test: 1 1"]);
    let used = two.publish("1", &["production"]).await;
    assert_eq!(codes(used.expect_err("is used")), [Code::VersionExists]);
    two.change(&sync("production")).await.expect("is synced");
    catches_up(&one, &two).await;
    assert_eq!(one.runs(), two.runs());
    assert_eq!(one.runs(), ["production: 1 1", "test: 1 1"]);
}

async fn changes_at_two_at_once_all_happen_each_once(on: Engine) {
    let (one, two) = two(on).await;
    let all = (0..40).map(|n| [&one, &two][n % 2].publish_owned(n));
    let results = futures_util::future::join_all(all).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    catches_up(&one, &two).await;
    catches_up(&two, &one).await;
    for house in [&one, &two] {
        let (revision, versions, history) = house.core.read(|memory| {
            let group = &memory.groups[&named("test")];
            let history = memory.history[&(named("test"), named("a"))].len();
            let versions = memory.versions[&named("a")].len();
            (group.head.revision.0, versions, history)
        });
        assert_eq!((revision, versions, history), (40, 40, 40));
    }
    let twice = futures_util::future::join(
        one.publish("x", &["test"]),
        two.publish("x", &["production"]),
    )
    .await;
    let made = [twice.0.is_ok(), twice.1.is_ok()];
    assert_eq!(made.iter().filter(|ok| **ok).count(), 1);
}

async fn a_key_used_at_two_at_once_makes_one_change(on: Engine) {
    let (one, two) = two(on).await;
    for n in 0..20 {
        let key = Idempotency {
            key: format!("k{n}"),
            fingerprint: Digest::of(b"1"),
        };
        let request = publish("a", &format!("1.{n}"), &["test"]);
        let change = async |house: &House, key: &Idempotency| {
            let options = CallOptions::default();
            let anything = IfMatch::Anything;
            let core = &house.core;
            core.change(&actor(), &request, &options, &anything, Some(key))
                .await
        };
        let (a, b) = futures_util::future::join(change(&one, &key), change(&two, &key)).await;
        let (a, b) = (a.expect("is made"), b.expect("is made, or found made"));
        assert_eq!(a.operation, b.operation);
        let other = Idempotency {
            fingerprint: Digest::of(b"2"),
            ..key
        };
        let reused = change(&two, &other).await;
        assert!(matches!(reused, Err(CoreError::KeyReused)), "{reused:?}");
    }
    assert_eq!(two.runs(), ["test: 1.19 20"]);
}

async fn a_key_used_for_plain_resources_at_two_at_once_makes_one(on: Engine) {
    let (one, two) = two(on).await;
    let key = Idempotency {
        key: "k".into(),
        fingerprint: Digest::of(b"1"),
    };
    let group = GroupModel::parse(&json!({"name": "new"}), None).expect("is a group");
    let put = async |house: &House, key: &Idempotency| {
        let wanted = || Ok((group.clone(), IfMatch::Absent));
        let core = &house.core;
        core.put_group(&actor(), &group.name, wanted, Some(key))
            .await
    };
    let both = futures_util::future::join(put(&one, &key), put(&two, &key));
    let (a, b) = Box::pin(both).await;
    let [a, b] = [a, b].map(|made| made.expect("is made, or found made"));
    assert!(matches!(a, Made::New(_)) && a == b, "{a:?} {b:?}");
    let entries = one.core.read(|memory| {
        let entries = memory.audit.values();
        entries
            .filter(|it| it.target == "gateway-groups/new")
            .count()
    });
    assert_eq!(entries, 1, "made once");
}

async fn tags_hold_at_all(on: Engine) {
    let (one, two) = two(on).await;
    let tag = one.core.read(|memory| memory.group_etag(&named("test")));
    let tag = tag.expect("has a tag");
    let put = async |house: &House, title: &str| {
        let body = json!({"name": "test", "title": title});
        let group = GroupModel::parse(&body, None).expect("is a group");
        let wanted = || Ok((group.clone(), IfMatch::Tags(vec![tag.clone()])));
        house
            .core
            .put_group(&actor(), &group.name, wanted, None)
            .await
    };
    let both = futures_util::future::join(put(&one, "A"), put(&two, "B"));
    let (a, b) = Box::pin(both).await;
    let stale = |made: &Result<Made, CoreError>| matches!(made, Err(CoreError::Stale));
    assert_eq!([&a, &b].into_iter().filter(|it| stale(it)).count(), 1);
    assert_eq!([&a, &b].into_iter().filter(|it| it.is_ok()).count(), 1);
}

async fn one_that_starts_while_another_writes_knows_everything(on: Engine) {
    let one = House::among_others(on).await.with_groups().await;
    let writes = async {
        for n in 0..60 {
            one.publish_owned(n).await.expect("is published");
        }
    };
    let starts = async {
        let mut all = Vec::new();
        for _ in 0..6 {
            all.push(one.beside().await);
            tokio::task::yield_now().await;
        }
        all
    };
    let both = futures_util::future::join(starts, writes);
    let (all, ()) = Box::pin(both).await;
    for house in &all {
        catches_up(house, &one).await;
        assert_eq!(house.runs(), one.runs());
        let head = |house: &House| {
            house
                .core
                .0
                .sessions
                .feed(&named("test"))
                .map(|it| it.head())
        };
        let [theirs, ours] = [house, &one].map(|house| head(house).expect("has a feed").position());
        assert_eq!(theirs, ours);
    }
}

/// Time that passes only when a test says so. The store works on a thread of its own, which paused
/// time would not wait for: it would run ahead of every write.
struct Frozen {
    began: Instant,
    _held: std::sync::mpsc::Sender<()>,
}

impl Frozen {
    fn now() -> Self {
        let (held, until) = std::sync::mpsc::channel::<()>();
        // As long as this waits, the runtime doesn't move its clock by itself.
        drop(tokio::task::spawn_blocking(move || until.recv()));
        tokio::time::pause();
        Self {
            began: Instant::now(),
            _held: held,
        }
    }

    /// Lets time pass until it is so, at most a minute; and how much has passed since the beginning.
    async fn until(&self, house: &House, is: impl Fn() -> bool) -> Duration {
        const STEP: Duration = Duration::from_millis(250);
        let before = Instant::now();
        while !is() && before.elapsed() < Duration::from_secs(60) {
            tokio::time::advance(STEP).await;
            // What is due now is done, and what it asked of the store too.
            for _ in 0..4 {
                for _ in 0..16 {
                    tokio::task::yield_now().await;
                }
                let nothing = ferryway_store::Txn::new().durable(false);
                house.core.0.store.commit(nothing).await.expect("is open");
            }
        }
        assert!(is(), "not after a minute");
        self.began.elapsed()
    }
}

#[tokio::test]
async fn one_that_ends_is_known_to_be_gone_and_one_that_is_silent_too() {
    let (one, two) = two(Engine::Embedded).await;
    let three = one.beside().await;
    let known = |house: &House| house.core.read(|memory| memory.planes.len());
    let frozen = Frozen::now();
    let all = || [&one, &two, &three].iter().all(|it| known(it) == 2);
    frozen.until(&one, all).await;
    assert!(two.tasks.stop(Duration::from_secs(5)).await);
    frozen.until(&one, || known(&one) == 1).await;
    // One that writes no more, as if it were stopped with SIGSTOP: its record stays where it is.
    let key = keys::plane(Uuid::now_v7());
    let dead = json!({"url": "http://127.0.0.1:1", "build": "x", "protocol": [1, 1], "beat": 7});
    let txn = ferryway_store::Txn::new().put(key, dead.to_string());
    one.core.0.store.commit(txn).await.expect("is written");
    let seen = frozen
        .until(&one, || known(&one) == 2 && known(&three) == 2)
        .await;
    let gone = frozen
        .until(&one, || known(&one) == 1 && known(&three) == 1)
        .await;
    let took = (gone - seen).as_secs();
    assert!((14..=21).contains(&took), "{took}");
}
