//! What the gateway is started with.

mod join_token;

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser};
use ferryway_model::{Name, Span};
use ferryway_runtime::settings;
use ferryway_tls::JoinToken;
use http::Uri;
use ipnet::IpNet;

/// The flags, as people write them.
#[derive(Debug, Parser)]
#[command(
    name = "ferryway-gateway",
    version,
    about = "One gateway instance of Ferryway: serves what its gateway group should run.",
    after_help = settings::HELP
)]
struct Flags {
    /// The delivery address of the control plane; several are tried in turn.
    #[arg(
        long,
        value_name = "URL[,URL…]",
        value_delimiter = ',',
        required_unless_present = "static"
    )]
    control: Vec<String>,
    /// The gateway group that this instance belongs to; with --static which of the file's, where it
    /// has several.
    #[arg(long, value_name = "NAME", required_unless_present = "static")]
    group: Option<String>,
    /// A join token of the group: needed at the first start, where the control plane runs without
    /// --dev; later the data folder holds a certificate.
    #[arg(long, value_name = "TOKEN")]
    join_token: Option<String>,
    /// A file with the join token: unlike a flag, nobody else on this host can see it. It may be gone
    /// once the data folder holds a certificate.
    #[arg(long, value_name = "FILE", conflicts_with = "join_token")]
    join_token_file: Option<PathBuf>,
    /// The folder of this instance alone; made where it is missing. With --static it may be left
    /// out, and keeps who the instance is and where its upstreams were found.
    #[arg(long, value_name = "DIR", required_unless_present = "static")]
    data_dir: Option<PathBuf>,
    /// Where clients are served over HTTP.
    #[arg(long, value_name = "IP:PORT", default_value = "0.0.0.0:9080")]
    #[arg(value_parser = settings::address)]
    http: SocketAddr,
    /// Where clients are served over TLS, once the group has a certificate.
    #[arg(long, value_name = "IP:PORT", default_value = "0.0.0.0:9443")]
    #[arg(value_parser = settings::address)]
    https: SocketAddr,
    /// Where this instance tells about itself.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:9091")]
    #[arg(value_parser = settings::address)]
    status: SocketAddr,
    /// How many threads serve clients; by default one for each core.
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// A DNS server to ask for the names of nodes; may be given again. By default the system's.
    #[arg(long, value_name = "IP:PORT", value_delimiter = ',')]
    #[arg(value_parser = settings::address)]
    dns_server: Vec<SocketAddr>,
    /// Peers whose X-Forwarded-* headers are believed, as addresses or networks.
    #[arg(long, value_name = "CIDR,…", value_delimiter = ',')]
    trusted_proxies: Vec<String>,
    /// How long accepting goes on after a SIGTERM, for whoever still sends clients here.
    #[arg(long, value_name = "TIME", default_value = "5s")]
    drain_delay: Span,
    /// Serve the group's view from this file, without a control plane: documents as `ferryway dump
    /// --group` writes them. Read again on SIGHUP.
    #[arg(long = "static", value_name = "FILE", id = "static")]
    from_file: Option<PathBuf>,
    /// What is logged: error, warn, info, debug, trace, or a filter in tracing's syntax. Read again
    /// on SIGHUP. FERRYWAY_LOG goes before it.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: String,
    /// A YAML file with the same names as the flags.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Validate the settings and exit.
    #[arg(long)]
    check: bool,
}

/// What the gateway is started with, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the view comes from.
    pub basis: Basis,
    /// Where clients are served over HTTP.
    pub http: SocketAddr,
    /// Where clients will be served over TLS.
    pub https: SocketAddr,
    /// Where the instance tells about itself.
    pub status: SocketAddr,
    /// How many threads serve clients; 1 to [`WORKERS_MAX`].
    pub workers: usize,
    /// DNS servers to ask; none: the system's.
    pub dns_servers: Vec<SocketAddr>,
    /// Peers whose word about earlier hops is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How long accepting goes on once the end is asked for.
    pub drain_delay: Duration,
    /// The log's filter.
    pub log_level: String,
    /// Validate and exit.
    pub check: bool,
}

/// Where an instance's view comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Basis {
    /// From a control plane, and from the instance's disk until there is one.
    Control {
        /// Delivery addresses of control planes, to be tried in turn; at least one.
        control: Vec<String>,
        /// The group that the instance belongs to.
        group: Name,
        /// The instance's own folder.
        data_dir: PathBuf,
        /// What lets the instance in, until it has a certificate.
        join_token: Option<JoinToken>,
    },
    /// From a file, for good.
    File {
        /// The file.
        file: PathBuf,
        /// Which group of the file; none: it has but one.
        group: Option<Name>,
        /// The instance's own folder, if it has one.
        data_dir: Option<PathBuf>,
    },
}

/// What the arguments ask for.
#[derive(Debug)]
pub enum Asked {
    /// To run with these settings.
    Run(Box<Settings>),
    /// To be told something (`--help`, `--version`), or what is wrong with the flags: a text by
    /// clap that knows its stream and exit code.
    Told(clap::Error),
}

/// Most threads that serve clients.
pub const WORKERS_MAX: usize = 512;
/// Longest drain delay.
pub const DRAIN_DELAY_MAX: Duration = Duration::from_secs(3_600);

impl Settings {
    /// Reads flags, environment and file.
    ///
    /// # Errors
    ///
    /// A sentence: what is wrong with which setting.
    pub fn read(
        args: impl IntoIterator<Item = OsString>,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Asked, String> {
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
            control,
            group,
            join_token,
            join_token_file,
            data_dir,
            http,
            https,
            status,
            workers,
            dns_server,
            trusted_proxies,
            drain_delay,
            from_file,
            log_level,
            config: _,
            check,
        } = self;
        distinct([("--http", http), ("--https", https), ("--status", status)])?;
        let trusted_proxies = trusted_proxies.iter().map(|text| network(text));
        if let Some(server) = dns_server.iter().find(|server| server.port() == 0) {
            return Err(format!("--dns-server {server} has no port of 1 to 65535"));
        }
        let file = join_token_file.as_deref();
        let join_token = join_token::read(join_token, file, data_dir.as_deref())?;
        Ok(Settings {
            basis: basis(from_file, &control, group.as_deref(), data_dir, join_token)?,
            http,
            https,
            status,
            workers: worker_count(workers)?,
            dns_servers: dns_server,
            trusted_proxies: trusted_proxies.collect::<Result<_, _>>()?,
            drain_delay: delay(drain_delay)?,
            log_level,
            check,
        })
    }
}

fn basis(
    from_file: Option<PathBuf>,
    control: &[String],
    group: Option<&str>,
    data_dir: Option<PathBuf>,
    join_token: Option<JoinToken>,
) -> Result<Basis, String> {
    let group = group.map(|group| {
        group
            .parse()
            .map_err(|error| format!("--group {group:?} is no name of a gateway group: {error}"))
    });
    let group = group.transpose()?;
    let control = control.iter().map(|url| control_url(url));
    let control: Vec<String> = control.collect::<Result<_, _>>()?;
    let schemes: Vec<bool> = control.iter().map(|url| is_plain(url)).collect();
    if schemes.contains(&true) && schemes.contains(&false) {
        let why = "--control has addresses with TLS and without; they must be of one sort";
        return Err(why.to_owned());
    }
    match (from_file, group, data_dir) {
        (Some(_), _, _) if join_token.is_some() => {
            let why = "--static serves from a file, and joins nothing: leave --join-token out, or \
                       --static";
            Err(why.to_owned())
        }
        // The token would be there for everybody to read, and nobody could say who asks for it.
        (None, _, _) if join_token.is_some() && schemes.contains(&true) => {
            let why = "--join-token is for control planes with TLS: write --control \
                       https://HOST:PORT; one with --dev needs no token";
            Err(why.to_owned())
        }
        (Some(_), _, _) if !control.is_empty() => {
            let why = "--static serves from a file, without a control plane: leave --control out, \
                       or --static";
            Err(why.to_owned())
        }
        (Some(file), group, data_dir) => Ok(Basis::File {
            file,
            group,
            data_dir,
        }),
        (None, Some(group), Some(data_dir)) => Ok(Basis::Control {
            control,
            group,
            data_dir,
            join_token,
        }),
        // clap has asked for them already.
        (None, _, _) => Err("--group and --data-dir are needed, or --static".to_owned()),
    }
}

fn distinct(addresses: [(&str, SocketAddr); 3]) -> Result<(), String> {
    for (n, (flag, address)) in addresses.iter().enumerate() {
        let same = addresses[..n]
            .iter()
            .find(|(_, other)| other == address && address.port() != 0);
        if let Some((other, _)) = same {
            return Err(format!(
                "{other} and {flag} are both {address}; give them different ports"
            ));
        }
    }
    Ok(())
}

/// Plaintext stays on this machine: whoever sits between would decide what is served.
fn control_url(text: &str) -> Result<String, String> {
    let wrong = |why: &str| format!("--control {text:?} {why}, as in https://control.example:7943");
    let uri: Uri = text
        .parse()
        .map_err(|_| wrong("is no URL; write https://HOST:PORT"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(wrong("is no URL; write https://HOST:PORT"));
    }
    let authority = uri.authority().map_or("", |it| it.as_str());
    if authority.contains('@') {
        return Err(wrong(
            "has something before the host; write https://HOST:PORT",
        ));
    }
    if uri.port_u16().is_none_or(|port| port == 0) {
        return Err(wrong("has no port; write https://HOST:PORT"));
    }
    if !matches!(uri.path_and_query().map(|it| it.as_str()), None | Some("/")) {
        return Err(wrong("goes on after the port; write https://HOST:PORT"));
    }
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let is_here = address
        .parse()
        .map_or(host == "localhost", |it: IpAddr| it.is_loopback());
    if !is_here && is_plain(text) {
        return Err(wrong(
            "leads to another host without TLS; write https://HOST:PORT, and start the control \
             plane there without --dev",
        ));
    }
    Ok(text.to_owned())
}

fn is_plain(url: &str) -> bool {
    url.starts_with("http://")
}

fn network(text: &str) -> Result<IpNet, String> {
    text.parse()
        .or_else(|_| text.parse().map(|address: IpAddr| address.into()))
        .map_err(|_| {
            format!("--trusted-proxies {text:?} is no address or network, as in 10.0.0.0/8")
        })
}

fn worker_count(asked: Option<usize>) -> Result<usize, String> {
    match asked {
        Some(count @ 1..=WORKERS_MAX) => Ok(count),
        Some(count) => Err(format!("--workers {count} is not in 1 to {WORKERS_MAX}")),
        None => {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            Ok(cores.min(WORKERS_MAX))
        }
    }
}

fn delay(span: Span) -> Result<Duration, String> {
    let delay = span.duration();
    if delay > DRAIN_DELAY_MAX {
        return Err(format!("--drain-delay {span} is over {DRAIN_DELAY_MAX:?}"));
    }
    Ok(delay)
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
mod tests;
