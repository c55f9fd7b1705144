//! What every verb says, to the letter: each script is typed at a fresh control plane with one
//! instance, and all of it stands in a snapshot (`golden/snapshots`). A verb without a line in a
//! script fails a test.

mod redacted;
mod scripts;

use std::collections::BTreeSet;
use std::fs;

use super::terminal::{Outcome, Terminal};
use crate::calls::{define, service};
use crate::site::Site;
use crate::upstream::Reply;
use redacted::Redacted;
use scripts::{FILES, SCRIPTS};

/// Verbs that no script can type, and where what they say is held.
const ELSEWHERE: &[(&str, &str)] = &[("demo", "stays until it is ended: `demo.rs`")];

/// Types a script, line after line, and holds all that is said to its snapshot.
#[track_caller]
fn check(name: &str, script: &str) {
    let site = Site::set();
    define(&site.api(), &service("carts", &[("all", "/carts")]));
    site.upstream.reply("/silent", [Reply::Silence]);
    let terminal = Terminal::at(&site.control.origin());
    for (file, text) in FILES {
        terminal.write(file, text);
    }
    let redacted = Redacted::of(&site, terminal.folder());
    let mut all = String::new();
    for line in lines(script) {
        let outcome = terminal.run(&filled(line, &site));
        all.push_str(&format!("$ ferryway {line}\n{}", said(&outcome, &redacted)));
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_snapshot_path("golden/snapshots");
    settings.bind(|| insta::assert_snapshot!(name, all));
}

fn lines(script: &str) -> impl Iterator<Item = &str> {
    script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
}

/// The line with what is only known now in its places.
fn filled(line: &str, site: &Site) -> String {
    let first = |list: &str, field: &str| {
        let items = site.api().get(list).json();
        let item = &items["items"][0][field];
        item.as_str().unwrap_or("none").to_owned()
    };
    let mut line = line.replace("{server}", &site.control.origin());
    for (place, list, field) in [
        ("{operation}", "/operations", "operation"),
        ("{token}", "/tokens", "id"),
        ("{join}", "/gateway-groups/test/join-tokens", "id"),
        ("{instance}", "/gateway-groups/test/instances", "id"),
    ] {
        if line.contains(place) {
            line = line.replace(place, &first(list, field));
        }
    }
    line.replace("{upstream}", &site.upstream.address().to_string())
}

/// What was said: `! ` before what is for the standard error, and the code where it isn't 0.
fn said(outcome: &Outcome, redacted: &Redacted) -> String {
    let mut text = redacted.text(&outcome.stdout);
    for line in redacted.text(&outcome.stderr).lines() {
        text.push_str(format!("! {line}").trim_end());
        text.push('\n');
    }
    match outcome.code {
        Some(0) => {}
        Some(code) => text.push_str(&format!("[exit {code}]\n")),
        None => text.push_str("[killed]\n"),
    }
    text.push('\n');
    text
}

/// The command tree, as the manual has it: a page for each command.
fn verbs(terminal: &Terminal) -> BTreeSet<String> {
    terminal.shows("man pages", &[]);
    let folder = fs::read_dir(terminal.folder().join("pages")).expect("the pages are there");
    let mut pages: BTreeSet<String> = folder
        .map(|page| {
            let name = page.expect("can be read").file_name();
            let name = name.to_str().expect("is text").to_owned();
            name.trim_end_matches(".1").to_owned()
        })
        .collect();
    // A noun has a page of its own and says nothing without its verb.
    let nouns: BTreeSet<String> = pages
        .iter()
        .filter_map(|page| page.rsplit_once('-').map(|(noun, _)| noun.to_owned()))
        .collect();
    pages.retain(|page| !nouns.contains(page));
    pages
}

#[test]
fn every_verb_has_a_script() {
    let verbs = verbs(&Terminal::at("http://127.0.0.1:1"));
    assert!(verbs.len() > 40, "{verbs:?}");
    let typed: Vec<&str> = SCRIPTS.iter().flat_map(|script| lines(script)).collect();
    let is_typed = |verb: &str| {
        typed.iter().any(|line| {
            let words = line.split_whitespace().collect::<Vec<_>>().join("-");
            words == verb || words.starts_with(&format!("{verb}-"))
        })
    };
    let missing: Vec<_> = verbs
        .iter()
        .map(|page| page.trim_start_matches("ferryway-"))
        .filter(|verb| !is_typed(verb) && ELSEWHERE.iter().all(|(there, _)| there != verb))
        .collect();
    assert!(
        missing.is_empty(),
        "verbs that no script types: {missing:?}"
    );
}
