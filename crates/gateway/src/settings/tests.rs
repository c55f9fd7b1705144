//! What each setting may say, where it may be said, and what is refused.

use super::*;

const USUAL: &str = "--control http://127.0.0.1:7943 --group test --data-dir d";

#[track_caller]
fn read(args: &str, environment: &[(&str, &str)], expect: Result<&str, &str>) {
    let args = ["ferryway-gateway"].into_iter().chain(args.split(' '));
    let args = args.filter(|arg| !arg.is_empty()).map(OsString::from);
    let variable = |name: &str| {
        let found = environment.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| OsString::from(value))
    };
    match (Settings::read(args, variable), expect) {
        (Ok(Asked::Run(settings)), Ok(part)) => {
            let shown = format!("{settings:?}");
            assert!(shown.contains(part), "{part} in {shown}");
        }
        (Ok(Asked::Told(told)), Err(part)) => {
            assert!(told.to_string().contains(part), "{told}")
        }
        (Err(why), Err(part)) => assert!(why.contains(part), "{why}"),
        (read, expect) => panic!("got {read:?}, expected {expect:?}"),
    }
}

#[track_caller]
fn check(args: &str, expect: Result<&str, &str>) {
    read(&format!("{USUAL} {args}"), &[], expect);
}

#[test]
fn defaults() {
    check(
        "",
        Ok("http: 0.0.0.0:9080, https: 0.0.0.0:9443, status: 127.0.0.1:9091"),
    );
    check("", Ok("drain_delay: 5s, log_level: \"info\", check: false"));
    let cores = std::thread::available_parallelism().unwrap();
    check("", Ok(&format!("workers: {cores}, dns_servers: []")));
}

#[test]
fn lists() {
    check(
        "--dns-server 127.0.0.1:53 --dns-server [::1]:53",
        Ok("dns_servers: [127.0.0.1:53, [::1]:53]"),
    );
    check(
        "--trusted-proxies 10.0.0.0/8,::1",
        Ok("trusted_proxies: [10.0.0.0/8, ::1/128]"),
    );
    check(
        "--control http://localhost:1,http://[::1]:2",
        Ok(r#"["http://127.0.0.1:7943", "http://localhost:1", "http://[::1]:2"]"#),
    );
}

#[test]
fn the_environment_says_what_flags_do_not() {
    let environment = [
        ("FERRYWAY_GROUP", "test"),
        ("FERRYWAY_DATA_DIR", "d"),
        ("FERRYWAY_CONTROL", "http://127.0.0.1:1,http://127.0.0.1:2"),
        ("FERRYWAY_LOG_LEVEL", "debug"),
    ];
    read(
        "",
        &environment,
        Ok(r#"["http://127.0.0.1:1", "http://127.0.0.1:2"]"#),
    );
    read("--log-level warn", &environment, Ok("log_level: \"warn\""));
}

#[test]
fn what_is_missing() {
    read("--group a --data-dir d", &[], Err("--control"));
    read(
        "--control http://127.0.0.1:1 --data-dir d",
        &[],
        Err("--group"),
    );
    read(
        "--control http://127.0.0.1:1 --group a",
        &[],
        Err("--data-dir"),
    );
}

#[test]
fn control_planes_with_tls() {
    let id = "01890a5dac96774bbcceb302099a8057";
    let token = format!("fwj1.{id}.{0}.{0}", "A".repeat(43));
    let tls = "--control https://a.example:7943,https://10.0.0.1:7943 --group test --data-dir d";
    read(tls, &[], Ok("join_token: None"));
    read(
        &format!("{tls} --join-token {token}"),
        &[],
        Ok("join_token: Some(JoinToken"),
    );
    read(
        &format!("{tls} --join-token t"),
        &[],
        Err("--join-token is no join token"),
    );
    check(
        &format!("--join-token {token}"),
        Err("--join-token is for control planes with TLS"),
    );
    check(
        "--control https://10.0.0.1:7943",
        Err("must be of one sort"),
    );
    read(
        &format!("--static v.yaml --join-token {token}"),
        &[],
        Err("leave --join-token out"),
    );
}

#[test]
fn a_join_token_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("token"), folder.path().join("data"));
    let args = format!(
        "--control https://a.example:7943 --group test --data-dir {} --join-token-file {}",
        data.display(),
        file.display()
    );
    read(&args, &[], Err("--join-token-file: cannot read"));
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("certificate.pem"), "").unwrap();
    read(&args, &[], Ok("join_token: None"));
    std::fs::write(&file, "t").unwrap();
    read(&args, &[], Err("--join-token-file is no join token"));
    let id = "01890a5dac96774bbcceb302099a8057";
    let token = format!("fwj1.{id}.{0}.{0}", "A".repeat(43));
    std::fs::write(&file, format!("{token}\n")).unwrap();
    read(&args, &[], Ok("join_token: Some(JoinToken"));
    let twice = format!("{args} --join-token {token}");
    read(&twice, &[], Err("cannot be used with"));
    let variable = [("FERRYWAY_JOIN_TOKEN_FILE", file.to_str().unwrap())];
    let tls = "--control https://a.example:7943 --group test --data-dir d";
    read(tls, &variable, Ok("join_token: Some(JoinToken"));
}

#[test]
fn a_file_instead_of_a_control_plane() {
    let file = |args: &str, expect| read(&format!("--static v.yaml {args}"), &[], expect);
    file(
        "",
        Ok("basis: File { file: \"v.yaml\", group: None, data_dir: None }"),
    );
    file(
        "--group a --data-dir d",
        Ok("file: \"v.yaml\", group: Some(\"a\"), data_dir: Some(\"d\")"),
    );
    file(
        "--control http://127.0.0.1:1",
        Err("leave --control out, or --static"),
    );
    file("--group A", Err("--group \"A\""));
    let environment = [("FERRYWAY_CONTROL", "http://127.0.0.1:1")];
    read("--static v.yaml", &environment, Err("leave --control out"));
}

#[test]
fn what_is_wrong() {
    read(
        "--control http://127.0.0.1:1 --group A --data-dir d",
        &[],
        Err("--group \"A\""),
    );
    check("--control 127.0.0.1:7943", Err("write https://HOST:PORT"));
    check(
        "--control http://127.0.0.1:7943/x",
        Err("goes on after the port"),
    );
    check(
        "--control http://10.0.0.1:7943",
        Err("another host without TLS"),
    );
    check("--workers 0", Err("--workers 0 is not in 1 to 512"));
    check("--drain-delay 2h", Err("--drain-delay 2h is over"));
    check("--drain-delay 5", Err("--drain-delay"));
    check(
        "--trusted-proxies 10.0.0.0/33",
        Err("\"10.0.0.0/33\" is no address"),
    );
    check(
        "--http 127.0.0.1:1 --status 127.0.0.1:1",
        Err("--http and --status are both"),
    );
    check(
        "--http 127.0.0.1:0 --status 127.0.0.1:0",
        Ok("http: 127.0.0.1:0"),
    );
    check("--http localhost:80", Err("--http"));
}
