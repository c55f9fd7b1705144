//! The oracle: a map that does what the contract says, one step after the other.

use std::collections::BTreeMap;

use bytes::Bytes;
use ferryway_store::{Entry, Event, Expect, Revision, Store, StoreError, Txn, Watch};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::{Place, key, list_all};

/// Few keys, so that steps meet.
const KEYS: [&str; 6] = ["a", "a/1", "a/2", "b", "b/1", "c"];

#[derive(Clone, Debug)]
enum Step {
    Commit {
        requires: Vec<(usize, Require)>,
        changes: BTreeMap<usize, Option<u8>>,
        durable: bool,
    },
    List {
        prefix: usize,
        from: Option<usize>,
        limit: usize,
    },
    Get(usize),
    Reopen,
}

#[derive(Clone, Copy, Debug)]
enum Require {
    Absent,
    Present,
    /// The revision the key has; it holds.
    Known,
    /// The revision of an earlier transaction, or one that is nobody's.
    Earlier(usize),
}

/// What the store should be.
#[derive(Default)]
struct Model {
    entries: BTreeMap<String, Entry>,
    events: Vec<Event>,
}

pub(crate) fn check<P: Place>(cases: u32, place: impl Fn() -> P) {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    TestRunner::new(config)
        .run(&proptest::collection::vec(step(), 1..40), |steps| {
            runtime.block_on(run(&place(), steps));
            Ok(())
        })
        .unwrap();
}

fn step() -> impl Strategy<Value = Step> {
    let a_key = || 0..KEYS.len();
    let require = prop_oneof![
        1 => Just(Require::Absent),
        1 => Just(Require::Present),
        3 => Just(Require::Known),
        1 => (0_usize..20).prop_map(Require::Earlier),
    ];
    let requires = proptest::collection::vec((a_key(), require), 0..3);
    let changes = proptest::collection::btree_map(a_key(), any::<Option<u8>>(), 0..4);
    let commit =
        (requires, changes, any::<bool>()).prop_map(|(requires, changes, durable)| Step::Commit {
            requires,
            changes,
            durable,
        });
    let list =
        (a_key(), proptest::option::of(a_key()), 1_usize..4).prop_map(|(prefix, from, limit)| {
            Step::List {
                prefix,
                from,
                limit,
            }
        });
    prop_oneof![12 => commit, 3 => list, 2 => a_key().prop_map(Step::Get), 1 => Just(Step::Reopen)]
}

async fn run(place: &impl Place, steps: Vec<Step>) {
    let mut store = place.open().await.unwrap();
    let mut model = Model::default();
    let from = store.list("", None, 1).await.unwrap().revision;
    let mut watch = store.watch("", from).await.unwrap();
    let mut watched_from = 0;
    for step in steps {
        match step {
            Step::Commit {
                requires,
                changes,
                durable,
            } => {
                commit(&store, &mut model, &requires, &changes, durable).await;
            }
            Step::List {
                prefix,
                from,
                limit,
            } => {
                list(
                    &store,
                    &model,
                    KEYS[prefix],
                    from.map(|from| KEYS[from]),
                    limit,
                )
                .await;
            }
            Step::Get(n) => {
                let entry = store.get(&key(KEYS[n])).await.unwrap();
                assert_eq!(entry.as_ref(), model.entries.get(KEYS[n]));
            }
            Step::Reopen => {
                expect_events(&mut watch, &model.events[watched_from..]).await;
                store.close().await;
                while let Some(event) = watch.next().await {
                    assert_eq!(event.unwrap().changes, vec![]);
                }
                store = place.open().await.unwrap();
                let from = store.list("", None, 1).await.unwrap().revision;
                watch = store.watch("", from).await.unwrap();
                watched_from = model.events.len();
            }
        }
    }
    expect_events(&mut watch, &model.events[watched_from..]).await;
    let (entries, revision) = list_all(&store, "", 2).await;
    assert!(revision >= model.revision());
    assert_eq!(entries, model.entries.into_values().collect::<Vec<_>>());
    store.close().await;
}

async fn commit(
    store: &Store,
    model: &mut Model,
    requires: &[(usize, Require)],
    changes: &BTreeMap<usize, Option<u8>>,
    durable: bool,
) {
    let mut txn = Txn::new().durable(durable);
    let mut failed = None;
    for (n, require) in requires {
        let modified = model.entries.get(KEYS[*n]).map(|entry| entry.modified);
        let expect = match (require, modified) {
            (Require::Absent, _) | (Require::Known, None) => Expect::Absent,
            (Require::Present, _) => Expect::Present,
            (Require::Known, Some(modified)) => Expect::Revision(modified),
            (Require::Earlier(n), _) => Expect::Revision(
                model
                    .events
                    .get(*n)
                    .map_or(Revision::ZERO, |event| event.revision),
            ),
        };
        let holds = match expect {
            Expect::Absent => modified.is_none(),
            Expect::Present => modified.is_some(),
            Expect::Revision(revision) => modified == Some(revision),
        };
        if !holds {
            failed = failed.or(Some(KEYS[*n]));
        }
        txn = txn.require(key(KEYS[*n]), expect);
    }
    for (n, value) in changes {
        txn = match value {
            Some(value) => txn.put(key(KEYS[*n]), vec![*value]),
            None => txn.delete(key(KEYS[*n])),
        };
    }
    match (store.commit(txn).await, failed) {
        (Err(StoreError::Conflict { key }), Some(failed)) => assert_eq!(key.as_str(), failed),
        (Ok(committed), None) => {
            let before = model.revision();
            assert!(committed.revision >= before);
            model.apply(changes, committed.revision);
            assert!(model.revision() == before || committed.revision > before);
        }
        (answer, failed) => panic!("{answer:?}, but the model says {failed:?}"),
    }
}

async fn list(store: &Store, model: &Model, prefix: &str, from: Option<&str>, limit: usize) {
    let page = store
        .list(prefix, from.map(key).as_ref(), limit)
        .await
        .unwrap();
    let mut expect = model.entries.values().filter(|entry| {
        entry.key.as_str().starts_with(prefix) && from.is_none_or(|from| entry.key.as_str() >= from)
    });
    assert_eq!(
        page.entries,
        expect.by_ref().take(limit).cloned().collect::<Vec<_>>()
    );
    assert_eq!(page.next, expect.next().map(|entry| entry.key.clone()));
    assert!(page.revision >= model.revision());
}

async fn expect_events(watch: &mut Watch, events: &[Event]) {
    for event in events {
        let told = loop {
            let told = watch.next().await.unwrap().unwrap();
            if !told.changes.is_empty() {
                break told;
            }
        };
        assert_eq!(told, *event);
    }
}

impl Model {
    /// That of the last transaction which changed something.
    fn revision(&self) -> Revision {
        self.events
            .last()
            .map_or(Revision::ZERO, |event| event.revision)
    }

    fn apply(&mut self, changes: &BTreeMap<usize, Option<u8>>, revision: Revision) {
        let mut told = Vec::new();
        for (n, value) in changes {
            let text = KEYS[*n];
            let value = value.map(|value| Bytes::from(vec![value]));
            match &value {
                Some(value) => {
                    let created = self
                        .entries
                        .get(text)
                        .map_or(revision, |entry| entry.created);
                    let entry = Entry {
                        key: key(text),
                        value: value.clone(),
                        created,
                        modified: revision,
                    };
                    self.entries.insert(text.to_owned(), entry);
                }
                None if self.entries.remove(text).is_none() => continue,
                None => {}
            }
            told.push(ferryway_store::Change {
                key: key(text),
                value,
            });
        }
        if !told.is_empty() {
            self.events.push(Event {
                revision,
                changes: told,
            });
        }
    }
}
