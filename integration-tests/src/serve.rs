//! Servers of a site, started with the default profile or with one made for the test.

use crate::client::Server;
use crate::site::Site;
use serde_json::Value;

impl Site {
    /// Starts a server on the workspace with the default profile.
    #[must_use]
    pub fn serve(&self) -> Server {
        Server::start(self, None)
    }

    /// Starts a server that takes the way of a kernel with this Landlock ABI, with the default
    /// profile but without namespaces, which would keep inside what such a kernel does not.
    #[must_use]
    pub fn serve_pretending(&self, abi: u32) -> Server {
        self.serve_pretending_with(abi, &serde_json::json!({"isolation": "off"}))
    }

    /// The same with another profile: `coding` with `extra` added.
    #[must_use]
    pub fn serve_pretending_with(&self, abi: u32, extra: &Value) -> Server {
        let (abi, workspace) = (abi.to_string(), self.text("ws"));
        let profile = self.profile(extra);
        let profile = profile.to_string_lossy();
        let place = ["--stdio", "--workspace", &workspace, "--profile", &profile];
        let args = [&place[..], &["--pretend-landlock-abi", &abi]].concat();
        Server::start_command(self, self.nono_mcp(&args))
    }

    /// Starts a server whose profile is `coding` with `extra` added.
    #[must_use]
    pub fn serve_with(&self, extra: &Value) -> Server {
        Server::start(self, Some(&self.profile(extra)))
    }

    /// Starts a server with the default profile that was given so many descriptors, of which it and
    /// whatever it starts could have more (`ulimit -Sn`).
    #[must_use]
    pub fn serve_with_open_files(&self, soft: u64) -> Server {
        let profile = self.profile(&serde_json::json!({})).to_string_lossy().into_owned();
        let workspace = self.text("ws");
        let server = self.nono_mcp(&["--stdio", "--workspace", &workspace, "--profile", &profile]);
        let mut limited = self.command(std::path::Path::new("/bin/sh"));
        limited.args(["-c", &format!("ulimit -Sn {soft}; exec \"$0\" \"$@\"")]);
        limited.arg(server.get_program()).args(server.get_args());
        Server::start_command(self, limited)
    }
}
