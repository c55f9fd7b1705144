//! SIGHUP: the log level is read again, as the file of `--static` is (`view_file`). Nothing else can
//! change while the program runs.

use std::env;

use ferryway_runtime::Stop;
use ferryway_runtime::signals::Hangup;
use ferryway_runtime::telemetry::{LOG_VARIABLE, LogLevel};

use crate::settings::{Asked, whole};

/// Reads the log level again with each signal, until stopped.
pub(crate) async fn run(
    mut hangup: Hangup,
    log: LogLevel,
    read_again: impl Fn() -> Result<Asked, String> + Send,
    stop: Stop,
) {
    loop {
        tokio::select! {
            () = stop.requested() => return,
            () = hangup.next() => {}
        }
        match new_level(&read_again).and_then(|level| set(&log, level)) {
            Ok(log_level) => tracing::info!(log_level, "read the log level again"),
            Err(why) => tracing::warn!(why, "the log level stays as it was"),
        }
    }
}

fn new_level(read_again: impl Fn() -> Result<Asked, String>) -> Result<String, String> {
    // It was the first to say something at the start, and is so still.
    if env::var_os(LOG_VARIABLE).is_some_and(|filter| !filter.is_empty()) {
        return Err(format!("{LOG_VARIABLE} says what is logged"));
    }
    match read_again()? {
        Asked::Run(settings) => Ok(settings.log_level),
        Asked::Told(told) => Err(told.to_string().trim().to_owned()),
    }
}

fn set(log: &LogLevel, level: String) -> Result<String, String> {
    log.set(&level).map_err(|error| whole(&error))?;
    Ok(level)
}
