//! Changes of what groups run: planned, compiled, committed in one transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use ferryway_api::{
    CallOptions, DeliveryState, Destination, InstanceDelivery, Operation, OperationState,
};
use ferryway_model::plan::{self, Plan, Request, Running};
use ferryway_model::{
    Changes, Code, Definition, Digest, Entry, Key, Name, Problem, Revision, Sealed, ServiceEntry,
    View,
};
use ferryway_store::{Expect, Key as StoreKey, Revision as StoreRevision, Txn};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::blobs::tree_blobs;
use super::idempotency::Idempotency;
use super::records::{
    self, AuditRecord, CommitRecord, HeadRecord, HistoryRecord, HistoryState, IdempotentResult,
    VersionRecord,
};
use super::resources::IfMatch;
use super::tracker::overall;
use super::{Actor, Core, CoreError, Hold, NotWritten, Tries, keys, trial, turns};

/// What an operation may take of memory, in bytes of JSON, thousands of them being kept. A larger one
/// leaves its differences out: they can be had from `compare`.
pub(super) const OPERATION_BYTES_MAX: usize = 768 * 1024;

/// A plan, and what it was made from.
struct Basis {
    plan: Plan,
    /// The heads read, source groups' included, each with the transaction that wrote it.
    heads: BTreeMap<Name, (HeadRecord, StoreRevision, View)>,
    /// What else was read, with the transaction that wrote it: the hub's service for a publish, and
    /// what people set of the group for an edit.
    other: Option<(StoreKey, StoreRevision)>,
}

impl Basis {
    /// The same, if its plan can be made.
    fn unless_refused(self) -> Result<Self, CoreError> {
        if self.plan.is_refused() {
            let problems = self.plan.all_problems().cloned();
            return Err(CoreError::Refused(problems.collect()));
        }
        Ok(self)
    }
}

impl Core {
    /// Plans a change and, unless it is a dry run, makes it.
    ///
    /// # Errors
    /// What is wrong with it, all at once; or that it could not be stored.
    pub(crate) async fn change(
        &self,
        actor: &Actor,
        request: &Request,
        options: &CallOptions,
        if_match: &IfMatch,
        idempotency: Option<&Idempotency>,
    ) -> Result<Arc<Operation>, CoreError> {
        self.writable()?;
        let key = match self.turn(idempotency)? {
            Ok(key) => key,
            Err(made) => return self.operation_of(&made),
        };
        if options.dry_run {
            let plan = self.basis(request, options, if_match)?.plan;
            return Ok(Arc::new(planned(&plan, actor, self.0.clock.now())));
        }
        let (hold, mut tries) = self.turn_of(key, turns::places(request)).await;
        loop {
            let basis = self.basis(request, options, if_match);
            let basis = match basis.and_then(Basis::unless_refused) {
                Ok(basis) => basis,
                Err(refusal) => {
                    self.refused(&mut tries, refusal).await?;
                    if let Some(made) = self.made_before(idempotency)? {
                        return self.operation_of(&made);
                    }
                    continue;
                }
            };
            let now = self.0.clock.now();
            trial::compile(&basis.plan);
            let made = self.make(actor, &basis, idempotency, now, (&hold, &mut tries));
            match made.await {
                Err(NotWritten::Conflict(key)) => self.again(&mut tries, &key).await?,
                Err(NotWritten::Failed(error)) => return Err(error),
                Ok(id) => return self.kept(id),
            }
            if let Some(made) = self.made_before(idempotency)? {
                return self.operation_of(&made);
            }
        }
    }

    /// What the first call with an idempotency key made, where that must be an operation.
    pub(super) fn operation_of(
        &self,
        made: &IdempotentResult,
    ) -> Result<Arc<Operation>, CoreError> {
        match made {
            IdempotentResult::Operation(id) => self.kept(*id),
            // The fingerprint covers method and path, so another sort of call can't have made it.
            IdempotentResult::Done | IdempotentResult::Made(_) => Err(CoreError::KeyReused),
        }
    }

    /// An operation that was made.
    pub(super) fn kept(&self, id: Uuid) -> Result<Arc<Operation>, CoreError> {
        let operation = self.read(|memory| memory.operations.get(&id).cloned());
        operation.ok_or_else(|| CoreError::not_found(format!("operation {id} is no longer kept")))
    }

    /// Plans a request on one consistent state.
    fn basis(
        &self,
        request: &Request,
        options: &CallOptions,
        if_match: &IfMatch,
    ) -> Result<Basis, CoreError> {
        self.read(|memory| {
            let mut plan = plan::plan(request, memory).map_err(CoreError::refused)?;
            if let Request::Set { group, service, .. }
            | Request::Edit { group, service, .. }
            | Request::Unpublish { group, service } = request
            {
                if_match.check(memory.published_etag(group, service).as_deref())?;
            }
            if let Some(expected) = options.expect_plan
                && plan.digest() != expected
            {
                let message = format!(
                    "the plan would now be {}; look at a dry run again",
                    plan.digest()
                );
                plan.problems
                    .push(Problem::new(Code::PlanChanged, "expect_plan", message));
            }
            let mut groups: BTreeSet<Name> =
                plan.destinations.iter().map(|d| d.group.clone()).collect();
            if let Request::Sync { source, .. } = request {
                groups.insert(source.clone());
            }
            let heads = groups.into_iter().filter_map(|name| {
                let group = memory.groups.get(&name)?;
                Some((name, (group.head, group.head_modified, group.view.clone())))
            });
            let other = match request {
                Request::Publish { service, .. } => {
                    let hub = memory.hub.get(service);
                    hub.map(|hub| (keys::hub(service), hub.modified))
                }
                Request::Edit { group, .. } => {
                    let standing = memory.groups.get(group);
                    standing.map(|standing| (keys::group(group), standing.modified))
                }
                _ => None,
            };
            Ok(Basis {
                plan,
                heads: heads.collect(),
                other,
            })
        })
    }

    /// Commits what a plan says: one transaction.
    async fn make(
        &self,
        actor: &Actor,
        basis: &Basis,
        idempotency: Option<&Idempotency>,
        now: Timestamp,
        (hold, tries): (&Arc<Hold>, &mut Tries),
    ) -> Result<Uuid, NotWritten> {
        let Basis { plan, heads, other } = basis;
        let id = Uuid::now_v7();
        let mut txn = Txn::new();
        let mut blobs = Vec::new();
        let mut revisions = BTreeMap::new();
        for (group, (head, modified, view)) in heads {
            txn = txn.require(keys::head(group), Expect::Revision(*modified));
            let changes = changes_in(plan, group);
            if changes.is_empty() {
                continue;
            }
            let target = view.with(&changes);
            blobs.extend(tree_blobs(&target, view));
            let head = HeadRecord {
                revision: head.revision.next(),
                root: target.root(),
            };
            revisions.insert(group.clone(), head.revision);
            txn = txn.put(keys::head(group), records::write(&head));
        }
        if let Some((key, modified)) = other {
            txn = txn.require(key.clone(), Expect::Revision(*modified));
        }
        for new in &plan.new_versions {
            let key = keys::version(&new.service, &new.version);
            let digest = new.definition.digest;
            let record = VersionRecord {
                digest,
                created_at: now,
                created_by: actor.name.clone(),
            };
            txn = txn
                .require(key.clone(), Expect::Absent)
                .put(key, records::write(&record));
        }
        let (sweep, used) = self.read(|memory| {
            blobs.extend(content_blobs(plan, |digest| memory.keeps_content(digest)));
            // Whoever follows this change need not read again what was just sealed.
            definitions(plan).for_each(|it| memory.recent_definitions().note(it));
            let used = memory.uses(idempotency, now, IdempotentResult::Operation(id));
            (memory.sweep_as_planned(), used)
        });
        txn = txn.require(sweep.0, sweep.1);
        if let Some(used) = used {
            txn = used.in_txn(txn);
        }
        let record = CommitRecord {
            operation: Some(operation(plan, actor, now, Some(id), &revisions)),
            audit: (!revisions.is_empty()).then(|| audit(plan, actor, now, id)),
            history: history(plan, &revisions, actor, now),
            plane: self.read(|memory| memory.tracker.plane()),
        };
        txn = txn.put(keys::commit(id), records::write(&record));
        self.write_out(hold, tries, blobs, txn).await?;
        Ok(id)
    }
}

/// What a plan changes in one group's view.
pub(super) fn changes_in(plan: &Plan, group: &Name) -> Changes {
    let mut changes = Changes::default();
    for destination in plan
        .destinations
        .iter()
        .filter(|d| d.group == *group && !d.is_unchanged())
    {
        let key = Key::service(&destination.service);
        match &destination.after {
            Some(running) => drop(changes.upserts.insert(key, Entry::Service(entry(running)))),
            None => drop(changes.removals.insert(key)),
        }
    }
    changes
}

fn entry(running: &Running) -> ServiceEntry {
    ServiceEntry {
        version: running.version.clone(),
        definition: running.definition.digest,
        binding: running.binding.digest,
        enabled: running.enabled,
        candidate: None,
        rollout: None,
    }
}

/// The definitions that a plan makes run or gives a number.
pub(super) fn definitions(plan: &Plan) -> impl Iterator<Item = &Arc<Sealed<Definition>>> {
    let after = plan.destinations.iter().filter_map(|it| it.after.as_ref());
    let run = after.map(|running| &running.definition);
    run.chain(plan.new_versions.iter().map(|new| &new.definition))
}

/// The content that a plan makes run and that isn't stored yet.
pub(super) fn content_blobs(plan: &Plan, known: impl Fn(Digest) -> bool) -> Vec<(StoreKey, Bytes)> {
    let mut seen = BTreeSet::new();
    let after = plan
        .destinations
        .iter()
        .filter_map(|destination| destination.after.as_ref());
    let content = after.flat_map(|running| {
        let Running {
            definition,
            binding,
            ..
        } = running;
        [
            (definition.digest, &definition.bytes),
            (binding.digest, &binding.bytes),
        ]
    });
    let versions = plan
        .new_versions
        .iter()
        .map(|new| (new.definition.digest, &new.definition.bytes));
    content
        .chain(versions)
        .filter(|(digest, _)| seen.insert(*digest) && !known(*digest))
        .map(|(digest, bytes)| (keys::content(digest), Bytes::copy_from_slice(bytes)))
        .collect()
}

pub(super) fn history(
    plan: &Plan,
    revisions: &BTreeMap<Name, Revision>,
    actor: &Actor,
    now: Timestamp,
) -> Vec<HistoryRecord> {
    let changed = plan
        .destinations
        .iter()
        .filter(|d| !d.is_unchanged() && revisions.contains_key(&d.group));
    let state = |running: &Running| HistoryState {
        definition: running.definition.digest,
        binding: running.binding.digest,
        enabled: running.enabled,
    };
    let entry = |destination: &plan::Destination| HistoryRecord {
        group: destination.group.clone(),
        service: destination.service.clone(),
        version: destination
            .after
            .as_ref()
            .and_then(|running| running.version.clone()),
        state: destination.after.as_ref().map(state),
        kind: plan.kind,
        at: now,
        by: actor.name.clone(),
        rejected: false,
    };
    changed.map(entry).collect()
}

fn audit(plan: &Plan, actor: &Actor, now: Timestamp, id: Uuid) -> AuditRecord {
    let side = |running: Option<&Running>| {
        running.map_or(Value::Null, |running| {
            json!({
                "version": running.version, "digest": running.definition.digest,
                "binding": running.binding.content.to_value(), "enabled": running.enabled,
            })
        })
    };
    let sides = |pick: fn(&plan::Destination) -> Option<&Running>| {
        let changed = plan
            .destinations
            .iter()
            .filter(|destination| !destination.is_unchanged());
        let places = changed.map(|d| (format!("{}/{}", d.group, d.service), side(pick(d))));
        Value::Object(places.collect())
    };
    let targets: BTreeSet<String> = plan
        .destinations
        .iter()
        .filter(|destination| !destination.is_unchanged())
        .map(|d| format!("gateway-groups/{}/services/{}", d.group, d.service))
        .collect();
    AuditRecord {
        at: now,
        by: actor.name.clone(),
        from: actor.from.clone(),
        action: json!(plan.kind).as_str().unwrap_or_default().to_owned(),
        target: targets.into_iter().collect::<Vec<_>>().join(" "),
        before: sides(|d| d.before.as_ref()).into(),
        after: sides(|d| d.after.as_ref()).into(),
        operation: Some(id),
    }
}

/// The answer to a dry run: the plan, as an operation that isn't one.
fn planned(plan: &Plan, actor: &Actor, now: Timestamp) -> Operation {
    let mut operation = operation(plan, actor, now, None, &BTreeMap::new());
    operation.state = OperationState::Planned;
    operation.ended_at = Some(now);
    operation
}

/// The operation that a plan makes, as it stands at its beginning.
pub(super) fn operation(
    plan: &Plan,
    actor: &Actor,
    now: Timestamp,
    id: Option<Uuid>,
    revisions: &BTreeMap<Name, Revision>,
) -> Operation {
    let destinations: Vec<_> = plan
        .destinations
        .iter()
        .map(|d| destination(d, id.is_some(), revisions))
        .collect();
    let state = overall(&destinations).unwrap_or(OperationState::Progressing);
    // One service with one content gives the operation a headline; several have none in common.
    let one = |part: fn(&Destination) -> Option<&str>| {
        let mut parts = destinations.iter().map(part);
        let first = parts.next().flatten();
        first
            .filter(|first| parts.all(|part| part == Some(first)))
            .map(str::to_owned)
    };
    let mut operation = Operation {
        operation: id,
        kind: plan.kind.into(),
        by: actor.name.clone(),
        created_at: now,
        ended_at: state.is_final().then_some(now),
        state,
        service: one(|destination| Some(&destination.service)),
        version: one(|destination| destination.version.as_deref()),
        digest: one(|destination| destination.digest.as_deref()),
        plan: plan.digest().to_string(),
        problems: plan.problems.iter().map(Into::into).collect(),
        destinations,
        resources: Vec::new(),
    };
    let bytes = || serde_json::to_vec(&operation).map_or(usize::MAX, |json| json.len());
    if id.is_some() && bytes() > OPERATION_BYTES_MAX {
        for destination in &mut operation.destinations {
            destination.changes = ferryway_api::Changes::default();
        }
    }
    operation
}

fn destination(
    planned: &plan::Destination,
    real: bool,
    revisions: &BTreeMap<Name, Revision>,
) -> Destination {
    let (before, after) = (planned.before.as_ref(), planned.after.as_ref());
    let version = |running: Option<&Running>| running?.version.as_ref().map(ToString::to_string);
    let digest =
        |running: Option<&Running>| running.map(|running| running.definition.digest.to_string());
    let instances = planned.instances.iter().map(|instance| InstanceDelivery {
        id: instance.id.to_string(),
        hostname: instance.hostname.to_string(),
        state: DeliveryState::Pending,
        code: None,
        detail: None,
        evidence: None,
        took: None,
    });
    let instances: Vec<_> = instances.collect();
    let state = match (planned.is_unchanged(), real, instances.is_empty()) {
        (true, _, _) => OperationState::Unchanged,
        (false, false, _) => OperationState::Planned,
        (false, true, true) => OperationState::Succeeded,
        (false, true, false) => OperationState::Progressing,
    };
    Destination {
        group: planned.group.to_string(),
        service: planned.service.to_string(),
        state,
        from_version: version(before),
        from_digest: digest(before),
        version: version(after),
        digest: digest(after),
        revision: revisions
            .get(&planned.group)
            .filter(|_| !planned.is_unchanged())
            .map(|revision| revision.0),
        changes: planned.difference().into(),
        problems: planned.problems.iter().map(Into::into).collect(),
        instances,
    }
}
