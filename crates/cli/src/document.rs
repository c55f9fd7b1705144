//! Resources as files: read, or written by a person in an editor.

use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::exit::Failure;
use crate::files::{self, Source};
use crate::screen::yaml;

/// Reads a YAML or JSON file that has one resource; `-` is the standard input.
pub(crate) fn read(path: &Path) -> Result<Source, Failure> {
    files::document(path, FILE_BYTES_MAX)
}

/// Gives a body the name that the command line has. One that it has already must be the same: of
/// two names neither is surely meant.
pub(crate) fn named(mut body: Value, name: Option<&str>) -> Result<Value, Failure> {
    if let (Value::Object(fields), Some(name)) = (&mut body, name) {
        let own = fields.entry("name").or_insert_with(|| name.into());
        if own != name {
            return Err(Failure::Usage(format!(
                "the file has the name {own}, the command line {name:?}; leave one out or make \
                 them equal"
            )));
        }
    }
    Ok(body)
}

/// The name in a body.
pub(crate) fn name_in(body: &Value) -> Result<&str, Failure> {
    body["name"].as_str().ok_or_else(|| {
        Failure::Usage("the file has no name: write one there or on the command line".to_owned())
    })
}

/// Lets a person change `before` in their editor. None if nothing was changed.
///
/// What was written stays in the file that [`Edited::keep`] names until it was accepted.
///
/// # Errors
/// There is nobody to edit: no terminal, and no editor that was chosen to do without.
pub(crate) fn edit(what: &str, before: &Value) -> Result<Option<Edited>, Failure> {
    if chosen_editor().is_none() && !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return Err(Failure::Usage(format!(
            "there is no terminal to edit {what} on; give a file with -f"
        )));
    }
    let text = format!(
        "# {what}. Save and leave to apply; leave unchanged to do nothing.\n{}",
        yaml(before)?
    );
    let mut file = tempfile::Builder::new()
        .prefix("ferryway-")
        .suffix(".yaml")
        .tempfile()
        .map_err(Failure::local("cannot make a file to edit"))?;
    file.write_all(text.as_bytes())
        .map_err(Failure::local("cannot write a file to edit"))?;
    run_editor(file.path())?;
    // By its path: many editors write a new file under the old name.
    let edited = fs::File::open(file.path())
        .and_then(|mut file| files::bounded(&mut file, FILE_BYTES_MAX))
        .map_err(Failure::local("cannot read what was edited"))?;
    let edited = Edited { file, text: edited };
    match parse("what was edited", &edited.text) {
        Ok(after) if after == *before => Ok(None),
        Ok(_) => Ok(Some(edited)),
        Err(failure) => Err(edited.keep(failure)),
    }
}

/// What a person has written.
#[derive(Debug)]
pub(crate) struct Edited {
    file: tempfile::NamedTempFile,
    text: String,
}

impl Edited {
    /// What it says.
    pub(crate) fn value(&self) -> Result<Value, Failure> {
        parse("what was edited", &self.text)
    }

    /// Keeps the file, because of this failure, and says where.
    pub(crate) fn keep(self, failure: Failure) -> Failure {
        self.keep_for_later();
        failure
    }

    /// Keeps the file and says where: what was typed must not be lost.
    pub(crate) fn keep_for_later(self) {
        if let Ok((_, path)) = self.file.keep() {
            // Not on standard output, which is the answer's alone.
            let _ = writeln!(
                io::stderr(),
                "what you wrote is in {}; give it with -f to apply it",
                path.display()
            );
        }
    }
}

/// The editor that the environment names.
fn chosen_editor() -> Option<String> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    variable("VISUAL").or_else(|| variable("EDITOR"))
}

fn run_editor(path: &Path) -> Result<(), Failure> {
    let editor = chosen_editor().unwrap_or_else(|| EDITOR_DEFAULT.to_owned());
    // Through a shell, as others do: `EDITOR="code --wait"` is a command with an argument.
    let status = Command::new("sh")
        .args(["-c", &format!("{editor} \"$1\""), "sh"])
        .arg(path)
        .status()
        .map_err(Failure::local(format!("cannot start the editor {editor}")))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::Other(format!(
        "the editor {editor} ended with {status}; nothing was changed"
    )))
}

fn parse(name: &str, text: &str) -> Result<Value, Failure> {
    Ok(files::single(name, text)?.value().clone())
}

/// The largest file read, in bytes: the largest body that the API takes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
const EDITOR_DEFAULT: &str = "vi";

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(text: &str, expect: Result<Value, &str>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("service.yaml");
        fs::write(&path, text).unwrap();
        match (read(&path), expect) {
            (Ok(source), Ok(expect)) => assert_eq!(*source.value(), expect, "{text}"),
            (Err(failure), Err(part)) => {
                let at = format!("{}/service.yaml:{part}", folder.path().display());
                assert_eq!(failure.problems()[0].path, at, "{text}");
            }
            (value, _) => panic!("{text}: {value:?}"),
        }
    }

    #[test]
    fn files_in_yaml_and_json() {
        let value = json!({"name": "httpbin", "routes": [{"name": "a", "paths": ["/a"]}], "n": 1});
        check(&value.to_string(), Ok(value.clone()));
        check(
            "name: httpbin\nroutes:\n- name: a\n  paths: [/a]\nn: 1\n",
            Ok(value),
        );
        check("on: yes\nt: '1'", Ok(json!({"on": "yes", "t": "1"})));
        check("a: [", Err("1:4"));
        check("a: 1\na: 2", Err("2:1"));
    }

    #[test]
    fn yaml_that_is_shown_can_be_read_again() {
        let value = json!({
            "text": "a: b\n# no comment", "empty": "", "number-like": "1.0", "null-like": "null",
            "list": [], "map": {}, "none": null, "on": true, "paths": ["/*", "/{id}"],
            "long": "x ".repeat(100), "hosts": ["*.example.org"],
        });
        assert_eq!(parse("it", &yaml(&value).unwrap()).unwrap(), value);
    }

    #[test]
    fn names_from_the_command_line() {
        let check = |body: Value, name, expect: Value| {
            assert_eq!(named(body, name).expect("is named"), expect);
        };
        check(json!({}), Some("a"), json!({"name": "a"}));
        check(json!({"name": "b"}), None, json!({"name": "b"}));
        check(json!({"name": "b"}), Some("b"), json!({"name": "b"}));
        check(json!([]), Some("a"), json!([]));
        let two = named(json!({"name": "b"}), Some("a")).expect_err("there are two names");
        assert!(
            two.to_string()
                .contains("the name \"b\", the command line \"a\""),
            "{two}"
        );
        assert_eq!(name_in(&json!({"name": "b"})).unwrap(), "b");
        assert!(name_in(&json!({})).is_err());
    }
}
