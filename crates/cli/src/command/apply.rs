//! Files made true: planned first and shown, then done, in one transaction where they fit into one.

mod batch;
mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::applied::{self, Counts};
use crate::args::{Apply, Label};
use crate::exit::{Exit, Failure};
use crate::files::{self, Source};
use crate::plan::{Background, problems_text};
use crate::session::Session;
use batch::{Batch, Declared};
use ferryway_api::body::OptionsBody;
use ferryway_api::{
    Applied, AppliedResource, ApplyBody, ClientError, Problem, PruneBody, ResourceAction,
    ResourceId, Severity,
};
use steps::{Step, StepRef, Steps, done, make};

pub(super) async fn run(session: &Session, apply: Apply) -> Result<Exit, Failure> {
    let Apply {
        paths,
        prune,
        preview,
        waiting,
    } = apply;
    let files = Files::read(&paths.paths, &prune)?;
    let expected = preview.expect_plan.map(|digest| digest.to_string());
    let planned = files.plan(session, expected).await?;
    if preview.expect_plan.is_some() && planned.len() > 1 {
        return Err(Failure::Usage(format!(
            "--expect-plan is for one transaction, and these files take {}",
            planned.len()
        )));
    }
    if preview.dry_run || planned.iter().any(|it| applied::is_refused(&it.applied)) {
        return show(session, &files, &planned, preview.dry_run);
    }
    if session.screen.is_for_people() {
        session.screen.print(&files.plan_text(session, &planned))?;
    }
    if !planned
        .iter()
        .any(|it| applied::changes_anything(&it.applied))
    {
        let steps: Vec<_> = planned.into_iter().map(Step::from).collect();
        return done(session, &steps);
    }
    if !session.confirm("apply it?")? {
        return Err(Failure::Other("nothing was changed".to_owned()));
    }
    make(session, &files, planned, &waiting).await
}

/// What [`run`] would change, for `ferryway diff -f`.
pub(super) async fn diff(
    session: &Session,
    paths: &[PathBuf],
    prune: &[Label],
    exit_code: bool,
) -> Result<Exit, Failure> {
    let files = Files::read(paths, prune)?;
    let planned = files.plan(session, None).await?;
    let exit = show(session, &files, &planned, true)?;
    let differs = planned
        .iter()
        .any(|it| applied::changes_anything(&it.applied));
    Ok(if exit == Exit::Done && differs && exit_code {
        Exit::Different
    } else {
        exit
    })
}

/// What was read, and what shall go.
struct Files {
    sources: Vec<Source>,
    declared: Vec<Declared>,
    prune: Option<BTreeMap<String, String>>,
}

/// A call, and what it would do.
#[derive(Debug)]
struct Planned {
    batch: Batch,
    applied: Applied,
}

impl Files {
    fn read(paths: &[PathBuf], prune: &[Label]) -> Result<Self, Failure> {
        let sources = files::documents(paths)?;
        if sources.is_empty() {
            // With --prune, everything would go: an empty file is a mistake rather than a wish.
            return Err(Failure::Other("the files have no documents".to_owned()));
        }
        let declared = sources.iter().map(|it| Declared::of(it.value())).collect();
        let labels = prune.iter().map(|label| {
            let Label { key, value } = label;
            (key.clone(), value.clone())
        });
        Ok(Self {
            sources,
            declared,
            prune: (!prune.is_empty()).then(|| labels.collect()),
        })
    }

    /// What each call would do: one call if the control plane can make everything in one, else as
    /// many as it takes.
    async fn plan(
        &self,
        session: &Session,
        expected: Option<String>,
    ) -> Result<Vec<Planned>, Failure> {
        if let Some(batch) = batch::whole(&self.declared, self.prune.is_some()) {
            let applied = self.call(session, &batch, Some(true), expected).await;
            match applied {
                Ok(applied) if !is_too_much(&applied.problems) => {
                    return Ok(vec![Planned { batch, applied }]);
                }
                Ok(_) => {}
                Err(failure) if is_too_much(failure.problems()) => {}
                Err(failure) => return Err(failure),
            }
        }
        let mut planned = Vec::new();
        for batch in batch::steps(&self.declared, self.prune.is_some()) {
            let applied = self.call(session, &batch, Some(true), None).await?;
            planned.push(Planned { batch, applied });
        }
        Ok(planned)
    }

    /// Sends a batch; every problem, of an answer or of a refusal, is located in the files.
    async fn call(
        &self,
        session: &Session,
        batch: &Batch,
        dry_run: Option<bool>,
        expect_plan: Option<String>,
    ) -> Result<Applied, Failure> {
        let sent: Vec<usize> = batch.sent().collect();
        let body = ApplyBody {
            resources: sent
                .iter()
                .map(|&n| self.sources[n].value().clone())
                .collect(),
            prune: self.prune(batch, &sent),
            options: OptionsBody {
                dry_run,
                expect_plan,
                ..OptionsBody::default()
            },
        };
        let located = |problems: Vec<Problem>| {
            applied::located(problems, |n, problem| match sent.get(n) {
                Some(&n) => self.sources[n].located(problem),
                None => problem,
            })
        };
        match session.client.apply(&body).await {
            Ok(mut applied) => {
                applied.problems = located(applied.problems);
                Ok(applied)
            }
            Err(ClientError::Refused(mut details)) => {
                details.problems = located(details.problems);
                Err(Failure::of_change(ClientError::Refused(details)))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn prune(&self, batch: &Batch, sent: &[usize]) -> Option<PruneBody> {
        let labels = self.prune.as_ref().filter(|_| batch.prunes)?;
        let elsewhere = self.declared.iter().enumerate();
        let elsewhere = elsewhere.filter(|(n, _)| !sent.contains(n));
        Some(PruneBody {
            labels: labels.clone(),
            keep: elsewhere.filter_map(|(_, it)| it.id.clone()).collect(),
        })
    }

    /// The plan of all calls.
    fn plan_text(&self, session: &Session, planned: &[Planned]) -> String {
        let paint = session.screen.paint();
        let mut background = Background::default();
        for source in &self.sources {
            let document = source.value();
            let (name, definition) = match document.get("definition") {
                Some(definition) => (&document["service"], definition),
                None => (&document["name"], document),
            };
            if let Some(name) = name.as_str() {
                background.learn_routes(name, definition);
            }
        }
        let mut text = String::new();
        let mut counts = Counts::default();
        for Planned { batch, applied } in planned {
            if let (Some(name), true) = (&batch.name, applied::changes_anything(applied)) {
                text.push_str(&format!("{}\n", paint.bold(&format!("{name}:"))));
            }
            let own = self.own(batch);
            text.push_str(&applied::plan_text(applied, &own, &background, paint));
            counts = counts.and(Counts::of(applied.resources.iter().filter(|it| own(it))));
        }
        text.push_str(&format!("{}\n", counts.planned()));
        if planned.len() > 1 {
            text.push_str(&format!(
                "too much for one transaction: it takes {} steps, each whole or not at all\n",
                planned.len()
            ));
        }
        let problems = planned.iter().flat_map(|it| &it.applied.problems);
        text + &problems_text(problems, paint)
    }

    /// Whether a resource is one that this call is made for.
    fn own(&self, batch: &Batch) -> impl Fn(&AppliedResource) -> bool + use<> {
        let ids = batch
            .own
            .iter()
            .filter_map(|&n| self.declared[n].id.clone());
        let ids: BTreeSet<ResourceId> = ids.collect();
        let all = batch.name.is_none();
        move |resource| {
            let id = ResourceId {
                kind: resource.kind.clone(),
                group: resource.group.clone(),
                name: resource.name.clone(),
            };
            all || resource.action == ResourceAction::Delete || ids.contains(&id)
        }
    }
}

/// Whether the control plane says that it is too much for one transaction, and not that one of the
/// documents is too long.
fn is_too_much(problems: &[Problem]) -> bool {
    problems.iter().any(|problem| {
        problem.code == "limit_exceeded" && matches!(problem.path.as_str(), "" | "resources")
    })
}

/// Shows what would be.
fn show(
    session: &Session,
    files: &Files,
    planned: &[Planned],
    is_wanted: bool,
) -> Result<Exit, Failure> {
    let problems = planned.iter().flat_map(|it| &it.applied.problems);
    let is_refused = problems
        .clone()
        .any(|problem| problem.severity == Severity::Error);
    // Whoever wanted it done is told why it was not, and not what would have been.
    if is_refused && !is_wanted {
        return Err(Failure::Refused(problems.cloned().collect()));
    }
    let text = |_| files.plan_text(session, planned);
    match planned {
        [only] => session.screen.show(&only.applied, text)?,
        several => {
            let steps: Vec<_> = several
                .iter()
                .map(|it| StepRef {
                    step: it.batch.name.as_deref(),
                    applied: &it.applied,
                })
                .collect();
            session.screen.show(&Steps { steps: &steps }, text)?;
        }
    }
    Ok(if is_refused {
        Exit::Refused
    } else {
        Exit::Done
    })
}
