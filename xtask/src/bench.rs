//! `cargo xtask bench`: the benchmarks, on release builds of what they measure.

use std::ffi::OsString;
use std::process::Command;

use crate::sh::{self, Failure};
use crate::workspace;

/// Builds and runs the benchmark that the first argument names; the others are its own. `all` runs
/// each, one after another.
pub(crate) fn run(mut args: Vec<OsString>) -> Result<(), Failure> {
    let names: Vec<&str> = BENCHMARKS.iter().map(|it| it.name).collect();
    if args.is_empty() {
        let why = format!("bench needs a name: {}, all", names.join(", "));
        return Err(Failure::Usage(why));
    }
    let name = args.remove(0);
    let wanted: Vec<_> = BENCHMARKS
        .iter()
        .filter(|it| name == "all" || name == it.name)
        .collect();
    if wanted.is_empty() {
        let name = name.to_string_lossy();
        let why = format!("no benchmark `{name}`: there are {}, all", names.join(", "));
        return Err(Failure::Usage(why));
    }
    wanted.into_iter().try_for_each(|it| it.run(&args))
}

/// A program of the package `ferryway-bench`.
struct Benchmark {
    name: &'static str,
    /// Programs of that package that it starts.
    helpers: &'static [&'static str],
    /// Whether it starts the programs of Ferryway.
    programs: bool,
}

const BENCHMARKS: [Benchmark; 4] = [
    Benchmark {
        name: "find",
        helpers: &[],
        programs: false,
    },
    Benchmark {
        name: "compare",
        helpers: &["bare_proxy"],
        programs: false,
    },
    Benchmark {
        name: "publish",
        helpers: &[],
        programs: true,
    },
    Benchmark {
        name: "reload",
        helpers: &[],
        programs: true,
    },
];

impl Benchmark {
    fn run(&self, args: &[OsString]) -> Result<(), Failure> {
        if self.programs {
            workspace::build_programs(&["--release"])?;
        }
        let mut build = sh::cargo(["build", "--release", "--package", "ferryway-bench"]);
        for bin in [&[self.name], self.helpers].concat() {
            build.args(["--bin", bin]);
        }
        sh::run(&mut build)?;
        // All of them lie in one folder, where each looks for the others.
        let program = workspace::target_folder()?.join("release").join(self.name);
        sh::run(
            Command::new(program)
                .args(args)
                .current_dir(workspace::root()),
        )
    }
}
