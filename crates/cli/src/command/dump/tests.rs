use super::*;
use crate::files::single;

fn dumped() -> Dumped {
    Dumped {
        said: vec!["production at revision 42, root blake3:0".to_owned()],
        documents: read::tests::documents(),
    }
}

#[test]
fn a_dump() {
    insta::assert_snapshot!(text(&dumped()).unwrap());
}

#[test]
fn what_is_written_is_read_as_it_was() {
    for document in dumped().documents {
        let text = yaml(&Ordered(&document)).unwrap();
        assert_eq!(*single("f", &text).unwrap().value(), document, "{text}");
    }
}

#[test]
fn a_file_for_each_resource_and_what_is_left_of_earlier_ones() {
    let folder = tempfile::tempdir().unwrap();
    let places: Vec<_> = dumped().documents.iter().map(place).collect();
    let places: Vec<_> = places.iter().map(|it| it.display().to_string()).collect();
    assert_eq!(
        places,
        [
            "gateway-groups/production/group.yaml",
            "gateway-groups/production/registries/dns.yaml",
            "services/httpbin.yaml",
            "gateway-groups/production/services/httpbin.yaml",
            "gateway-groups/test/services/httpbin.yaml",
        ]
    );
    let old = folder.path().join("services/old.yaml");
    for file in [
        old.clone(),
        folder.path().join("services/readme.md"),
        folder.path().join("x.yaml"),
    ] {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "").unwrap();
    }
    assert_eq!(
        left_over(folder.path(), &BTreeSet::new()),
        std::slice::from_ref(&old)
    );
    assert!(left_over(folder.path(), &BTreeSet::from([old])).is_empty());
}
