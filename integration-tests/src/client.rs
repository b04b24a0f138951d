//! A server driven through rmcp's client, with a blocking face.

use crate::site::Site;
use base64::Engine as _;
use rmcp::model::{
    CallToolRequestParams, CallToolResult, ReadResourceRequestParams, ResourceContents, Tool,
};
use rmcp::service::{RoleClient, RunningService, ServiceError};
use rmcp::transport::TokioChildProcess;
use rmcp::{ServiceExt, model::ErrorData};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// No answer within this time means that there will be none.
const ANSWER_BOUND: Duration = Duration::from_secs(1800);

/// A running `nono-mcp --stdio`. Dropping it closes its stdin and waits for its end.
#[derive(Debug)]
pub struct Server {
    runtime: Runtime,
    client: Option<RunningService<RoleClient, ()>>,
    pid: u32,
    log: PathBuf,
    site: Site,
}

impl Server {
    /// Starts a server on the site's workspace and shakes hands.
    ///
    /// # Panics
    /// If it does not start; the message holds what it wrote to stderr.
    #[must_use]
    pub fn start(site: &Site, profile: Option<&Path>) -> Self {
        let mut command = site.nono_mcp(&["--stdio", "--workspace", &site.text("ws")]);
        if let Some(profile) = profile {
            command.arg("--profile").arg(profile);
        }
        Self::start_command(site, command)
    }

    /// Starts any server command line.
    ///
    /// # Panics
    /// As [`Server::start`].
    #[must_use]
    pub fn start_command(site: &Site, command: std::process::Command) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("runtime");
        let log = site.path("server.log");
        let stderr = std::fs::File::create(&log).expect("log file");
        let shake = async {
            let command = tokio::process::Command::from(command);
            let (transport, _) = TokioChildProcess::builder(command)
                .stderr(Stdio::from(stderr))
                .spawn()
                .expect("start nono-mcp");
            let pid = transport.id().expect("a running child has an id");
            let client = tokio::time::timeout(Duration::from_secs(60), ().serve(transport)).await;
            (pid, client)
        };
        let (pid, client) = runtime.block_on(shake);
        let wrote = || std::fs::read_to_string(&log).unwrap_or_default();
        let client = match client {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => panic!("handshake: {error}; stderr:\n{}", wrote()),
            Err(_) => panic!("no handshake within a minute; stderr:\n{}", wrote()),
        };
        Self { runtime, client: Some(client), pid, log, site: site.clone() }
    }

    /// The server's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Where it runs.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// What the server has written to stderr.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn client(&self) -> &RunningService<RoleClient, ()> {
        self.client.as_ref().expect("the client lives as long as the server")
    }

    /// The listed tools.
    ///
    /// # Panics
    /// If the server does not list them.
    #[must_use]
    pub fn tools(&self) -> Vec<Tool> {
        self.runtime.block_on(self.client().list_all_tools()).expect("tools/list")
    }

    /// What the server said about itself in the handshake.
    ///
    /// # Panics
    /// If it said nothing.
    #[must_use]
    pub fn info(&self) -> Value {
        let info = self.client().peer_info().expect("a handshake happened");
        serde_json::to_value(&*info).expect("plain data")
    }

    /// The bytes of a resource; `Err` is a JSON-RPC error.
    ///
    /// # Errors
    /// The protocol error the server answered with.
    ///
    /// # Panics
    /// If the connection is lost.
    pub fn resource(&self, uri: &str) -> Result<Vec<u8>, ErrorData> {
        let read = ReadResourceRequestParams::new(uri);
        match self.runtime.block_on(self.client().read_resource(read)) {
            Ok(result) => Ok(match result.contents.first().expect("contents") {
                ResourceContents::TextResourceContents { text, .. } => text.clone().into_bytes(),
                ResourceContents::BlobResourceContents { blob, .. } => {
                    base64::engine::general_purpose::STANDARD.decode(blob).expect("base64")
                }
                other => panic!("{uri}: {other:?}"),
            }),
            Err(ServiceError::McpError(error)) => Err(error),
            Err(error) => panic!("{uri}: {error}; stderr:\n{}", self.log()),
        }
    }

    /// Calls a tool; `Err` is a JSON-RPC error.
    ///
    /// # Errors
    /// The protocol error the server answered with.
    ///
    /// # Panics
    /// If the connection is lost or nothing comes.
    pub fn call(&self, tool: &str, arguments: Value) -> Result<Answer, ErrorData> {
        let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
        let parameters = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let start = Instant::now();
        let answer = self.runtime.block_on(async {
            tokio::time::timeout(ANSWER_BOUND, self.client().call_tool(parameters)).await
        });
        match answer {
            Ok(Ok(result)) => Ok(Answer::new(result, start.elapsed())),
            Ok(Err(ServiceError::McpError(error))) => Err(error),
            Ok(Err(error)) => panic!("{tool}: {error}; stderr:\n{}", self.log()),
            Err(_) => panic!("{tool}: no answer; stderr:\n{}", self.log()),
        }
    }

    /// Calls a tool that must not give a protocol error.
    ///
    /// # Panics
    /// If it does.
    pub fn ask(&self, tool: &str, arguments: Value) -> Answer {
        self.call(tool, arguments).unwrap_or_else(|e| panic!("{tool}: protocol error {e:?}"))
    }

    /// `shell` with nothing but a command.
    pub fn shell(&self, command: &str) -> Answer {
        self.ask("shell", json!({ "command": command }))
    }

    /// `exec` with nothing but arguments.
    pub fn exec(&self, argv: &[&str]) -> Answer {
        self.ask("exec", json!({ "argv": argv }))
    }

    /// `exec` of a program in the workspace, with as much time as it needs.
    pub fn run(&self, program: &str, args: &[&str]) -> Answer {
        let mut argv = vec![format!("./{program}")];
        argv.extend(args.iter().map(|a| (*a).to_owned()));
        let most = 1_200_000;
        self.ask("exec", json!({ "argv": argv, "timeout_ms": most, "yield_ms": most }))
    }

    /// What a probe prints inside of the sandbox, or how it died.
    #[must_use]
    pub fn probe(&self, args: &[&str]) -> String {
        self.run("probe", args).said()
    }

    /// Closes the connection as a client does; gives whether the server ended by itself.
    ///
    /// # Panics
    /// If the client's own task broke.
    pub fn close(&mut self) {
        if let Some(client) = self.client.take() {
            let _ = self.runtime.block_on(client.cancel()).expect("client task");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            let _ = self.runtime.block_on(client.cancel());
        }
    }
}

/// One tool result.
#[derive(Debug)]
pub struct Answer {
    /// Whether the command was not run.
    pub is_error: bool,
    /// All text content, joined.
    pub text: String,
    /// `structuredContent`, null where there is none.
    pub value: Value,
    /// From the call to the answer.
    pub took: Duration,
}

impl Answer {
    fn new(result: CallToolResult, took: Duration) -> Self {
        Self::from_json(&serde_json::to_value(&result).expect("plain data"), took)
    }

    /// A result as it came over the wire.
    pub(crate) fn from_json(raw: &Value, took: Duration) -> Self {
        let parts = raw["content"].as_array().cloned().unwrap_or_default();
        let texts: Vec<&str> = parts.iter().filter_map(|p| p["text"].as_str()).collect();
        Self {
            is_error: raw["isError"].as_bool().unwrap_or(false),
            text: texts.join("\n"),
            value: raw["structuredContent"].clone(),
            took,
        }
    }

    /// A text field of the result, empty if it is not there.
    #[must_use]
    pub fn str(&self, field: &str) -> &str {
        self.value[field].as_str().unwrap_or("")
    }

    /// `status`.
    #[must_use]
    pub fn status(&self) -> &str {
        self.str("status")
    }

    /// `stdout`.
    #[must_use]
    pub fn stdout(&self) -> &str {
        self.str("stdout")
    }

    /// `stderr`.
    #[must_use]
    pub fn stderr(&self) -> &str {
        self.str("stderr")
    }

    /// `exit_code`.
    #[must_use]
    pub fn exit_code(&self) -> Option<i64> {
        self.value["exit_code"].as_i64()
    }

    /// `denials.total`; a result without denials may leave the block out.
    #[must_use]
    pub fn denials_total(&self) -> u64 {
        self.value["denials"]["total"].as_u64().unwrap_or(0)
    }

    /// `denials.items`.
    #[must_use]
    pub fn denials(&self) -> Vec<Value> {
        self.value["denials"]["items"].as_array().cloned().unwrap_or_default()
    }

    /// A layer of the sandbox. The first answer of a session shows each.
    ///
    /// # Panics
    /// If it is not shown.
    #[must_use]
    pub fn layer(&self, name: &str) -> Value {
        let layers = self.value["sandbox"]["layers"].as_array().expect("layers");
        layers.iter().find(|l| l["name"] == name).expect("the layer is shown").clone()
    }

    /// The denial of one kind with one target as the program gave it.
    #[must_use]
    pub fn denial(&self, kind: &str, target: &str) -> Option<Value> {
        self.denials().into_iter().find(|d| d["kind"] == kind && d["target"] == target)
    }

    /// What a probe printed, or how the run ended if not by itself.
    #[must_use]
    pub fn said(&self) -> String {
        match (self.is_error, self.status(), self.value["signal"].as_str()) {
            (true, ..) => format!("error: {}", self.text),
            (_, _, Some(signal)) => format!("signal {signal}"),
            (_, "exited", _) => self.stdout().trim_end().to_owned(),
            (_, other, _) => format!("{other}: {}", self.stdout().trim_end()),
        }
    }
}
