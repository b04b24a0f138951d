//! What a process is born with.

use super::io;
use crate::{Expect, Outcome, Probe};
use nix::errno::Errno;
use std::fs;

pub(crate) const PROBES: &[Probe] = &[
    Probe::new("descriptors", "use a descriptor the server was started with", |_| descriptors()),
    Probe::new("environment", "find a token in the environment", |_| {
        let found = std::env::vars().any(|(_, value)| value.contains(crate::scene::SECRET));
        if found { Ok(String::new()) } else { Err(Errno::ENOENT) }
    }),
    Probe::new("agent-variable", "find the way to the user's keys in the environment", |_| {
        std::env::var("SSH_AUTH_SOCK").map_err(|_| Errno::ENOENT)
    }),
    Probe::new("path", "have a search path", |_| std::env::var("PATH").map_err(|_| Errno::ENOENT))
        .expect(Expect::Works),
];

/// Looks for a descriptor above the standard ones that leads to the scene.
fn descriptors() -> Outcome {
    for entry in fs::read_dir("/proc/self/fd").map_err(io)?.flatten() {
        let target = fs::read_link(entry.path()).unwrap_or_default();
        if target.ends_with("outside") || target.ends_with("outside/secret") {
            return Ok(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Err(Errno::EBADF)
}
