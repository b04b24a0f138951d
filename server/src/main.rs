//! `nono-mcp`: an MCP tool server whose commands run in a kernel sandbox.

mod audit;
mod cli;
mod commands_rights;
mod error;
mod excerpt;
mod folder;
mod hex;
mod kernel_log;
mod proxy;
mod quoted;
mod random;
mod removal;
mod remover;
mod report;
mod resources;
mod runs;
mod safe_text;
mod sandbox;
mod secrets;
mod session;
mod telemetry;
mod tools;
mod transport;

use nono_sandbox::supervisor::Startup;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next() {
        // A supervisor forks, so it must be dispatched while this process has one thread.
        Some(first) if first == Startup::MODE => nono_sandbox::supervisor::main(),
        Some(first) if first == runs::NAMESPACES => nono_sandbox::supervisor::attempt(),
        Some(first) if first == runs::SWEEP => {
            let at = nono_sandbox::groups::GroupsAt::from_arguments(arguments);
            at.map_or(ExitCode::from(64), |at| runs::sweep(&at))
        }
        Some(first) if first == remover::REMOVE => remover::main(arguments.next()),
        _ => cli::main(),
    }
}
