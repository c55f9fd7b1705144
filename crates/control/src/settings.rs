//! What the control plane is started with.

mod store;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser};
use ferryway_runtime::settings;

pub(crate) use store::EtcdFlags;
pub use store::StorePlace;

use crate::store_command::StoreCommand;

/// The flags, as people write them.
#[derive(Debug, Parser)]
#[command(
    name = "ferryway-control",
    version,
    about = "The control plane of Ferryway: REST API and delivery to the gateways.",
    before_help = "`ferryway-control store --help`: copy a store, back it up, put it back.",
    after_help = settings::HELP
)]
struct Flags {
    /// Where the REST API listens.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:7080")]
    #[arg(value_parser = settings::address)]
    api: SocketAddr,
    /// Where gateways are served.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:7943")]
    #[arg(value_parser = settings::address)]
    delivery: SocketAddr,
    /// The folder of the embedded store, and of what belongs to this process; made where it is
    /// missing.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Which store to use: embedded, or etcd://HOST:PORT,HOST:PORT.
    #[arg(long, value_name = "embedded|etcd://…", default_value = "embedded")]
    store: String,
    #[command(flatten)]
    etcd: EtcdFlags,
    /// Where other control planes on the same store reach the delivery port of this one; by default
    /// the address of --delivery.
    #[arg(long, value_name = "URL")]
    advertise: Option<String>,
    /// For one machine only: loopback addresses, no tokens, plaintext delivery.
    #[arg(long)]
    dev: bool,
    /// A YAML file with the same names as the flags.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Validate the settings and exit.
    #[arg(long)]
    check: bool,
}

/// What the control plane is started with, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the REST API listens.
    pub api: SocketAddr,
    /// Where gateways are served.
    pub delivery: SocketAddr,
    /// The folder of the embedded store, and of what belongs to this process.
    pub data_dir: PathBuf,
    /// Where the store is.
    pub store: StorePlace,
    /// Where other control planes reach this one; none: there can be no other.
    pub advertise: Option<String>,
    /// Loopback only, no tokens, plaintext delivery.
    pub dev: bool,
    /// Validate and exit.
    pub check: bool,
}

/// What the arguments ask for.
#[derive(Debug)]
pub enum Asked {
    /// To run with these settings.
    Run(Settings),
    /// To do something with a store, instead.
    Store(StoreCommand),
    /// To be told something (`--help`, `--version`), or what is wrong with the flags: a text by
    /// clap that knows its stream and exit code.
    Told(clap::Error),
}

impl Settings {
    /// Reads flags, environment and file.
    ///
    /// # Errors
    /// A sentence: what is wrong with which setting.
    pub fn read(
        args: impl IntoIterator<Item = OsString>,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Asked, String> {
        let args: Vec<OsString> = args.into_iter().collect();
        if args.get(1).is_some_and(|arg| arg == "store") {
            let args = args.into_iter().skip(1);
            return Ok(match StoreCommand::read(args, environment)? {
                Ok(command) => Asked::Store(command),
                Err(told) => Asked::Told(told),
            });
        }
        let command = Flags::command();
        let args =
            settings::arguments(&command, args, environment).map_err(|error| whole(&error))?;
        let flags = command
            .try_get_matches_from(args)
            .and_then(|matches| Flags::from_arg_matches(&matches));
        match flags {
            Ok(flags) => flags.checked().map(Asked::Run),
            Err(told) => Ok(Asked::Told(told)),
        }
    }
}

impl Flags {
    fn checked(self) -> Result<Settings, String> {
        let Self {
            api,
            delivery,
            data_dir,
            store,
            etcd,
            advertise,
            dev,
            config: _,
            check,
        } = self;
        let store = etcd.place(&store, Some(&data_dir))?;
        let advertise = match (&store, advertise) {
            (StorePlace::Embedded(_), None) => None,
            (StorePlace::Embedded(_), Some(_)) => {
                return Err("--advertise is where other control planes on the same store reach this one; an embedded store has only one".to_owned());
            }
            (StorePlace::Etcd(_), advertise) => {
                Some(advertise.unwrap_or_else(|| format!("http://{delivery}")))
            }
        };
        for (flag, address) in [("--api", api), ("--delivery", delivery)] {
            if dev && !address.ip().is_loopback() {
                return Err(format!(
                    "--dev has no tokens and no TLS, so it listens on loopback only; {flag} is {address}"
                ));
            }
        }
        if api == delivery && api.port() != 0 {
            return Err(format!(
                "--api and --delivery are both {api}; give them different ports"
            ));
        }
        Ok(Settings {
            api,
            delivery,
            data_dir,
            store,
            advertise,
            dev,
            check,
        })
    }
}

/// An error with its causes, in one line.
pub(crate) fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(args: &str, expect: Result<&str, &str>) {
        let args = ["ferryway-control"]
            .into_iter()
            .chain(args.split_whitespace());
        let read = Settings::read(args.map(OsString::from), |_| None);
        match (read, expect) {
            (Ok(Asked::Run(settings)), Ok(part)) => {
                assert!(format!("{settings:?}").contains(part), "{settings:?}")
            }
            (Ok(Asked::Told(told)), Err(part)) => {
                assert!(told.to_string().contains(part), "{told}")
            }
            (Err(why), Err(part)) => assert!(why.contains(part), "{why}"),
            (read, expect) => panic!("got {read:?}, expected {expect:?}"),
        }
    }

    #[test]
    fn stores_are_told_apart_and_commands_from_settings() {
        check("store backup", Err("<FILE>"));
        check("store backup f", Err("needs --data-dir"));
        check("store backup f --data-dir d --store redis", Err("no store"));
        check("store copy --from a", Err("--to"));
        check(
            "store copy --from a --to etcd://a:1 --store-user u",
            Err("--store-password-file"),
        );
        check(
            "store copy --from a --to b --to-prefix /x/",
            Err("says nothing of a folder"),
        );
        check("store forget", Err("forget"));
    }

    #[test]
    fn flags() {
        check(
            "--data-dir d",
            Ok("api: 127.0.0.1:7080, delivery: 127.0.0.1:7943"),
        );
        check(
            "--data-dir d --dev --api [::1]:1 --delivery 127.0.0.2:2",
            Ok("dev: true"),
        );
        check("--data-dir d --api 0.0.0.0:80", Ok("api: 0.0.0.0:80"));
        check("", Err("--data-dir"));
        check(
            "--data-dir d --dev --api 0.0.0.0:80",
            Err("--api is 0.0.0.0:80"),
        );
        check(
            "--data-dir d --store etcd://a:2379,b:2379 --store-prefix /x/",
            Ok("members: [\"a:2379\", \"b:2379\"], prefix: \"/x/\""),
        );
        check(
            "--data-dir d --store etcd://a:2379",
            Ok("advertise: Some(\"http://127.0.0.1:7943\")"),
        );
        check("--data-dir d --store etcd://a", Err("no HOST:PORT"));
        check(
            "--data-dir d --store etcd://a:1 --store-prefix x",
            Err("must be"),
        );
        check("--data-dir d --store-user me", Err("--store-password-file"));
        check(
            "--data-dir d --store etcd://a:1 --store-ca missing.pem",
            Err("--store-ca: cannot read missing.pem"),
        );
        check("--data-dir d --store-cert c", Err("--store-ca"));
        check("--data-dir d --delivery 127.0.0.1:7080", Err("are both"));
        check(
            "--data-dir d --advertise http://a:1",
            Err("an embedded store has only one"),
        );
        check("--data-dir d --store redis", Err("no store"));
        check("--data-dir d --join", Err("--join"));
        check("--data-dir d --api 7080", Err("must be IP:PORT"));
    }
}
