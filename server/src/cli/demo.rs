//! `nono-mcp demo`: the sandbox at work on real files and sockets, seen through MCP.

use super::client::{Client, ToolAnswer};
use super::scenes::{CONNECT, Scene};
use crate::error::ServerError;
use serde_json::{Value, json};
use std::io::Write;
use std::process::ExitCode;

/// Shows one allowed command and two denied ones; fails if anything is not as promised.
///
/// # Errors
/// [`ServerError::Demo`] says what was not as promised.
pub(super) fn demo() -> Result<ExitCode, ServerError> {
    let scene = Scene::set()?;
    say("nono-mcp demo: an MCP server in a fresh workspace, and three calls to it\n");
    let mut client = Client::start(
        &scene.binary,
        &["--stdio".into(), "--workspace".into(), scene.workspace.clone().into()],
        &[("HOME".into(), scene.home.clone().into())],
    )?;
    allowed(&mut client)?;
    credential(&mut client, &scene)?;
    socket(&mut client, &scene)?;
    client.close()?;
    say("\nall as promised: the first command ran, the other two were refused and explained\n");
    Ok(ExitCode::SUCCESS)
}

fn allowed(client: &mut Client) -> Result<(), ServerError> {
    let command = "echo 'written inside the sandbox' > note.txt && cat note.txt && uname -s";
    let answer = call(
        client,
        "1. allowed: write and read in the workspace",
        "shell",
        &json!({"command": command}),
    )?;
    expect(answer.structured["exit_code"] == 0, "the allowed command exits with 0", &answer)?;
    let stdout = answer.structured["stdout"].as_str().unwrap_or_default();
    expect(stdout.starts_with("written inside the sandbox\n"), "its output comes back", &answer)?;
    expect(answer.structured["denials"]["total"] == 0, "nothing is denied", &answer)
}

fn credential(client: &mut Client, scene: &Scene) -> Result<(), ServerError> {
    let key = scene.key.display().to_string();
    let arguments = json!({"argv": ["cat", key]});
    let answer =
        call(client, "2. denied: read a private key in the home folder", "exec", &arguments)?;
    expect(answer.structured["exit_code"] != 0, "the command fails", &answer)?;
    expect(!answer.text.contains(super::scenes::SECRET), "the key stays secret", &answer)?;
    let denied = denials(&answer).any(|d| d["kind"] == "fs" && d["target"] == key.as_str());
    expect(denied, "the denial names the file", &answer)?;
    expect(answer.text.contains(&key), "the text names the file", &answer)
}

fn socket(client: &mut Client, scene: &Scene) -> Result<(), ServerError> {
    scene.socket_answers()?;
    let socket = scene.socket.display().to_string();
    let arguments = json!({"argv": ["./nono-mcp", CONNECT, socket]});
    let answer = call(client, "3. denied: connect to a UNIX socket outside", "exec", &arguments)?;
    expect(answer.structured["exit_code"] != 0, "the connection fails", &answer)?;
    let denied = denials(&answer).any(|d| {
        d["kind"] == "unix_socket" && d["target"] == socket.as_str() && d["errno"] == "EACCES"
    });
    expect(denied, "the denial names the socket", &answer)?;
    expect(answer.text.contains(&socket), "the text names the socket", &answer)
}

fn call(
    client: &mut Client,
    title: &str,
    tool: &str,
    arguments: &Value,
) -> Result<ToolAnswer, ServerError> {
    say(&format!("\n== {title}\n> {tool} {arguments}\n"));
    let answer = client.call(tool, arguments)?;
    say(&answer.text);
    let denials = &answer.structured["denials"]["items"];
    if denials.as_array().is_some_and(|items| !items.is_empty()) {
        let pretty = serde_json::to_string_pretty(denials).unwrap_or_default();
        say(&format!("structured, as agents get it: denials.items = {pretty}\n"));
    }
    Ok(answer)
}

fn denials(answer: &ToolAnswer) -> impl Iterator<Item = &Value> {
    answer.structured["denials"]["items"].as_array().into_iter().flatten()
}

fn expect(held: bool, promise: &str, answer: &ToolAnswer) -> Result<(), ServerError> {
    if held {
        return Ok(());
    }
    Err(ServerError::Demo(format!(
        "not as promised: {promise}; the answer was {}",
        answer.structured
    )))
}

/// Writes to standard output. If that is closed, nobody is watching.
fn say(text: &str) {
    let _nobody_listens = std::io::stdout().write_all(text.as_bytes());
}
