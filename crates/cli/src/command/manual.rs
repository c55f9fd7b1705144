//! The command line's own pages: completions for shells, and the manual.

use std::fs;
use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::args::Arguments;
use crate::exit::{Exit, Failure};
use crate::screen::Screen;

pub(super) fn completions(shell: Shell, screen: Screen) -> Result<Exit, Failure> {
    screen.print(&script(shell))?;
    Ok(Exit::Done)
}

/// Prints the page of `ferryway`, or writes that one and one for each command into a folder.
pub(super) fn pages(folder: Option<&Path>, screen: Screen) -> Result<Exit, Failure> {
    let Some(folder) = folder else {
        let mut page = Vec::new();
        let rendered = Man::new(Arguments::command()).render(&mut page);
        rendered.map_err(Failure::local("cannot write the manual page"))?;
        screen.print(&String::from_utf8_lossy(&page))?;
        return Ok(Exit::Done);
    };
    let unwritten = format!("cannot write manual pages into {}", folder.display());
    let made = fs::create_dir_all(folder);
    let written = made.and_then(|()| clap_mangen::generate_to(Arguments::command(), folder));
    written.map_err(Failure::local(unwritten))?;
    Ok(Exit::Done)
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "ferryway", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Color, Format};

    /// The names of all commands with their parents', as `service list`.
    fn commands(command: &clap::Command, before: &str, all: &mut Vec<String>) {
        for inner in command.get_subcommands() {
            let name = format!("{before}{}", inner.get_name());
            commands(inner, &format!("{name} "), all);
            all.push(name);
        }
    }

    fn all() -> Vec<String> {
        let mut all = Vec::new();
        commands(&Arguments::command(), "", &mut all);
        all
    }

    #[test]
    fn every_shell_completes_every_word() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell);
            for command in all() {
                let word = command.rsplit(' ').next().unwrap();
                assert!(script.contains(word), "{shell} knows no {command}");
            }
            for flag in ["dry-run", "expect-plan", "token-file"] {
                assert!(script.contains(flag), "{shell} knows no {flag}");
            }
        }
    }

    #[test]
    fn bash_reads_its_completions() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ferryway.bash");
        fs::write(&file, script(Shell::Bash)).unwrap();
        let read = std::process::Command::new("bash")
            .arg("-n")
            .arg(&file)
            .output()
            .unwrap();
        assert!(read.status.success(), "{read:?}");
    }

    #[test]
    fn every_command_has_a_page() {
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("new/man1");
        let screen = Screen::new(Format::Table, Color::Never);
        assert_eq!(pages(Some(&into), screen).unwrap(), Exit::Done);
        for command in all() {
            let name = format!("ferryway-{}.1", command.replace(' ', "-"));
            let page = fs::read_to_string(into.join(&name));
            let page = page.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(page.contains(".SH SYNOPSIS"), "{name}: {page}");
        }
        let page = fs::read_to_string(into.join("ferryway.1")).unwrap();
        assert!(
            page.contains("Exit codes") && page.contains("FERRYWAY_SERVER"),
            "{page}"
        );
    }
}
