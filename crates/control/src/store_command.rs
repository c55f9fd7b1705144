//! `ferryway-control store …`: what is done with a store while no control plane of this process
//! runs on it.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use ferryway_runtime::settings::{self, HELP};
use ferryway_runtime::telemetry;
use ferryway_store::{Store, StoreError, Sum, backup, copy, restore};
use uuid::Uuid;

use crate::settings::{EtcdFlags, StorePlace, whole};

/// The flags, as people write them.
#[derive(Debug, Parser)]
#[command(
    name = "ferryway-control store",
    version,
    about = "Copies a store, backs it up, and puts it back.",
    after_help = HELP
)]
struct Flags {
    #[command(subcommand)]
    action: Action,
    /// Which store: embedded, which lies in --data-dir, or etcd://HOST:PORT,HOST:PORT.
    #[arg(
        long,
        value_name = "embedded|etcd://…",
        default_value = "embedded",
        global = true
    )]
    store: String,
    /// The folder of the embedded store.
    #[arg(long, value_name = "DIR", global = true)]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    etcd: EtcdFlags,
    /// A YAML file with the same names as the flags.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Copy a store to where there is none, and check the copy. Stop the control planes first.
    Copy {
        /// A data folder, or etcd://HOST:PORT,HOST:PORT.
        #[arg(long, value_name = "DIR|etcd://…")]
        from: String,
        /// A data folder, or etcd://HOST:PORT,HOST:PORT.
        #[arg(long, value_name = "DIR|etcd://…")]
        to: String,
        /// The prefix of --to, where both are in etcd.
        #[arg(long, value_name = "PREFIX")]
        to_prefix: Option<String>,
    },
    /// Write a store to a new file. Control planes on etcd may run meanwhile.
    Backup {
        /// The file; it must not be there yet.
        file: PathBuf,
    },
    /// Make a store of a backup, where there is none.
    Restore {
        /// What `backup` wrote.
        file: PathBuf,
    },
    /// Say that etcd was put back from a snapshot of its own, so that gateways know that revisions
    /// may have fallen. Restart the control planes afterwards.
    MarkRestored,
}

/// What the command is to do, checked.
#[derive(Debug)]
pub struct StoreCommand {
    deed: Deed,
}

#[derive(Debug)]
enum Deed {
    Copy { from: StorePlace, to: StorePlace },
    Backup { from: StorePlace, file: PathBuf },
    Restore { file: PathBuf, to: StorePlace },
    MarkRestored { place: StorePlace },
}

impl StoreCommand {
    /// Reads flags, environment and file; `args` begins with `store`.
    ///
    /// # Errors
    /// A sentence: what is wrong with which setting. What clap has to say is the inner error.
    pub(crate) fn read(
        args: impl IntoIterator<Item = OsString>,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Result<Self, clap::Error>, String> {
        let command = Flags::command();
        let args =
            settings::arguments(&command, args, environment).map_err(|error| whole(&error))?;
        let flags = command
            .try_get_matches_from(args)
            .and_then(|matches| Flags::from_arg_matches(&matches));
        match flags {
            Ok(flags) => flags.checked().map(|deed| Ok(Self { deed })),
            Err(told) => Ok(Err(told)),
        }
    }

    /// Does it.
    ///
    /// # Errors
    /// A sentence for people: what could not be done, on which thing, what to do.
    pub fn run(self) -> Result<(), String> {
        let _level = telemetry::init("warn").map_err(|error| whole(&error))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| format!("cannot start threads: {error}"))?;
        runtime.block_on(self.deed.done())
    }
}

impl Flags {
    fn checked(self) -> Result<Deed, String> {
        let Self {
            action,
            store,
            data_dir,
            etcd,
            config: _,
        } = self;
        let place = || etcd.place(&store, data_dir.as_deref());
        Ok(match action {
            Action::Copy {
                from,
                to,
                to_prefix,
            } => {
                let from = etcd.place_or_folder(&from)?;
                let to = etcd.place_or_folder(&to)?;
                let to = match (to, to_prefix) {
                    (StorePlace::Etcd(to), Some(prefix)) => {
                        let to = to.with_prefix(&prefix).map_err(|error| whole(&error))?;
                        StorePlace::Etcd(to)
                    }
                    (StorePlace::Embedded(_), Some(_)) => {
                        return Err("--to-prefix says nothing of a folder".to_owned());
                    }
                    (to, None) => to,
                };
                Deed::Copy { from, to }
            }
            Action::Backup { file } => Deed::Backup {
                from: place()?,
                file,
            },
            Action::Restore { file } => Deed::Restore { file, to: place()? },
            Action::MarkRestored => Deed::MarkRestored { place: place()? },
        })
    }
}

impl Deed {
    async fn done(self) -> Result<(), String> {
        match self {
            Self::Copy { from, to } => {
                let source = opened(&from).await?;
                let copied = copy(&source, Uuid::now_v7(), async |identity| {
                    to.begin(identity).await
                });
                let sum = copied.await.map_err(|error| said(&error))?;
                source.close().await;
                say(&format!("copied {from} to {to}: {}", summed(sum)))
            }
            Self::Backup { from, file } => {
                let source = opened(&from).await?;
                let sum = back_up(&source, &file).await?;
                source.close().await;
                say(&format!(
                    "wrote {from} to {}: {}",
                    file.display(),
                    summed(sum)
                ))
            }
            Self::Restore { file, to } => {
                let source = std::fs::File::open(&file)
                    .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
                let restored = restore(source, Uuid::now_v7(), async |identity| {
                    to.begin(identity).await
                });
                let sum = restored
                    .await
                    .map_err(|error| format!("{}: {}", file.display(), said(&error)))?;
                say(&format!(
                    "put {} back to {to}: {}",
                    file.display(),
                    summed(sum)
                ))
            }
            Self::MarkRestored { place } => mark_restored(&place).await,
        }
    }
}

/// Opens a store that must be there: a source that is made by looking at it would be an empty one.
async fn opened(place: &StorePlace) -> Result<Store, String> {
    if let Some(dir) = place.is_folder_without_store() {
        return Err(format!("there is no store in {}", dir.display()));
    }
    place.open().await.map_err(|error| said(&error))
}

/// Writes beside the file first, so that a backup with its name is always whole.
async fn back_up(source: &Store, file: &Path) -> Result<Sum, String> {
    let cannot = |error: io::Error| format!("cannot write {}: {error}", file.display());
    if file.exists() {
        return Err(format!(
            "{} is there already; choose another name",
            file.display()
        ));
    }
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let mut options = OpenOptions::new();
    // It holds what tokens and keys are known by: its owner's alone.
    options.write(true).create(true).truncate(true).mode(0o600);
    let output = options.open(&part).map_err(cannot)?;
    let sum = backup(source, &output)
        .await
        .map_err(|error| said(&error))?;
    output.sync_all().map_err(cannot)?;
    std::fs::rename(&part, file).map_err(cannot)?;
    Ok(sum)
}

async fn mark_restored(place: &StorePlace) -> Result<(), String> {
    match place {
        StorePlace::Embedded(dir) => {
            if let Some(dir) = place.is_folder_without_store() {
                return Err(format!("there is no store in {}", dir.display()));
            }
            let mark = dir.join("restored");
            std::fs::write(&mark, "")
                .map_err(|error| format!("cannot write {}: {error}", mark.display()))?;
        }
        StorePlace::Etcd(settings) => {
            let store = Store::open_etcd_restored(settings, Uuid::now_v7());
            store.await.map_err(|error| said(&error))?.close().await;
        }
    }
    say(&format!("marked {place} as put back from a backup"))
}

fn summed(sum: Sum) -> String {
    let Sum {
        entries,
        bytes,
        digest,
    } = sum;
    let digest: String = digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{entries} entries, {bytes} bytes, digest {digest}")
}

fn said(error: &StoreError) -> String {
    whole(error)
}

fn say(text: &str) -> Result<(), String> {
    writeln!(io::stdout(), "{text}").map_err(|error| format!("done, but can't say so: {error}"))
}
