//! What a change can be taken back to: what ran before it, which is not always what the group was to
//! run before it. Content that every instance rejected never ran, and no rollback goes there.

use ferryway_api::{Destination, HistoryEntry, Operation, OperationKind};
use serde_json::{Value, json};

use crate::session::Session;

/// The operation as people are shown it: changed from what really ran before. Where that cannot be
/// read, as it came.
pub(crate) async fn from_what_ran(session: &Session, operation: &Operation) -> Operation {
    let mut operation = operation.clone();
    let goes_back = matches!(
        operation.kind,
        OperationKind::Publish
            | OperationKind::Sync
            | OperationKind::Rollback
            | OperationKind::Edit
    );
    if !goes_back || !session.screen.is_for_people() {
        return operation;
    }
    for destination in operation.destinations.iter_mut().take(LOOKED_AT_MAX) {
        let changed = destination.from_digest != destination.digest;
        if destination.from_digest.is_some()
            && changed
            && ran(session, destination).await == Some(false)
        {
            let before = last_that_ran(session, destination).await;
            (destination.from_version, destination.from_digest) = before;
        }
    }
    operation
}

/// Whether what the group had before can be rolled back to; none: nobody says.
async fn ran(session: &Session, destination: &Destination) -> Option<bool> {
    let from = (&destination.from_version, &destination.from_digest);
    let to = match from {
        (Some(version), _) => json!({"version": version, "dry_run": true}),
        (None, digest) => json!({"digest": digest, "dry_run": true}),
    };
    let path = format!("{}/rollback", place(destination));
    let planned: Operation = session.client.post(&path, &to).await.ok()?;
    let problems = planned.problems.iter();
    let problems = problems.chain(planned.destinations.iter().flat_map(|it| &it.problems));
    Some(
        !problems
            .into_iter()
            .any(|problem| problem.code == NOT_IN_HISTORY),
    )
}

/// The version and digest of the newest other content that ran.
async fn last_that_ran(
    session: &Session,
    destination: &Destination,
) -> (Option<String>, Option<String>) {
    let path = format!("{}/history?limit={LOOKED_AT_MAX}", place(destination));
    let history = session.client.get::<Value>(&path).await.unwrap_or_default();
    let entries: Vec<HistoryEntry> =
        serde_json::from_value(history["items"].clone()).unwrap_or_default();
    let others = entries.into_iter().filter(|entry| {
        entry.digest.is_some()
            && entry.digest != destination.digest
            && entry.digest != destination.from_digest
    });
    for entry in others {
        let before = Destination {
            from_version: entry.version,
            from_digest: entry.digest,
            ..destination.clone()
        };
        if ran(session, &before).await == Some(true) {
            return (before.from_version, before.from_digest);
        }
    }
    (None, None)
}

fn place(destination: &Destination) -> String {
    let Destination { group, service, .. } = destination;
    format!("/gateway-groups/{group}/services/{service}")
}

/// Places of an operation, and entries of a history, that are asked about. Few are more, and of
/// those the rollback itself says what is wrong.
const LOOKED_AT_MAX: usize = 16;
const NOT_IN_HISTORY: &str = "not_in_history";
