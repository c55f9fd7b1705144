//! What `deploy/` tells the programs to do is what they can do.

use std::fs;
use std::path::Path;
use std::process::Command;

use ferryway_testkit::binary;
use tempfile::TempDir;

/// Commands of `deploy/compose.yaml`: one list entry a word, as the file is written.
fn commands(compose: &str) -> Vec<Vec<String>> {
    let mut commands: Vec<Vec<String>> = Vec::new();
    let mut is_command = false;
    for line in compose.lines() {
        match line.strip_prefix("      - ") {
            Some(program) if !program.starts_with("--") => {
                is_command = program.starts_with("ferryway");
                if is_command {
                    commands.push(vec![program.to_owned()]);
                }
            }
            Some(word) if is_command => {
                let command = commands.last_mut().expect("its program came before");
                command.push(word.to_owned());
            }
            Some(_) => {}
            None => is_command = false,
        }
    }
    commands
}

/// Settings of a gateway, as `docs/compose.md` makes them.
const JOIN: &str = "join-token: fwj1.00000000000000000000000000000007.\
                    AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.\
                    AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";

#[test]
fn the_programs_take_the_commands_of_the_compose_file() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/compose.yaml");
    let compose = fs::read_to_string(&file).expect("the file is there");
    let commands = commands(&compose);
    assert_eq!(commands.len(), 4, "{commands:?}");
    for command in commands {
        // A container has these at its root.
        let root = TempDir::new().expect("there is room for a folder");
        let inside = |word: &String| word.replace("=/", &format!("={}/", root.path().display()));
        fs::create_dir_all(root.path().join("run/secrets")).expect("the folder can be written");
        let secrets = [
            (
                "secret-key",
                "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
            ),
            ("join-test", JOIN),
            ("join-production", JOIN),
        ];
        for (name, content) in secrets {
            let path = root.path().join("run/secrets").join(name);
            fs::write(path, content).expect("the folder can be written");
        }
        let checked = Command::new(binary(&command[0]))
            .args(command[1..].iter().map(inside))
            .arg("--check")
            .output()
            .expect("the program is there");
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success(), "{command:?}: {said}");
    }
}
