//! A server spoken to line by line, for what a library would hide: what exactly comes out of
//! stdout, and how other protocol versions are answered.

use crate::site::Site;
use crate::wait;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};

/// A server and everything it says.
#[derive(Debug)]
pub struct RawServer {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    listen: Option<Sender<()>>,
}

impl RawServer {
    /// Starts a server on the site's workspace; no handshake is made.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(site: &Site) -> Self {
        Self::start_with(site, &[])
    }

    /// As [`RawServer::start`], with more on the command line.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start_with(site: &Site, more: &[&str]) -> Self {
        let mut server = Self::start_without_listening(site, more);
        server.listen();
        server
    }

    /// As [`RawServer::start`], but nothing the server says is read before [`RawServer::listen`].
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start_deaf(site: &Site) -> Self {
        Self::start_without_listening(site, &[])
    }

    fn start_without_listening(site: &Site, more: &[&str]) -> Self {
        let workspace = site.text("ws");
        let mut command = site.nono_mcp(&[&["--stdio", "--workspace", &workspace], more].concat());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(std::fs::File::create(site.path("server.log")).expect("log file"));
        let mut child = command.spawn().expect("start nono-mcp");
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().expect("piped"));
        let (sender, lines) = channel();
        let (listen, listening) = channel::<()>();
        std::thread::spawn(move || {
            let _ends_too = listening.recv();
            let mut reader = BufReader::new(stdout);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
                line.clear();
            }
        });
        Self { child, stdin, lines, listen: Some(listen) }
    }

    /// From now on, what the server says is read.
    pub fn listen(&mut self) {
        drop(self.listen.take());
    }

    /// The server's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes one line as it is.
    ///
    /// # Panics
    /// If the server has closed its stdin.
    pub fn write_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        stdin.write_all(line.as_bytes()).expect("write to the server");
        stdin.write_all(b"\n").expect("write to the server");
        stdin.flush().expect("write to the server");
    }

    /// Sends a message.
    pub fn send(&mut self, message: &Value) {
        self.write_line(&message.to_string());
    }

    /// The next line, which must be a JSON-RPC message.
    ///
    /// # Panics
    /// If nothing comes, or something else.
    pub fn receive(&mut self) -> Value {
        let line = self.lines.recv_timeout(wait::BOUND).expect("a line from the server");
        let message: Value = serde_json::from_str(&line)
            .unwrap_or_else(|e| panic!("not JSON on stdout ({e}): {line:?}"));
        assert_eq!(message["jsonrpc"], "2.0", "not JSON-RPC on stdout: {line:?}");
        message
    }

    /// Sends a request and gives its answer; other messages in between are passed over.
    pub fn request(&mut self, id: u64, method: &str, params: Value) -> Value {
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        loop {
            let message = self.receive();
            if message["id"] == id {
                return message;
            }
        }
    }

    /// The handshake of versions that have one; gives the server's answer.
    pub fn initialize(&mut self, version: &str) -> Value {
        let client = json!({"name": "it", "version": "1"});
        let params = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": client});
        let answer = self.request(0, "initialize", params);
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        answer
    }

    /// Closes stdin; gives every line that still came and whether the server ended.
    ///
    /// # Panics
    /// If the process cannot be waited for.
    pub fn finish(mut self) -> (Vec<String>, bool) {
        drop(self.stdin.take());
        let ended = wait::until(|| self.child.try_wait().expect("wait for the server").is_some());
        (self.lines.iter().collect(), ended)
    }

    /// SIGKILL.
    ///
    /// # Panics
    /// If the process cannot be waited for.
    pub fn kill(&mut self) {
        self.child.kill().expect("kill the server");
        self.child.wait().expect("wait for the server");
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
