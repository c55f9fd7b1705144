//! Files that are not what was written: cut off, overwritten, replaced by something else.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ferryway_runtime::Random;
use ferryway_testkit::{START_TIME_MAX, eventually};
use tempfile::TempDir;

use super::instance::Instance;
use super::machine::Machine;
use super::stream::{Stream, nobody};
use crate::caller::Caller;
use crate::calls::items;

/// What becomes of a file.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Cut,
    /// So many bytes are other than they were.
    Flipped(u32),
    ZeroPage,
    Empty,
    Foreign,
    Folder,
    LinkToNowhere,
    Gone,
}

impl Damage {
    const ALL: [Self; 10] = [
        Self::Cut,
        Self::Cut,
        Self::Flipped(1),
        Self::Flipped(40),
        Self::ZeroPage,
        Self::Empty,
        Self::Foreign,
        Self::Folder,
        Self::LinkToNowhere,
        Self::Gone,
    ];

    fn on(self, path: &Path, random: &mut Random) {
        let mut bytes = fs::read(path).expect("it is there");
        let length = bytes.len() as u64;
        // A database is mostly empty: damage is done where something is.
        let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
        let mut anywhere = || used[random.below(used.len() as u64) as usize];
        match self {
            Self::Cut => {
                let end = anywhere();
                bytes.truncate(end);
            }
            Self::Flipped(count) => {
                for _ in 0..count {
                    bytes[anywhere()] ^= 0x55;
                }
            }
            Self::ZeroPage => {
                let start = anywhere() / PAGE_BYTES * PAGE_BYTES;
                let end = (start + PAGE_BYTES).min(bytes.len());
                bytes[start..end].fill(0);
            }
            Self::Empty => bytes.clear(),
            Self::Foreign => bytes = b"a file of somebody else's\n".to_vec(),
            Self::Folder | Self::LinkToNowhere | Self::Gone => {
                fs::remove_file(path).expect("it is there");
                match self {
                    Self::Folder => fs::create_dir(path).expect("there is room"),
                    Self::LinkToNowhere => {
                        std::os::unix::fs::symlink("/none/such", path).expect("there is room");
                    }
                    _ => {}
                }
                return;
            }
        }
        assert!(bytes.len() as u64 <= length.max(64));
        fs::write(path, bytes).expect("it can be written");
    }
}

const PAGE_BYTES: usize = 4_096;
/// Longer than a start takes, whether it succeeds or not.
const STARTED_WITHIN: Duration = START_TIME_MAX;

/// Copies the files of a folder.
fn copy(from: &Path) -> TempDir {
    let to = TempDir::new().expect("a temporary folder can be made");
    for file in fs::read_dir(from).expect("it is a folder") {
        let file = file.expect("it can be listed").path();
        let name = file.file_name().expect("it has a name");
        fs::copy(&file, to.path().join(name)).expect("it can be copied");
    }
    to
}

#[test]
fn a_control_plane_never_starts_on_a_damaged_store_as_if_it_were_none() {
    let seed = 11;
    let mut random = Random::seeded(seed);
    let mut whole = Stream::start();
    whole.step();
    whole.machine.kill();
    for (number, damage) in Damage::ALL.into_iter().enumerate() {
        let folder = copy(whole.machine.data());
        let file = folder.path().join("store.redb");
        damage.on(&file, &mut random);
        let what = format!("{damage:?}, number {number} of seed {seed}");
        let mut machine = Machine::new();
        machine.share(folder.path());
        let is_empty = match start(&mut machine) {
            Ok(groups) => groups == 0,
            Err(said) => {
                let file = file.display().to_string();
                assert!(said.contains(&file), "{what}: {said}");
                let is_damage = !matches!(damage, Damage::Folder | Damage::LinkToNowhere);
                assert!(!is_damage || said.contains("backup"), "{what}: {said}");
                assert!(!matches!(damage, Damage::Gone), "{what}: {said}");
                false
            }
        };
        machine.kill();
        // Where there is no store it is a new one; nowhere else.
        assert_eq!(is_empty, matches!(damage, Damage::Gone), "{what}");
    }
}

/// How many groups a control plane has, or what it said when it did not start.
#[track_caller]
fn start(machine: &mut Machine) -> Result<usize, String> {
    let api = machine.api();
    let program = machine.spawn();
    let ended = eventually(STARTED_WITHIN, "a start or a refusal", || {
        if let Some(exit) = program.exit() {
            return Some(Some(exit));
        }
        let ready = Caller::connect(api).and_then(|mut caller| caller.probe("/readyz"));
        ready
            .is_ok_and(|answer| answer.status == 200)
            .then_some(None)
    });
    match ended {
        Some(exit) => {
            let said = program.stderr();
            assert_eq!(exit.code(), Some(1), "{said}");
            Err(said)
        }
        None => {
            let groups = Caller::connect(api).and_then(|mut caller| caller.get("/gateway-groups"));
            Ok(items(&groups.expect("it is ready")).len())
        }
    }
}

/// The files of an instance.
const DATABASE: &str = "instance.redb";
const EXPORT: &str = "last-good.json";
const IDENTITY: &str = "identity.json";

#[test]
fn a_gateway_serves_whatever_became_of_its_files() {
    let seed = 12;
    let mut random = Random::seeded(seed);
    let (stream, folder) = written();
    for (number, damage) in Damage::ALL.into_iter().enumerate() {
        for files in [
            &[DATABASE][..],
            &[EXPORT],
            &[IDENTITY],
            &[DATABASE, IDENTITY],
        ] {
            let mut instance = Instance::new();
            restore(&folder, &instance);
            for file in files {
                damage.on(&instance.data().join(file), &mut random);
            }
            instance.spawn(&nobody());
            instance.wait_ready();
            let what = format!("{damage:?} of {files:?}, number {number} of seed {seed}");
            let revision = stream.check(&instance);
            let expect = if files.contains(&DATABASE) {
                1..=stream.revision()
            } else {
                stream.revision()..=stream.revision()
            };
            assert!(expect.contains(&revision), "{what}: {revision}");
            assert_eq!(instance.status()["disk"]["writable"], true, "{what}");
            instance.kill();
        }
    }
}

#[test]
fn a_gateway_with_nothing_left_waits_for_its_control_plane() {
    let mut random = Random::seeded(13);
    let (stream, folder) = written();
    for damage in [Damage::Foreign, Damage::Folder, Damage::Empty] {
        let mut instance = Instance::new();
        restore(&folder, &instance);
        for file in [DATABASE, EXPORT, IDENTITY] {
            damage.on(&instance.data().join(file), &mut random);
        }
        instance.spawn(&nobody());
        let status = eventually(STARTED_WITHIN, "its status page", || {
            assert_eq!(instance.program().exit(), None, "{damage:?}");
            instance.try_status()
        });
        assert_eq!(status["state"], "starting", "{damage:?}");
        assert_eq!(status["effective"], serde_json::Value::Null, "{damage:?}");
        instance.kill();
        instance.spawn(&stream.machine.delivery_url());
        instance.wait_ready();
        assert_eq!(stream.check(&instance), stream.revision(), "{damage:?}");
        // And what it gets, it keeps.
        stop(&mut instance);
        instance.spawn(&nobody());
        instance.wait_ready();
        assert_eq!(stream.check(&instance), stream.revision(), "{damage:?}");
        instance.kill();
    }
}

/// A group with a few revisions, and the folder of a gateway that has the newest and an export.
#[track_caller]
fn written() -> (Stream, TempDir) {
    let mut stream = Stream::start();
    let mut instance = Instance::new();
    instance.spawn(&stream.machine.delivery_url());
    instance.wait_ready();
    stop(&mut instance);
    assert!(instance.data().join(EXPORT).is_file());
    for _ in 0..3 {
        stream.step();
    }
    instance.spawn(&stream.machine.delivery_url());
    instance.wait_ready();
    eventually(STARTED_WITHIN, "the newest revision", || {
        (stream.check(&instance) == stream.revision()).then_some(())
    });
    stop(&mut instance);
    let folder = copy(instance.data());
    (stream, folder)
}

/// Ends it as it should end: with everything on its disk.
#[track_caller]
fn stop(instance: &mut Instance) {
    instance.program().signal(ferryway_testkit::Signal::TERM);
    instance.program().wait_exit(STARTED_WITHIN);
    instance.kill();
}

/// Puts a folder's files into an instance's.
fn restore(folder: &TempDir, instance: &Instance) {
    for file in [DATABASE, EXPORT, IDENTITY] {
        let to: PathBuf = instance.data().join(file);
        fs::copy(folder.path().join(file), to).expect("it can be copied");
    }
}
