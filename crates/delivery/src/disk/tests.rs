mod damage;
mod owner;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ferryway_model::{Changes, Key, Revision};
use tempfile::TempDir;

use super::*;
use crate::hold::{CRASH_LOOP, Hold, Holds, Why};
use crate::session::Atoms;
use crate::testing::{Variant, change, epoch, name, position, view_of};

fn try_open(dir: &Path) -> Result<Opened, DiskError> {
    let now = "2026-11-01T00:00:00Z".parse().expect("is a time");
    InstanceDisk::open(
        dir,
        &name("test"),
        now,
        &mut ferryway_runtime::Random::seeded(1),
    )
}

#[track_caller]
fn open(dir: &Path) -> Opened {
    try_open(dir).expect("opens")
}

/// What an instance writes when it runs this view.
fn running(revision: u64, view: &View, content: Content, holds: Holds) -> Update {
    let position = position(epoch(1), revision, view);
    Update {
        desired: Some(Desired {
            position,
            view: view.clone(),
            atoms: Atoms::Whole,
        }),
        effective: Some(Effective {
            position,
            view: view.clone(),
            holds,
        }),
        content,
        ..Update::default()
    }
}

fn effective(opened: &Opened) -> (u64, Digest) {
    let effective = opened.saved.effective.as_ref().expect("something ran");
    (effective.position.revision.0, effective.view.root())
}

#[test]
fn what_was_written_is_there_again() {
    let dir = TempDir::new().unwrap();
    let opened = open(dir.path());
    assert_eq!(opened.source, Source::Empty);
    assert!(opened.saved.effective.is_none());
    let first = opened.identity;

    let (view, content) = view_of(&[("a", Variant::Good(0)), ("b", Variant::Good(1))]);
    let hold = Hold::crash_loop(Revision(3), None);
    let holds = Holds::new([(Key::service(&name("c")), hold)].into());
    let update = running(3, &view, content.clone(), holds.clone());
    opened.disk.write(&update).unwrap();
    opened.disk.keep("endpoints", b"127.0.0.1:80");
    opened.disk.write(&Update::default()).unwrap();
    drop(opened);

    let opened = open(dir.path());
    assert_eq!(opened.identity.instance, first.instance);
    assert!(opened.identity.boot > first.boot);
    assert_eq!(opened.source, Source::Disk);
    assert_eq!(effective(&opened), (3, view.root()));
    assert_eq!(opened.saved.effective.as_ref().unwrap().holds, holds);
    let desired = opened.saved.desired.as_ref().unwrap();
    assert_eq!(
        (desired.view.root(), desired.atoms),
        (view.root(), Atoms::Whole)
    );
    assert_eq!(opened.content, content);
    assert_eq!(
        opened.disk.kept("endpoints"),
        Some(b"127.0.0.1:80".to_vec())
    );
}

#[test]
fn only_the_owner_may_read_it() {
    let parent = TempDir::new().unwrap();
    let dir = parent.path().join("data");
    let opened = open(&dir);
    let (view, content) = view_of(&[]);
    opened
        .disk
        .write(&running(1, &view, content, Holds::default()))
        .unwrap();
    opened.disk.export().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    for file in [DATABASE, EXPORT, IDENTITY] {
        assert_eq!(mode(&dir.join(file)), 0o600, "{file}");
    }
}

#[test]
fn content_that_nothing_names_is_collected() {
    let dir = TempDir::new().unwrap();
    let opened = open(dir.path());
    let (old, old_content) = view_of(&[("a", Variant::Good(0)), ("b", Variant::Good(0))]);
    opened
        .disk
        .write(&running(1, &old, old_content.clone(), Holds::default()))
        .unwrap();
    let good = Update {
        last_good: Some((position(epoch(1), 1, &old), old.clone())),
        ..Update::default()
    };
    opened.disk.write(&good).unwrap();

    let (new, new_content) = change(&old, &[("a", Some(Variant::Good(1)))]);
    let new_content = crate::testing::by_digest(new_content);
    opened
        .disk
        .write(&running(2, &new, new_content.clone(), Holds::default()))
        .unwrap();
    let all: Vec<Digest> = old_content
        .keys()
        .chain(new_content.keys())
        .copied()
        .collect();
    let there = |disk: &InstanceDisk| {
        disk.content(&all)
            .unwrap()
            .iter()
            .map(|bytes| Digest::of(bytes))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        there(&opened.disk).len(),
        all.len(),
        "the last good view names the old content"
    );

    let good = Update {
        last_good: Some((position(epoch(1), 2, &new), new.clone())),
        ..Update::default()
    };
    opened.disk.write(&good).unwrap();
    let named: Vec<Digest> = new
        .entries()
        .flat_map(|(_, entry)| entry.content())
        .collect();
    let there = there(&opened.disk);
    assert!(
        there.iter().all(|digest| named.contains(digest)),
        "the old definition is gone"
    );
    assert!(named.iter().all(|digest| there.contains(digest)));
    drop(opened);
    assert_eq!(
        open(dir.path()).content.len(),
        3,
        "two definitions and one binding"
    );
}

#[test]
fn a_folder_is_in_use_once_and_by_one_group() {
    let dir = TempDir::new().unwrap();
    let opened = open(dir.path());
    let error = try_open(dir.path()).unwrap_err();
    assert!(matches!(error, DiskError::Busy { .. }), "{error}");
    drop(opened);
    let now = "2026-11-01T00:00:00Z".parse().unwrap();
    let mut random = ferryway_runtime::Random::seeded(1);
    let error = InstanceDisk::open(dir.path(), &name("other"), now, &mut random).unwrap_err();
    let expect = format!(
        "the data folder {} belongs to the group test, not to other; give each instance a folder of its own",
        dir.path().display()
    );
    assert_eq!(error.to_string(), expect);
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    assert!(matches!(
        try_open(&file),
        Err(DiskError::Io { what: "create", .. })
    ));
}

#[test]
fn three_crashes_in_a_row_start_from_the_last_good_view() {
    let dir = TempDir::new().unwrap();
    let (good, mut content) = view_of(&[("a", Variant::Good(0)), ("b", Variant::Good(0))]);
    let (bad, more) = change(
        &good,
        &[("a", Some(Variant::Good(1))), ("c", Some(Variant::Good(1)))],
    );
    content.extend(crate::testing::by_digest(more));
    let opened = open(dir.path());
    let update = Update {
        last_good: Some((position(epoch(1), 1, &good), good.clone())),
        survived: true,
        ..running(2, &bad, content, Holds::default())
    };
    opened.disk.write(&update).unwrap();
    drop(opened);

    // Three starts that end without a word.
    for _ in 0..3 {
        let opened = open(dir.path());
        assert_eq!(
            (opened.source, effective(&opened)),
            (Source::Disk, (2, bad.root()))
        );
    }
    let opened = open(dir.path());
    assert_eq!(
        (opened.source, effective(&opened)),
        (Source::LastGood, (1, good.root()))
    );
    let desired = opened.saved.desired.as_ref().unwrap();
    assert_eq!(desired.view.root(), bad.root());
    let holds = &opened.saved.effective.as_ref().unwrap().holds;
    let held: Vec<_> = holds.keys().map(|key| key.name.as_str()).collect();
    assert_eq!(held, ["a", "c"]);
    assert!(
        holds
            .values()
            .all(|hold| hold.why == Why::CrashLoop && hold.code == CRASH_LOOP)
    );
    opened
        .disk
        .write(&Update {
            survived: true,
            ..Update::default()
        })
        .unwrap();
    drop(opened);
    assert_eq!(
        open(dir.path()).source,
        Source::Disk,
        "the count began again"
    );
}

#[test]
fn a_refused_start_is_no_crash() {
    let dir = TempDir::new().unwrap();
    let (view, content) = view_of(&[("a", Variant::Good(0))]);
    let opened = open(dir.path());
    let update = Update {
        last_good: Some((position(epoch(1), 1, &view), view.clone())),
        survived: true,
        ..running(1, &view, content, Holds::default())
    };
    opened.disk.write(&update).unwrap();
    drop(opened);
    let now = "2026-11-01T00:00:00Z".parse().unwrap();
    for _ in 0..5 {
        let mut random = ferryway_runtime::Random::seeded(1);
        InstanceDisk::open(dir.path(), &name("other"), now, &mut random).unwrap_err();
    }
    assert_eq!(open(dir.path()).source, Source::Disk);
}

/// A folder with a database and an export, as a crash leaves them; and the roots that an instance
/// may find in it.
fn crashed() -> (TempDir, [Digest; 2]) {
    let dir = TempDir::new().unwrap();
    let opened = open(dir.path());
    let services = ["a", "b", "c", "d"].map(|name| (name, Variant::Good(0)));
    let (old, content) = view_of(&services);
    opened
        .disk
        .write(&running(1, &old, content, Holds::default()))
        .unwrap();
    opened.disk.export().unwrap();
    let (new, content) = change(&old, &[("a", Some(Variant::Good(1))), ("d", None)]);
    let content = crate::testing::by_digest(content);
    opened
        .disk
        .write(&running(2, &new, content, Holds::default()))
        .unwrap();
    // Killed: nothing of what an orderly end writes.
    let copy = TempDir::new().unwrap();
    for file in [DATABASE, EXPORT, IDENTITY] {
        fs::copy(dir.path().join(file), copy.path().join(file)).unwrap();
    }
    (copy, [old.root(), new.root()])
}

/// Damages a copy, and opens it: it starts from the old view or the new one, never from half of
/// one, and never panics.
#[track_caller]
fn check_damage(
    crashed: &TempDir,
    roots: [Digest; 2],
    damage: impl FnOnce(&mut Vec<u8>),
) -> Digest {
    let dir = TempDir::new().expect("can be made");
    for file in [EXPORT, IDENTITY] {
        fs::copy(crashed.path().join(file), dir.path().join(file)).expect("can be copied");
    }
    let mut bytes = fs::read(crashed.path().join(DATABASE)).expect("is there");
    damage(&mut bytes);
    fs::write(dir.path().join(DATABASE), bytes).expect("can be written");
    let opened = open(dir.path());
    let (_, root) = effective(&opened);
    assert!(roots.contains(&root), "half a view");
    let view = &opened.saved.effective.as_ref().expect("something ran").view;
    for (key, entry) in view.entries() {
        let there = entry
            .content()
            .all(|digest| opened.content.contains_key(&digest));
        assert!(there, "{key} has no content");
    }
    // And it can be written to.
    let (view, content) = view_of(&[("z", Variant::Good(9))]);
    let written = opened
        .disk
        .write(&running(9, &view, content, Holds::default()));
    assert!(written.is_ok(), "{written:?}");
    root
}

#[test]
fn a_killed_process_leaves_what_it_wrote_last() {
    let (crashed, roots) = crashed();
    assert_eq!(check_damage(&crashed, roots, |_| {}), roots[1]);
}

#[test]
fn a_cut_or_torn_database_falls_back_to_the_export() {
    let (crashed, roots) = crashed();
    let length = fs::metadata(crashed.path().join(DATABASE)).unwrap().len() as usize;
    for eighth in 0..8 {
        check_damage(&crashed, roots, |bytes| bytes.truncate(length * eighth / 8));
    }
    let garbage = check_damage(&crashed, roots, |bytes| *bytes = b"not a database".to_vec());
    assert_eq!(garbage, roots[0], "from the export");
    check_damage(&crashed, roots, |bytes| bytes[..4_096].fill(0));
    check_damage(&crashed, roots, |bytes| bytes[length / 2..].fill(0xFF));
}

#[test]
fn flipped_bits_are_noticed_or_harmless() {
    let (crashed, roots) = crashed();
    let mut random = ferryway_runtime::Random::seeded(7);
    // Pages that hold something are few: flip in the first megabyte and among what is not zero.
    let bytes = fs::read(crashed.path().join(DATABASE)).unwrap();
    let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    for _ in 0..60 {
        let at = used[random.below(used.len() as u64) as usize];
        let bit = 1 << random.below(8);
        check_damage(&crashed, roots, |bytes| bytes[at] ^= bit);
    }
}

#[test]
fn a_damaged_database_is_kept_under_another_name_and_the_instance_is_the_same() {
    let (crashed, _) = crashed();
    let before = open(crashed.path()).identity;
    fs::write(crashed.path().join(DATABASE), b"not a database").unwrap();
    let opened = open(crashed.path());
    assert_eq!(opened.identity.instance, before.instance);
    assert_eq!(opened.source, Source::LastGood);
    let aside = crashed.path().join("instance.redb.corrupt-1793491200");
    assert_eq!(fs::read(aside).unwrap(), b"not a database");
}

#[test]
fn the_newest_damaged_databases_are_kept() {
    let dir = TempDir::new().unwrap();
    for second in 10..16 {
        fs::write(dir.path().join(DATABASE), b"garbage").unwrap();
        let now = jiff::Timestamp::from_second(second).unwrap();
        let mut random = ferryway_runtime::Random::seeded(1);
        InstanceDisk::open(dir.path(), &name("test"), now, &mut random).unwrap();
    }
    let files = fs::read_dir(dir.path()).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut aside: Vec<_> = names.filter(|name| name.contains("corrupt")).collect();
    aside.sort_unstable();
    let expect = [13, 14, 15].map(|second| format!("{DATABASE}.corrupt-{second}"));
    assert_eq!(aside, expect);
}

#[test]
fn without_an_export_a_damaged_database_is_an_empty_start() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join(DATABASE), b"not a database").unwrap();
    assert_eq!(open(dir.path()).source, Source::Empty);
    fs::write(dir.path().join(EXPORT), b"{}").unwrap();
    fs::write(dir.path().join(DATABASE), b"not a database").unwrap();
    assert_eq!(open(dir.path()).source, Source::Empty);
}

#[test]
fn exports_come_back() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("view.json");
    let (view, content) = view_of(&[("a", Variant::Good(0)), ("b", Variant::Good(0))]);
    let export = Export {
        group: name("test"),
        position: Some(position(epoch(1), 4, &view)),
        view: view.clone(),
        content: content.clone(),
    };
    export.write(&path).unwrap();
    let read = Export::read(&path).unwrap();
    assert_eq!(read.group, name("test"));
    assert_eq!(
        (read.position, read.content),
        (export.position, content.clone())
    );
    assert_eq!(read.view, view);

    // Laid out for reading, and without a position, as somebody would write it.
    let mut value: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    value["position"] = serde_json::Value::Null;
    fs::write(&path, serde_json::to_vec_pretty(&value).unwrap()).unwrap();
    let read = Export::read(&path).unwrap();
    assert_eq!((read.view.root(), &read.content), (view.root(), &content));
    let (saved, _) = read.into_saved();
    assert_eq!(saved.effective.unwrap().position.root, view.root());
}

#[test]
fn exports_that_contradict_themselves_are_refused() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("view.json");
    let (view, content) = view_of(&[("a", Variant::Good(0))]);
    let good = Export {
        group: name("test"),
        position: Some(position(epoch(1), 4, &view)),
        view,
        content,
    };
    good.write(&path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let check = |from: &str, to: &str, expect: &str| {
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let error = Export::read(&path).unwrap_err();
        let text = format!("{error}: {:?}", std::error::Error::source(&error));
        assert!(text.contains(expect), "{text}");
    };
    check("\"group\":", "\"grope\":", "no view of a gateway group");
    check("/0", "/1", "digests to blake3:");
    check("service/a", "service/A", "must be 1 to 63");
    check("service/a", "service/b", "but the entries digest to");
    check("service/a", "plugin/a", "no kind of entry");
    check("\"enabled\":true", "\"enabled\":1", "unreadable");
    check(
        "\"definition\":\"blake3:",
        "\"definition\":\"blake3:0000",
        "unreadable",
    );
    fs::remove_file(&path).unwrap();
    assert!(matches!(Export::read(&path), Err(ExportError::Read { .. })));
}

/// As with a view that waits for an operator's word: its content comes with the word.
#[test]
fn content_may_come_after_the_view_that_names_it() {
    let dir = TempDir::new().unwrap();
    let opened = open(dir.path());
    let (old, content) = view_of(&[("a", Variant::Good(0))]);
    let first = running(1, &old, content, Holds::default());
    opened.disk.write(&first).unwrap();
    let (new, content) = view_of(&[("a", Variant::Good(1))]);
    let second = running(2, &new, content.clone(), Holds::default());
    let held = Update {
        desired: second.desired.clone(),
        ..Update::default()
    };
    let with_content = Update {
        content: content.clone(),
        ..held.clone()
    };
    let settled = Update {
        content: Content::new(),
        ..second
    };
    for update in [held, with_content, settled] {
        opened.disk.write(&update).unwrap();
    }
    drop(opened);
    let opened = open(dir.path());
    assert_eq!(effective(&opened), (2, new.root()));
    assert_eq!(opened.content, content);
}

#[test]
fn after_a_failed_write_the_next_one_writes_everything() {
    let dir = TempDir::new().unwrap();
    let opened = open(dir.path());
    let (view, content) = view_of(&[("a", Variant::Good(0))]);
    opened
        .disk
        .write(&running(1, &view, content, Holds::default()))
        .unwrap();
    // As if it had failed: redb takes no more writes then, and is closed.
    *opened.disk.lock_db() = None;
    assert_eq!(opened.disk.content(&[Digest::of(b"x")]).unwrap().len(), 0);
    let (new, content) = change(&view, &[("b", Some(Variant::Good(0)))]);
    let content = crate::testing::by_digest(content);
    opened
        .disk
        .write(&running(2, &new, content, Holds::default()))
        .unwrap();
    drop(opened);
    let opened = open(dir.path());
    assert_eq!(effective(&opened), (2, new.root()));
    assert_eq!(opened.content.len(), 3);
}

/// As on a full disk, for as long as there is a file of this name.
const FULL: &str = "full";

#[derive(Debug)]
struct MayBeFull;

impl Medium for MayBeFull {
    fn open(&self, path: &Path) -> Result<Database, DiskError> {
        if path.with_file_name(FULL).exists() {
            let source = std::io::ErrorKind::StorageFull.into();
            return Err(DiskError::io("use", path, source));
        }
        Files.open(path)
    }

    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        Files.read(path)
    }

    fn run(&self, work: Box<dyn FnOnce() + Send>) -> Working {
        Files.run(work)
    }
}

fn open_full(dir: &Path) -> Result<Opened, DiskError> {
    fs::write(dir.join(FULL), b"").unwrap();
    let now = "2026-11-01T00:00:00Z".parse().unwrap();
    let mut random = ferryway_runtime::Random::seeded(1);
    InstanceDisk::open_on(Arc::new(MayBeFull), dir, &name("test"), now, &mut random)
}

#[test]
fn without_room_for_a_database_the_export_serves() {
    let (crashed, [old, _]) = crashed();
    let dir = crashed.path();
    fs::remove_file(dir.join(DATABASE)).unwrap();
    let opened = open_full(dir).unwrap();
    assert_eq!(
        (opened.source, effective(&opened)),
        (Source::LastGood, (1, old))
    );
    let digests: Vec<Digest> = opened.content.keys().copied().collect();
    let there = opened.disk.content(&digests).unwrap();
    assert_eq!(there.len(), digests.len());
    opened.disk.write(&Update::default()).unwrap_err();

    // There is room again: what the export held comes first, then what is new.
    fs::remove_file(dir.join(FULL)).unwrap();
    let view = &opened.saved.effective.as_ref().unwrap().view;
    let (new, content) = change(view, &[("z", Some(Variant::Good(0)))]);
    let content = crate::testing::by_digest(content);
    let update = running(2, &new, content, Holds::default());
    opened.disk.write(&update).unwrap();
    drop(opened);
    let opened = open(dir);
    assert_eq!(
        (opened.source, effective(&opened)),
        (Source::Disk, (2, new.root()))
    );
    for (key, entry) in new.entries() {
        let there = entry.content().all(|it| opened.content.contains_key(&it));
        assert!(there, "{key} has no content");
    }
}

#[test]
fn a_new_folder_without_room_is_refused() {
    let dir = TempDir::new().unwrap();
    let error = open_full(dir.path()).unwrap_err();
    assert!(error.is_full(), "{error}");
}

/// Killed after the tables were made, and before what the export holds was written.
#[test]
fn an_empty_database_beside_an_export_is_no_beginning() {
    let (crashed, [old, _]) = crashed();
    let database = crashed.path().join(DATABASE);
    fs::remove_file(&database).unwrap();
    tables::create(&open::open_database(&database).unwrap()).unwrap();
    assert_eq!(effective(&open(crashed.path())), (1, old));
}

#[test]
fn a_damaged_folder_of_another_group_is_left_as_it_is() {
    let (crashed, _) = crashed();
    let database = crashed.path().join(DATABASE);
    fs::write(&database, b"garbage").unwrap();
    let now = "2026-11-01T00:00:00Z".parse().unwrap();
    let mut random = ferryway_runtime::Random::seeded(1);
    let refused = InstanceDisk::open(crashed.path(), &name("other"), now, &mut random);
    assert!(matches!(refused, Err(DiskError::OtherGroup { .. })));
    assert_eq!(fs::read(&database).unwrap(), b"garbage");
}

#[test]
fn a_large_view_comes_back_whole() {
    let dir = TempDir::new().unwrap();
    let opened = open(dir.path());
    let mut changes = Changes::default();
    let mut content = Content::new();
    for n in 0..2_000_u32 {
        let service = name(&format!("service-{n}"));
        let (entry, blobs) = crate::testing::service(&service, Variant::Good((n % 250) as u8));
        changes.upserts.insert(Key::service(&service), entry);
        content.extend(crate::testing::by_digest(blobs.to_vec()));
    }
    let view = View::empty().with(&changes);
    opened
        .disk
        .write(&running(1, &view, content.clone(), Holds::default()))
        .unwrap();
    drop(opened);
    let opened = open(dir.path());
    assert_eq!(effective(&opened), (1, view.root()));
    assert_eq!(opened.content, content);
}
