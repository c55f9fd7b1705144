//! The calls made, one after the other, and what became of them.

use ferryway_api::{Applied, OperationState};
use serde::Serialize;

use super::batch::Batch;
use super::{Files, Planned};
use crate::applied::{self, Counts};
use crate::args::Waiting;
use crate::exit::{Exit, Failure};
use crate::follow;
use crate::outcome;
use crate::plan::count;
use crate::session::Session;

/// One of several calls, as scripts read it.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    /// None where it is the only one.
    step: Option<String>,
    #[serde(flatten)]
    applied: Applied,
}

impl From<Planned> for Step {
    /// A call that was only planned. One that would change nothing need not be made: it is done.
    fn from(planned: Planned) -> Self {
        let Planned { batch, mut applied } = planned;
        if !applied::changes_anything(&applied) {
            applied.state = OperationState::Unchanged;
            applied.operation = None;
        }
        Self {
            step: batch.name,
            applied,
        }
    }
}

/// Several calls, as scripts read them.
#[derive(Debug, Serialize)]
pub(super) struct Steps<'a, T> {
    pub(super) steps: &'a [T],
}

/// As [`Step`], of what belongs to others.
#[derive(Debug, Serialize)]
pub(super) struct StepRef<'a> {
    pub(super) step: Option<&'a str>,
    #[serde(flatten)]
    pub(super) applied: &'a Applied,
}

/// Makes one call after the other, each followed to the end of its delivery.
pub(super) async fn make(
    session: &Session,
    files: &Files,
    planned: Vec<Planned>,
    waiting: &Waiting,
) -> Result<Exit, Failure> {
    let all = planned.len();
    let mut steps: Vec<Step> = Vec::new();
    for (n, planned) in planned.into_iter().enumerate() {
        let is_only = all == 1;
        if !applied::changes_anything(&planned.applied) {
            steps.push(Step::from(planned));
            continue;
        }
        let Planned { batch, applied } = planned;
        if let (Some(name), true) = (&batch.name, session.screen.is_for_people()) {
            let documents = count(batch.own.len(), "document");
            let line = format!("step {} of {all}: {name}, {documents}", n + 1);
            session.screen.line(&line)?;
        }
        // What was shown is what is done. A later step is planned anew: what it needs is there now.
        let expect_plan = is_only.then(|| applied.plan.clone());
        let made = step(session, files, &batch, expect_plan, waiting).await;
        match made {
            Ok(applied) => {
                let exit = exit(&applied);
                if !is_only && session.screen.is_for_people() {
                    let text = applied::outcome_text(&applied, session.screen.paint());
                    session.screen.print(&text)?;
                }
                steps.push(Step {
                    step: batch.name,
                    applied,
                });
                if exit != Exit::Done && n + 1 < all {
                    stopped(session, &steps, all)?;
                    done(session, &steps)?;
                    return Ok(exit);
                }
            }
            Err(failure) => {
                stopped(session, &steps, all)?;
                return Err(failure);
            }
        }
    }
    done(session, &steps)
}

async fn step(
    session: &Session,
    files: &Files,
    batch: &Batch,
    expect_plan: Option<String>,
    waiting: &Waiting,
) -> Result<Applied, Failure> {
    let mut applied = files.call(session, batch, None, expect_plan).await?;
    if let Some(operation) = applied.operation.take() {
        let operation = follow::to_the_end(session, operation, waiting).await?;
        applied.state = operation.state;
        applied.operation = Some(operation);
    }
    Ok(applied)
}

/// Says on standard error how far it came, where it did not come to its end.
fn stopped(session: &Session, steps: &[Step], all: usize) -> Result<(), Failure> {
    if all == 1 {
        return Ok(());
    }
    let made = steps.iter().filter_map(|it| it.step.as_deref());
    let made: Vec<_> = made.collect();
    let made = if made.is_empty() {
        "none of them is made".to_owned()
    } else {
        format!("made are: {}", made.join("; "))
    };
    session.note(&format!(
        "stopped after {} of {all} steps; {made}. What was not made is as it was: the same command \
         goes on where it stopped",
        steps.len()
    ))
}

/// Shows what was done.
pub(super) fn done(session: &Session, steps: &[Step]) -> Result<Exit, Failure> {
    let worst = steps.iter().map(|it| exit(&it.applied));
    let exit = worst.max_by_key(|exit| *exit as u8).unwrap_or(Exit::Done);
    match steps {
        [only] => session.screen.show(&only.applied, |paint| {
            if applied::changes_anything(&only.applied) {
                applied::outcome_text(&only.applied, paint)
            } else {
                NOTHING.to_owned()
            }
        })?,
        several => session.screen.show(&Steps { steps: several }, |_| {
            let resources = several.iter().flat_map(|it| &it.applied.resources);
            if Counts::of(resources).is_nothing() {
                NOTHING.to_owned()
            } else {
                String::new()
            }
        })?,
    }
    Ok(exit)
}

fn exit(applied: &Applied) -> Exit {
    outcome::exit_of(applied.state, applied::is_refused(applied))
}

const NOTHING: &str = "nothing to do: everything is as declared already\n";
