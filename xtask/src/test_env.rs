//! What the tests need beside Rust: curl, etcd, networks, and a Python environment with httpbin, gunicorn and
//! dnspython.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::sh::{self, Failure};
use crate::workspace;

/// Brings what is missing and returns the Python environment's folder. Quick when nothing is.
pub(crate) fn bring() -> Result<PathBuf, Failure> {
    for (program, package) in PACKAGES {
        if sh::find(program).is_none() {
            install(package, program)?;
        }
    }
    let target = workspace::target_folder()?;
    let venv = target.join("test-env");
    fs::create_dir_all(&target).map_err(|error| cannot("create", &target, &error))?;
    // Two runs in one checkout: the second waits, and finds it made.
    let lock_path = target.join("test-env.lock");
    let lock = File::create(&lock_path).map_err(|error| cannot("create", &lock_path, &error))?;
    lock.lock()
        .map_err(|error| cannot("lock", &lock_path, &error))?;
    if !is_made(&venv) {
        make(&venv)?;
    }
    Ok(venv)
}

/// Programs, and the Debian packages that have them.
const PACKAGES: [(&str, &str); 6] = [
    ("curl", "curl"),
    ("etcd", "etcd-server"),
    ("etcdctl", "etcd-client"),
    // Networks of a test's own.
    ("unshare", "util-linux"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
];

/// The stamp is written last, so it stands only in an environment that is whole; one made from
/// other requirements, or by a Python that is gone, is made anew.
fn is_made(venv: &Path) -> bool {
    let stamp = fs::read_to_string(venv.join(STAMP)).unwrap_or_default();
    stamp == REQUIREMENTS && sh::output(&mut python(venv, &["-c", "import httpbin"])).is_ok()
}

fn make(venv: &Path) -> Result<(), Failure> {
    let modules = ["-c", "import ensurepip, venv"];
    if sh::output(Command::new("python3").args(modules)).is_err() {
        install("python3-venv", "Python 3 with its venv module")?;
    }
    if venv.exists() {
        fs::remove_dir_all(venv).map_err(|error| cannot("remove", venv, &error))?;
    }
    sh::run(Command::new("python3").args(["-m", "venv"]).arg(venv))?;
    let requirements = workspace::root().join("xtask/test-requirements.txt");
    let install = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
    ];
    sh::run(
        python(venv, &install)
            .arg("--requirement")
            .arg(requirements),
    )?;
    let stamp = venv.join(STAMP);
    fs::write(&stamp, REQUIREMENTS).map_err(|error| cannot("write", &stamp, &error))
}

const STAMP: &str = "made-from.txt";
const REQUIREMENTS: &str = include_str!("../test-requirements.txt");

fn python(venv: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(venv.join("bin/python"));
    command.args(args);
    command
}

/// Installs a Debian package where that can be done without asking anybody: as root, with apt.
fn install(package: &str, what: &str) -> Result<(), Failure> {
    let root = sh::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !root || sh::find("apt-get").is_none() {
        return Err(Failure::Other(format!(
            "the tests need {what}: install it (on Debian and Ubuntu: `sudo apt-get install \
             {package}`) and try again"
        )));
    }
    let apt = |args: &[&str]| {
        sh::run(
            Command::new("apt-get")
                .env("DEBIAN_FRONTEND", "noninteractive")
                .args(args),
        )
    };
    apt(&["update", "--quiet"])?;
    apt(&[
        "install",
        "--yes",
        "--quiet",
        "--no-install-recommends",
        package,
    ])
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::Other(format!("cannot {what} {}: {error}", path.display()))
}
