//! What fuzzing has found worth keeping, run again.

use std::fs;
use std::io;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use ferryway_fuzz::TARGETS;

/// Largest corpus, all targets together, in bytes: it lies in the repository.
const CORPUS_BYTES_MAX: u64 = 1024 * 1024;
/// Fewest files of a target: fewer say nothing.
const FILES_MIN: usize = 10;

fn fuzz_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// The files of a folder in the order of their names.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("each target has a folder in fuzz/corpus");
    let entry = |entry: io::Result<fs::DirEntry>| entry.expect("a folder can be listed").path();
    let mut files: Vec<_> = entries.map(entry).collect();
    files.sort();
    files
}

fn names(folder: &Path, suffix: &str) -> Vec<String> {
    let names = files(folder).into_iter().filter_map(|path| {
        let name = path.file_name()?.to_str()?;
        name.strip_suffix(suffix).map(str::to_owned)
    });
    names.collect()
}

#[test]
fn properties_hold_of_the_corpus() {
    let mut broken = Vec::new();
    let mut bytes = 0;
    for target in TARGETS {
        let files = files(&fuzz_folder().join("corpus").join(target.name));
        let (name, count) = (target.name, files.len());
        assert!(
            count >= FILES_MIN,
            "{name} has {count} files, not {FILES_MIN} or more"
        );
        for file in files {
            let data = fs::read(&file).unwrap();
            bytes += data.len() as u64;
            if catch_unwind(|| (target.check)(&data)).is_err() {
                broken.push(file);
            }
        }
    }
    assert!(
        broken.is_empty(),
        "the properties are broken by {broken:#?}"
    );
    assert!(
        bytes <= CORPUS_BYTES_MAX,
        "the corpus has {bytes} bytes; minimize it"
    );
}

/// What `fuzz/` runs, what has a corpus and what has a property are the same.
#[test]
fn each_target_has_a_corpus_and_is_run() {
    let mut expect: Vec<_> = TARGETS
        .iter()
        .map(|target| target.name.to_owned())
        .collect();
    expect.sort();
    assert_eq!(names(&fuzz_folder().join("corpus"), ""), expect);
    assert_eq!(names(&fuzz_folder().join("targets"), ".rs"), expect);
    let manifest = fs::read_to_string(fuzz_folder().join("Cargo.toml")).unwrap();
    for name in expect {
        let path = format!("path = \"targets/{name}.rs\"");
        assert!(
            manifest.contains(&path),
            "fuzz/Cargo.toml does not name {name}"
        );
    }
}
