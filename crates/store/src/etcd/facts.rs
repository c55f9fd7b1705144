//! What the store knows of itself: four keys under `meta/`.

use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use super::fault::Fault;
use super::members::Members;
use super::names::Names;
use super::wire::{self, Compare, KeyValue, TxnRequest, TxnResponse};
use crate::identity::{Identity, raised};
use crate::{Revision, Trouble};

/// The layout this build writes and reads.
const LAYOUT_KNOWN: &str = "1";

/// Stands in the layout's place until a store that is filled from another one is complete.
const LAYOUT_FILLING: &str = "filling";

const LAYOUT: &str = "layout";
const IDENTITY: &str = "identity";
const RESTORES: &str = "restores";
const CLUSTER: &str = "cluster";

/// How long opening may take: an etcd that starts beside us is waited for.
const OPEN_WITHIN: Duration = Duration::from_secs(10);

/// How often opening is tried again because another process opens the same store.
const TRIES_MAX: usize = 8;

#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) identity: Identity,
}

impl Facts {
    pub(super) fn identity_text(&self) -> Bytes {
        self.identity.uuid.to_string().into()
    }

    /// That the store is still this one, in this one of its histories.
    pub(super) fn unchanged(&self, names: &Names) -> [Compare; 2] {
        let restores = self.identity.restores.to_string().into();
        [
            wire::has_value(names.meta(IDENTITY), self.identity_text()),
            wire::has_value(names.meta(RESTORES), restores),
        ]
    }
}

/// What a store is opened for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// To be used; one that isn't there is made, by this name.
    Use(Uuid),
    /// To be filled: it must not be there.
    Make(Identity),
    /// To be used, after it was put back from a backup by other means than ours.
    CountRestore(Uuid),
}

/// Reads the facts, or makes a store; with the revision from which on it can be followed.
pub(super) async fn open(
    members: &Members,
    names: &Names,
    purpose: Purpose,
) -> Result<Option<(Facts, Revision)>, Fault> {
    for _ in 0..TRIES_MAX {
        let request = TxnRequest {
            success: [LAYOUT, IDENTITY, RESTORES, CLUSTER]
                .map(|name| wire::read(names.meta(name), false))
                .into(),
            ..TxnRequest::default()
        };
        let answer = members.call(request, OPEN_WITHIN).await?.answer;
        let header = answer
            .header
            .ok_or_else(|| damaged("an answer without a header"))?;
        let revision = wire::revision(header.revision);
        let cluster = format!("{:x}", header.cluster_id);
        let found = wire::found(answer);
        let is_new = found.first().is_none_or(Option::is_none);
        let done = match purpose {
            Purpose::Make(identity) if is_new || text(&found, 0)? == LAYOUT_FILLING => {
                let at = modified(&found, 0);
                make(members, names, identity, &cluster, LAYOUT_FILLING, at).await?
            }
            Purpose::Make(_) => return Ok(None),
            Purpose::Use(fresh) if is_new => {
                let identity = Identity::new(fresh);
                make(members, names, identity, &cluster, LAYOUT_KNOWN, 0).await?
            }
            Purpose::CountRestore(_) if is_new => {
                return Err(damaged("there is no store there").into());
            }
            Purpose::Use(fresh) => {
                let facts = read(&found)?;
                if text(&found, 3)? == cluster {
                    return Ok(Some((facts, revision)));
                }
                count_restore(members, names, &facts, fresh, &cluster, &found).await?
            }
            Purpose::CountRestore(fresh) => {
                let facts = read(&found)?;
                count_restore(members, names, &facts, fresh, &cluster, &found).await?
            }
        };
        if let Some(opened) = done {
            return Ok(Some(opened));
        }
    }
    Err(damaged("others keep opening it").into())
}

/// Says that a store that was filled is complete.
pub(super) async fn complete(members: &Members, names: &Names) -> Result<(), Fault> {
    let layout = names.meta(LAYOUT);
    let request = TxnRequest {
        success: vec![wire::put(layout, LAYOUT_KNOWN.into(), 0)],
        ..TxnRequest::default()
    };
    members.call(request, OPEN_WITHIN).await.map(drop)
}

/// Makes a store where the layout was last written by the transaction `at` (0: never); `None` where
/// another process was first.
async fn make(
    members: &Members,
    names: &Names,
    identity: Identity,
    cluster: &str,
    layout: &str,
    at: i64,
) -> Result<Option<(Facts, Revision)>, Fault> {
    let facts = [
        (LAYOUT, layout.to_owned()),
        (IDENTITY, identity.uuid.to_string()),
        (RESTORES, identity.restores.to_string()),
        (CLUSTER, cluster.to_owned()),
    ];
    // What an attempt to fill it has left goes.
    let mut success = vec![wire::delete_all(names.data(""))];
    success.extend(facts.map(|(name, text)| wire::put(names.meta(name), text.into(), 0)));
    let request = TxnRequest {
        compare: vec![wire::modified_at(names.meta(LAYOUT), at)],
        success,
        failure: Vec::new(),
    };
    let answer = members.call(request, OPEN_WITHIN).await?.answer;
    Ok(opened(&answer, identity))
}

/// The etcd was put back from a snapshot, or the store's keys were brought to another one: what it
/// tells from now on is another history.
async fn count_restore(
    members: &Members,
    names: &Names,
    facts: &Facts,
    fresh: Uuid,
    cluster: &str,
    found: &[Option<KeyValue>],
) -> Result<Option<(Facts, Revision)>, Fault> {
    let identity = Identity {
        restores: raised(facts.identity.restores, fresh),
        ..facts.identity
    };
    let at = modified(found, 2);
    let request = TxnRequest {
        compare: vec![wire::modified_at(names.meta(RESTORES), at)],
        success: vec![
            wire::put(
                names.meta(RESTORES),
                identity.restores.to_string().into(),
                0,
            ),
            wire::put(names.meta(CLUSTER), cluster.to_owned().into(), 0),
        ],
        failure: Vec::new(),
    };
    let answer = members.call(request, OPEN_WITHIN).await?.answer;
    let opened = opened(&answer, identity);
    if opened.is_some() {
        tracing::info!(
            restores = identity.restores,
            cluster,
            "the store was brought here from a backup or another etcd"
        );
    }
    Ok(opened)
}

/// `None` where another process was first.
fn opened(answer: &TxnResponse, identity: Identity) -> Option<(Facts, Revision)> {
    let revision = wire::at(answer.header.as_ref());
    answer.succeeded.then_some((Facts { identity }, revision))
}

fn read(found: &[Option<KeyValue>]) -> Result<Facts, Trouble> {
    let layout = text(found, 0)?;
    if layout == LAYOUT_FILLING {
        return Err(damaged(
            "a copy into it, or a restore, was not completed: make it again",
        ));
    }
    if layout != LAYOUT_KNOWN {
        return Err(Trouble::Refused {
            detail: format!(
                "the store has layout {layout}, which this build does not know: use the build \
                 that wrote it, or a newer one"
            )
            .into(),
        });
    }
    let uuid = text(found, 1)?
        .parse()
        .map_err(|_| damaged("its identity is no UUID"))?;
    let restores = text(found, 2)?
        .parse()
        .map_err(|_| damaged("its count of restores is no number"))?;
    Ok(Facts {
        identity: Identity { uuid, restores },
    })
}

fn modified(found: &[Option<KeyValue>], number: usize) -> i64 {
    let kv = found.get(number).and_then(Option::as_ref);
    kv.map_or(0, |kv| kv.mod_revision)
}

fn text(found: &[Option<KeyValue>], number: usize) -> Result<&str, Trouble> {
    let kv = found.get(number).and_then(Option::as_ref);
    let kv = kv.ok_or_else(|| damaged("a part of what it says of itself is missing"))?;
    std::str::from_utf8(&kv.value).map_err(|_| damaged("what it says of itself is no text"))
}

fn damaged(detail: &str) -> Trouble {
    Trouble::Damaged {
        detail: detail.into(),
    }
}
