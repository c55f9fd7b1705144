//! Content is collected by one control plane while others write: what somebody names is there.

use super::*;
use crate::core::records::SweepRecord;

on_each_engine!([
    collecting_at_one_takes_nothing_from_writers_at_another,
    neither_a_writer_nor_a_collector_that_slept_hurts_the_other,
    one_that_lags_behind_passes_over_views_that_were_collected,
]);

/// Everything that a view or the hub names can be read from the store.
async fn is_whole(house: &House) {
    let again = house.beside().await;
    let lost = again.core.read(|memory| {
        let views = memory.groups.values().map(|group| &group.view);
        let named = views.flat_map(|view| view.entries().flat_map(|(_, entry)| entry.content()));
        let hub = memory.hub.values().map(|hub| hub.record.digest);
        let lost = named
            .chain(hub)
            .filter(|digest| !memory.has_content(*digest));
        lost.collect::<Vec<_>>()
    });
    assert_eq!(lost, []);
    assert_eq!(again.runs(), house.runs());
}

async fn collecting_at_one_takes_nothing_from_writers_at_another(on: Engine) {
    let (one, two) = two(on).await;
    let sweeps = async {
        for _ in 0..30 {
            one.core.collect_content().await.expect("collects");
            tokio::task::yield_now().await;
        }
    };
    let writes = async {
        // The same few contents come and go, so that they are unnamed and named again all the time.
        for n in 0..60 {
            two.hub("a", &format!("/{}", n % 3)).await;
            if n % 5 == 0 {
                two.publish_owned(n).await.expect("is published");
            }
        }
    };
    futures_util::future::join(Box::pin(sweeps), Box::pin(writes)).await;
    catches_up(&one, &two).await;
    is_whole(&one).await;
    is_whole(&two).await;
}

/// Stopped for however long between planning and committing, and for however long between beginning
/// to collect and deleting.
async fn neither_a_writer_nor_a_collector_that_slept_hurts_the_other(on: Engine) {
    let (one, two) = two(on).await;
    two.hub("a", "/x").await;
    let x = two
        .core
        .read(|memory| memory.hub[&named("a")].record.digest);
    two.hub("a", "/y").await;
    catches_up(&one, &two).await;
    assert!(two.core.read(|memory| memory.keeps_content(x)));
    let (sweep, planned) = two.core.read(Memory::sweep_as_planned);
    // Another one collects what `two` took for stored.
    one.core.collect_content().await.expect("collects");
    let late = ferryway_store::Txn::new()
        .require(sweep.clone(), planned)
        .put(keys::hub(&named("late")), "never");
    let late = two.core.0.store.commit(late).await;
    assert!(matches!(late, Err(StoreError::Conflict { .. })));
    catches_up(&two, &one).await;
    assert!(!two.core.read(|memory| memory.keeps_content(x)));

    // One began to collect and sleeps: the others write everything, also what is there.
    let (_, expect) = one.core.read(Memory::sweep_as_planned);
    let open = SweepRecord {
        number: 9,
        open: true,
    };
    let begin = ferryway_store::Txn::new()
        .require(sweep.clone(), expect)
        .put(sweep.clone(), records::write(&open));
    let begun = one.core.0.store.commit(begin).await.expect("begins");
    one.core.holds(begun.revision).await.expect("follows");
    let y = one
        .core
        .read(|memory| memory.hub[&named("a")].record.digest);
    assert!(
        one.core
            .read(|memory| memory.has_content(y) && !memory.keeps_content(y))
    );
    // The next sweep takes its place, and ends.
    one.core.collect_content().await.expect("collects");
    let sweep = one.core.0.store.get(&sweep).await.expect("reads");
    let record: SweepRecord = records::read("sweep", &sweep.expect("is there").value).expect("ok");
    assert_eq!((record.number, record.open), (10, false));
    is_whole(&one).await;
}

async fn one_that_lags_behind_passes_over_views_that_were_collected(on: Engine) {
    let (one, two) = two(on).await;
    // Nothing is read by `two` while this goes on: one thread, and no await between.
    let lagging = two.core.read(|memory| memory.revision);
    for n in 0..10 {
        one.publish_owned(n).await.expect("is published");
        one.core.collect_content().await.expect("collects");
    }
    let mut watch = one.core.0.store.watch("", lagging).await.expect("watches");
    let blobs = Blobs::new(one.core.0.store.clone());
    let behind = one.beside().await;
    let memory = RwLock::new(Memory::default());
    let head = behind.core.read(|memory| memory.revision);
    let mut at = lagging;
    while at < head {
        let event = watch.next().await.expect("goes on").expect("is kept");
        at = event.revision;
        let prepared = follow::prepare(&event, &memory, &blobs).await;
        let prepared = prepared
            .map_err(|why| why.to_string())
            .expect("is passed over");
        memory.write().expect("is whole").take(prepared);
    }
    catches_up(&two, &one).await;
    assert_eq!(two.runs(), one.runs());
}
