//! Flags that are wrong, missing, or without a function yet.

use std::process::Command;

use ferryway_testkit::binary;
use tempfile::TempDir;

use super::run::{CONTROL, GATEWAY, check_refused};

const AT: &str = "--control http://127.0.0.1:7943 --group test";

#[test]
fn what_the_gateway_cannot_read_or_do() {
    for (args, code, says) in [
        (
            format!("{GATEWAY} {AT} --none-such"),
            2,
            &["--none-such"][..],
        ),
        (format!("{GATEWAY} {AT} --workers many"), 2, &["many"]),
        (format!("{GATEWAY} --group test"), 2, &["--control"]),
        (
            format!("{GATEWAY} --control http://127.0.0.1:7943"),
            2,
            &["--group"],
        ),
        (AT.to_owned(), 2, &["--data-dir"]),
        (format!("{AT} --data-dir DATA --http here"), 2, &["here"]),
        (
            format!("{GATEWAY} {AT} --drain-delay 5"),
            2,
            &["--drain-delay"],
        ),
        (
            format!("{GATEWAY} --control http://127.0.0.1:1 --group A_B"),
            1,
            &["A_B"],
        ),
        (format!("{GATEWAY} {AT} --workers 0"), 1, &["--workers"]),
        (
            format!("{GATEWAY} {AT} --trusted-proxies 10.0.0.0/33"),
            1,
            &["10.0.0.0/33"],
        ),
        (
            format!("{GATEWAY} --control ftp://a --group test"),
            1,
            &["ftp://a"],
        ),
        (
            format!("{GATEWAY} {AT} --join-token t"),
            1,
            &["--join-token"],
        ),
        (
            format!("{GATEWAY} {AT} --static view.json"),
            1,
            &["--static"],
        ),
        (
            format!("{GATEWAY} {AT} --config /none/such.yaml"),
            1,
            &["/none/such.yaml"],
        ),
    ] {
        check_refused("ferryway-gateway", &args, code, says);
    }
}

#[test]
fn what_the_control_plane_cannot_read_or_do() {
    for (args, code, says) in [
        (format!("{CONTROL} --none-such"), 2, &["--none-such"][..]),
        ("--data-dir DATA --api here".to_owned(), 2, &["here"]),
        ("--dev".to_owned(), 2, &["--data-dir"]),
        (
            format!("{CONTROL} --store etcd://127.0.0.1:2379"),
            1,
            &["etcd"],
        ),
        (format!("{CONTROL} --store redis"), 1, &["redis"]),
        (
            "--dev --api 0.0.0.0:PORT --delivery 127.0.0.1:PORT --data-dir DATA".to_owned(),
            1,
            &["--dev", "0.0.0.0"],
        ),
        (
            "--dev --api 127.0.0.1:PORT --delivery 0.0.0.0:PORT --data-dir DATA".to_owned(),
            1,
            &["--dev", "0.0.0.0"],
        ),
        (
            format!("{CONTROL} --config /none/such.yaml"),
            1,
            &["/none/such.yaml"],
        ),
    ] {
        check_refused("ferryway-control", &args, code, says);
    }
}

#[test]
fn check_validates_and_exits() {
    for (program, args) in [
        ("ferryway-gateway", format!("{GATEWAY} {AT}")),
        ("ferryway-control", CONTROL.to_owned()),
        ("ferryway-control", format!("{CONTROL} --dev")),
    ] {
        check_refused(program, &format!("{args} --check"), 0, &[]);
    }
    let wrong = format!("{GATEWAY} {AT} --workers 0 --check");
    check_refused("ferryway-gateway", &wrong, 1, &["--workers"]);
    let wrong = format!("{CONTROL} --store redis --check");
    check_refused("ferryway-control", &wrong, 1, &["redis"]);
}

#[test]
fn help_and_version_are_told() {
    for (program, flags) in [
        (
            "ferryway-gateway",
            &[
                "--control",
                "--group",
                "--join-token",
                "--data-dir",
                "--http",
                "--https",
                "--status",
                "--workers",
                "--dns-server",
                "--trusted-proxies",
                "--drain-delay",
                "--static",
                "--config",
                "--check",
            ][..],
        ),
        (
            "ferryway-control",
            &[
                "--api",
                "--delivery",
                "--data-dir",
                "--store",
                "--dev",
                "--config",
                "--check",
            ],
        ),
        (
            "ferryway",
            &[
                "publish", "sync", "rollback", "status", "diff", "demo", "--server",
            ],
        ),
    ] {
        let told = |flag: &str| {
            let output = Command::new(binary(program))
                .arg(flag)
                .output()
                .expect("it can be run");
            assert_eq!(output.status.code(), Some(0), "{program} {flag}");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let help = told("--help");
        for flag in flags {
            assert!(
                help.contains(flag),
                "{flag} in the help of {program}:\n{help}"
            );
        }
        assert!(told("--version").contains(env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn flags_go_before_the_environment_and_that_before_the_file() {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let file = folder.path().join("gateway.yaml");
    let settings = "workers: 0\ngroup: from-file\ncontrol: http://127.0.0.1:1\n";
    std::fs::write(&file, settings).expect("it can be written");
    let run = |args: &[&str], environment: &[(&str, &str)]| {
        let output = Command::new(binary("ferryway-gateway"))
            .arg("--check")
            .arg("--data-dir")
            .arg(folder.path().join("data"))
            .arg("--config")
            .arg(&file)
            .args(args)
            .env_remove("FERRYWAY_WORKERS")
            .envs(environment.iter().copied())
            .output()
            .expect("it can be run");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (code, errors) = run(&[], &[]);
    assert_eq!(code, Some(1), "the file's workers: 0: {errors}");
    let (code, errors) = run(&[], &[("FERRYWAY_WORKERS", "1")]);
    assert_eq!(code, Some(0), "the environment's 1: {errors}");
    let (code, errors) = run(&["--workers", "0"], &[("FERRYWAY_WORKERS", "1")]);
    assert_eq!(code, Some(1), "the flag's 0: {errors}");

    std::fs::write(&file, "groop: test\n").expect("it can be written");
    let (code, errors) = run(&["--group", "test", "--control", "http://127.0.0.1:1"], &[]);
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("groop"), "{errors}");
}
