use serde_json::json;

use super::*;

/// A folder with these files; names may have folders in them.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// What was read or why it was not, without the folder's name.
fn read_all(folder: &tempfile::TempDir, names: &[&str]) -> Result<Vec<String>, String> {
    let paths: Vec<_> = names.iter().map(|name| folder.path().join(name)).collect();
    let root = format!("{}/", folder.path().display());
    let text = |text: String| text.replace(&root, "");
    match documents(&paths) {
        Ok(found) => Ok(found
            .iter()
            .map(|it| text(format!("{} {}", it.place(""), it.value())))
            .collect()),
        Err(failure) => Err(match failure.problems() {
            [] => text(failure.to_string()),
            problems => {
                let lines = problems
                    .iter()
                    .map(|it| format!("{}: {}\n", it.path, it.message));
                text(lines.collect())
            }
        }),
    }
}

#[test]
fn folders_are_read_in_order_and_as_deep_as_they_go() {
    let folder = folder(&[
        ("b/2.yaml", "n: 2\n---\nn: 3\n"),
        ("b/1.json", "{\"n\": 1}"),
        ("a.yml", "# c\nn: 0\n"),
        ("b/deeper/x.yaml", "n: 4\n"),
        ("b/notes.md", "no: yaml: at all"),
        ("b/.hidden.yaml", "n: 9"),
        (".git/x.yaml", "n: 9"),
        ("other.conf", "n: 5\n"),
    ]);
    let all = read_all(&folder, &["", "other.conf"]).unwrap();
    let expect = [
        r#"a.yml:2:1 {"n":0}"#,
        r#"b/1.json:1:1 {"n":1}"#,
        r#"b/2.yaml:1:1 {"n":2}"#,
        r#"b/2.yaml:3:1 {"n":3}"#,
        r#"b/deeper/x.yaml:1:1 {"n":4}"#,
        r#"other.conf:1:1 {"n":5}"#,
    ];
    assert_eq!(all, expect);
}

#[test]
fn every_file_that_is_no_yaml_is_named_with_its_place() {
    let folder = folder(&[
        ("a.yaml", "a: 1\nb: ["),
        ("b.yaml", "x: 1"),
        ("c.yaml", "a: 1\na: 2"),
    ]);
    assert_eq!(
        read_all(&folder, &[""]).unwrap_err(),
        "a.yaml:2:4: not readable as YAML or JSON: unclosed bracket '['\n\
         c.yaml:2:1: not readable as YAML or JSON: the key a is given twice\n",
    );
}

#[test]
fn what_is_not_there_is_said() {
    let folder = folder(&[("empty/readme.txt", "")]);
    let check = |name: &str, part: &str| {
        let error = read_all(&folder, &[name]).unwrap_err();
        assert!(error.contains(part), "{error}");
    };
    check("missing.yaml", "cannot read missing.yaml");
    check("empty", "empty holds no file that ends in .yaml");
    std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).unwrap();
    check("", "does a link lead back up?");
}

#[test]
fn one_document_is_one() {
    let value = |text: &str| single("f.yaml", text).map(|it| it.value().clone());
    assert_eq!(value("a: 1\n").unwrap(), json!({"a": 1}));
    for (text, part) in [
        ("", "has 0 documents"),
        ("a: 1\n---\nb: 2\n", "has 2 documents"),
    ] {
        let error = value(text).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let long = bounded(&mut "12345".as_bytes(), 4).unwrap_err();
    assert_eq!(long.kind(), io::ErrorKind::FileTooLarge);
}

#[test]
fn problems_of_an_answer_are_shown_where_they_stand() {
    let source = single("s.yaml", "name: s\nroutes:\n- name: a\n  paths: [b]\n").unwrap();
    let problem = |path: &str| Problem {
        severity: Severity::Error,
        code: "invalid".to_owned(),
        path: path.to_owned(),
        message: "m".to_owned(),
        group: None,
        service: None,
    };
    let refused = Failure::of_change(ClientError::Refused(Box::new(ProblemDetails {
        kind: String::new(),
        title: String::new(),
        status: 422,
        detail: String::new(),
        problems: vec![problem("routes[0].paths[0]"), problem(""), problem("title")],
    })));
    let failure = source.blame(refused);
    let places: Vec<_> = failure
        .problems()
        .iter()
        .map(|it| it.path.as_str())
        .collect();
    assert_eq!(
        places,
        [
            "s.yaml:4:11: routes[0].paths[0]",
            "s.yaml:1:1",
            "s.yaml:1:1: title"
        ]
    );
    assert_eq!(failure.exit() as u8, 3);
}
