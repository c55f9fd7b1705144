//! A bad value for each flag of the two servers, in each of the three places where it can stand: as
//! a flag, in the environment, in the file. What cannot be read as the flag's type is usage (2), what
//! can be read and not be done is a failure (1); both are said in a sentence that names the flag.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::process::Command;

use ferryway_testkit::binary;
use tempfile::TempDir;

/// A flag, a value it cannot have, the exit code, and words that are said.
type Row = (&'static str, &'static str, i32, &'static [&'static str]);

const GATEWAY: &[Row] = &[
    (
        "control",
        "here",
        1,
        &["no URL", "https://control.example:7943"],
    ),
    ("control", "ftp://127.0.0.1:1", 1, &["no URL"]),
    (
        "control",
        "https://127.0.0.1:7943,http://127.0.0.1:7943",
        1,
        &["one sort"],
    ),
    ("control", "http://127.0.0.1", 1, &["no port"]),
    ("control", "http://127.0.0.1:0", 1, &["no port"]),
    ("control", "http://127.0.0.1:65536", 1, &["no port"]),
    ("control", "http://127.0.0.1:1/path", 1, &["after the port"]),
    ("control", "http://127.0.0.1:1?q", 1, &["after the port"]),
    (
        "control",
        "http://user:word@127.0.0.1:1",
        1,
        &["before the host"],
    ),
    ("control", "http://10.0.0.1:7943", 1, &["another host"]),
    ("control", "http://127.0.0.1:1,", 1, &["no URL"]),
    (
        "control",
        "http://127.0.0.1:1,http://[::1:2",
        1,
        &["no URL"],
    ),
    ("group", "A", 1, &["a-z"]),
    ("group", "a/b", 1, &["a-z"]),
    ("group", "тест", 1, &["a-z"]),
    ("join-token", "t", 1, &["no join token"]),
    ("join-token-file", "missing", 1, &["cannot read missing"]),
    ("http", "here", 2, &["here"]),
    ("http", "127.0.0.1", 2, &["127.0.0.1"]),
    ("http", "127.0.0.1:65536", 2, &["65536"]),
    ("http", "localhost:9080", 2, &["localhost"]),
    ("http", ":9080", 2, &[":9080"]),
    ("https", "127.0.0.1:-1", 2, &["-1"]),
    ("https", "127.0.0.1:9301", 1, &["--http", "127.0.0.1:9301"]),
    ("status", "9091", 2, &["9091"]),
    (
        "status",
        "127.0.0.1:9302",
        1,
        &["--https", "127.0.0.1:9302"],
    ),
    ("workers", "0", 1, &["1 to 512"]),
    ("workers", "513", 1, &["1 to 512"]),
    ("workers", "-1", 2, &["-1"]),
    ("workers", "1.5", 2, &["1.5"]),
    ("workers", "many", 2, &["many"]),
    (
        "workers",
        "99999999999999999999",
        2,
        &["99999999999999999999"],
    ),
    ("dns-server", "8.8.8.8", 2, &["8.8.8.8"]),
    ("dns-server", "dns.example:53", 2, &["dns.example"]),
    ("dns-server", "127.0.0.1:0", 1, &["port"]),
    ("trusted-proxies", "10.0.0.0/33", 1, &["10.0.0.0/33"]),
    (
        "trusted-proxies",
        "proxy.example",
        1,
        &["proxy.example", "10.0.0.0/8"],
    ),
    (
        "trusted-proxies",
        "10.0.0.0/8,",
        1,
        &["no address or network"],
    ),
    ("drain-delay", "5", 2, &["a whole number with a unit"]),
    ("drain-delay", "-5s", 2, &["a whole number with a unit"]),
    ("drain-delay", "1.5s", 2, &["a whole number with a unit"]),
    (
        "drain-delay",
        "99999999999999999999h",
        2,
        &["a whole number with a unit"],
    ),
    ("drain-delay", "2h", 1, &["3600s"]),
    ("log-level", "loud=[", 1, &["log filter"]),
];

const CONTROL: &[Row] = &[
    ("api", "here", 2, &["here"]),
    ("api", "127.0.0.1", 2, &["127.0.0.1"]),
    ("api", "127.0.0.1:65536", 2, &["65536"]),
    ("api", "localhost:7080", 2, &["localhost"]),
    ("api", "0.0.0.0:9303", 1, &["--dev", "0.0.0.0:9303"]),
    ("api", "[::]:9303", 1, &["--dev", "[::]:9303"]),
    ("delivery", "7943", 2, &["7943"]),
    ("delivery", "10.0.0.1:9304", 1, &["--dev", "10.0.0.1:9304"]),
    (
        "delivery",
        "127.0.0.1:9301",
        1,
        &["--api", "127.0.0.1:9301"],
    ),
    ("store", "redis", 1, &["redis", "embedded"]),
    ("store", "etcd://127.0.0.1", 1, &["HOST:PORT"]),
    ("store", "etcd://a:word@127.0.0.1:2379", 1, &["password"]),
    ("store-prefix", "/other/", 1, &["is for etcd"]),
    ("store", "Embedded", 1, &["Embedded"]),
];

/// The flags of a start that works, but for one; and where nothing listens, as nothing starts.
fn sound(program: &str, folder: &Path) -> Vec<(&'static str, String)> {
    let data = folder.join("data").display().to_string();
    match program {
        "ferryway-gateway" => vec![
            ("control", "http://127.0.0.1:1".to_owned()),
            ("group", "test".to_owned()),
            ("data-dir", data),
            ("http", "127.0.0.1:9301".to_owned()),
            ("https", "127.0.0.1:9302".to_owned()),
            ("status", "127.0.0.1:9303".to_owned()),
        ],
        _ => vec![
            ("api", "127.0.0.1:9301".to_owned()),
            ("delivery", "127.0.0.1:9302".to_owned()),
            ("data-dir", data),
        ],
    }
}

/// How a start ended: its code, and what it said on standard error.
fn ended(mut command: Command) -> (Option<i32>, String) {
    let output = command.output().expect("it can be run");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!errors.contains("panicked"), "{command:?}: {errors}");
    (output.status.code(), errors)
}

/// A program that only checks, and that the environment of the tests says nothing to.
fn checking(program: &str) -> Command {
    let mut command = Command::new(binary(program));
    command.arg("--check");
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"FERRYWAY_") {
            command.env_remove(name);
        }
    }
    if program == "ferryway-control" {
        command.arg("--dev");
    }
    command
}

#[track_caller]
fn refused(command: Command, code: i32, says: &[&str]) {
    let shown = format!("{command:?}");
    let (ended, errors) = ended(command);
    assert_eq!(ended, Some(code), "{shown}: {errors}");
    for word in says {
        assert!(errors.contains(word), "{word:?} of {shown}: {errors}");
    }
    let lines = errors.lines().count();
    assert!(lines <= 6, "a sentence: {shown}: {errors}");
}

#[test]
fn each_flag_in_each_place() {
    for (program, rows) in [("ferryway-gateway", GATEWAY), ("ferryway-control", CONTROL)] {
        for (flag, value, code, says) in rows {
            let folder = TempDir::new().expect("a temporary folder can be made");
            let base = |command: &mut Command| {
                for (name, value) in sound(program, folder.path()) {
                    if name != *flag {
                        command.arg(format!("--{name}={value}"));
                    }
                }
            };
            let dashed = format!("--{flag}");
            let says: Vec<_> = says.iter().copied().chain([dashed.as_str()]).collect();
            let says = if says.contains(&"log filter") {
                &says[..1]
            } else {
                &says[..]
            };

            let mut by_flag = checking(program);
            base(&mut by_flag);
            by_flag.arg(format!("{dashed}={value}"));
            refused(by_flag, *code, says);

            let mut by_variable = checking(program);
            base(&mut by_variable);
            let name = format!("FERRYWAY_{}", flag.to_uppercase().replace('-', "_"));
            by_variable.env(name, value);
            refused(by_variable, *code, says);

            let mut by_file = checking(program);
            base(&mut by_file);
            let file = folder.path().join("settings.yaml");
            fs::write(&file, format!("{flag}: \"{value}\"\n")).expect("it can be written");
            by_file.arg("--config").arg(&file);
            refused(by_file, *code, says);

            assert!(
                !folder.path().join("data").exists(),
                "a check makes nothing"
            );
        }
    }
}

/// What is no settings file, with the file and, where there is one, the line.
#[test]
fn settings_files() {
    let long = "#".repeat(256 * 1024 + 1);
    let deep = format!("workers: {}", "[".repeat(10_000));
    for (text, says) in [
        (&b"- a\n"[..], &["not a mapping"][..]),
        (b"text", &["not a mapping"]),
        (b"workers: [\n", &["not a mapping"]),
        (b"workers: {a: b}\n", &["not a mapping"]),
        (b"workers:\n", &["not a mapping"]),
        (b"workers: 1\nworkers: 2\n", &["not a mapping", "workers"]),
        (b"\xff\xfe", &["cannot read"]),
        (b"wor\0kers: 1\n", &["settings.yaml"]),
        (
            b"# one\nworker: 1\n",
            &["settings.yaml:2", "worker", "workers"],
        ),
        (b"Workers: 1\n", &["settings.yaml:1", "workers"]),
        (b"config: other.yaml\n", &["settings.yaml:1", "config"]),
        (b"help: true\n", &["settings.yaml:1", "help"]),
        (b"workers: [1, 2]\n", &["settings.yaml:1", "one value"]),
        (b"check: perhaps\n", &["settings.yaml:1", "true or false"]),
        (long.as_bytes(), &["over 262144 bytes"]),
        (deep.as_bytes(), &["not a mapping"]),
    ] {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let file = folder.path().join("settings.yaml");
        fs::write(&file, text).expect("it can be written");
        let mut command = checking("ferryway-gateway");
        for (name, value) in sound("ferryway-gateway", folder.path()) {
            command.arg(format!("--{name}={value}"));
        }
        // Of the switches, only what is not given as a flag is looked at.
        let mut command = match text.starts_with(b"check") {
            false => command,
            true => without(&command, "--check"),
        };
        command.arg("--config").arg(&file);
        refused(command, 1, &[&["settings.yaml"], says].concat());
    }
    for (path, says) in [
        ("/none/such.yaml", "No such file"),
        ("/", "directory"),
        ("", "settings file"),
    ] {
        let mut command = checking("ferryway-gateway");
        for (name, value) in sound("ferryway-gateway", Path::new("/none")) {
            command.arg(format!("--{name}={value}"));
        }
        command.arg("--config").arg(path);
        let (code, errors) = ended(command);
        assert!(matches!(code, Some(1 | 2)), "{path:?}: {errors}");
        assert!(errors.contains(says), "{path:?}: {errors}");
    }
}

/// The same command without one of its arguments.
fn without(command: &Command, arg: &str) -> Command {
    let mut other = Command::new(command.get_program());
    other.args(command.get_args().filter(|given| *given != OsStr::new(arg)));
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => other.env(name, value),
            None => other.env_remove(name),
        };
    }
    other
}

/// What is no text is no value of a flag that wants one; switches are true or false.
#[test]
fn variables_that_are_odd() {
    let no_text = OsString::from_vec(b"te\xffst".to_vec());
    for (name, value, code, says) in [
        ("FERRYWAY_GROUP", no_text.as_os_str(), 2, &["UTF-8"][..]),
        (
            "FERRYWAY_DEV",
            OsStr::new("yes"),
            1,
            &["FERRYWAY_DEV", "true or false"],
        ),
        ("FERRYWAY_LOG", OsStr::new("loud=["), 1, &["log filter"]),
    ] {
        let program = match name {
            "FERRYWAY_DEV" => "ferryway-control",
            _ => "ferryway-gateway",
        };
        let folder = TempDir::new().expect("a temporary folder can be made");
        let mut command = without(&checking(program), "--dev");
        for (flag, value) in sound(program, folder.path()) {
            if name != "FERRYWAY_GROUP" || flag != "group" {
                command.arg(format!("--{flag}={value}"));
            }
        }
        command.env(name, value);
        refused(command, code, says);
    }
    let folder = TempDir::new().expect("a temporary folder can be made");
    let mut command = checking("ferryway-control");
    for (flag, value) in sound("ferryway-control", folder.path()) {
        command.arg(format!("--{flag}={value}"));
    }
    command.env("FERRYWAY_LOG", "loud=[");
    refused(command, 1, &["log filter"]);
}

/// A flag given twice, one without its value, words that are no flags.
#[test]
fn odd_words() {
    for (program, args, says) in [
        (
            "ferryway-gateway",
            &["--group=a", "--group=b"][..],
            "--group",
        ),
        ("ferryway-gateway", &["--group"], "--group"),
        (
            "ferryway-gateway",
            &["--workers=1", "--workers=2"],
            "--workers",
        ),
        ("ferryway-gateway", &["--check=true"], "--check"),
        ("ferryway-gateway", &["word"], "word"),
        ("ferryway-gateway", &["-x"], "-x"),
        ("ferryway-gateway", &["--", "--check"], "--check"),
        ("ferryway-control", &["--dev", "--dev"], "--dev"),
        ("ferryway-control", &["--dev=1"], "--dev"),
        (
            "ferryway-control",
            &["--data-dir=a", "--data-dir=b"],
            "--data-dir",
        ),
        ("ferryway-control", &["serve"], "serve"),
        ("ferryway-control", &["--data-dir="], "--data-dir"),
    ] {
        let mut command = without(&checking(program), "--dev");
        command.args(args);
        refused(command, 2, &[says]);
    }
}
