//! What a figure was measured on.

use std::fs;
use std::path::Path;
use std::process::Command;

/// `2 cores (MODEL), 16 GiB, Linux RELEASE`.
pub(crate) fn hardware() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let model = field("/proc/cpuinfo", "model name");
    let memory = field("/proc/meminfo", "MemTotal");
    let kilobytes: u64 = memory
        .split(' ')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cores} cores ({model}), {} GiB, Linux {}",
        (kilobytes + HALF_GIB) >> 20,
        kernel.trim()
    )
}

/// How busy the machine was in the last minute: processes that run or want to, on average.
#[must_use]
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// The commit of the workspace, and whether the sources are those of the commit.
pub(crate) fn commit(root: &Path) -> String {
    let git = |args: &[&str]| {
        let output = Command::new("git").current_dir(root).args(args).output();
        let output = output.ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown".to_owned();
    };
    // What decides figures: the sources. Results beside them do not.
    let sources = [
        "status",
        "--porcelain",
        "--",
        "crates",
        "bench/src",
        "proto",
        "Cargo.toml",
        "Cargo.lock",
    ];
    match git(&sources) {
        Some(changes) if changes.is_empty() => commit,
        Some(_) => format!("{commit}, with uncommitted changes"),
        None => format!("{commit}, maybe with uncommitted changes"),
    }
}

/// When a file was written, which for a program is when it was built: `2026-11-24 11:04 UTC`; empty
/// where that is unknown.
#[must_use]
pub fn written_at(file: &Path) -> String {
    let mut date = Command::new("date");
    date.args(["-u", "+%F %H:%M UTC", "-r"]).arg(file);
    date.output().map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

/// What the compiler calls itself; empty where there is none.
pub(crate) fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

/// The value of the first `NAME : VALUE` in one of the kernel's files; empty where there is none.
pub(crate) fn field(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let mut values = text.lines().filter_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then(|| value.trim().to_owned())
    });
    values.next().unwrap_or_default()
}

/// In kB, for rounding: the kernel keeps a part of the memory to itself.
const HALF_GIB: u64 = 1 << 19;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_time_is_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(90_000);
        file.as_file().set_modified(time).unwrap();
        assert_eq!(written_at(file.path()), "1970-01-02 01:00 UTC");
        assert_eq!(written_at(Path::new("/none/such")), "");
    }

    #[test]
    fn the_kernels_files_are_read() {
        let threads: u32 = field("/proc/self/status", "Threads").parse().unwrap();
        assert!(threads > 0);
        assert_eq!(field("/proc/self/status", "Thread"), "");
        assert_eq!(field("/none/such", "Threads"), "");
    }
}
