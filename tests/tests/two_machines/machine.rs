//! Two machines: network namespaces joined by a virtual cable, each with a shell that sees folders
//! of its own at `/etc/ferryway`, `/etc/systemd/system`, `/usr/local/bin` and `/var/lib`.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use ferryway_testkit::binary;
use ferryway_testkit::lan::{self, Lan};
use tempfile::TempDir;

use super::page::Place;

/// The addresses of the page.
const FIRST: &str = "192.0.2.10";
const SECOND: &str = "192.0.2.11";

/// Both machines. Everything in them ends when this is dropped.
#[derive(Debug)]
pub(super) struct Machines {
    first: Machine,
    second: Machine,
}

#[derive(Debug)]
struct Machine {
    address: Ipv4Addr,
    shell: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    folder: TempDir,
}

/// What makes a machine of a namespace: folders of its own, the programs at hand, and a stand-in
/// for systemctl.
const SETUP: &str = include_str!("setup.sh");
/// The stand-in: it runs what a unit's `ExecStart` says, with the files that it loads.
const SYSTEMCTL: &str = include_str!("systemctl.sh");

/// Said by the shell after each block.
const END: &str = "@@ended";

impl Machines {
    /// Both are up, and in the address ranges of the page.
    pub(super) fn start() -> Self {
        let mut lan = Lan::start();
        let [first, second] = [lan.machine(), lan.machine()];
        assert_eq!(first.address().to_string(), FIRST);
        assert_eq!(second.address().to_string(), SECOND);
        Self {
            first: Machine::start(&first),
            second: Machine::start(&second),
        }
    }

    /// Runs commands, and tells what they printed.
    ///
    /// # Panics
    /// If one of them fails.
    #[track_caller]
    pub(super) fn run(&mut self, at: Place, commands: &str) -> String {
        let machines = self.at(at);
        machines.into_iter().map(|it| it.run(commands)).collect()
    }

    /// Writes a file, as an editor would: only its owner may read it.
    #[track_caller]
    pub(super) fn write(&mut self, at: Place, path: &str, text: &str) {
        assert!(!text.contains("END_OF_FILE"), "{text}");
        let commands = format!("(umask 077; cat > {path} <<'END_OF_FILE'\n{text}END_OF_FILE\n)\n");
        self.run(at, &commands);
    }

    fn at(&mut self, place: Place) -> Vec<&mut Machine> {
        match place {
            Place::First => vec![&mut self.first],
            Place::Second => vec![&mut self.second],
            Place::Both => vec![&mut self.first, &mut self.second],
        }
    }
}

impl Machine {
    fn start(lan: &lan::Machine) -> Self {
        let folder = tempfile::tempdir().expect("there is room for a machine's files");
        let put = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("the folder can be written");
            path
        };
        let setup = put("setup.sh", SETUP);
        put("systemctl", SYSTEMCTL);
        let mut shell = Command::new("bash");
        shell
            .arg(setup)
            .arg(folder.path())
            .arg(programs())
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy"));
        let mut shell = lan
            .command(&shell)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("there is a shell");
        let input = shell.stdin.take().expect("it is piped");
        let output = BufReader::new(shell.stdout.take().expect("it is piped"));
        let mut machine = Self {
            address: lan.address(),
            shell,
            input,
            output,
            folder,
        };
        machine.run("true");
        machine
    }

    #[track_caller]
    fn run(&mut self, commands: &str) -> String {
        // Not in a subshell: what is exported stays. `-e` ends the shell where a command fails.
        let script = format!("set -e\n{commands}\nset +e\necho\necho {END}\n");
        self.input
            .write_all(script.as_bytes())
            .expect("the shell listens");
        let mut shown = String::new();
        loop {
            let mut line = String::new();
            let read = self.output.read_line(&mut line).expect("it writes text");
            if line.trim_end() == END {
                return shown;
            }
            assert_ne!(
                read,
                0,
                "failed on {}:\n{commands}\nprinted:\n{shown}\n{}",
                self.address,
                self.logs()
            );
            shown.push_str(&line);
        }
    }

    /// What its services have said.
    fn logs(&self) -> String {
        let files = fs::read_dir(self.folder.path().join("log"));
        let files = files.into_iter().flatten().flatten();
        files
            .filter_map(|file| fs::read_to_string(file.path()).ok())
            .collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Services and servers of the machine are in the shell's session, but for those that the
        // stand-in for systemctl has put into sessions of their own.
        let _ = self
            .input
            .write_all(b"systemctl stop-all; kill $(jobs -p)\nexit\n");
        let _ = self.shell.wait();
    }
}

/// The folder with the three programs.
fn programs() -> PathBuf {
    let program = binary("ferryway-gateway");
    let folder = program.parent().expect("a program lies in a folder");
    folder.to_owned()
}
