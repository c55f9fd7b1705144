//! Whether files declare what can be, as far as that can be said without a control plane: every
//! document read as it will be, and none twice. Whether a group has the registry that a binding
//! names, only the control plane knows.

use std::collections::BTreeMap;

use ferryway_api::{Problem, Severity};
use ferryway_model::document::{Document, DocumentId};
use serde_json::json;

use crate::args::Validate;
use crate::exit::{Exit, Failure};
use crate::files::{self, Source};
use crate::plan::count;
use crate::screen::Screen;

pub(super) fn run(validate: &Validate, screen: Screen) -> Result<Exit, Failure> {
    let sources = files::documents(&validate.paths.paths)?;
    let problems = problems(&sources);
    if !problems.is_empty() {
        return Err(Failure::Files(problems));
    }
    let documents = sources.len();
    screen.show(
        &json!({"documents": documents, "problems": []}),
        |_| match documents {
            0 => "no documents\n".to_owned(),
            documents => format!("{}, no problems\n", count(documents, "document")),
        },
    )?;
    Ok(Exit::Done)
}

/// All that is wrong, each with its place, in the order of the files.
fn problems(sources: &[Source]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut seen: BTreeMap<DocumentId, &Source> = BTreeMap::new();
    for source in sources {
        match Document::parse(source.value()) {
            Ok(document) => {
                let id = document.id();
                match seen.get(&id) {
                    None => {
                        seen.insert(id, source);
                    }
                    Some(first) => problems.push(twice(&id, first, source)),
                }
            }
            Err(found) => {
                let found = found.iter().map(|it| source.located(Problem::from(it)));
                problems.extend(found);
            }
        }
    }
    problems
}

fn twice(id: &DocumentId, first: &Source, again: &Source) -> Problem {
    Problem {
        severity: Severity::Error,
        code: "duplicate".to_owned(),
        path: again.place(""),
        message: format!("declares {id} again, after {}", first.place("")),
        group: None,
        service: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(texts: &[&str], expect: &[&str]) {
        let sources: Vec<_> = texts
            .iter()
            .zip(1..)
            .map(|(text, n)| files::single(&format!("{n}.yaml"), text).unwrap())
            .collect();
        let found = problems(&sources);
        let found: Vec<_> = found
            .iter()
            .map(|it| format!("{}: {}", it.path, it.message))
            .collect();
        assert_eq!(found.len(), expect.len(), "{found:#?}");
        for (found, expect) in found.iter().zip(expect) {
            assert!(found.starts_with(expect), "{found}, not {expect}");
        }
    }

    const GROUP: &str = "kind: gateway_group\nname: test\n";

    #[test]
    fn what_can_be() {
        let service = "kind: service\nname: s\nroutes: [{name: a, paths: [/a]}]\n";
        let published = "kind: published_service\ngroup: test\nservice: s\nversion: 1.0.0\n\
                         binding: {nodes: [{host: a}]}\n";
        let registry = "kind: registry\ngroup: test\nname: dns\ntype: dns\n";
        check(&[GROUP, service, published, registry], &[]);
    }

    #[test]
    fn what_cannot_be_and_where() {
        check(
            &[
                GROUP,
                "kind: service\nname: s\nroutes:\n  - name: a\n    paths: [b]\n  - name: a\n    path: [/b]\n",
                "kind: gateway-group\nname: x\n",
                "name: x\n",
                "- a\n",
                "kind: gateway_group\nname: test\ntitle: Again\n",
            ],
            &[
                "2.yaml:5:13: routes[0].paths[0]: \"b\"",
                "2.yaml:6:5: routes[1].paths: is missing",
                "2.yaml:7:5: routes[1].path: is no field here; did you mean \"paths\"?",
                "2.yaml:6:5: routes[1].name: is the name of route 0 too",
                "3.yaml:1:1: kind: \"gateway-group\" is no kind of document; did you mean \"gateway_group\"?",
                "4.yaml:1:1: kind: is missing",
                "5.yaml:1:1: must be an object, not a list",
                "6.yaml:1:1: declares gateway group test again, after 1.yaml:1:1",
            ],
        );
    }
}
