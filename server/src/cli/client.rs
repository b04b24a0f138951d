//! A small MCP client, for the demonstration.

use crate::error::ServerError;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A server this process started, and the conversation with it.
#[derive(Debug)]
pub(super) struct Client {
    server: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    last_id: u64,
}

/// What a tool answered.
#[derive(Debug)]
pub(super) struct ToolAnswer {
    /// The structured result.
    pub(super) structured: Value,
    /// The text.
    pub(super) text: String,
}

impl Client {
    /// Starts a server with these arguments and variables of its own, and shakes hands.
    ///
    /// # Errors
    /// [`ServerError`] if the server cannot be started or does not speak MCP.
    pub(super) fn start(
        binary: &Path,
        arguments: &[OsString],
        environment: &[(OsString, OsString)],
    ) -> Result<Self, ServerError> {
        let mut server = Command::new(binary)
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(ServerError::doing("start the server"))?;
        let (Some(to), Some(from)) = (server.stdin.take(), server.stdout.take()) else {
            return Err(ServerError::Demo("the server has no standard input and output".into()));
        };
        let mut client = Self { server, to, from: BufReader::new(from), last_id: 0 };
        let hello = json!({
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "nono-mcp demo", "version": env!("CARGO_PKG_VERSION")},
        });
        client.request("initialize", &hello)?;
        client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        Ok(client)
    }

    /// Calls a tool.
    ///
    /// # Errors
    /// [`ServerError`] if there is no answer, or an error in its place.
    pub(super) fn call(
        &mut self,
        tool: &str,
        arguments: &Value,
    ) -> Result<ToolAnswer, ServerError> {
        let result = self.request("tools/call", &json!({"name": tool, "arguments": arguments}))?;
        let text = result["content"][0]["text"].as_str().unwrap_or_default().to_owned();
        Ok(ToolAnswer { structured: result["structuredContent"].clone(), text })
    }

    /// Closes the conversation and waits for the server to end.
    ///
    /// # Errors
    /// [`ServerError`] if it ends with an error.
    pub(super) fn close(self) -> Result<(), ServerError> {
        let Self { mut server, to, from, .. } = self;
        drop((to, from));
        let status = server.wait().map_err(ServerError::doing("wait for the server"))?;
        if status.success() {
            return Ok(());
        }
        Err(ServerError::Demo(format!("the server ended with {status}")))
    }

    fn request(&mut self, method: &str, params: &Value) -> Result<Value, ServerError> {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?;
        loop {
            let mut line = String::new();
            let length =
                self.from.read_line(&mut line).map_err(ServerError::doing("read an answer"))?;
            if length == 0 {
                return Err(ServerError::Demo(format!(
                    "the server ended before it answered {method}"
                )));
            }
            let message: Value = serde_json::from_str(&line)
                .map_err(|e| ServerError::Demo(format!("not JSON-RPC: {e}: {line}")))?;
            if message["id"] != id {
                continue;
            }
            return match message.get("error") {
                None => Ok(message["result"].clone()),
                Some(error) => Err(ServerError::Demo(format!("{method} failed: {error}"))),
            };
        }
    }

    fn send(&mut self, message: &Value) -> Result<(), ServerError> {
        writeln!(self.to, "{message}").map_err(ServerError::doing("write to the server"))?;
        self.to.flush().map_err(ServerError::doing("write to the server"))
    }
}
