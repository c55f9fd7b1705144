//! What the programs count about themselves, read from their `/metrics`.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::Outcome;
use crate::wire::{Connection, request};

/// The samples of one scrape, labels summed up: of `a{x="1"} 2` and `a{x="2"} 3` there is `a` = 5.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    sums: BTreeMap<String, f64>,
    /// For each `NAME_bucket`: upper bounds in seconds, and how many are not above.
    buckets: BTreeMap<String, Vec<(f64, f64)>>,
}

impl Metrics {
    /// Scrapes a program over a connection that is kept.
    ///
    /// # Errors
    ///
    /// No answer, or another one than 200.
    pub async fn scrape(connection: &mut Connection, of: SocketAddr) -> Outcome<Self> {
        let ask = request("GET", &of.to_string(), "/metrics", "", b"");
        let reply = connection.exchange(&ask).await?;
        if reply.status != 200 {
            return Err(format!("/metrics of {of} answers {}", reply.status).into());
        }
        Ok(Self::read(&String::from_utf8_lossy(&reply.body)))
    }

    /// Reads the text form of Prometheus. Lines that are no samples are passed over.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut metrics = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else {
                continue;
            };
            let Ok(value) = value.parse::<f64>() else {
                continue;
            };
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            *metrics.sums.entry(name.to_owned()).or_default() += value;
            if let Some(bound) = bound(labels) {
                metrics.add_to_bucket(name, bound, value);
            }
        }
        metrics
    }

    /// The sum over all series of this name.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn sum(&self, name: &str) -> Outcome<f64> {
        let found = self.sums.get(name).copied();
        found.ok_or_else(|| format!("there is no metric {name}").into())
    }

    /// What was added since an earlier scrape, of everything.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let sums = self.sums.iter().map(|(name, value)| {
            let before = earlier.sums.get(name).copied().unwrap_or_default();
            (name.clone(), value - before)
        });
        let buckets = self.buckets.iter().map(|(name, buckets)| {
            let before = earlier.buckets.get(name).map_or(&[][..], Vec::as_slice);
            let less = |(bound, count): &(f64, f64)| {
                let before = before.iter().find(|(other, _)| other == bound);
                (*bound, count - before.map_or(0.0, |(_, count)| *count))
            };
            (name.clone(), buckets.iter().map(less).collect())
        });
        Self {
            sums: sums.collect(),
            buckets: buckets.collect(),
        }
    }

    /// The mean of a histogram or summary, in its unit, and how many it is of.
    ///
    /// # Errors
    ///
    /// There is no such metric, or nothing was counted.
    pub fn mean(&self, name: &str) -> Outcome<(f64, f64)> {
        let sum = self.sum(&format!("{name}_sum"))?;
        let count = self.sum(&format!("{name}_count"))?;
        if count > 0.0 {
            Ok((sum / count, count))
        } else {
            Err(format!("{name} has counted nothing").into())
        }
    }

    /// The upper bound of the bucket of a histogram in which this share of all is reached.
    ///
    /// # Errors
    ///
    /// There is no such histogram.
    pub fn quantile_bound(&self, name: &str, share: f64) -> Outcome<f64> {
        let buckets = self.buckets.get(&format!("{name}_bucket"));
        let buckets = buckets.ok_or_else(|| format!("there is no histogram {name}"))?;
        let all = buckets.last().map_or(0.0, |(_, count)| *count);
        let reached = buckets.iter().find(|(_, count)| *count >= all * share);
        Ok(reached.map_or(f64::INFINITY, |(bound, _)| *bound))
    }

    fn add_to_bucket(&mut self, name: &str, bound: f64, value: f64) {
        let buckets = self.buckets.entry(name.to_owned()).or_default();
        match buckets.iter_mut().find(|(other, _)| *other == bound) {
            Some((_, count)) => *count += value,
            None => buckets.push((bound, value)),
        }
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
    }
}

fn bound(labels: &str) -> Option<f64> {
    let (_, rest) = labels.split_once("le=\"")?;
    let (bound, _) = rest.split_once('"')?;
    bound.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "\
# HELP took_seconds How long it took.
# TYPE took_seconds histogram
took_seconds_bucket{group=\"a\",le=\"0.1\"} 1
took_seconds_bucket{group=\"a\",le=\"0.5\"} 1
took_seconds_bucket{group=\"a\",le=\"+Inf\"} 1
took_seconds_sum{group=\"a\"} 0.05
took_seconds_count{group=\"a\"} 1
plain 4

";
    const AFTER: &str = "\
took_seconds_bucket{group=\"a\",le=\"0.1\"} 2
took_seconds_bucket{group=\"a\",le=\"0.5\"} 3
took_seconds_bucket{group=\"a\",le=\"+Inf\"} 4
took_seconds_bucket{group=\"b\",le=\"0.1\"} 1
took_seconds_bucket{group=\"b\",le=\"0.5\"} 1
took_seconds_bucket{group=\"b\",le=\"+Inf\"} 1
took_seconds_sum{group=\"a\"} 2.05
took_seconds_sum{group=\"b\"} 0.06
took_seconds_count{group=\"a\"} 4
took_seconds_count{group=\"b\"} 1
plain 5.5
";

    #[test]
    fn sums_means_and_quantiles_since_an_earlier_scrape() {
        let since = Metrics::read(AFTER).since(&Metrics::read(BEFORE));
        assert_eq!(since.sum("plain").unwrap(), 1.5);
        let (mean, count) = since.mean("took_seconds").unwrap();
        assert_eq!((format!("{mean:.3}"), count), ("0.515".to_owned(), 4.0));
        for (share, bound) in [(0.5, 0.1), (0.75, 0.5), (0.99, f64::INFINITY)] {
            assert_eq!(since.quantile_bound("took_seconds", share).unwrap(), bound);
        }
    }

    #[test]
    fn what_is_missing_is_an_error() {
        let metrics = Metrics::read(BEFORE);
        metrics.sum("other").unwrap_err();
        metrics.quantile_bound("plain", 0.5).unwrap_err();
        let nothing = metrics.since(&metrics).mean("took_seconds").unwrap_err();
        assert!(nothing.to_string().contains("has counted nothing"));
    }
}
