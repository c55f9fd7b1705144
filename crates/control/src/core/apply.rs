//! Declarative changes: documents planned together, compiled, committed in one transaction.
//!
//! What groups run changes as by any other operation; plain resources (groups, registries, the hub)
//! change beside it, in the same transaction. Where everything is as declared, nothing is written
//! at all: no transaction, no revision, no operation. Only an idempotency key wants to be
//! remembered even then, so that the same call does not change something a day later.

mod audit;
mod catalogue;
mod write;

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use ferryway_api::{AppliedResource, CallOptions, Operation, OperationState};
use ferryway_model::document::{Document, DocumentId, DocumentKind};
use ferryway_model::plan::{Apply, ApplyPlan, plan_apply};
use ferryway_model::{Code, Problem};
use ferryway_store::{Key as StoreKey, Txn};
use jiff::Timestamp;
use uuid::Uuid;

use super::change::{OPERATION_BYTES_MAX, definitions, history, operation};
use super::idempotency::Idempotency;
use super::records::{self, CommitRecord, IdempotentResult};
use super::{Actor, Core, CoreError, NotWritten, keys, trial};
use audit::audit;
use write::{Heads, Write};

/// A plan, and the transaction that would carry it out.
struct Basis {
    plan: ApplyPlan,
    heads: Heads,
    write: Write,
}

impl Core {
    /// Plans what documents declare and, unless it is a dry run, makes it true. Answers the
    /// operation; one without an id where there is none.
    ///
    /// # Errors
    /// What is wrong with it, all at once; or that it could not be stored.
    pub(crate) async fn apply(
        &self,
        actor: &Actor,
        apply: &Apply,
        options: &CallOptions,
        idempotency: Option<&Idempotency>,
    ) -> Result<Arc<Operation>, CoreError> {
        self.writable()?;
        let key = match self.turn(idempotency)? {
            Ok(key) => key,
            Err(made) => return self.operation_of(&made),
        };
        if options.dry_run {
            return Ok(Arc::new(self.dry_run(actor, apply, options)));
        }
        let (hold, mut tries) = self.turn_of(key, places(apply)).await;
        loop {
            let basis = self.basis_of(apply, options);
            let now = self.0.clock.now();
            let plan = &basis.plan;
            if plan.plan.is_refused() {
                let problems = plan.plan.all_problems().cloned();
                let refusal = CoreError::Refused(problems.collect());
                self.refused(&mut tries, refusal).await?;
                if let Some(made) = self.made_before(idempotency)? {
                    return self.operation_of(&made);
                }
                continue;
            }
            if plan.is_unchanged() && idempotency.is_none() {
                return Ok(Arc::new(said(plan, actor, now, None, &Heads::new())));
            }
            trial::compile(&plan.plan);
            let id = Uuid::now_v7();
            let (mut txn, blobs) = self.transaction(&basis, actor, now, id);
            let made = IdempotentResult::Operation(id);
            if let Some(used) = self.read(|memory| memory.uses(idempotency, now, made)) {
                txn = used.in_txn(txn);
            }
            txn.check_bounds()?;
            self.read(|memory| {
                // Whoever follows this change need not read again what was just sealed.
                definitions(&plan.plan).for_each(|it| memory.recent_definitions().note(it));
            });
            match self.write_out(&hold, &mut tries, blobs, txn).await {
                Err(NotWritten::Conflict(key)) => self.again(&mut tries, &key).await?,
                Err(NotWritten::Failed(error)) => return Err(error),
                Ok(()) => return self.kept(id),
            }
            if let Some(made) = self.made_before(idempotency)? {
                return self.operation_of(&made);
            }
        }
    }

    /// Says what documents would do. What no transaction can hold is a problem here too.
    fn dry_run(&self, actor: &Actor, apply: &Apply, options: &CallOptions) -> Operation {
        let now = self.0.clock.now();
        let mut basis = self.basis_of(apply, options);
        let (txn, _) = self.transaction(&basis, actor, now, Uuid::nil());
        if let Err(CoreError::Refused(problems)) = txn.check_bounds().map_err(CoreError::from) {
            basis.plan.plan.problems.extend(problems);
        }
        let mut operation = said(&basis.plan, actor, now, None, &Heads::new());
        operation.state = OperationState::Planned;
        operation.ended_at = Some(operation.created_at);
        operation
    }

    /// Plans documents on one consistent state.
    fn basis_of(&self, apply: &Apply, options: &CallOptions) -> Basis {
        self.read(|memory| {
            let mut plan = plan_apply(apply, memory);
            if let Some(expected) = options.expect_plan
                && plan.digest() != expected
            {
                let now = plan.digest();
                let message = format!("the plan would now be {now}; look at a dry run again");
                let problem = Problem::new(Code::PlanChanged, "expect_plan", message);
                plan.plan.problems.push(problem);
            }
            let (write, heads) = Write::of(&plan, memory, self.0.clock.now());
            Basis { plan, heads, write }
        })
    }

    /// The transaction that does what the plan says, and the content to be written before.
    fn transaction(
        &self,
        basis: &Basis,
        actor: &Actor,
        now: Timestamp,
        id: Uuid,
    ) -> (Txn, Vec<(StoreKey, Bytes)>) {
        let Basis { plan, heads, write } = basis;
        let record = CommitRecord {
            operation: Some(said(plan, actor, now, Some(id), heads)),
            audit: (!plan.is_unchanged()).then(|| audit(plan, actor, now, id)),
            history: history(&plan.plan, heads, actor, now),
            plane: self.read(|memory| memory.tracker.plane()),
        };
        let txn = write.txn(actor, now);
        let txn = txn.put(keys::commit(id), records::write(&record));
        (txn, write.blobs())
    }
}

/// The operation that a plan makes, as it stands at its beginning.
fn said(
    plan: &ApplyPlan,
    actor: &Actor,
    now: Timestamp,
    id: Option<Uuid>,
    heads: &Heads,
) -> Operation {
    let mut operation = operation(&plan.plan, actor, now, id, heads);
    operation.plan = plan.digest().to_string();
    let resources = plan.resources.iter();
    operation.resources = resources.map(|it| AppliedResource::of(plan, it)).collect();
    // No destination waits for anything, or there is none: what changed is plain resources.
    if operation.state == OperationState::Unchanged && !plan.is_unchanged() {
        operation.state = OperationState::Succeeded;
    }
    let bytes = || serde_json::to_vec(&operation).map_or(usize::MAX, |json| json.len());
    if id.is_some() && bytes() > OPERATION_BYTES_MAX {
        for resource in &mut operation.resources {
            resource.changes = None;
        }
    }
    operation
}

/// The groups and services of the hub that documents name. What a prune takes from others is not
/// waited for: it is planned anew if they change meanwhile.
fn places(apply: &Apply) -> BTreeSet<StoreKey> {
    let ids = apply.documents.iter().map(Document::id);
    ids.flat_map(|id| {
        let DocumentId { kind, group, name } = id;
        let of_group = group.map(|group| keys::group(&group));
        let own = match kind {
            DocumentKind::GatewayGroup => Some(keys::group(&name)),
            DocumentKind::Service | DocumentKind::PublishedService => Some(keys::hub(&name)),
            DocumentKind::Registry => None,
        };
        of_group.into_iter().chain(own)
    })
    .collect()
}
