use proptest::prelude::*;
use serde_json::json;

use super::*;

#[track_caller]
fn reads(text: &str, expect: &[Value]) {
    let documents = read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let values: Vec<_> = documents.into_iter().map(|it| it.value).collect();
    assert_eq!(values, expect, "{text}");
}

#[track_caller]
fn refused(text: &str, place: &str, part: &str) {
    let error = read(text).expect_err(text);
    assert_eq!(error.at.to_string(), place, "{text}: {error}");
    assert!(error.what.contains(part), "{text}: {error}");
    assert!(!error.what.contains("line"), "the place twice: {error}");
}

#[test]
fn documents_and_what_people_mean() {
    reads("", &[]);
    reads("---\n# nothing\n---\n", &[]);
    reads("a: 1\n---\n---\n[b]\n", &[json!({"a": 1}), json!(["b"])]);
    reads(
        r#"{"a": [1, null, "x"], "b": {}}"#,
        &[json!({"a": [1, null, "x"], "b": {}})],
    );
    reads(
        "on: yes\nt: '1'\nz: 010\n200: ok\nf: 1.5\nn: ~\nb: true\n",
        &[json!({
            "on": "yes", "t": "1", "z": "010", "200": "ok", "f": 1.5, "n": null, "b": true,
        })],
    );
    reads(
        "x: &a {q: 1}\ny: *a\nz: {<<: *a, r: 2}\n",
        &[json!({
            "x": {"q": 1}, "y": {"q": 1}, "z": {"q": 1, "r": 2},
        })],
    );
}

#[test]
fn what_is_refused_and_where() {
    refused("a: 1\nb: [", "2:4", "unclosed bracket");
    refused("a: 1\nb: 2\na: 3\n", "3:1", "the key a is given twice");
    refused("a: !secret x\n", "1:12", "unsupported tag");
    refused("a: .nan\n", "1:4", "non-finite");
    refused("a: 1e999\n", "1:4", "non-finite");
    refused("a:\n- b\n c: d\n", "3:3", "not allowed");
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    refused(&deep, "1:41", "deeper than 40");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    refused(&deep, "1:256", "deeper than 40");
    let nest = |inner: &str| format!("{}{inner}{}", "[".repeat(20), "]".repeat(20));
    let aliases = format!("a: &a {}\nb: {}\n", nest("x"), nest("*a"));
    refused(&aliases, "2:24", "deeper than 40");
}

/// The place of each path in one document of many lines.
#[test]
fn places() {
    let text = "\
---
other: 1
---
# comment
name: s
labels: {example.com/team: core, a.b: x, a: {b: y}}
routes:
  - name: a
    paths: [/a, /b]
  - name: b
    paths:
      - /c
      -   /d
lists: [[1, [2]]]
";
    let document = read(text).unwrap().remove(1);
    for (path, expect) in [
        ("", "5:1"),
        ("name", "5:1"),
        ("labels", "6:1"),
        ("labels.example.com/team", "6:10"),
        ("labels.a.b", "6:34"),
        ("routes", "7:1"),
        ("routes[0]", "8:5"),
        ("routes[0].name", "8:5"),
        ("routes[0].paths[1]", "9:17"),
        ("routes[1].paths", "11:5"),
        ("routes[1].paths[1]", "13:11"),
        ("lists[0][1][0]", "14:14"),
        // What is not there: the last part that is.
        ("routes[1].methods[0]", "10:5"),
        ("routes[9].name", "7:1"),
        ("name.more", "5:1"),
        ("nothing", "5:1"),
        ("[0]", "5:1"),
    ] {
        assert_eq!(document.place(path).to_string(), expect, "{path}");
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "[ -~é\\n\\t]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map("[ -~]{0,6}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever JSON says is read as it is, and so is what is written as YAML.
    #[test]
    fn json_and_written_yaml_are_read_as_they_are(value in values()) {
        for text in [
            value.to_string(),
            format!("{value:#}"),
            serde_saphyr::to_string(&json!({"value": value})).unwrap(),
        ] {
            let documents = read(&text).map_err(|e| TestCaseError::fail(format!("{text}: {e}")))?;
            match documents.first() {
                None => prop_assert_eq!(&value, &Value::Null),
                Some(document) if text.starts_with("value:") => {
                    prop_assert_eq!(&document.value["value"], &value, "{}", text);
                }
                Some(document) => prop_assert_eq!(&document.value, &value, "{}", text),
            }
        }
    }

    /// No text makes it panic.
    #[test]
    fn any_text_is_read_or_refused(text in "[a-c:\\-\\[\\]{}&*!|>'\" \\n#?,0-9]{0,60}") {
        if let Ok(documents) = read(&text) {
            for document in documents {
                prop_assert!(document.place("a[0].b").line >= 1);
            }
        }
    }
}
