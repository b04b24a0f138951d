//! A server reached over HTTP, byte by byte: what a library would repair, a test has to be able to
//! get wrong.

use crate::client::Answer;
use crate::site::Site;
use crate::wait;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// No answer within this time means that there will be none.
const ANSWER_BOUND: Duration = Duration::from_secs(600);

/// The protocol version without a handshake.
pub const MODERN: &str = "2026-07-28";

/// A running `nono-mcp --http` on a free loopback port. Dropping it ends it.
#[derive(Debug)]
pub struct HttpServer {
    child: Child,
    address: SocketAddr,
    token: String,
    token_file: Option<PathBuf>,
    log: PathBuf,
}

impl HttpServer {
    /// Starts a server on the site's workspace.
    ///
    /// # Panics
    /// If it does not start; the message holds what it wrote to stderr.
    #[must_use]
    pub fn start(site: &Site) -> Self {
        Self::start_with(site, &[])
    }

    /// The same with more arguments.
    ///
    /// # Panics
    /// As [`HttpServer::start`].
    #[must_use]
    pub fn start_with(site: &Site, arguments: &[&str]) -> Self {
        let mut command = site.nono_mcp(&["--http", "127.0.0.1:0", "--workspace"]);
        command.arg(site.workspace()).args(arguments);
        Self::start_command(site, command, None)
    }

    /// Starts any server command line. `token` is the one it is known to take; without it the
    /// file that the server names is read.
    ///
    /// # Panics
    /// As [`HttpServer::start`].
    #[must_use]
    pub fn start_command(site: &Site, mut command: Command, token: Option<&str>) -> Self {
        let log = site.path("http.log");
        command.stdout(Stdio::null()).stderr(std::fs::File::create(&log).expect("log file"));
        let mut child = command.spawn().expect("start nono-mcp");
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        // In full, that is with its end.
        let line = || {
            let said = said();
            let from = said.find("nono-mcp: serving MCP on")?;
            said.get(from..)?.split_once('\n').map(|(line, _)| line.to_owned())
        };
        let ended = |child: &mut Child| child.try_wait().expect("wait").is_some();
        let started = wait::until(|| line().is_some() || ended(&mut child));
        let line = line().unwrap_or_else(|| panic!("not serving ({started}):\n{}", said()));
        let address = line.split('/').nth(2).expect("an address").parse().expect("an address");
        let token_file = line.split_once("the token is in ").map(|(_, path)| PathBuf::from(path));
        let token = token.map(str::to_owned).or_else(|| {
            let text = std::fs::read_to_string(token_file.as_ref()?).expect("the token's file");
            Some(text.trim_end().to_owned())
        });
        Self { child, address, token: token.unwrap_or_default(), token_file, log }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The token it takes.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The file it named.
    ///
    /// # Panics
    /// If it named none.
    #[must_use]
    pub fn token_file(&self) -> &PathBuf {
        self.token_file.as_ref().expect("a token in a file")
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to stderr.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether it has ended by itself.
    ///
    /// # Panics
    /// If it cannot be waited for.
    #[must_use]
    pub fn ends(&mut self) -> bool {
        wait::until(|| self.child.try_wait().expect("wait for the server").is_some())
    }

    /// A connection to it.
    ///
    /// # Panics
    /// If it does not accept one.
    #[must_use]
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("connect to the server");
        stream.set_read_timeout(Some(ANSWER_BOUND)).expect("a timeout");
        stream
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Panics
    /// If no answer comes.
    #[must_use]
    pub fn send(&self, request: &Request) -> Reply {
        self.try_send(request).unwrap_or_else(|e| panic!("no answer: {e}; stderr:\n{}", self.log()))
    }

    /// The same where the server may close the connection instead.
    ///
    /// # Errors
    /// What went wrong.
    pub fn try_send(&self, request: &Request) -> std::io::Result<Reply> {
        let mut stream = self.connect();
        // A server that answers early may stop reading.
        let sent = stream.write_all(&request.bytes(self.address));
        let mut bytes = Vec::new();
        match stream.read_to_end(&mut bytes) {
            Err(error) if bytes.is_empty() => return Err(sent.err().unwrap_or(error)),
            Ok(_) | Err(_) => {}
        }
        Reply::parse(&bytes).ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
    }

    /// A request without a handshake, as [`MODERN`] has it.
    #[must_use]
    pub fn modern(&self, method: &str, params: Value) -> Request {
        Request::modern(method, params).bearer(&self.token)
    }

    /// Shakes hands in an older version.
    ///
    /// # Panics
    /// If the server gives no session.
    #[must_use]
    pub fn session(&self, version: &str) -> Session<'_> {
        self.session_as(&self.token, version)
    }

    /// The same with somebody's token.
    ///
    /// # Panics
    /// If the server gives no session.
    #[must_use]
    pub fn session_as(&self, token: &str, version: &str) -> Session<'_> {
        let client = json!({"name": "it", "version": "1"});
        let params = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": client});
        let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
        let reply = self.send(&Request::json(&hello).bearer(token));
        let id = reply.header("mcp-session-id").unwrap_or_else(|| panic!("{reply:?}")).to_owned();
        let session =
            Session { server: self, token: token.to_owned(), version: version.to_owned(), id };
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(self.send(&session.request(&initialized)).status, 202);
        session
    }

    /// Calls a tool without a handshake.
    ///
    /// # Panics
    /// If there is no result.
    #[must_use]
    pub fn call(&self, tool: &str, arguments: Value) -> Answer {
        self.call_as(&self.token, tool, arguments)
    }

    /// Calls a tool with somebody's token.
    ///
    /// # Panics
    /// If there is no result.
    #[must_use]
    pub fn call_as(&self, token: &str, tool: &str, arguments: Value) -> Answer {
        let start = Instant::now();
        let params = json!({"name": tool, "arguments": arguments});
        self.send(&Request::modern("tools/call", params).bearer(token)).answer(start)
    }

    /// `shell` with nothing but a command.
    #[must_use]
    pub fn shell(&self, command: &str) -> Answer {
        self.call("shell", json!({ "command": command }))
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A session of an older protocol version.
#[derive(Debug)]
pub struct Session<'s> {
    server: &'s HttpServer,
    token: String,
    version: String,
    /// Its id.
    pub id: String,
}

impl Session<'_> {
    /// A request in this session.
    #[must_use]
    pub fn request(&self, message: &Value) -> Request {
        self.within(Request::json(message))
    }

    /// The same request, as this session's.
    fn within(&self, request: Request) -> Request {
        request
            .bearer(&self.token)
            .header("Mcp-Session-Id", &self.id)
            .header("MCP-Protocol-Version", &self.version)
    }

    /// Asks for what came after an event, as a client does that was cut off.
    #[must_use]
    pub fn resume(&self, last_event: &str) -> Request {
        self.within(Request::get("/mcp"))
            .header("Accept", "text/event-stream")
            .header("Last-Event-ID", last_event)
    }

    /// Calls a tool.
    ///
    /// # Panics
    /// If there is no result.
    #[must_use]
    pub fn call(&self, tool: &str, arguments: Value) -> Answer {
        let start = Instant::now();
        let params = json!({"name": tool, "arguments": arguments});
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        self.server.send(&self.request(&call)).answer(start)
    }
}

/// A request, as wrong as a test wants it.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// Without a body.
    #[must_use]
    pub fn get(path: &str) -> Self {
        let (method, path) = ("GET".to_owned(), path.to_owned());
        Self { method, path, headers: Vec::new(), body: Vec::new() }
    }

    /// A POST of these bytes to the endpoint, with the headers every MCP client sends.
    #[must_use]
    pub fn post(body: impl Into<Vec<u8>>) -> Self {
        let (method, path) = ("POST".to_owned(), "/mcp".to_owned());
        Self { method, path, headers: Vec::new(), body: body.into() }
            .header("Content-Type", "application/json")
            .header("Accept", "application/json, text/event-stream")
    }

    /// A POST of a message.
    #[must_use]
    pub fn json(message: &Value) -> Self {
        Self::post(message.to_string())
    }

    /// A POST of a request as [`MODERN`] has it, with its id 1.
    ///
    /// # Panics
    /// If `params` is no object.
    #[must_use]
    pub fn modern(method: &str, params: Value) -> Self {
        Self::modern_of(&json!({}), method, params)
    }

    /// The same of a client that declares these capabilities.
    ///
    /// # Panics
    /// If `params` is no object.
    #[must_use]
    pub fn modern_of(capabilities: &Value, method: &str, mut params: Value) -> Self {
        let named = ["name", "uri", "taskId"].into_iter().find_map(|key| params[key].as_str());
        let name = named.map(str::to_owned);
        let meta = params.as_object_mut().expect("an object").entry("_meta").or_insert(json!({}));
        meta["io.modelcontextprotocol/protocolVersion"] = json!(MODERN);
        meta["io.modelcontextprotocol/clientCapabilities"] = capabilities.clone();
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let request = Self::json(&message)
            .header("MCP-Protocol-Version", MODERN)
            .header("Mcp-Method", method);
        name.iter().fold(request, |request, name| request.header("Mcp-Name", name))
    }

    /// Another method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    /// Another path.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// With a token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// With a header, in place of one of that name.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What goes over the wire.
    #[must_use]
    pub fn bytes(&self, address: SocketAddr) -> Vec<u8> {
        let has = |name: &str| self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        if !has("Host") {
            text.push_str(&format!("Host: {address}\r\n"));
        }
        if !has("Content-Length") && !has("Transfer-Encoding") {
            text.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        if !has("Connection") {
            text.push_str("Connection: close\r\n");
        }
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        [text.into_bytes(), self.body.clone()].concat()
    }
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Reply {
    /// Takes an answer apart; `None` if it is none.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(bytes.get(..end)?).into_owned();
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect();
        let body = bytes.get(end + 4..)?;
        let chunked = headers.iter().any(|(n, v)| n == "transfer-encoding" && v == "chunked");
        let body = if chunked { dechunk(body) } else { body.to_vec() };
        Some(Self { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
    }

    /// A header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The messages in it: one JSON document, or the events of a stream.
    #[must_use]
    pub fn messages(&self) -> Vec<Value> {
        if let Ok(one) = serde_json::from_str(&self.body) {
            return vec![one];
        }
        let data = self.body.lines().filter_map(|line| line.strip_prefix("data:"));
        data.filter_map(|data| serde_json::from_str(data.trim()).ok()).collect()
    }

    /// The ids of the events in it.
    #[must_use]
    pub fn events(&self) -> Vec<&str> {
        self.body.lines().filter_map(|line| line.strip_prefix("id:")).map(str::trim).collect()
    }

    /// The last message, which is the answer to the request.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn last(&self) -> Value {
        self.messages().pop().unwrap_or_else(|| panic!("no message in {self:?}"))
    }

    /// A tool's result.
    ///
    /// # Panics
    /// If it holds none.
    #[must_use]
    pub fn answer(&self, asked: Instant) -> Answer {
        let last = self.last();
        assert!(last["result"].is_object(), "no result: {self:?}");
        Answer::from_json(&last["result"], asked.elapsed())
    }
}

/// The content of chunks, as far as they came.
fn dechunk(mut rest: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    while let Some(end) = rest.windows(2).position(|w| w == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).ok();
        let size = size.and_then(|hex| usize::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
        let from = end + 2;
        let to = (from + size).min(rest.len());
        content.extend_from_slice(&rest[from..to]);
        if size == 0 {
            break;
        }
        rest = rest.get(to + 2..).unwrap_or_default();
    }
    content
}
