//! The other bodies of the REST API: resources, and the calls of the trade.

use ferryway_api::{BadCall, Call, CallOptions};
use ferryway_model::{Binding, Group, Name, Registry, Upstream, parse_json};

use crate::definition::presentable;

/// Whatever is accepted is shown as something that is accepted as the same; whatever is not has a
/// problem that can be shown.
pub(crate) fn check(data: &[u8]) {
    let Ok(body) = parse_json(data) else {
        return;
    };
    let binding = match Binding::parse(&body) {
        Ok(sealed) => {
            let stored = Binding::from_canonical(&sealed.bytes).expect("can be loaded");
            assert_eq!(stored.content, sealed.content);
            Some(sealed.content)
        }
        Err(problems) => {
            presentable(&problems);
            None
        }
    };
    match Registry::parse(&body, None) {
        Ok((sealed, _)) => {
            let stored = Registry::from_canonical(&sealed.bytes).expect("can be loaded");
            assert_eq!(stored.content, sealed.content);
        }
        Err(problems) => presentable(&problems),
    }
    if let Some(Upstream::Discovery(discovery)) = binding.map(|binding| binding.upstream)
        && let Ok((registry, _)) =
            Registry::parse(&serde_json::json!({"kind": "dns"}), Some(&name()))
        && let Err(why) = registry.content.query(&discovery)
    {
        assert!(!why.is_empty());
    }
    match Group::parse(&body, None) {
        Ok(group) => assert_eq!(Group::parse(&group.to_value(), None), Ok(group)),
        Err(problems) => presentable(&problems),
    }

    let (name, options) = (name(), CallOptions::default());
    call(Call::publish(&body, &name));
    call(Call::sync_service(&body, &name, &name));
    call(Call::sync_group(&body, &name));
    call(Call::rollback(&body, &name, &name));
    call(Call::set(&body, &name, &name, options));
    call(Call::edit(&body, &name, &name, options));
}

fn call(read: Result<Call, BadCall>) {
    if let Err(bad) = read {
        presentable(&bad.problems);
    }
}

fn name() -> Name {
    "a".parse().expect("is a name")
}
