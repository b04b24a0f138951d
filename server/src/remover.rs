//! The remover: a process that goes on with a private folder for which its server has no time left.
//!
//! What a folder takes to be removed is the commands' choice (a hundred thousand folders in one
//! another take minutes), and a server is to start and to end in a second.

use crate::folder;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// First argument that makes this binary a remover; the folder's name follows, and standard input is
/// the folder.
pub(crate) const REMOVE: &str = "__remove";
/// How long one tries. What is left then is found by the next server that starts.
const PATIENCE: Duration = Duration::from_secs(600);

/// Starts one for an opened folder that is, or was, at `path`.
///
/// # Errors
/// If a process cannot be started.
pub(crate) fn start(folder: &File, path: &Path) -> io::Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0("nono-mcp")
        .arg(REMOVE)
        .arg(path)
        .env_clear()
        .current_dir("/")
        .stdin(folder.try_clone()?)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn()
}

/// A remover.
pub(crate) fn main(path: Option<OsString>) -> ExitCode {
    let folder = io::stdin().as_fd().try_clone_to_owned().map(File::from);
    let (Some(path), Ok(folder)) = (path, folder) else { return ExitCode::from(64) };
    // Not where a signal for the server's process group would find it.
    let _leads_one_already = nix::unistd::setsid();
    match folder::remove(&folder, Path::new(&path), Instant::now() + PATIENCE) {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
