//! Logging and tracing: to stderr, because stdout belongs to the protocol, and to a collector if
//! the operator names one.
//!
//! Each call is one span. It says which tool was called, under which profile, and how it ended;
//! never what the tool was given or what a command has written.

mod context;
#[cfg(feature = "otlp")]
mod otlp;
mod trace;

pub(crate) use context::TraceContext;
pub(crate) use trace::{call_span, ended, goes_on};

use crate::error::ServerError;
use crate::safe_text::clean;
use std::io::{self, Write};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// Variable that sets the filter, in the syntax of `tracing_subscriber::EnvFilter`.
pub(crate) const FILTER_VARIABLE: &str = "NONO_LOG";

/// rmcp logs whole requests and every closed connection, so it is off unless asked for.
const DEFAULT_FILTER: &str = "warn,rmcp=off";

/// What has to be flushed at the end.
#[derive(Debug, Default)]
pub(crate) struct Telemetry {
    #[cfg(feature = "otlp")]
    export: Option<otlp::Export>,
}

/// A log that somebody may read on a terminal, and that quotes files and names of anybody.
struct Clean<W>(W);

impl<W: Write> Write for Clean<W> {
    /// Writes one event, which comes in one piece, as one line: a name with a line end in it would
    /// else begin another.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = clean::line(text.strip_suffix('\n').unwrap_or(&text));
        self.0.write_all(format!("{line}\n").as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Installs the log writer for this process, and the export of spans to `collector`.
///
/// # Errors
/// [`ServerError::Telemetry`] if spans cannot be exported there.
pub(crate) fn install(collector: Option<&str>) -> Result<Telemetry, ServerError> {
    let filter =
        EnvFilter::try_from_env(FILTER_VARIABLE).unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let log = tracing_subscriber::fmt::layer()
        .with_writer(|| Clean(std::io::stderr()))
        .with_ansi(false)
        .with_target(false)
        .with_filter(filter);
    let registry = tracing_subscriber::registry().with(log);
    let (telemetry, installed) = match collector {
        None => (Telemetry::default(), registry.try_init()),
        #[cfg(feature = "otlp")]
        Some(endpoint) => {
            let export = otlp::Export::to(endpoint)?;
            let installed = registry.with(export.layer()).try_init();
            (Telemetry { export: Some(export) }, installed)
        }
        #[cfg(not(feature = "otlp"))]
        Some(_) => {
            let why = "this nono-mcp was built without the feature `otlp`; build it with \
                       `--features otlp`, or leave --otlp out";
            return Err(ServerError::Telemetry(why.to_owned()));
        }
    };
    if let Err(error) = installed {
        tracing::debug!(%error, "another log writer is installed already");
    }
    Ok(telemetry)
}

impl Telemetry {
    /// Sends what is left, for a moment at most: a collector that is gone holds nothing up.
    pub(crate) fn flush(self) {
        #[cfg(feature = "otlp")]
        if let Some(export) = self.export {
            export.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_that_works_no_terminal() {
        let mut log = Clean(Vec::new());
        let hostile = " WARN x\u{1b}]52;c;cm0=\u{7}\u{202e}\n ERROR forged\n";
        log.write_all(hostile.as_bytes()).unwrap();
        log.write_all(b" WARN plain\n").unwrap();
        let text = String::from_utf8(log.0).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[1]), (2, " WARN plain"));
        assert!(lines[0].ends_with(" ERROR forged"), "{text:?}");
        assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{text:?}");
    }
}
