//! Groups, registries and the hub: what holds them, what a write requires, and what is kept how long.

use super::*;

on_each_engine!([
    what_is_held_is_not_deleted,
    entity_tags_and_existence_are_required_with_the_write,
    what_is_too_old_is_cleared_away_and_what_is_named_stays,
]);

async fn what_is_held_is_not_deleted(on: Engine) {
    let house = House::new(on).await.with_groups().await;
    let body = json!({"name": "dns", "kind": "dns"});
    let (registry, title) = Registry::parse(&body, None).expect("is a registry");
    house
        .core
        .put_registry(
            &actor(),
            &named("test"),
            &registry,
            &title,
            &IfMatch::Anything,
            None,
        )
        .await
        .expect("is stored");
    let by_discovery = Binding::parse(&json!({"discovery": {"registry": "dns", "service": "a"}}))
        .expect("is a binding");
    let groups = vec![Target {
        group: named("test"),
        bindings: BTreeMap::from([(named("a"), Arc::new(by_discovery))]),
    }];
    let request = Request::Publish {
        service: named("a"),
        version: "1".parse().expect("ok"),
        groups,
        expect_digest: None,
    };
    house.change(&request).await.expect("is published");
    let anything = IfMatch::Anything;
    let refused = house
        .core
        .delete_registry(&actor(), &named("test"), &named("dns"), &anything)
        .await;
    assert_eq!(
        codes(refused.expect_err("is named by a binding")),
        [Code::InUse]
    );
    let refused = house
        .core
        .delete_group(&actor(), &named("test"), &anything)
        .await;
    assert_eq!(codes(refused.expect_err("has a service")), [Code::InUse]);
    let refused = house
        .core
        .delete_hub(&actor(), &named("a"), &anything)
        .await;
    assert_eq!(codes(refused.expect_err("is published")), [Code::InUse]);
    let unpublish = Request::Unpublish {
        group: named("test"),
        service: named("a"),
    };
    house.change(&unpublish).await.expect("is unpublished");
    house
        .core
        .delete_registry(&actor(), &named("test"), &named("dns"), &anything)
        .await
        .expect("is free");
    house
        .core
        .delete_hub(&actor(), &named("a"), &anything)
        .await
        .expect("is free");
    house
        .core
        .delete_group(&actor(), &named("test"), &anything)
        .await
        .expect("is free");
    // A group made anew goes on counting, also after a start; numbers of the service stay used.
    let revision = |house: &House| {
        house
            .core
            .read(|memory| memory.groups[&named("test")].head.revision.0)
    };
    let house = house.again().await;
    house.group("test").await.expect("is made anew");
    assert_eq!(
        revision(&house),
        5,
        "put registry, publish, unpublish, delete registry, delete group"
    );
    house.hub("a", "/a").await;
    assert_eq!(
        codes(house.publish("1", &["test"]).await.expect_err("is used")),
        [Code::VersionExists]
    );
}

async fn entity_tags_and_existence_are_required_with_the_write(on: Engine) {
    let house = House::new(on).await.with_groups().await;
    assert_eq!(
        codes(house.group("test").await.expect_err("exists")),
        [Code::Exists]
    );
    let tag = house
        .core
        .read(|memory| memory.group_etag(&named("test")).expect("has a tag"));
    let titled = |title: &str| {
        GroupModel::parse(&json!({"name": "test", "title": title}), None).expect("is a group")
    };
    let put = async |title: &str, tags: Vec<String>| {
        let wanted = || Ok((titled(title), IfMatch::Tags(tags.clone())));
        house
            .core
            .put_group(&actor(), &named("test"), wanted, None)
            .await
    };
    put("T", vec![tag.clone()]).await.expect("has that tag");
    assert!(matches!(
        put("U", vec![tag.clone()]).await,
        Err(CoreError::Stale)
    ));
    let audit: Vec<Value> = house.core.read(|m| {
        m.audit
            .values()
            .map(|a| json!(a.after)["title"].clone())
            .collect()
    });
    assert_eq!(audit.last(), Some(&json!("T")));
}

async fn what_is_too_old_is_cleared_away_and_what_is_named_stays(on: Engine) {
    let house = House::new(on).await.with_groups().await;
    house.publish("1", &["test"]).await.expect("is published");
    house.hub("a", "/never-published").await;
    house.hub("a", "/b").await;
    let count = async |house: &House, prefix: &str| {
        house
            .core
            .0
            .store
            .list(prefix, None, 1_000)
            .await
            .expect("lists")
            .entries
            .len()
    };
    let before = count(&house, keys::CONTENT).await;
    house.core.retain().await;
    assert_eq!(
        count(&house, keys::CONTENT).await,
        before - 1,
        "only what nothing names went"
    );
    house.clock.advance(Duration::from_secs(91 * 24 * 3_600));
    house.core.retain().await;
    let house = house.again().await;
    assert_eq!(house.core.read(|memory| memory.audit.len()), 0);
    let ran = house
        .core
        .read(|memory| memory.history.values().flatten().count());
    assert_eq!((ran, house.runs()), (1, vec!["test: 1 1".to_owned()]));
    house.publish("2", &["test"]).await.expect("goes on");
}
