//! `cargo xtask bench`: the benchmarks, on release builds of what they measure.

use std::ffi::OsString;
use std::process::Command;

use crate::sh::{self, Failure};
use crate::workspace;

/// Builds and runs the benchmark that the first argument names; the others are its own. `all` runs
/// each, one after another, as it is without arguments; `--save` reaches those that know it.
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
    if name != "all" {
        return wanted.into_iter().try_for_each(|it| it.run(&args));
    }
    if let Some(other) = args.iter().find(|arg| *arg != "--save") {
        let other = other.to_string_lossy();
        return Err(Failure::Usage(format!("bench all takes no `{other}`")));
    }
    let args_of = |it: &Benchmark| if it.saves { &args[..] } else { &[] };
    wanted.into_iter().try_for_each(|it| it.run(args_of(it)))
}

/// A program of the package `ferryway-bench`.
struct Benchmark {
    name: &'static str,
    /// Programs of that package that it starts.
    helpers: &'static [&'static str],
    /// Whether it starts the programs of Ferryway.
    programs: bool,
    /// Whether it keeps its report when told to `--save`.
    saves: bool,
}

const BENCHMARKS: [Benchmark; 6] = [
    Benchmark {
        name: "find",
        helpers: &[],
        programs: false,
        saves: false,
    },
    Benchmark {
        name: "compare",
        helpers: &["bare_proxy"],
        programs: true,
        saves: true,
    },
    Benchmark {
        name: "publish",
        helpers: &[],
        programs: true,
        saves: true,
    },
    Benchmark {
        name: "api",
        helpers: &[],
        programs: true,
        saves: true,
    },
    Benchmark {
        name: "planes",
        helpers: &[],
        programs: true,
        saves: true,
    },
    Benchmark {
        name: "reload",
        helpers: &[],
        programs: true,
        saves: true,
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
