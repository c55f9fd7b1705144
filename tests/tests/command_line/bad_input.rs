//! Files and words that cannot be what they should: the place, a sentence, and nothing done.

use std::process::Command;

use ferryway_testkit::{Control, binary};
use serde_json::{Value, json};

use super::terminal::Terminal;
use crate::calls::items;

/// A definition as a file has it; `$` stands for what the row is about.
fn service(field: &str) -> String {
    format!("name: orders\nroutes:\n  - name: all\n    paths: [/x]\n{field}\n")
}

#[test]
fn files_that_are_no_resource() {
    let control = Control::start();
    let terminal = Terminal::at(&control.origin());
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
        d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n\
        g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: &h [*g,*g,*g,*g,*g,*g,*g,*g,*g]\ni: [*h,*h,*h,*h,*h,*h,*h,*h,*h]\n";
    let huge = format!(
        "name: orders\ndescription: \"{}\"\n",
        "x".repeat(1024 * 1024)
    );
    for (name, bytes, words) in [
        ("empty.yaml", &b""[..], &[][..]),
        ("comment.yaml", b"# nothing\n", &[]),
        ("text.yaml", b"orders\n", &[]),
        ("list.yaml", b"- name: orders\n", &[]),
        ("open.yaml", b"name: orders\nroutes: [\n", &["2:9"]),
        (
            "open.json",
            b"{\"name\": \"orders\",\n \"routes\": [}",
            &["2:"],
        ),
        ("tab.yaml", b"name: orders\n\troutes: []\n", &["1:7", "tab"]),
        (
            "twice.yaml",
            b"name: orders\nroutes: []\nname: x\n",
            &["name", "twice"],
        ),
        (
            "twice.json",
            b"{\"name\": \"a\", \"name\": \"b\"}",
            &["name", "twice"],
        ),
        ("bytes.yaml", b"name: \xff\xfe\n", &["UTF-8"]),
        ("null.yaml", b"name: a\0b\n", &[]),
        ("escape.json", b"{\"na\\u001b[31mme\": 1}", &[]),
        ("deep.json", deep.as_bytes(), &["nested deeper"]),
        ("bomb.yaml", bomb.as_bytes(), &["aliases"]),
        ("huge.yaml", huge.as_bytes(), &["1048576"]),
        ("other.yaml", b"name: other\nroutes: {}\n", &[]),
        (
            "python.yaml",
            b"name: !!python/object/apply:os.system [\"id\"]\n",
            &[],
        ),
    ] {
        terminal.write_bytes(name, bytes);
        let lines = [
            format!("service create -f {name}"),
            format!("group create x -f {name}"),
        ];
        // To find that it repeats too much takes a moment; once is enough.
        let count = if name == "bomb.yaml" { 1 } else { lines.len() };
        for line in &lines[..count] {
            let outcome = terminal.run(line);
            assert!(matches!(outcome.code, Some(1 | 2)), "{line}: {outcome:?}");
            for word in words {
                assert!(
                    outcome.stderr.contains(word),
                    "{word:?} of {line}: {}",
                    outcome.stderr
                );
            }
            calm(line, &outcome.stderr);
        }
    }
    for path in ["/services", "/gateway-groups", "/operations"] {
        assert_eq!(
            items(&control.api().get(path)),
            Vec::<Value>::new(),
            "{path}"
        );
    }
}

/// What the control plane finds is shown with the file.
#[test]
fn files_that_say_what_cannot_be() {
    let control = Control::start();
    let terminal = Terminal::at(&control.origin());
    for (field, words) in [
        ("hosts: [a b]", &["hosts[0]"][..]),
        ("hosts: ['*']", &["hosts[0]"]),
        ("hosts: [no]", &[]),
        ("title: \"\\e[31mred\"", &["title", "control characters"]),
        ("title: \"\\u202egnp.exe\"", &["title", "direction"]),
        ("\"ti\\e[31mtle\": x", &["ti\\u{1b}[31mtle"]),
        ("labels: {\"a\\u202e\": x}", &["labels.a\\u{202e}"]),
        ("base_path: /a/", &["base_path"]),
        ("upstream: {timeout: {read: 5}}", &["upstream.timeout.read"]),
        (
            "upstream: {timeout: {read: -5s}}",
            &["upstream.timeout.read", "unit"],
        ),
        (
            "upstream: {retry: {retries: 1.5}}",
            &["upstream.retry.retries", "whole number"],
        ),
        (
            "checks: [{name: c, path: /, expect: {status: 0x10}}]",
            &["checks[0].expect.status"],
        ),
        ("plugins: {a: {}}", &["plugins"]),
        ("routs: []", &["routs", "did you mean"]),
    ] {
        terminal.write("orders.yaml", &service(field));
        let outcome = terminal.run("service create -f orders.yaml");
        calm(field, &outcome.stderr);
        let is_good = field == "hosts: [no]";
        assert_eq!(
            outcome.code,
            Some(if is_good { 0 } else { 1 }),
            "{field}: {outcome:?}"
        );
        for word in words {
            assert!(
                outcome.stderr.contains(word),
                "{word:?} of {field}: {}",
                outcome.stderr
            );
        }
    }
    // `no` is a host, and no Norwegian.
    let orders = control.api().get("/services/orders").json_of(200);
    assert_eq!(orders["hosts"], json!(["no"]));
}

#[test]
fn words_that_cannot_be_meant() {
    let terminal = Terminal::at("http://127.0.0.1:1");
    for (line, word) in [
        ("status --server ftp://a", "ftp://a"),
        ("status --server http://", "http://"),
        ("status --server http://127.0.0.1:65536", "65536"),
        (
            "status --server http://127.0.0.1:1/x?y",
            "http://127.0.0.1:1/x?y",
        ),
        ("status --color sometimes", "sometimes"),
        ("status -o", "--output"),
        ("publish a --version 1/2 --to test", "1/2"),
        ("publish a --version= --to test", "--version"),
        ("publish A --version 1 --to test", "A"),
        ("publish a --version 1 --to test --node a:65536", "65536"),
        ("publish a --version 1 --to test --node a:80:70000", "70000"),
        ("publish a --version 1 --to test --node a:80:-1", "-1"),
        ("publish a --version 1 --to test --node=", "--node"),
        ("publish a --version 1 --to test --node a_b:x", "x"),
        ("publish a --version 1 --to test --node ä", "ä"),
        (
            "publish a --version 1 --to test --discovery registry=r",
            "service",
        ),
        ("publish a --version 1 --to test --discovery x", "KEY=VALUE"),
        ("publish a --version 1 --to test --expect-plan x", "x"),
        ("publish a --version 1 --to test --timeout 5", "unit"),
        ("publish a --version 1 --to test --timeout -5s", "-5"),
        (
            "publish a --version 1 --to test --no-wait --no-wait",
            "--no-wait",
        ),
        ("rollback a --in test --to blake3:12", "blake3"),
        ("diff a@1", "diff"),
        ("demo --ports-from 0", "0"),
        ("demo --ports-from 65536", "65536"),
    ] {
        let outcome = terminal.run(line);
        assert_eq!(outcome.code, Some(2), "{line}: {outcome:?}");
        assert!(
            outcome.stderr.contains(word),
            "{word:?} of {line}: {}",
            outcome.stderr
        );
        assert_eq!(outcome.stdout, "", "{line}");
    }
}

/// What the environment and the user's own files say wrong.
#[test]
fn surroundings_that_are_odd() {
    let terminal = Terminal::at("");
    terminal.write("ferryway/contexts.yaml", "contexts: [1]\n");
    let run = |line: &str, environment: &[(&str, &str)]| {
        let mut command = Command::new(binary("ferryway"));
        command
            .args(line.split_whitespace())
            .current_dir(terminal.folder());
        command
            .env("XDG_CONFIG_HOME", terminal.folder())
            .env_remove("FERRYWAY_SERVER");
        command
            .env_remove("FERRYWAY_TOKEN")
            .envs(environment.iter().copied());
        let output = command.output().expect("it can be run");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        calm(line, &errors);
        (output.status.code(), errors)
    };
    let (code, errors) = run("status", &[]);
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("cannot read the contexts in"), "{errors}");
    for (name, value, code, word) in [
        ("FERRYWAY_SERVER", "here there", 2, "here there"),
        ("FERRYWAY_SERVER", "http://127.0.0.1:1", 5, "127.0.0.1:1"),
    ] {
        let (ended, errors) = run("status", &[(name, value)]);
        assert_eq!(ended, Some(code), "{name}={value}: {errors}");
        assert!(errors.contains(word), "{name}={value}: {errors}");
    }
    let server = ("FERRYWAY_SERVER", "http://127.0.0.1:1");
    let (code, errors) = run("status", &[server, ("FERRYWAY_TOKEN", "a\nb")]);
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("token"), "{errors}");
    assert!(
        !errors.contains("a\nb"),
        "a token is not repeated: {errors}"
    );
}

/// Nothing that moves a terminal's cursor, no panic, and no more than a screen of text.
#[track_caller]
fn calm(what: &str, errors: &str) {
    assert!(!errors.contains("panicked"), "{what}: {errors}");
    assert!(errors.len() <= 8 * 1024, "{what}: {} bytes", errors.len());
    let hidden = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
    assert!(!errors.chars().any(hidden), "{what}: {errors:?}");
}
