//! Logging and tracing: to stderr, because stdout belongs to the protocol, and to a collector if
//! the operator names one.
//!
//! Each call is one span. It says which tool was called, under which profile, and how it ended;
//! never what the tool was given or what a command has written.

#[cfg(feature = "otlp")]
mod otlp;
mod trace;

pub(crate) use trace::{TraceContext, call_span, ended, goes_on};

use crate::error::ServerError;
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

/// Installs the log writer for this process, and the export of spans to `collector`.
///
/// # Errors
/// [`ServerError::Telemetry`] if spans cannot be exported there.
pub(crate) fn install(collector: Option<&str>) -> Result<Telemetry, ServerError> {
    let filter =
        EnvFilter::try_from_env(FILTER_VARIABLE).unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let log = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
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
