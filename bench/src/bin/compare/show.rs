//! The report's text.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ferryway_bench::{Outcome, Report, Table, Times, written_at};

use crate::Options;
use crate::case::Case;
use crate::contender::Ferryway;
use crate::measure::{Figures, LOAD_CORE, PROXY_CORE, Round};

/// Which programs, and in which versions.
pub(crate) fn measured(ferryway: &Ferryway) -> Outcome<Table> {
    let mut table = Table::new(["program", "version"]);
    match ferryway {
        Ferryway::Gateway(stage) => {
            table.row([
                "measured: `ferryway-gateway --workers 1`",
                &stage.gateway_version()?,
            ]);
        }
        Ferryway::Command(_, command) => {
            let program = command.split_whitespace().next().unwrap_or_default();
            let built = format!("built {}", written_at(Path::new(program)));
            table.row([&format!("measured: `{command}`"), &built]);
        }
    }
    for (program, prefix) in [("nginx", "nginx version: "), ("haproxy", ""), ("wrk", "")] {
        table.row([program, &version(program, prefix)?]);
    }
    Ok(table)
}

/// What is measured, in a few sentences.
pub(crate) fn preamble(options: &Options) -> String {
    let Options {
        rounds,
        seconds,
        connections,
        ..
    } = options;
    let headers = match options.peer_headers {
        true => "nginx and haproxy set the same six headers as Ferryway",
        false => "nginx and haproxy add no headers, Ferryway adds its six",
    };
    format!(
        "One worker each, kept to core {PROXY_CORE}; wrk, the upstream (an nginx) and the control \
         plane on core {LOAD_CORE}; loopback; {connections} connections that are kept; {rounds} \
         interleaved rounds of {seconds} s after a warm-up; {headers}. CPU is that of the proxy's \
         process tree, without the control plane. *Others*: what processes that the benchmark did \
         not start took meanwhile, as a share of one core; *host*: what the machine's host withheld."
    )
}

/// Adds what came of one case.
pub(crate) fn add(report: &mut Report, case: &Case, figures: &[Figures]) {
    report.heading(match case.routes {
        1 => case.name.to_owned(),
        routes => format!(
            "{}: {routes} routes in Ferryway, one in the others",
            case.name
        ),
    });
    report.table(&table(figures));
    let beside: Times = all(figures.iter().filter(|it| !it.peer), |round| round.beside);
    if beside.longest() > Duration::ZERO {
        report.paragraph(format!(
            "The control plane beside it, not counted: {} µs per request.",
            micros(beside.percentile(50))
        ));
    }
    report.paragraph(company(figures));
}

fn table(figures: &[Figures]) -> Table {
    let mut table = Table::new([
        "",
        "CPU µs per request, median",
        "minimum",
        "against the better peer",
        "requests/s, median",
        "others",
    ]);
    let cpu = |of: &Figures| all([of], |round| round.cpu);
    let peers = figures.iter().filter(|it| it.peer);
    let best = peers.map(|it| cpu(it).percentile(50)).min();
    for of in figures {
        let times = cpu(of);
        let median = times.percentile(50);
        let against = best.map_or_else(String::new, |best| {
            format!("{:.2}", median.as_secs_f64() / best.as_secs_f64())
        });
        table.row([
            &of.name,
            &micros(median),
            &micros(times.percentile(0)),
            &against,
            &format!("{:.0}", rate(&of.rounds)),
            &percent(mean(&of.rounds, |round| round.company.others)),
        ]);
    }
    table
}

/// Of all rounds of a case.
fn company(figures: &[Figures]) -> String {
    let rounds: Vec<Round> = figures.iter().flat_map(|it| it.rounds.clone()).collect();
    let most = rounds.iter().map(|round| round.company.others);
    format!(
        "Others took {} of a core, at most {} in a round; the host {}.",
        percent(mean(&rounds, |round| round.company.others)),
        percent(most.fold(0.0, f64::max)),
        percent(mean(&rounds, |round| round.company.host))
    )
}

fn all<'a>(figures: impl IntoIterator<Item = &'a Figures>, of: fn(&Round) -> Duration) -> Times {
    let mut times = Times::default();
    for round in figures.into_iter().flat_map(|it| &it.rounds) {
        times.add(of(round));
    }
    times
}

fn rate(rounds: &[Round]) -> f64 {
    let mut rates: Vec<f64> = rounds.iter().map(|round| round.rate).collect();
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}

fn mean(rounds: &[Round], of: fn(&Round) -> f64) -> f64 {
    rounds.iter().map(of).sum::<f64>() / rounds.len().max(1) as f64
}

fn micros(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e6)
}

fn percent(cores: f64) -> String {
    format!("{:.1} %", cores * 100.0)
}

/// The first line that a program says of its version, on either stream.
fn version(program: &str, prefix: &str) -> Outcome<String> {
    let output = Command::new(program)
        .arg("-v")
        .output()
        .map_err(|error| format!("cannot run {program}, which this benchmark needs: {error}"))?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().next().unwrap_or_default();
    let line = line.strip_prefix(prefix).unwrap_or(line);
    let end = line.find(" - ").or_else(|| line.find(" Copyright"));
    Ok(line[..end.unwrap_or(line.len())].to_owned())
}
