//! Where commands are typed.

use std::fs;
use std::path::Path;
use std::process::Command;

use ferryway_testkit::binary;
use serde_json::Value;
use tempfile::TempDir;

/// A folder to work in, with a configuration of its own, and a control plane to talk to.
pub(super) struct Terminal {
    folder: TempDir,
    server: String,
}

/// How a command ended.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Terminal {
    pub(super) fn at(server: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let server = server.to_owned();
        Self { folder, server }
    }

    /// Runs `ferryway` with the words of this line.
    #[track_caller]
    pub(super) fn run(&self, line: &str) -> Outcome {
        let output = Command::new(binary("ferryway"))
            .args(line.split_whitespace())
            .current_dir(self.folder.path())
            .env("FERRYWAY_SERVER", &self.server)
            .env("XDG_CONFIG_HOME", self.folder.path())
            .env("HOME", self.folder.path())
            .env_remove("FERRYWAY_TOKEN")
            .output()
            .expect("it can be run");
        let outcome = Outcome {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        assert!(!outcome.stderr.contains("panicked"), "{line}: {outcome:?}");
        outcome
    }

    /// Runs a line that must end with this code; both outputs in one.
    #[track_caller]
    pub(super) fn ends(&self, line: &str, code: i32) -> String {
        let outcome = self.run(line);
        assert_eq!(outcome.code, Some(code), "{line}: {outcome:#?}");
        outcome.stdout + &outcome.stderr
    }

    /// Runs a line that must do what it says, and show all these words.
    #[track_caller]
    pub(super) fn shows(&self, line: &str, words: &[&str]) {
        self.says(line, 0, words);
    }

    /// Runs a line that must end with this code, and say all this.
    #[track_caller]
    pub(super) fn says(&self, line: &str, code: i32, words: &[&str]) {
        let text = self.ends(line, code);
        for word in words {
            assert!(text.contains(word), "{word:?} of {line}:\n{text}");
        }
    }

    /// Runs a line with `-o json`, which must do what it says.
    #[track_caller]
    pub(super) fn json(&self, line: &str) -> Value {
        let outcome = self.run(&format!("{line} -o json"));
        assert_eq!(outcome.code, Some(0), "{line}: {outcome:#?}");
        serde_json::from_str(&outcome.stdout)
            .unwrap_or_else(|error| panic!("{line}: {error}: {}", outcome.stdout))
    }

    /// Puts a file where commands are run, or in a folder below.
    pub(super) fn write(&self, name: &str, text: &str) {
        self.write_bytes(name, text.as_bytes());
    }

    /// The same, of what need not be text.
    pub(super) fn write_bytes(&self, name: &str, content: &[u8]) {
        let path = self.folder.path().join(name);
        let folder = path.parent().expect("it is in a folder");
        fs::create_dir_all(folder).expect("a folder can be made");
        fs::write(path, content).expect("a file can be written");
    }

    /// Where commands are run.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }
}
