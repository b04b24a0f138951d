//! Logging: to stderr, because stdout belongs to the protocol.

use tracing_subscriber::EnvFilter;

/// Variable that sets the filter, in the syntax of `tracing_subscriber::EnvFilter`.
pub(crate) const FILTER_VARIABLE: &str = "NONO_LOG";

/// rmcp logs whole requests and every closed connection, so it is off unless asked for.
const DEFAULT_FILTER: &str = "warn,rmcp=off";

/// Installs the log writer for this process.
pub(crate) fn install() {
    let filter =
        EnvFilter::try_from_env(FILTER_VARIABLE).unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let installed = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .try_init();
    if let Err(error) = installed {
        tracing::debug!(%error, "another log writer is installed already");
    }
}
