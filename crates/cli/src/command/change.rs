//! The verbs that make an operation: what each sends.

mod deliver;

use ferryway_api::body::{
    GroupTargetBody, PublishBody, RollbackBody, SetBody, SyncGroupBody, SyncItemBody,
    SyncServiceBody, TargetBody,
};
use ferryway_model::Name;
use http::Method;
use serde_json::Value;

pub(super) use deliver::{Change, query};
use deliver::{definition_in, hub_definition, options, version_definition};

use crate::args::{Bind, Publish, Rollback, RollbackTarget, Set, Sync, Unpublish};
use crate::exit::{Exit, Failure};
use crate::session::Session;

pub(super) async fn publish(session: &Session, publish: Publish) -> Result<Exit, Failure> {
    let Publish {
        service,
        version,
        to,
        binding,
        expect_digest,
        delivery,
    } = publish;
    let body = PublishBody {
        version: version.to_string(),
        groups: targets(&to, binding.to_value()?.as_ref()),
        expect_digest: expect_digest.map(|digest| digest.to_string()),
        options: options(&delivery),
    };
    Change::new(Method::POST, format!("/services/{service}/publish"))
        .body(&body)?
        .of(&service, hub_definition(&service))
        .deliver(session, &delivery.preview, &delivery.waiting)
        .await
}

pub(super) async fn sync(session: &Session, sync: Sync) -> Result<Exit, Failure> {
    let (preview, waiting) = (&sync.delivery.preview, &sync.delivery.waiting);
    let change = match &sync.services[..] {
        [service] => sync_one(&sync, service)?,
        services => sync_several(&sync, services)?,
    };
    let services = sync.services.iter();
    let change = services.fold(change, |change, service| {
        change.of(service, definition_in(&sync.from, service))
    });
    change.deliver(session, preview, waiting).await
}

fn sync_one(sync: &Sync, service: &Name) -> Result<Change, Failure> {
    let body = SyncServiceBody {
        to: targets(&sync.to, sync.binding.to_value()?.as_ref()),
        version: sync.version.as_ref().map(ToString::to_string),
        expect_version: sync.expect_version.as_ref().map(ToString::to_string),
        expect_digest: sync.expect_digest.map(|digest| digest.to_string()),
        options: options(&sync.delivery),
    };
    let path = format!("/gateway-groups/{}/services/{service}/sync", sync.from);
    Change::new(Method::POST, path).body(&body)
}

fn sync_several(sync: &Sync, services: &[Name]) -> Result<Change, Failure> {
    let of_one = sync.binding.to_value()?.is_some()
        || sync.version.is_some()
        || sync.expect_version.is_some()
        || sync.expect_digest.is_some();
    if of_one {
        return Err(Failure::Usage(
            "bindings, versions and digests are of one service: sync several services without \
             them, or one after the other"
                .to_owned(),
        ));
    }
    let item = |service: &Name| SyncItemBody {
        service: service.to_string(),
        ..SyncItemBody::default()
    };
    let target = |group: &Name| GroupTargetBody {
        group: group.to_string(),
        ..GroupTargetBody::default()
    };
    let body = SyncGroupBody {
        services: services.iter().map(item).collect(),
        to: sync.to.iter().map(target).collect(),
        options: options(&sync.delivery),
    };
    Change::new(Method::POST, format!("/gateway-groups/{}/sync", sync.from)).body(&body)
}

pub(super) async fn rollback(session: &Session, rollback: Rollback) -> Result<Exit, Failure> {
    let Rollback {
        service,
        group,
        to,
        with_binding,
        delivery,
    } = rollback;
    let path = format!("{}/rollback", published(&group, &service));
    let mut change = Change::new(Method::POST, path);
    let mut body = RollbackBody {
        with_binding: with_binding.then_some(true),
        options: options(&delivery),
        ..RollbackBody::default()
    };
    match to {
        RollbackTarget::Version(version) => {
            change = change.of(&service, version_definition(&service, &version));
            body.version = Some(version.to_string());
        }
        RollbackTarget::Digest(digest) => body.digest = Some(digest.to_string()),
    }
    change
        .body(&body)?
        .deliver(session, &delivery.preview, &delivery.waiting)
        .await
}

pub(super) async fn bind(session: &Session, bind: Bind) -> Result<Exit, Failure> {
    let Some(binding) = bind.binding.to_value()? else {
        return Err(Failure::Usage(
            "say where the upstream is: --node HOST[:PORT][:WEIGHT] or --discovery \
             registry=…,service=…"
                .to_owned(),
        ));
    };
    let body = SetBody {
        binding: Some(binding),
        enabled: None,
    };
    let path = published(&bind.group, &bind.service) + &query(&bind.preview);
    Change::new(Method::PATCH, path)
        .body(&body)?
        .deliver(session, &bind.preview, &bind.waiting)
        .await
}

pub(super) async fn enable(session: &Session, set: Set) -> Result<Exit, Failure> {
    set_enabled(session, set, true).await
}

pub(super) async fn disable(session: &Session, set: Set) -> Result<Exit, Failure> {
    set_enabled(session, set, false).await
}

async fn set_enabled(session: &Session, set: Set, enabled: bool) -> Result<Exit, Failure> {
    let body = SetBody {
        binding: None,
        enabled: Some(enabled),
    };
    Change::new(
        Method::PATCH,
        published(&set.group, &set.service) + &query(&set.preview),
    )
    .body(&body)?
    .deliver(session, &set.preview, &set.waiting)
    .await
}

pub(super) async fn unpublish(session: &Session, unpublish: Unpublish) -> Result<Exit, Failure> {
    let Set {
        service,
        group,
        preview,
        waiting,
    } = unpublish.set;
    let question = format!("take {service} out of {group}? It answers nothing there any more.");
    if !preview.dry_run && !session.confirm(&question)? {
        return Err(Failure::Other("nothing was changed".to_owned()));
    }
    Change::new(
        Method::DELETE,
        published(&group, &service) + &query(&preview),
    )
    .deliver(session, &preview, &waiting)
    .await
}

/// The path of a service in a group.
fn published(group: &Name, service: &Name) -> String {
    format!("/gateway-groups/{group}/services/{service}")
}

/// The same binding for every group.
fn targets(groups: &[Name], binding: Option<&Value>) -> Vec<TargetBody> {
    let target = |group: &Name| TargetBody {
        group: group.to_string(),
        binding: binding.cloned(),
    };
    groups.iter().map(target).collect()
}
