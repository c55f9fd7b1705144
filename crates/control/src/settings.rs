//! What the control plane is started with.

mod names;
mod store;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser};
use ferryway_model::Span;
use ferryway_runtime::settings;
use jiff::SignedDuration;

use crate::api_tls::ApiTls;
use crate::identity::IdentitySettings;

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
    /// the address of --delivery, or where that is 0.0.0.0 the first of --names, or the host's name.
    #[arg(long, value_name = "URL")]
    advertise: Option<String>,
    /// A file with the key that seals what is secret in the store (32 random bytes in base64). By
    /// default one is made as secret.key in the data folder. Control planes on one store need the
    /// same.
    #[arg(long, value_name = "FILE")]
    secret_key_file: Option<PathBuf>,
    /// The certificate of the authority that instances are known by (PEM), with what stands above
    /// it. By default an authority is made at the first start.
    #[arg(long, value_name = "FILE", requires = "ca_key")]
    ca_cert: Option<PathBuf>,
    /// The key of --ca-cert (PEM).
    #[arg(long, value_name = "FILE", requires = "ca_cert")]
    ca_key: Option<PathBuf>,
    /// The first part of all names in certificates: spiffe://DOMAIN/gateway/GROUP/INSTANCE. All
    /// control planes on one store have the same, for good.
    #[arg(long, value_name = "DOMAIN", default_value = "ferryway.internal")]
    trust_domain: String,
    /// Host names and addresses by which this control plane is reached, for its own certificates.
    /// By default the host's name, localhost, and the addresses it listens on.
    #[arg(long, value_name = "HOST,…", value_delimiter = ',')]
    names: Vec<String>,
    /// How long a gateway's certificate lives; it is renewed at half of that.
    #[arg(long, value_name = "TIME", default_value = "24h")]
    certificate_lifetime: Span,
    /// The REST API speaks TLS, with a certificate of the authority that gateways know the control
    /// plane by (GET /authority shows it; the command line takes it as --ca).
    #[arg(long, conflicts_with_all = ["api_tls_cert", "dev"])]
    api_tls: bool,
    /// The REST API speaks TLS, with this certificate and its chain (PEM). Read again on SIGHUP.
    #[arg(
        long,
        value_name = "FILE",
        requires = "api_tls_key",
        conflicts_with = "dev"
    )]
    api_tls_cert: Option<PathBuf>,
    /// The key of --api-tls-cert (PEM).
    #[arg(long, value_name = "FILE", requires = "api_tls_cert")]
    api_tls_key: Option<PathBuf>,
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
    /// What the identity of instances rests on.
    pub identity: IdentitySettings,
    /// What the REST API proves who it is with.
    pub api_tls: ApiTls,
    /// Loopback only, no tokens, plaintext delivery.
    pub dev: bool,
    /// Validate and exit.
    pub check: bool,
}

/// What the arguments ask for.
#[derive(Debug)]
pub enum Asked {
    /// To run with these settings.
    Run(Box<Settings>),
    /// To do something with a store, instead.
    Store(Box<StoreCommand>),
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
                Ok(command) => Asked::Store(Box::new(command)),
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
            Ok(flags) => flags
                .checked()
                .map(|settings| Asked::Run(Box::new(settings))),
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
            secret_key_file,
            ca_cert,
            ca_key,
            trust_domain,
            names,
            certificate_lifetime,
            api_tls,
            api_tls_cert,
            api_tls_key,
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
            (StorePlace::Etcd(_), given) => {
                Some(names::advertised(given, delivery, names.first(), dev)?)
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
        let trust_domain = trust_domain
            .parse()
            .map_err(|error| format!("--trust-domain {trust_domain:?} {error}"))?;
        let identity = IdentitySettings {
            data_dir: data_dir.clone(),
            secret_key_file,
            authority_files: ca_cert.zip(ca_key),
            trust_domain,
            names: names::own(names, [api, delivery])?,
            certificate_lifetime: lifetime(certificate_lifetime)?,
        };
        let api_tls = match api_tls_cert.zip(api_tls_key) {
            Some((certificate, key)) => ApiTls::Files { certificate, key },
            None if api_tls => ApiTls::Own,
            None => ApiTls::Off,
        };
        Ok(Settings {
            api_tls,
            identity,
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

fn lifetime(span: Span) -> Result<SignedDuration, String> {
    let lifetime = span.duration();
    if !(LIFETIME_MIN..=LIFETIME_MAX).contains(&lifetime) {
        return Err(format!(
            "--certificate-lifetime {span} is not in {LIFETIME_MIN:?} to {LIFETIME_MAX:?}"
        ));
    }
    SignedDuration::try_from(lifetime).map_err(|error| error.to_string())
}

/// Shortest life of a gateway's certificate: for trying out how it is renewed.
const LIFETIME_MIN: Duration = Duration::from_secs(5);
/// Longest: 90 days.
const LIFETIME_MAX: Duration = Duration::from_secs(90 * 24 * 3_600);

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
            Ok("advertise: Some(\"https://127.0.0.1:7943\")"),
        );
        check(
            "--data-dir d --store etcd://a:1 --dev",
            Ok("advertise: Some(\"http://127.0.0.1:7943\")"),
        );
        check(
            "--data-dir d --store etcd://a:1 --delivery 0.0.0.0:7 --names b.example,c",
            Ok("advertise: Some(\"https://b.example:7\")"),
        );
        check(
            "--data-dir d --store etcd://a:1 --delivery [::]:7 --names ::1",
            Ok("advertise: Some(\"https://[::1]:7\")"),
        );
        check(
            "--data-dir d --store etcd://a:1 --advertise http://a:1",
            Err("must be https://HOST:PORT"),
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
        check("--data-dir d --ca-cert c", Err("--ca-key"));
        check("--data-dir d --api-tls", Ok("api_tls: Own"));
        check("--data-dir d --api-tls --dev", Err("--dev"));
        check("--data-dir d --api-tls-cert c", Err("--api-tls-key"));
        check(
            "--data-dir d --api-tls-cert c --api-tls-key k",
            Ok(r#"api_tls: Files { certificate: "c", key: "k" }"#),
        );
        check(
            "--data-dir d --ca-cert c --ca-key k --trust-domain a.b",
            Ok(r#"authority_files: Some(("c", "k")), trust_domain: TrustDomain("a.b")"#),
        );
        check("--data-dir d --trust-domain A", Err("is no trust domain"));
        check(
            "--data-dir d --names a.example,10.0.0.1",
            Ok(r#"names: ["a.example", "10.0.0.1"]"#),
        );
        check("--data-dir d --names http://a", Err("leave scheme"));
        check("--data-dir d --delivery 10.9.9.9:1", Ok(r#""10.9.9.9""#));
        check(
            "--data-dir d --certificate-lifetime 1s",
            Err("--certificate-lifetime 1s is not in"),
        );
    }
}
