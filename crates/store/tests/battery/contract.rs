//! The contract, one promise a function.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use ferryway_runtime::Tasks;
use ferryway_store::{
    Change, Event, Expect, KEY_BYTES_MAX, LIST_BYTES_MAX, Revision, Store, StoreError,
    TXN_BYTES_MAX, TXN_OPERATIONS_MAX, Txn, VALUE_BYTES_MAX, Watch,
};

use crate::{Place, key, list_all, put};

fn r(number: u64) -> Revision {
    Revision::new(number)
}

async fn committed(store: &Store, txn: Txn) -> u64 {
    store.commit(txn).await.unwrap().revision.number()
}

async fn conflict(store: &Store, txn: Txn) -> String {
    match store.commit(txn).await {
        Err(StoreError::Conflict { key }) => key.as_str().to_owned(),
        other => panic!("expected a conflict, not {other:?}"),
    }
}

async fn value(store: &Store, text: &str) -> Option<String> {
    let entry = store.get(&key(text)).await.unwrap()?;
    Some(String::from_utf8(entry.value.to_vec()).unwrap())
}

async fn keys(store: &Store, prefix: &str) -> Vec<String> {
    let (entries, _) = list_all(store, prefix, 2).await;
    entries
        .into_iter()
        .map(|entry| entry.key.as_str().to_owned())
        .collect()
}

/// The next transaction that changed something.
async fn event(watch: &mut Watch) -> Event {
    loop {
        let event = watch.next().await.expect("the store is open").unwrap();
        if !event.changes.is_empty() {
            return event;
        }
    }
}

/// `key=value` or `-key`, by spaces.
fn text(event: &Event) -> String {
    let change = |change: &Change| match &change.value {
        Some(value) => format!("{}={}", change.key, String::from_utf8_lossy(value)),
        None => format!("-{}", change.key),
    };
    let changes: Vec<String> = event.changes.iter().map(change).collect();
    format!("{}: {}", event.revision, changes.join(" "))
}

/// Where a store stands before anything is written.
async fn start(store: &Store) -> Revision {
    store.list("", None, 1).await.unwrap().revision
}

pub(crate) async fn a_new_store_is_empty(place: &impl Place) {
    let store = place.open().await.unwrap();
    let page = store.list("", None, 10).await.unwrap();
    assert_eq!((page.entries, page.next), (vec![], None));
    assert_eq!(store.get(&key("a")).await.unwrap(), None);
    assert_eq!(store.identity().restores, 0);
    assert!(store.trouble().is_none());
}

pub(crate) async fn a_key_remembers_who_made_it_and_who_changed_it(place: &impl Place) {
    let store = place.open().await.unwrap();
    let times = async || {
        let entry = store.get(&key("a")).await.unwrap().unwrap();
        (entry.created.number(), entry.modified.number(), entry.value)
    };
    committed(&store, put("other", "0")).await;
    let made = committed(&store, put("a", "1")).await;
    assert_eq!(times().await, (made, made, Bytes::from("1")));
    let changed = committed(&store, put("a", "2")).await;
    assert_eq!(times().await, (made, changed, Bytes::from("2")));
    // The same value again is a change, too.
    let again = committed(&store, put("a", "2")).await;
    assert_eq!(times().await, (made, again, Bytes::from("2")));
    assert!(made < changed && changed < again);
    committed(&store, Txn::new().delete(key("a"))).await;
    assert_eq!(store.get(&key("a")).await.unwrap(), None);
    let made = committed(&store, put("a", "")).await;
    assert_eq!(times().await, (made, made, Bytes::new()));
}

pub(crate) async fn requirements_hold_or_nothing_happens(place: &impl Place) {
    let store = place.open().await.unwrap();
    let before = committed(&store, put("here", "1")).await;
    let here = committed(&store, put("here", "2")).await;
    let cases = [
        ("here", Expect::Present, true),
        ("here", Expect::Absent, false),
        ("here", Expect::Revision(r(here)), true),
        ("here", Expect::Revision(r(before)), false),
        ("here", Expect::Revision(r(here + 1)), false),
        ("here", Expect::Revision(r(0)), false),
        ("gone", Expect::Present, false),
        ("gone", Expect::Absent, true),
        ("gone", Expect::Revision(r(0)), false),
        ("gone", Expect::Revision(r(u64::MAX)), false),
    ];
    for (n, (text, expect, holds)) in cases.into_iter().enumerate() {
        let mark = format!("mark-{n}");
        let txn = put(&mark, "x")
            .delete(key("absent"))
            .require(key(text), expect);
        let answer = store.commit(txn).await;
        match answer {
            Ok(_) => assert!(holds, "{text} {expect:?}"),
            Err(StoreError::Conflict { key }) => {
                assert_eq!((key.as_str(), holds), (text, false), "{expect:?}");
            }
            Err(error) => panic!("{error}"),
        }
        assert_eq!(
            value(&store, &mark).await.is_some(),
            holds,
            "{text} {expect:?}"
        );
    }
    // A requirement sees what was before the transaction, not what it does.
    committed(&store, put("own", "1").require(key("own"), Expect::Absent)).await;
}

pub(crate) async fn the_first_failing_requirement_is_named(place: &impl Place) {
    let store = place.open().await.unwrap();
    let txn = put("x", "1")
        .require(key("ok"), Expect::Absent)
        .require(key("second"), Expect::Present)
        .require(key("third"), Expect::Present);
    assert_eq!(conflict(&store, txn).await, "second");
    assert_eq!(value(&store, "x").await, None);
}

pub(crate) async fn a_transaction_without_effect_is_no_change(place: &impl Place) {
    let store = place.open().await.unwrap();
    let from = start(&store).await;
    let mut watch = store.watch("", from).await.unwrap();
    committed(&store, Txn::new()).await;
    let made = committed(&store, put("a", "1")).await;
    committed(&store, Txn::new().delete(key("b"))).await;
    committed(&store, Txn::new().require(key("a"), Expect::Present)).await;
    assert_eq!(
        conflict(&store, put("c", "1").require(key("a"), Expect::Absent)).await,
        "a"
    );
    let gone = committed(&store, Txn::new().delete(key("a")).delete(key("b"))).await;
    assert_eq!(text(&event(&mut watch).await), format!("{made}: a=1"));
    assert_eq!(text(&event(&mut watch).await), format!("{gone}: -a"));
}

/// Whatever revision a transaction is answered with, its watchers come to know that they have got
/// there: else who waits for it would wait for ever.
pub(crate) async fn every_answered_revision_is_reached_by_a_watch(place: &impl Place) {
    let store = place.open().await.unwrap();
    let mut reached = start(&store).await;
    let mut watch = store.watch("", reached).await.unwrap();
    let nothing = [
        Txn::new(),
        Txn::new().delete(key("absent")),
        Txn::new().require(key("absent"), Expect::Absent),
        put("a", "1"),
        Txn::new().require(key("a"), Expect::Present),
        Txn::new().delete(key("a")),
    ];
    for txn in nothing {
        let answered = store.commit(txn).await.unwrap().revision;
        while reached < answered {
            let event = watch.next().await.unwrap().unwrap();
            assert!(event.revision > reached);
            reached = event.revision;
        }
    }
}

pub(crate) async fn lists_come_in_order_and_in_pages(place: &impl Place) {
    let store = place.open().await.unwrap();
    let names = ["b/2", "a", "b/10", "c", "b/1", "b", "b/", "bb", "é"];
    let all = committed(
        &store,
        names.iter().fold(Txn::new(), |txn, n| txn.put(key(n), "v")),
    )
    .await;
    assert_eq!(
        keys(&store, "").await,
        ["a", "b", "b/", "b/1", "b/10", "b/2", "bb", "c", "é"]
    );
    assert_eq!(keys(&store, "b/").await, ["b/", "b/1", "b/10", "b/2"]);

    let page = store.list("b/", None, 2).await.unwrap();
    assert!(page.revision >= r(all));
    assert_eq!(page.next, Some(key("b/10")));
    let from = async |from: &str, limit| {
        let page = store.list("b/", Some(&key(from)), limit).await.unwrap();
        let keys: Vec<_> = page
            .entries
            .iter()
            .map(|e| e.key.as_str().to_owned())
            .collect();
        (keys.join(" "), page.next.map(|key| key.as_str().to_owned()))
    };
    assert_eq!(from("b/10", 10).await, (String::from("b/10 b/2"), None));
    assert_eq!(from("b/11", 1).await, (String::from("b/2"), None));
    // Before the prefix, past it, and a limit that means one.
    assert_eq!(
        from("a", 1).await,
        (String::from("b/"), Some(String::from("b/1")))
    );
    assert_eq!(from("zzz", 10).await, (String::new(), None));
    assert_eq!(from("b/2", 0).await, (String::from("b/2"), None));
}

pub(crate) async fn a_page_is_bounded_in_bytes(place: &impl Place) {
    let store = place.open().await.unwrap();
    for n in 0..6 {
        let txn = Txn::new().put(key(&format!("k{n}")), vec![0; VALUE_BYTES_MAX]);
        committed(&store, txn.durable(false)).await;
    }
    let page = store.list("", None, 100).await.unwrap();
    assert_eq!(page.entries.len(), LIST_BYTES_MAX / VALUE_BYTES_MAX);
    assert_eq!(keys(&store, "k").await.len(), 6);
}

pub(crate) async fn prefixes_end_where_they_should(place: &impl Place) {
    let store = place.open().await.unwrap();
    let names = [
        "a\u{10ffff}",
        "a\u{10ffff}z",
        "b",
        "\u{10ffff}",
        "\u{10ffff}\u{10ffff}",
    ];
    committed(
        &store,
        names.iter().fold(Txn::new(), |txn, n| txn.put(key(n), "v")),
    )
    .await;
    assert_eq!(keys(&store, "a\u{10ffff}").await.len(), 2);
    assert_eq!(keys(&store, "a").await.len(), 2);
    assert_eq!(keys(&store, "\u{10ffff}").await.len(), 2);
    assert_eq!(keys(&store, "c").await.len(), 0);
    assert_eq!(keys(&store, &"z".repeat(KEY_BYTES_MAX * 2)).await.len(), 0);
}

pub(crate) async fn a_watch_tells_whole_transactions_under_its_prefix(place: &impl Place) {
    let store = place.open().await.unwrap();
    let from = start(&store).await;
    let mut all = store.watch("", from).await.unwrap();
    let mut some = store.watch("b/", from).await.unwrap();
    let one = committed(
        &store,
        put("b/2", "1").put(key("a"), "1").put(key("b/1"), "1"),
    )
    .await;
    let two = committed(&store, put("a", "2")).await;
    let three = committed(
        &store,
        put("b/1", "3").delete(key("b/2")).delete(key("b/3")),
    )
    .await;
    let told = async |watch: &mut Watch| text(&event(watch).await);
    assert_eq!(told(&mut all).await, format!("{one}: a=1 b/1=1 b/2=1"));
    assert_eq!(told(&mut all).await, format!("{two}: a=2"));
    assert_eq!(told(&mut all).await, format!("{three}: b/1=3 -b/2"));
    assert_eq!(told(&mut some).await, format!("{one}: b/1=1 b/2=1"));
    assert_eq!(told(&mut some).await, format!("{three}: b/1=3 -b/2"));
}

pub(crate) async fn a_watch_starts_after_any_revision_still_kept(place: &impl Place) {
    let store = place.open().await.unwrap();
    let mut revisions = vec![start(&store).await.number()];
    for n in 1..=20 {
        revisions.push(committed(&store, put("a", "x").durable(n % 5 == 0)).await);
    }
    assert!(revisions.is_sorted_by(|a, b| a < b));
    for after in 0..20 {
        let mut watch = store.watch("", r(revisions[after])).await.unwrap();
        for expect in &revisions[after + 1..] {
            assert_eq!(event(&mut watch).await.revision.number(), *expect);
        }
    }
    let ahead = store.watch("", r(revisions[20] + 1)).await;
    assert!(
        matches!(ahead, Err(StoreError::Ahead { head }) if head >= r(revisions[20])),
        "{ahead:?}"
    );
}

pub(crate) async fn a_watch_waits_for_what_comes(place: &impl Place) {
    let store = place.open().await.unwrap();
    let mut watch = store.watch("a", start(&store).await).await.unwrap();
    for n in 1..50_u64 {
        // Both orders: the watch first, and the write first.
        let write = async { committed(&store, put(&format!("a{}", n % 3), "x")).await };
        let (told, revision) = tokio::join!(event(&mut watch), write);
        assert_eq!(told.revision.number(), revision);
    }
    // A wait that is given up loses nothing.
    let waited = tokio::time::timeout(Duration::ZERO, watch.next()).await;
    assert!(waited.is_err());
    let last = committed(&store, put("a", "last")).await;
    assert_eq!(text(&event(&mut watch).await), format!("{last}: a=last"));
}

pub(crate) async fn of_two_creates_one_wins(place: &impl Place) {
    let store = place.open().await.unwrap();
    for n in 0..50 {
        let name = format!("name-{n}");
        let create = async |who: &str| {
            store
                .commit(put(&name, who).require(key(&name), Expect::Absent))
                .await
        };
        let (one, two) = tokio::join!(create("one"), create("two"));
        let winner = match (&one, &two) {
            (Ok(_), Err(StoreError::Conflict { .. })) => "one",
            (Err(StoreError::Conflict { .. }), Ok(_)) => "two",
            _ => panic!("{one:?} {two:?}"),
        };
        assert_eq!(value(&store, &name).await.as_deref(), Some(winner));
    }
}

/// Writers count one key up by compare-and-set, and each says its own number beside it.
pub(crate) async fn concurrent_writers_lose_nothing_and_repeat_nothing(place: &impl Place) {
    const WRITERS: u64 = 8;
    const EACH: u64 = 40;
    let store = place.open().await.unwrap();
    let mut watch = store.watch("", start(&store).await).await.unwrap();
    committed(&store, put("count", "0")).await;
    let tasks = Tasks::new("writers");
    let mut running = Vec::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        running.push(tasks.spawn("writer", move |_| async move {
            let mut written = 0;
            while written < EACH {
                let entry = store.get(&key("count")).await.unwrap().unwrap();
                let count: u64 = std::str::from_utf8(&entry.value).unwrap().parse().unwrap();
                let own = format!("writer-{writer}/{written}");
                let txn = put("count", &(count + 1).to_string())
                    .put(key(&own), "x")
                    .require(key("count"), Expect::Revision(entry.modified))
                    .durable(written % 2 == 0);
                match store.commit(txn).await {
                    Ok(_) => written += 1,
                    Err(StoreError::Conflict { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }));
    }
    let mut state = BTreeMap::new();
    let mut last = Revision::ZERO;
    for expect in 1..=1 + WRITERS * EACH {
        let event = event(&mut watch).await;
        assert!(event.revision > last);
        last = event.revision;
        for change in event.changes {
            state.insert(change.key, change.value.unwrap());
        }
        assert_eq!(state[&key("count")], (expect - 1).to_string());
        assert_eq!(state.len() as u64, expect);
    }
    for writer in running {
        writer.finished().await;
    }
    let (entries, revision) = list_all(&store, "", 1_000).await;
    assert!(revision >= last);
    let entries: BTreeMap<_, _> = entries.into_iter().map(|e| (e.key, e.value)).collect();
    assert_eq!(entries, state);
}

pub(crate) async fn bounds_are_errors_and_change_nothing(place: &impl Place) {
    let store = place.open().await.unwrap();
    let numbered = |n: usize| key(&format!("{n:03}"));
    let changes = |count| (0..count).fold(Txn::new(), |txn, n| txn.put(numbered(n), "v"));
    let requires =
        |count| (0..count).fold(Txn::new(), |t, n| t.require(numbered(n), Expect::Absent));
    let over = [
        changes(TXN_OPERATIONS_MAX + 1),
        requires(TXN_OPERATIONS_MAX + 1),
        Txn::new().put(key("v"), vec![0; VALUE_BYTES_MAX + 1]),
        Txn::new()
            .put(key("v"), vec![0; 1_000_000])
            .put(key("w"), vec![0; TXN_BYTES_MAX - 1_000_000]),
    ];
    for txn in over {
        let error = store.commit(txn).await.unwrap_err();
        assert!(matches!(error, StoreError::TooLarge { .. }), "{error}");
    }
    assert_eq!(list_all(&store, "", 10).await.0, vec![]);
    let full = (0..TXN_OPERATIONS_MAX).fold(changes(TXN_OPERATIONS_MAX), |t, n| {
        t.require(numbered(n), Expect::Absent)
    });
    committed(&store, full).await;
    let large = Txn::new().put(key(&"k".repeat(KEY_BYTES_MAX)), vec![1; VALUE_BYTES_MAX]);
    committed(&store, large).await;
    // Full in every way at once: as many bytes as may be, in as many operations.
    let long = |n: usize| key(&format!("{n:03}{}", "k".repeat(KEY_BYTES_MAX - 3)));
    let txn = (0..TXN_OPERATIONS_MAX).fold(Txn::new(), |txn, n| {
        txn.require(long(n), Expect::Absent).put(long(n), "")
    });
    let room = TXN_BYTES_MAX - txn.bytes();
    let each = room / TXN_OPERATIONS_MAX;
    let txn = (0..TXN_OPERATIONS_MAX).fold(txn, |txn, n| txn.put(long(n), vec![1; each]));
    let txn = txn.put(long(0), vec![1; each + room % TXN_OPERATIONS_MAX]);
    assert_eq!(txn.bytes(), TXN_BYTES_MAX);
    committed(&store, txn).await;
    assert_eq!(
        list_all(&store, "", 50).await.0.len(),
        2 * TXN_OPERATIONS_MAX + 1
    );
}

pub(crate) async fn a_store_is_found_again_as_it_was_left(place: &impl Place) {
    let store = place.open().await.unwrap();
    for n in 1..=30 {
        committed(&store, put(&format!("k{}", n % 7), &n.to_string())).await;
    }
    committed(&store, Txn::new().delete(key("k3"))).await;
    let (before, revision) = list_all(&store, "", 3).await;
    let identity = store.identity();
    store.close().await;
    let store = place.open().await.unwrap();
    let (entries, again) = list_all(&store, "", 3).await;
    assert_eq!(entries, before);
    assert!(again >= revision);
    assert_eq!(store.identity(), identity);
    assert!(committed(&store, put("k3", "again")).await > revision.number());
}

pub(crate) async fn a_durable_transaction_carries_those_before_it(place: &impl Place) {
    let store = place.open().await.unwrap();
    committed(&store, put("blob/1", "1").durable(false)).await;
    let last = committed(&store, put("blob/2", "2").durable(false)).await;
    // It changes nothing itself.
    let answer = store
        .commit(Txn::new().require(key("blob/1"), Expect::Present))
        .await
        .unwrap();
    assert!(answer.revision >= r(last));
    assert!(answer.took >= answer.sync);
    committed(&store, put("head", "2")).await;
    store.close().await;
    let store = place.open().await.unwrap();
    assert_eq!(keys(&store, "").await, ["blob/1", "blob/2", "head"]);
}

pub(crate) async fn a_watch_from_before_the_opening_is_told_to_list(place: &impl Place) {
    let store = place.open().await.unwrap();
    let mut revisions = Vec::new();
    for _ in 0..3 {
        revisions.push(committed(&store, put("a", "x")).await);
    }
    store.close().await;
    let store = place.open().await.unwrap();
    let (_, revision) = list_all(&store, "", 10).await;
    match store.watch("", r(revisions[0])).await {
        Err(StoreError::Compacted { oldest }) => {
            assert!(oldest > r(revisions[0]) && oldest <= revision);
        }
        // An engine that keeps its history over an opening tells it.
        Ok(mut watch) => assert_eq!(event(&mut watch).await.revision, r(revisions[1])),
        Err(error) => panic!("{error}"),
    }
    let mut watch = store.watch("", revision).await.unwrap();
    let next = committed(&store, put("a", "y")).await;
    assert_eq!(text(&event(&mut watch).await), format!("{next}: a=y"));
}

pub(crate) async fn closing_ends_watches_and_answers(place: &impl Place) {
    let store = place.open().await.unwrap();
    let other = store.clone();
    let mut watch = store.watch("", start(&store).await).await.unwrap();
    let made = committed(&store, put("a", "1")).await;
    store.close().await;
    assert_eq!(text(&event(&mut watch).await), format!("{made}: a=1"));
    // What may follow changed nothing.
    while let Some(event) = watch.next().await {
        assert_eq!(event.unwrap().changes, vec![]);
    }
    assert!(watch.next().await.is_none());
    assert!(matches!(
        other.commit(put("a", "2")).await,
        Err(StoreError::Closed)
    ));
    assert!(matches!(
        other.get(&key("a")).await,
        Err(StoreError::Closed)
    ));
    assert!(matches!(
        other.list("", None, 1).await,
        Err(StoreError::Closed)
    ));
    assert!(matches!(
        other.watch("", Revision::ZERO).await,
        Err(StoreError::Closed)
    ));
    other.close().await;
}
