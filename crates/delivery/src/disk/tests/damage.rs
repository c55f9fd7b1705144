//! Whatever becomes of an instance's files, it starts, from a view that it had or from none, and
//! keeps what it gets from then on.

use ferryway_runtime::Random;

use super::*;

/// How often files are damaged in each part, of which each is a test, so that they run side by side.
const ROUNDS: u64 = 80;
const PAGE_BYTES: usize = 4_096;

/// Does something to a file, and says what.
fn damage(path: &Path, random: &mut Random) -> &'static str {
    let mut bytes = fs::read(path).unwrap();
    let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let anywhere = |random: &mut Random| used[random.below(used.len() as u64) as usize];
    let (at, other) = (anywhere(random), anywhere(random));
    let how = match random.below(9) {
        0 => {
            bytes.truncate(at);
            "cut"
        }
        1 => {
            bytes[at] ^= 1 << (other % 8);
            "a flipped bit"
        }
        2 => {
            for _ in 0..30 {
                bytes[anywhere(random)] ^= 0xA5;
            }
            "many flipped bytes"
        }
        3 => {
            let start = at / PAGE_BYTES * PAGE_BYTES;
            let end = bytes.len().min(start + PAGE_BYTES);
            bytes[start..end].fill(0);
            "a page of zeroes"
        }
        4 => {
            // As if one write had gone to the place of another.
            let length = PAGE_BYTES.min(bytes.len() - at.max(other));
            bytes.copy_within(at..at + length, other);
            "a page in the place of another"
        }
        5 => {
            bytes.clear();
            "empty"
        }
        6 => {
            bytes = b"somebody else's".to_vec();
            "foreign"
        }
        7 => {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
            return "a folder";
        }
        _ => {
            fs::remove_file(path).unwrap();
            std::os::unix::fs::symlink("/none/such", path).unwrap();
            return "a link to nowhere";
        }
    };
    fs::write(path, bytes).unwrap();
    how
}

#[test]
fn any_damage_to_any_files_is_survived_0() {
    check_survived(0);
}

#[test]
fn any_damage_to_any_files_is_survived_1() {
    check_survived(1);
}

#[test]
fn any_damage_to_any_files_is_survived_2() {
    check_survived(2);
}

#[test]
fn any_damage_to_any_files_is_survived_3() {
    check_survived(3);
}

#[track_caller]
fn check_survived(part: u64) {
    let (crashed, roots) = crashed();
    let export = Export::read(&crashed.path().join(EXPORT)).unwrap();
    let mut from_nothing = 0;
    for seed in part * ROUNDS..(part + 1) * ROUNDS {
        let mut random = Random::seeded(seed);
        let dir = TempDir::new().unwrap();
        for file in [DATABASE, EXPORT, IDENTITY] {
            fs::copy(crashed.path().join(file), dir.path().join(file)).unwrap();
        }
        let files: Vec<_> = [DATABASE, EXPORT, IDENTITY]
            .into_iter()
            .filter(|_| random.below(2) == 0)
            .collect();
        let hows = files
            .iter()
            .map(|file| damage(&dir.path().join(file), &mut random));
        let what = format!("seed {seed}: {:?} of {files:?}", hows.collect::<Vec<_>>());

        // An identity that names another group by chance would be a refusal, and a right one.
        let opened = match try_open(dir.path()) {
            Err(DiskError::OtherGroup { .. }) if files.contains(&IDENTITY) => continue,
            opened => opened.unwrap_or_else(|error| panic!("{what}: {error}")),
        };
        let Some(effective) = &opened.saved.effective else {
            let all = files.contains(&DATABASE) && files.contains(&EXPORT);
            assert!(all, "{what}: nothing to start from");
            from_nothing += 1;
            check_kept(opened, dir.path(), &what);
            continue;
        };
        assert!(
            roots.contains(&effective.view.root()),
            "{what}: half a view"
        );
        if !files.contains(&DATABASE) {
            assert_eq!(effective.view.root(), roots[1], "{what}");
        }
        for digest in effective
            .view
            .entries()
            .flat_map(|(_, entry)| entry.content())
        {
            assert!(opened.content.contains_key(&digest), "{what}: no {digest}");
        }
        check_kept(opened, dir.path(), &what);
    }
    assert!(from_nothing > 0 && export.view.root() == roots[0]);
}

/// It takes a view, and has it at the next start, in both of its files.
#[track_caller]
fn check_kept(opened: Opened, dir: &Path, what: &str) {
    let (view, content) = view_of(&[("z", Variant::Good(9))]);
    let update = running(9, &view, content, Holds::default());
    let written = opened.disk.write(&update);
    assert!(written.is_ok(), "{what}: {written:?}");
    let exported = opened.disk.export();
    assert!(exported.is_ok(), "{what}: {exported:?}");
    assert_eq!(opened.disk.trouble(), None, "{what}");
    drop(opened);
    assert_eq!(effective(&open(dir)), (9, view.root()), "{what}");
    let export = Export::read(&dir.join(EXPORT)).expect("it was written");
    assert_eq!(export.view.root(), view.root(), "{what}");
}

#[test]
fn a_database_that_cannot_be_written_is_read() {
    let (crashed, [_, new]) = crashed();
    let dir = crashed.path();
    let before = fs::read(dir.join(DATABASE)).unwrap();
    let opened = open_full(dir).unwrap();
    assert_eq!(
        (opened.source, effective(&opened)),
        (Source::Disk, (2, new))
    );
    let why = opened.disk.trouble().expect("it is full");
    assert!(why.contains(DATABASE), "{why}");
    opened.disk.write(&Update::default()).unwrap_err();
    assert!(
        fs::read(dir.join(DATABASE)).unwrap() == before,
        "it was written to"
    );

    fs::remove_file(dir.join(FULL)).unwrap();
    let view = &opened.saved.effective.as_ref().unwrap().view;
    let (next, content) = change(view, &[("z", Some(Variant::Good(0)))]);
    let content = crate::testing::by_digest(content);
    let update = running(3, &next, content, Holds::default());
    opened.disk.write(&update).unwrap();
    assert_eq!(opened.disk.trouble(), None);
    drop(opened);
    assert_eq!(effective(&open(dir)), (3, next.root()));
}

/// Beside a damaged database that cannot be set aside, the export serves.
#[test]
fn damage_that_cannot_be_written_falls_back_to_the_export() {
    let (crashed, [old, _]) = crashed();
    fs::write(crashed.path().join(DATABASE), b"garbage").unwrap();
    let opened = open_full(crashed.path()).unwrap();
    assert_eq!(
        (opened.source, effective(&opened)),
        (Source::LastGood, (1, old))
    );
}
