//! Memory that the store can't tell every change any more catches up by a listing.

use ferryway_model::Revision;
use ferryway_store::{Key as StoreKey, Txn};

use super::planes::identities::{join, join_token};
use super::*;
use crate::core::records::AuthorityKeyRecord;

on_each_engine!([
    memory_that_fell_behind_catches_up,
    one_that_was_told_to_list_follows_on_and_writes,
    nothing_to_catch_up_with_changes_nothing,
]);

/// A second control plane on the house's store that does not follow it any more.
async fn left_behind(house: &House) -> House {
    let late = house.beside().await;
    assert!(late.tasks.stop(Duration::from_secs(5)).await);
    // It may write, as soon as somebody follows for it.
    late.core.0.broken.send_replace(None);
    late
}

/// What is known, in a form to compare.
fn known(core: &Core) -> Vec<String> {
    core.read(|memory| {
        let mut lines = Vec::new();
        for (name, group) in &memory.groups {
            let services: Vec<_> = group
                .view
                .services()
                .map(|(service, entry)| format!("{service} {:?} {}", entry.version, entry.enabled))
                .collect();
            let (record, head) = ((&group.record, group.modified), &group.head);
            let modified = group.head_modified;
            lines.push(format!(
                "group {name} {record:?} {head:?} {modified} {services:?}"
            ));
            lines.extend(group.registries.iter().map(|it| format!("{it:?}")));
            let content = group.view.entries().flat_map(|(_, entry)| entry.content());
            let missing = content.filter(|digest| memory.content_bytes(*digest).is_none());
            assert_eq!(missing.count(), 0, "{name}");
        }
        lines.extend(memory.hub.iter().map(|it| format!("{it:?}")));
        lines.extend(memory.versions.iter().map(|it| format!("{it:?}")));
        lines.extend(memory.operations.keys().map(|id| format!("operation {id}")));
        lines.extend(memory.audit.keys().map(|id| format!("audit {id}")));
        lines.extend(memory.tokens.keys().map(|id| format!("token {id}")));
        lines.extend(memory.join_tokens.iter().map(|it| format!("{it:?}")));
        lines.extend(memory.identities.iter().map(|it| format!("{it:?}")));
        lines.push(format!("{:?}", memory.authority));
        let ran = memory.history.iter();
        lines.extend(ran.map(|(place, all)| format!("{place:?} {}", all.len())));
        lines
    })
}

/// What instances of a group are sent.
fn sent(core: &Core, group: &str) -> Option<(Revision, Digest)> {
    let feed = core.0.sessions.feed(&named(group))?;
    let head = feed.head();
    Some((head.revision, head.view.root()))
}

async fn titled_group(house: &House, title: &str) {
    let body = json!({"name": "test", "title": title});
    let group = GroupModel::parse(&body, None).expect("is a group");
    let wanted = || Ok((group.clone(), IfMatch::Anything));
    let core = &house.core;
    let put = core.put_group(&actor(), &group.name, wanted, None).await;
    put.expect("is stored");
}

async fn titled_registry(house: &House, title: &str) {
    let body = json!({"name": "dns", "kind": "dns", "title": title});
    let (registry, title) = Registry::parse(&body, None).expect("is a registry");
    let (actor, group, anything) = (actor(), named("test"), IfMatch::Anything);
    let core = &house.core;
    let put = core.put_registry(&actor, &group, &registry, &title, &anything, None);
    put.await.expect("is stored");
}

/// Something of each kind changes, comes and goes.
async fn much_happens(house: &House) {
    house.publish("2", &["test"]).await.expect("is published");
    house.publish("3", &["test"]).await.expect("is published");
    titled_group(house, "A").await;
    titled_registry(house, "A").await;
    house.hub("a", "/else").await;
    house.hub("b", "/b").await;
    let other = house.change(&publish("b", "1", &["production"])).await;
    other.expect("is published");
    house.group("new").await.expect("is made");
    let unused = house
        .core
        .read(|memory| memory.join_tokens.keys().next().copied());
    let unused = unused.expect("was made before");
    let token = join_token(house, true).await;
    let joined = join(house, token, Uuid::now_v7()).await;
    joined.expect("is let in");
    let record = AuthorityKeyRecord {
        certificate: "a".to_owned(),
        sealed_key: String::new(),
    };
    let kept = house.core.first_authority(record).await;
    kept.expect("is kept");
    let (core, anything) = (&house.core, IfMatch::Anything);
    let gone = core
        .delete_group(&actor(), &named("to-go"), &anything)
        .await;
    gone.expect("is deleted");
    let gone = core.delete_hub(&actor(), &named("to-go"), &anything).await;
    gone.expect("is deleted");
    let gone = core
        .delete_join_token(&actor(), &named("test"), unused)
        .await;
    gone.expect("is deleted");
    house.core.retain().await;
}

async fn memory_that_fell_behind_catches_up(on: Engine) {
    let house = House::among_others(on).await.with_groups().await;
    let both = house.publish("1", &["test", "production"]).await;
    both.expect("is published");
    house.group("to-go").await.expect("is made");
    house.hub("to-go", "/to-go").await;
    join_token(&house, false).await;
    let late = left_behind(&house).await;
    assert_eq!(known(&late.core), known(&house.core));
    much_happens(&house).await;
    assert_ne!(known(&late.core), known(&house.core));

    let watch = late.core.reload().await.expect("catches up");
    assert!(watch.is_some(), "the store is open");
    assert_eq!(known(&late.core), known(&house.core));
    for group in ["test", "production", "new", "to-go"] {
        let ours = sent(&house.core, group);
        assert_eq!(sent(&late.core, group), ours, "{group}");
    }
    assert_eq!(sent(&late.core, "to-go"), None);
}

/// A follower is held up while more happens than the store keeps for it. It lists, follows on, and
/// what it has listed can be written: each record is known with the transaction that made it.
async fn one_that_was_told_to_list_follows_on_and_writes(on: Engine) {
    let house = House::among_others(on).await.with_groups().await;
    let both = house.publish("1", &["test", "production"]).await;
    both.expect("is published");
    house.group("to-go").await.expect("is made");
    house.hub("to-go", "/to-go").await;
    join_token(&house, false).await;
    let late = left_behind(&house).await;
    let before = late.core.read(|memory| memory.revision);
    let store = &late.core.0.store;
    let watch = store.watch("", before).await.expect("begins");
    much_happens(&house).await;
    more_than_is_kept(&house, &late, before).await;
    let early = store.watch("", before).await;
    let is_compacted = matches!(early, Err(StoreError::Compacted { .. }));
    assert!(is_compacted, "{early:?}");

    let writes = async {
        let (now, anything) = (house.core.read(|memory| memory.revision), IfMatch::Anything);
        late.core.holds(now).await.expect("follows");
        titled_group(&late, "B").await;
        titled_registry(&late, "B").await;
        late.hub("a", "/else-again").await;
        late.hub("b", "/b-again").await;
        let all = ["test", "production", "new"];
        late.publish("4", &all).await.expect("is published");
        let made_anew = late.group("to-go").await;
        made_anew.expect("is made");
        let (core, actor) = (&late.core, actor());
        let gone = core.delete_group(&actor, &named("to-go"), &anything).await;
        gone.expect("is deleted");
        core.collect_content().await.expect("collects");
        house
            .core
            .holds(late.core.read(|memory| memory.revision))
            .await
            .expect("follows");
    };
    tokio::select! {
        () = late.core.follow(watch) => panic!("{:?}", late.core.broken()),
        () = Box::pin(writes) => {}
    }
    assert_eq!(known(&late.core), known(&house.core));
    assert_eq!(late.runs(), ["new: 4 1", "production: 4 3", "test: 4 5"]);
}

/// Writes more than a store keeps for those who follow it, and waits until the other one's has seen
/// it all.
async fn more_than_is_kept(house: &House, other: &House, since: StoreRevision) {
    const WRITES: usize = 70;
    let large = vec![0_u8; ferryway_store::VALUE_BYTES_MAX];
    let mut last = since;
    for n in 0..WRITES {
        // Buckets that nothing names are of no interest to memory.
        let key = StoreKey::new(format!("{}{}", keys::BUCKETS, n % 4)).expect("is a key");
        let txn = Txn::new().put(key, large.clone()).durable(false);
        let store = &house.core.0.store;
        last = store.commit(txn).await.expect("is written").revision;
    }
    let mut watch = match other.core.0.store.watch("", since).await {
        Ok(watch) => watch,
        Err(error) => {
            assert!(matches!(error, StoreError::Compacted { .. }), "{error}");
            return;
        }
    };
    loop {
        match watch.next().await {
            Some(Ok(event)) if event.revision < last => {}
            Some(Ok(_) | Err(StoreError::Compacted { .. })) => return,
            other => panic!("{other:?}"),
        }
    }
}

async fn nothing_to_catch_up_with_changes_nothing(on: Engine) {
    let house = House::among_others(on).await.with_groups().await;
    house.publish("1", &["test"]).await.expect("is published");
    let before = (known(&house.core), sent(&house.core, "test"));
    house.core.reload().await.expect("catches up");
    assert_eq!((known(&house.core), sent(&house.core, "test")), before);
}
