//! The log: tracing events to standard error, one line each, under a filter that can be changed
//! while the program runs.

use std::env;
use std::fmt;
use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;

/// Where the environment may name the filter, in tracing's syntax: `debug`, or
/// `info,ferryway_delivery=trace`.
pub const LOG_VARIABLE: &str = "FERRYWAY_LOG";

/// Sends the events of this process to standard error, filtered by `FERRYWAY_LOG` or, where that
/// is unset or empty, by `default_filter`. Coloured on a terminal, plain elsewhere.
///
/// Call it once, at the start of `main`.
///
/// # Errors
///
/// When the filter cannot be read, or the process already has a log.
pub fn init(default_filter: &str) -> Result<LogLevel, TelemetryError> {
    let named = env::var(LOG_VARIABLE)
        .ok()
        .filter(|filter| !filter.is_empty());
    let filter = named.as_deref().unwrap_or(default_filter);
    let on_a_terminal = io::stderr().is_terminal();
    let (subscriber, level) = subscriber(filter, io::stderr, on_a_terminal)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| TelemetryError::Twice)?;
    Ok(level)
}

/// Changes what is logged while the program runs. Clones change the same log.
#[derive(Clone)]
pub struct LogLevel {
    handle: reload::Handle<EnvFilter, Registry>,
}

impl LogLevel {
    /// Logs by `filter` from now on.
    ///
    /// # Errors
    ///
    /// When the filter cannot be read; the old one stays then.
    pub fn set(&self, filter: &str) -> Result<(), TelemetryError> {
        self.handle
            .reload(parse(filter)?)
            .map_err(|_| TelemetryError::Gone)
    }
}

impl fmt::Debug for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filter = self.handle.with_current(ToString::to_string).ok();
        f.debug_struct("LogLevel").field("filter", &filter).finish()
    }
}

/// Why the log is not as asked.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not in tracing's syntax.
    #[error("cannot read the log filter {filter:?}")]
    Filter {
        /// The filter as given.
        filter: Box<str>,
        /// What is wrong with it.
        source: ParseError,
    },
    /// The process already has a log.
    #[error("the log of this process was set up before")]
    Twice,
    /// The log that this handle changes no longer exists.
    #[error("the log that this level belongs to is gone")]
    Gone,
}

fn subscriber<W>(
    filter: &str,
    writer: W,
    ansi: bool,
) -> Result<(impl Subscriber + Send + Sync + use<W>, LogLevel), TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(parse(filter)?);
    let lines = tracing_subscriber::fmt::layer()
        .compact()
        .with_ansi(ansi)
        .with_writer(writer);
    Ok((
        Registry::default().with(filter).with(lines),
        LogLevel { handle },
    ))
}

fn parse(filter: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::builder()
        .parse(filter)
        .map_err(|source| TelemetryError::Filter {
            filter: filter.into(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        fn take(&self) -> String {
            String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
        }
    }

    #[test]
    fn the_level_can_be_changed_and_a_bad_one_changes_nothing() {
        let lines = Lines::default();
        let writer = lines.clone();
        let (subscriber, level) = subscriber("info", move || writer.clone(), false).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!("quiet");
            tracing::info!(port = 9080, "heard");
            let text = lines.take();
            assert!(
                text.contains("heard port=9080") && !text.contains("quiet"),
                "{text}"
            );

            level.set("debug").unwrap();
            tracing::debug!("now heard");
            assert!(lines.take().contains("now heard"));

            let error = level.set("level=loud").unwrap_err();
            assert_eq!(
                error.to_string(),
                r#"cannot read the log filter "level=loud""#
            );
            tracing::debug!("still heard");
            assert!(lines.take().contains("still heard"));
            assert!(format!("{level:?}").contains("debug"));
        });
        assert!(matches!(level.set("info"), Err(TelemetryError::Gone)));
    }

    #[test]
    fn colour_only_where_asked() {
        for ansi in [false, true] {
            let lines = Lines::default();
            let writer = lines.clone();
            let (subscriber, _level) = subscriber("info", move || writer.clone(), ansi).unwrap();
            tracing::subscriber::with_default(subscriber, || tracing::warn!("line"));
            assert_eq!(lines.take().contains('\u{1b}'), ansi);
        }
    }

    #[test]
    fn a_process_has_one_log() {
        init("info").unwrap();
        assert!(matches!(init("info"), Err(TelemetryError::Twice)));
    }
}
