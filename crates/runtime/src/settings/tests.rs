use std::io::Write;

use super::*;

fn command() -> Command {
    Command::new("ferryway-test")
        .arg(Arg::new("config").long("config"))
        .arg(Arg::new("http").long("http").short('h'))
        .arg(Arg::new("join-token").long("join-token"))
        .arg(
            Arg::new("workers")
                .long("workers")
                .value_parser(clap::value_parser!(u16)),
        )
        .arg(Arg::new("dev").long("dev").action(ArgAction::SetTrue))
        .arg(
            Arg::new("dns-server")
                .long("dns-server")
                .visible_alias("dns")
                .action(ArgAction::Append)
                .value_delimiter(','),
        )
        .disable_help_flag(true)
}

/// `args` and `environment` are lists by spaces; `$` in them is the file's path.
fn run(args: &str, environment: &str, file: &str) -> Result<String, String> {
    let mut settings = tempfile::NamedTempFile::new().unwrap();
    settings.write_all(file.as_bytes()).unwrap();
    let path = settings.path().to_str().unwrap();
    let args = args.replace('$', path);
    let environment = environment.replace('$', path);
    let variable = |name: &str| {
        let mut pairs = environment
            .split(' ')
            .filter_map(|pair| pair.split_once('='));
        pairs
            .find(|(known, _)| *known == name)
            .map(|(_, value)| OsString::from(value))
    };
    let args = std::iter::once("program")
        .chain(args.split_whitespace())
        .map(OsString::from);
    let found = arguments(&command(), args, variable).map_err(|error| error.to_string());
    let found: Vec<String> = found
        .map_err(|error| error.replace(path, "$"))?
        .into_iter()
        .map(text)
        .collect();
    Ok(found[1..].join(" ").replace(path, "$"))
}

fn text(argument: OsString) -> String {
    argument.into_string().unwrap()
}

#[track_caller]
fn check(args: &str, environment: &str, file: &str, expect: Result<&str, &str>) {
    let got = run(args, environment, file);
    assert_eq!(got.as_deref().map_err(String::as_str), expect);
}

#[test]
fn the_first_that_says_something_wins() {
    let file = "http: file\n";
    check(
        "--config $ --http flag",
        "FERRYWAY_HTTP=env",
        file,
        Ok("--config $ --http flag"),
    );
    check(
        "--config $ --http=flag",
        "FERRYWAY_HTTP=env",
        file,
        Ok("--config $ --http=flag"),
    );
    check(
        "--config $ -hflag",
        "FERRYWAY_HTTP=env",
        file,
        Ok("--config $ -hflag"),
    );
    check(
        "--config $",
        "FERRYWAY_HTTP=env",
        file,
        Ok("--http=env --config $"),
    );
    check(
        "--config $",
        "FERRYWAY_HTTP=",
        file,
        Ok("--http=file --config $"),
    );
    check("--config=$", "", file, Ok("--http=file --config=$"));
    check("", "FERRYWAY_CONFIG=$", file, Ok("--config=$ --http=file"));
    check("", "FERRYWAY_HTTP=env", file, Ok("--http=env"));
    check("", "", file, Ok(""));
}

#[test]
fn the_flags_file_wins_over_the_environments() {
    check(
        "--config $",
        "FERRYWAY_CONFIG=/nowhere",
        "workers: 4",
        Ok("--workers=4 --config $"),
    );
}

#[test]
fn names_with_dashes_have_variables_with_underscores() {
    check(
        "",
        "FERRYWAY_JOIN_TOKEN=secret",
        "",
        Ok("--join-token=secret"),
    );
}

#[test]
fn lists_become_repeated_flags_and_are_replaced_whole() {
    let file = "dns-server: [1.1.1.1:53, 2.2.2.2:53]";
    check(
        "--config $",
        "",
        file,
        Ok("--dns-server=1.1.1.1:53 --dns-server=2.2.2.2:53 --config $"),
    );
    check(
        "--config $ --dns-server x",
        "",
        file,
        Ok("--config $ --dns-server x"),
    );
    check("--config $ --dns x", "", file, Ok("--config $ --dns x"));
    check(
        "--config $",
        "FERRYWAY_DNS_SERVER=a,b",
        file,
        Ok("--dns-server=a,b --config $"),
    );
}

#[test]
fn switches_are_true_or_false() {
    check("--config $", "", "dev: true", Ok("--dev --config $"));
    check(
        "--config $",
        "FERRYWAY_DEV=false",
        "dev: true",
        Ok("--config $"),
    );
    check("", "FERRYWAY_DEV=1", "", Ok("--dev"));
    check(
        "",
        "FERRYWAY_DEV=yes",
        "",
        Err(r#"FERRYWAY_DEV: expected true or false, not "yes""#),
    );
    let why = r#"$:2: dev: expected true or false, not "maybe""#;
    check("--config $", "", "http: x\ndev: maybe", Err(why));
}

#[test]
fn arguments_after_the_double_dash_are_no_flags() {
    check(
        "-- --http x",
        "FERRYWAY_HTTP=env",
        "",
        Ok("--http=env -- --http x"),
    );
    check("-- --config $", "", "http: file", Ok("-- --config $"));
}

#[test]
fn an_unknown_name_is_refused_with_its_line_and_the_nearest() {
    let why = r#"$:2: no setting "htp"; did you mean "http"?"#;
    check("--config $", "", "workers: 4\nhtp: x", Err(why));
    let why = r#"$:1: no setting "join_token"; did you mean "join-token"?"#;
    check("--config $", "", "join_token: x", Err(why));
    check("--config $", "", "zzz: x", Err(r#"$:1: no setting "zzz""#));
    // A file cannot name another, and an unknown name is refused even where a flag was given.
    check(
        "--config $",
        "",
        "config: x",
        Err(r#"$:1: no setting "config""#),
    );
}

#[test]
fn a_list_for_one_value_is_refused() {
    check(
        "--config $",
        "",
        "http: [a, b]",
        Err("$:1: http takes one value, not a list"),
    );
}

#[test]
fn what_cannot_be_read_is_said() {
    check(
        "--config /nowhere/x",
        "",
        "",
        Err("cannot read the settings file /nowhere/x"),
    );
    check("--config /", "", "", Err("cannot read the settings file /"));
    check(
        "--config $",
        "",
        "- a",
        Err("the settings file $ is not a mapping of names to values"),
    );
    let long = "#".repeat(usize::try_from(FILE_BYTES_MAX).unwrap() + 1);
    check(
        "--config $",
        "",
        &long,
        Err("the settings file $ is over 262144 bytes"),
    );
}

#[test]
fn a_config_flag_without_value_is_left_to_clap() {
    check("--config", "", "", Ok("--config"));
}

#[test]
fn clap_checks_values_of_the_file_like_flags() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "workers: many\ndns-server: [a, 'b,c']\n").unwrap();
    let args = ["program".into(), "--config".into(), file.path().into()];
    let args = arguments(&command(), args, |_| None).unwrap();
    let error = command().try_get_matches_from(&args).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("invalid value 'many' for '--workers"),
        "{error}"
    );

    std::fs::write(file.path(), "workers: 3\ndns-server: [a, 'b,c']\n").unwrap();
    let args = ["program".into(), "--config".into(), file.path().into()];
    let args = arguments(&command(), args, |_| None).unwrap();
    let matches = command().get_matches_from(args);
    assert_eq!(matches.get_one::<u16>("workers"), Some(&3));
    let servers: Vec<_> = matches.get_many::<String>("dns-server").unwrap().collect();
    assert_eq!(servers, ["a", "b", "c"]);
}
