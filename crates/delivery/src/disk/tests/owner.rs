//! Whose a folder is, also when part of what says so is lost.

use super::*;
use crate::disk::IDENTITY;

/// What is lost of a folder of the group `test`.
#[derive(Clone, Copy, Debug)]
enum Lost {
    Nothing,
    Identity,
    /// The identity cannot be read.
    Spoilt,
    IdentityAndDatabase,
    All,
}

/// A folder that has served.
fn served() -> (TempDir, Identity) {
    let dir = TempDir::new().unwrap();
    let opened = open(dir.path());
    let (view, content) = view_of(&[("a", Variant::Good(0))]);
    let update = running(1, &view, content, Holds::default());
    opened.disk.write(&update).unwrap();
    opened.disk.export().unwrap();
    (dir, opened.identity)
}

fn lose(dir: &Path, lost: Lost) {
    let files: &[&str] = match lost {
        Lost::Nothing => &[],
        Lost::Identity => &[IDENTITY],
        Lost::Spoilt => return fs::write(dir.join(IDENTITY), b"{").unwrap(),
        Lost::IdentityAndDatabase => &[IDENTITY, DATABASE],
        Lost::All => &[IDENTITY, DATABASE, EXPORT],
    };
    for file in files {
        fs::remove_file(dir.join(file)).unwrap();
    }
}

fn open_as(dir: &Path, group: &str) -> Result<Opened, DiskError> {
    let now = "2026-11-01T00:00:00Z".parse().unwrap();
    let mut random = ferryway_runtime::Random::seeded(7);
    InstanceDisk::open(dir, &name(group), now, &mut random)
}

/// Another group is refused, and the own one is the same instance, or a new one.
#[track_caller]
fn check(lost: Lost, refuses_others: bool, is_same: bool) {
    let (dir, before) = served();
    lose(dir.path(), lost);
    let other = open_as(dir.path(), "other");
    match other {
        Ok(_) => assert!(!refuses_others, "{lost:?}"),
        Err(error @ DiskError::OtherGroup { .. }) => {
            assert!(refuses_others, "{lost:?}");
            assert!(
                error
                    .to_string()
                    .contains("belongs to the group test, not to other")
            );
            let again = open_as(dir.path(), "test").unwrap();
            assert_eq!(
                again.identity.instance == before.instance,
                is_same,
                "{lost:?}"
            );
            assert_eq!(effective(&again).0, 1, "{lost:?}");
            drop(again);
            let again = open_as(dir.path(), "other");
            assert!(again.is_err(), "and it is known again");
        }
        Err(error) => panic!("{lost:?}: {error}"),
    }
}

#[test]
fn what_a_group_served_is_never_another_groups() {
    check(Lost::Nothing, true, true);
    check(Lost::Identity, true, true);
    check(Lost::Spoilt, true, true);
    check(Lost::IdentityAndDatabase, true, false);
    check(Lost::All, false, false);
}

#[test]
fn a_database_of_another_group_is_refused_in_a_folder_of_ours() {
    let (theirs, _) = served();
    let ours = TempDir::new().unwrap();
    drop(open_as(ours.path(), "other").unwrap());
    fs::copy(theirs.path().join(DATABASE), ours.path().join(DATABASE)).unwrap();
    let refused = open_as(ours.path(), "other").unwrap_err();
    assert!(matches!(refused, DiskError::OtherGroup { has, .. } if has == name("test")));
}

/// Whether redb notices at once, at the next write, or at the next start: nobody panics, what cannot
/// be written is said, and the next start has something that was written.
#[test]
fn damage_while_it_runs_is_survived_and_said() {
    let (dir, _) = served();
    let opened = open(dir.path());
    let path = dir.path().join(DATABASE);
    let length = fs::metadata(&path).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(length / 3).unwrap();
    file.set_len(length).unwrap();
    let (view, content) = view_of(&[("a", Variant::Good(0)), ("b", Variant::Good(1))]);
    let update = running(2, &view, content, Holds::default());
    for _ in 0..3 {
        let written = opened.disk.write(&update);
        assert_eq!(
            written.is_err(),
            opened.disk.trouble().is_some(),
            "{written:?}"
        );
    }
    drop(opened);
    let opened = open(dir.path());
    assert!([1, 2].contains(&effective(&opened).0));
    opened.disk.write(&update).unwrap();
    assert_eq!(opened.disk.trouble(), None);
}
