//! Service definitions from documents of others.

use std::io::{self, Write as _};
use std::path::Path;

use ferryway_model::Name;
use ferryway_model::document::Document;
use serde::Serialize;
use serde_json::Value;

use super::service;
use crate::args::{Global, ImportCommand, OpenApi};
use crate::exit::{Exit, Failure};
use crate::files::{self, Source};
use crate::openapi::{self, Finding, Import, Service};
use crate::screen::{Screen, problem_line, stderr_paint};
use crate::session::Session;

pub(super) async fn run(global: &Global, command: ImportCommand) -> Result<Exit, Failure> {
    let ImportCommand::Openapi(OpenApi {
        file,
        name,
        create,
        document,
    }) = command;
    let screen = Screen::new(global.output, global.color);
    let (source, import) = read(&file, name.as_ref())?;
    warn(&source, &import.findings, global)?;
    if create {
        let session = Session::new(global)?;
        return service::make(&session, &value(&import.service)?).await;
    }
    if document {
        screen.show_whole(&AsDocument {
            kind: "service",
            service: &import.service,
        })?;
    } else {
        screen.show_whole(&import.service)?;
    }
    Ok(Exit::Done)
}

/// What a document, as a file of `ferryway apply`, has beside the definition.
#[derive(Debug, Serialize)]
struct AsDocument<'a> {
    kind: &'static str,
    #[serde(flatten)]
    service: &'a Service,
}

fn read(file: &Path, name: Option<&Name>) -> Result<(Source, Import), Failure> {
    let source = files::document(file, FILE_BYTES_MAX)?;
    let import = openapi::import(source.value(), name).map_err(|finding| {
        let problem = finding.problem(ferryway_api::Severity::Error);
        Failure::Files(vec![source.located(problem)])
    })?;
    check(&source, &import)?;
    Ok((source, import))
}

/// Holds what was made to what a service may say: what stands in our own fields is taken as it is,
/// and there may be more routes than a service can have.
fn check(source: &Source, import: &Import) -> Result<(), Failure> {
    let document = AsDocument {
        kind: "service",
        service: &import.service,
    };
    let Err(problems) = Document::parse(&value(&document)?) else {
        return Ok(());
    };
    let located = problems.iter().map(|problem| {
        let mut problem = ferryway_api::Problem::from(problem);
        let place = source.place(origin(&import.origins, &problem.path));
        problem.path = format!("{place}: {}", problem.path);
        problem
    });
    Err(Failure::Files(located.collect()))
}

/// Where a part of the definition comes from, as far as it is known.
fn origin<'a>(origins: &'a [String], path: &str) -> &'a str {
    let route = path.strip_prefix("routes[").and_then(|rest| {
        let (index, _) = rest.split_once(']')?;
        origins.get(index.parse::<usize>().ok()?)
    });
    route.map_or("", String::as_str)
}

fn warn(source: &Source, findings: &[Finding], global: &Global) -> Result<(), Failure> {
    let paint = stderr_paint(global.color);
    let mut findings: Vec<_> = findings.iter().collect();
    findings.sort_by_key(|finding| source.order(&finding.path));
    let lines = findings.into_iter().map(|finding| {
        let problem = finding.problem(ferryway_api::Severity::Warning);
        problem_line(&source.located(problem), paint)
    });
    // Not on standard output, which is the definition's alone.
    io::stderr()
        .write_all(lines.collect::<String>().as_bytes())
        .map_err(Failure::local("cannot say what was left out"))
}

fn value(service: &impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(service)
        .map_err(|error| Failure::Other(format!("cannot write the definition: {error}")))
}

/// The largest document that is read, in bytes; those of the largest APIs have about 10 MiB.
const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn imported(text: &str) -> Result<(Source, Import), String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("api.yaml");
        std::fs::write(&file, text).unwrap();
        read(&file, None).map_err(|failure| {
            let problem = &failure.problems()[0];
            let root = format!("{}/", folder.path().display());
            format!("{}: {}", problem.path, problem.message).replace(&root, "")
        })
    }

    #[test]
    fn our_own_fields_are_held_to_our_own_rules() {
        let text = "openapi: 3.0.0\ninfo: {title: s}\npaths:\n  /b: {get: {}}\n  /a:\n    \
                    get: {x-ferryway-timeout: {read: soon}}\n";
        let error = imported(text).unwrap_err();
        assert!(
            error.starts_with("api.yaml:6:5: routes[0].timeout.read: \"soon\""),
            "{error}"
        );
        let error = imported("openapi: 3.0.0\npaths: {/a: {get: {}}}\n").unwrap_err();
        assert_eq!(
            error,
            "api.yaml:1:1: info.title: gives the service no name; give it with --name"
        );
    }

    #[test]
    fn more_routes_than_a_service_has_are_refused() {
        let paths: String = (0..1_001)
            .map(|n| format!("  /a{n}: {{get: {{}}}}\n"))
            .collect();
        let text = format!("openapi: 3.0.0\ninfo: {{title: s}}\npaths:\n{paths}");
        let error = imported(&text).unwrap_err();
        assert!(
            error.contains("routes: has 1001 items; at most 1000"),
            "{error}"
        );
    }
}
