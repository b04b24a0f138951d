//! What the demonstration is played on: a workspace, a home with a key in it, and a socket.

use crate::error::ServerError;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tempfile::TempDir;

/// The hidden mode that connects to a socket.
pub(super) const CONNECT: &str = "__connect";
/// What the key file holds.
pub(super) const SECRET: &str = "made up for the demonstration";

/// Everything is in temporary folders, which are removed at the end.
#[derive(Debug)]
pub(super) struct Scene {
    /// This program.
    pub(super) binary: PathBuf,
    /// An empty workspace, except for a copy of this program.
    pub(super) workspace: PathBuf,
    /// A home folder outside of the workspace.
    pub(super) home: PathBuf,
    /// A private key in it.
    pub(super) key: PathBuf,
    /// A socket outside of the workspace, which takes connections.
    pub(super) socket: PathBuf,
    _listener: UnixListener,
    _folders: [TempDir; 2],
}

impl Scene {
    /// Makes the folders, the key and the socket.
    ///
    /// # Errors
    /// [`ServerError::System`] if the temporary folder cannot be used.
    pub(super) fn set() -> Result<Self, ServerError> {
        let failed = || ServerError::doing("set up the demonstration");
        let folder = |name| tempfile::Builder::new().prefix(name).tempdir().map_err(failed());
        let folders = [folder("nono-demo-work-")?, folder("nono-demo-home-")?];
        let path = |f: &TempDir| f.path().canonicalize().map_err(failed());
        let (workspace, home) = (path(&folders[0])?, path(&folders[1])?);

        let binary = std::env::current_exe().map_err(failed())?;
        fs::copy(&binary, workspace.join("nono-mcp")).map_err(failed())?;

        let key = home.join(".ssh/id_ed25519");
        fs::create_dir(home.join(".ssh")).map_err(failed())?;
        fs::write(&key, format!("{SECRET}\n")).map_err(failed())?;
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).map_err(failed())?;

        let socket = home.join("agent.sock");
        let listener = UnixListener::bind(&socket).map_err(failed())?;
        Ok(Self { binary, workspace, home, key, socket, _listener: listener, _folders: folders })
    }

    /// Shows that the socket takes connections from outside of the sandbox.
    ///
    /// # Errors
    /// [`ServerError::System`] if it does not.
    pub(super) fn socket_answers(&self) -> Result<(), ServerError> {
        let connected = UnixStream::connect(&self.socket);
        connected.map(drop).map_err(ServerError::doing("connect from outside of the sandbox"))
    }
}

/// Connects to `socket` and says what happened.
pub(super) fn connect(socket: &Path) -> ExitCode {
    let (code, message) = match UnixStream::connect(socket) {
        Ok(_) => (ExitCode::SUCCESS, format!("connected to {}", socket.display())),
        Err(error) => (ExitCode::FAILURE, format!("connect to {}: {error}", socket.display())),
    };
    let _nobody_listens = writeln!(std::io::stdout(), "{message}");
    code
}
