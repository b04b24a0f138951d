//! `nono-mcp`: an MCP tool server whose commands run in a kernel sandbox.

mod cli;
mod error;
mod folder;
mod random;
mod report;
mod runs;
mod session;
mod telemetry;
mod tools;
mod transport;

use std::process::ExitCode;

fn main() -> ExitCode {
    // A supervisor forks, so it must be dispatched while this process has one thread.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == runs::SUPERVISE) {
        return nono_sandbox::supervisor::main();
    }
    cli::main()
}
