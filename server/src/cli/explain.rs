//! `nono-mcp explain`: what the sandbox would say, for people.

use crate::error::ServerError;
use crate::session::{Ground, Setup};
use crate::tools::explain_answer;
use clap::Args;
use nono_schemas::{Aim, ExplainParams};
use std::process::ExitCode;

/// What is asked. Nothing: the profile in short.
#[derive(Debug, Args)]
pub(super) struct Asked {
    /// A file or folder.
    #[arg(value_name = "PATH", conflicts_with_all = ["socket", "host", "command"])]
    path: Option<String>,
    /// What would be done with it: read, write, execute, create or delete.
    #[arg(long, value_parser = aim, requires = "path")]
    access: Option<Aim>,
    /// A UNIX socket to connect to.
    #[arg(long, value_name = "PATH")]
    socket: Option<String>,
    /// Bind the socket instead.
    #[arg(long, requires = "socket")]
    bind: bool,
    /// A host to reach.
    #[arg(long)]
    host: Option<String>,
    /// Its port.
    #[arg(long, requires = "host")]
    port: Option<u16>,
    /// A command to start.
    #[arg(long)]
    command: Option<String>,
}

fn aim(text: &str) -> Result<Aim, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|_| "there are read, write, execute, create and delete".to_owned())
}

/// Prints the answer; fails if it is "denied".
///
/// # Errors
/// [`ServerError`] if the setup cannot be used.
pub(super) fn explain(setup: &Setup, asked: Asked) -> Result<ExitCode, ServerError> {
    let ground = Ground::prepare(setup)?;
    let Asked { path, access, socket, bind, host, port, command } = asked;
    let bind = bind.then_some(true);
    let params = ExplainParams {
        path,
        access,
        socket,
        bind,
        host,
        port,
        command,
        ..ExplainParams::default()
    };
    let (text, code) = match explain_answer(&ground, &params) {
        Ok(answer) => {
            let denied = answer.verdict == Some(crate::report::Verdict::Denied);
            (answer.text(), u8::from(denied))
        }
        Err(sentence) => (sentence + "\n", 2),
    };
    super::print::show(std::io::stdout(), &text);
    Ok(ExitCode::from(code))
}
