//! Links between the Markdown files of the workspace, and to its other files.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::Files;

pub(super) fn check(files: &Files) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, text) in files.with(&["md"]) {
        for (number, target) in links(text) {
            if let Err(why) = follow(files, path, target) {
                findings.push(format!(
                    "{}:{number}: link to {target}: {why}",
                    path.display()
                ));
            }
        }
    }
    findings
}

/// Follows a link from the file at `from`. Links that leave the workspace are not followed.
fn follow(files: &Files, from: &Path, target: &str) -> Result<(), &'static str> {
    if target.contains("://") || target.starts_with("mailto:") {
        return Ok(());
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if path.is_empty() {
        from.to_owned()
    } else {
        resolve(from, path).ok_or("leaves the workspace")?
    };
    if !files.has(&path) {
        return Err("there is no such file");
    }
    let headings = files
        .text(&path)
        .filter(|_| path.extension().is_some_and(|it| it == "md"));
    match headings {
        Some(text) if !anchor.is_empty() && !anchors(text).iter().any(|own| own == anchor) => {
            Err("the file has no such heading")
        }
        _ => Ok(()),
    }
}

/// The path from the root that `path`, written in the file at `from`, means.
fn resolve(from: &Path, path: &str) -> Option<PathBuf> {
    let mut resolved = match path.strip_prefix('/') {
        Some(_) => PathBuf::new(),
        None => from.parent()?.to_owned(),
    };
    for part in Path::new(path.trim_start_matches('/')).components() {
        match part {
            Component::Normal(name) => resolved.push(name),
            Component::ParentDir => resolved.pop().then_some(())?,
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    Some(resolved)
}

/// The targets of `[text](target)` and `[name]: target`, with the numbers of their lines.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        let definition = line
            .strip_prefix('[')
            .and_then(|rest| rest.split_once("]: "));
        if let Some((_, target)) = definition.filter(|(name, _)| !name.starts_with('^')) {
            found.extend(
                target
                    .split_whitespace()
                    .next()
                    .map(|target| (number, target)),
            );
        }
        // Every second piece between code marks is code.
        for piece in line.split('`').step_by(2) {
            let ends = piece.split("](").skip(1);
            let targets = ends.filter_map(|rest| rest.split([')', ' ']).next());
            found.extend(targets.map(|target| (number, target)));
        }
    }
    found
        .iter()
        .map(|(number, target)| (*number, target.trim_matches(['<', '>'])))
        .collect()
}

/// The anchors that GitHub gives to a text's headings.
fn anchors(text: &str) -> Vec<String> {
    let mut seen = BTreeMap::new();
    prose(text)
        .filter_map(|(_, line)| {
            let title = line.trim_start_matches('#');
            (title.len() < line.len())
                .then(|| title.strip_prefix(' '))
                .flatten()
        })
        .map(|title| {
            let slug = slug(title);
            let count = seen
                .entry(slug.clone())
                .and_modify(|count| *count += 1)
                .or_insert(0);
            if *count == 0 {
                slug
            } else {
                format!("{slug}-{count}")
            }
        })
        .collect()
}

fn slug(title: &str) -> String {
    let kept = |char: &char| char.is_alphanumeric() || matches!(char, ' ' | '-' | '_');
    title
        .trim()
        .to_lowercase()
        .chars()
        .filter(kept)
        .map(|it| if it == ' ' { '-' } else { it })
        .collect()
}

/// The numbered lines outside of fenced code.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_links_are_found_with_their_place() {
        let readme = "# A `b`, c!\n[ok](docs/a.md) [x](docs/none.md)\n```\n[code](gone.md)\n```\n\
                      `[code](gone.md)` [self](#a-b-c) [up](../out.md)\n[ref]: docs/none.md \"t\"\n\
                      [web](https://a.example/x) [mail](mailto:a@b) [folder](docs/) [root](/docs)\n";
        let docs = "## Same\n## Same\n[one](#same) [two](a.md#same-1) [three](./a.md#same-2)\n\
                    [home](../README.md#a-b-c) [source](../src/main.rs#L3)\n";
        let files = Files::of(&[
            ("README.md", readme),
            ("docs/a.md", docs),
            ("src/main.rs", ""),
        ]);
        let expected = [
            "README.md:2: link to docs/none.md: there is no such file",
            "README.md:7: link to docs/none.md: there is no such file",
            "README.md:6: link to ../out.md: leaves the workspace",
            "docs/a.md:3: link to ./a.md#same-2: the file has no such heading",
        ];
        let mut findings = check(&files);
        findings.sort_unstable();
        let mut expected = expected.map(str::to_owned);
        expected.sort_unstable();
        assert_eq!(findings, expected);
    }
}
