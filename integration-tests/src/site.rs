//! The place of one test: folders, a home, a user, and probes run in it.

use crate::binary;
use crate::user::{User, open_to_all};
use serde_json::Value;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use tempfile::TempDir;

/// Folders that belong to one user.
///
/// ```text
/// BASE/ws        the workspace, with the programs `probe`, `race` and `client` in it
/// BASE/home      HOME: a key in .ssh, a token in .netrc
/// BASE/outside   not granted by anything
/// BASE/tmp       where a server makes its private TMPDIR; a killed one leaves it there
/// ```
/// The folders go when the site and every server started in it are gone.
#[derive(Debug, Clone)]
pub struct Site {
    base: Arc<TempDir>,
    user: User,
}

/// What the private key in the fake home holds.
pub const KEY: &str = "PRIVATE KEY BYTES";

impl Site {
    /// Makes the folders.
    ///
    /// # Panics
    /// If the file system refuses.
    #[must_use]
    pub fn new(user: User) -> Self {
        let base = tempfile::Builder::new().prefix("nono-it-").tempdir().expect("temp folder");
        open_to_all(base.path());
        let site = Self { base: Arc::new(base), user };
        for folder in ["ws", "home", "home/.ssh", "outside", "tmp"] {
            site.folder(folder);
        }
        site.file("home/.ssh/id_ed25519", &format!("{KEY}\n"));
        site.file("home/.netrc", "machine example.invalid password hunter2\n");
        let programs = [("nono-probe", "probe"), ("nono-race", "race"), ("nono-client", "client")];
        for (from, to) in programs {
            let (from, to) = (binary::programs().join(from), site.workspace().join(to));
            std::fs::hard_link(&from, &to)
                .or_else(|_| std::fs::copy(&from, &to).map(drop))
                .unwrap_or_else(|e| panic!("place {to:?}: {e}"));
        }
        site
    }

    /// Whom this site belongs to.
    #[must_use]
    pub fn user(&self) -> User {
        self.user
    }

    /// A path below the site's own folder.
    #[must_use]
    pub fn path(&self, below: &str) -> PathBuf {
        self.base.path().join(below)
    }

    /// [`Site::path`] as text.
    #[must_use]
    pub fn text(&self, below: &str) -> String {
        self.path(below).to_string_lossy().into_owned()
    }

    /// The workspace.
    #[must_use]
    pub fn workspace(&self) -> PathBuf {
        self.path("ws")
    }

    /// Makes a folder of the user's own.
    ///
    /// # Panics
    /// If the file system refuses.
    pub fn folder(&self, below: &str) -> PathBuf {
        let path = self.path(below);
        std::fs::create_dir_all(&path).unwrap_or_else(|e| panic!("make {path:?}: {e}"));
        self.user.own(&path);
        path
    }

    /// Writes a file of the user's own.
    ///
    /// # Panics
    /// If the file system refuses.
    pub fn file(&self, below: &str, text: &str) -> PathBuf {
        let path = self.path(below);
        std::fs::write(&path, text).unwrap_or_else(|e| panic!("write {path:?}: {e}"));
        self.user.own(&path);
        path
    }

    /// Writes a profile that starts from `coding` and adds `extra`.
    ///
    /// # Panics
    /// If `extra` is not an object.
    pub fn profile(&self, extra: &Value) -> PathBuf {
        let mut profile = serde_json::json!({"meta": {"name": "test"}, "extends": "coding"});
        for (key, value) in extra.as_object().expect("an object") {
            profile[key] = value.clone();
        }
        self.file("profile.json", &profile.to_string())
    }

    /// A command that runs as the site's user, in its workspace, with its home and TMPDIR, and
    /// nothing else of the environment but PATH.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", search_path()).env("HOME", self.path("home"));
        command.env("TMPDIR", self.path("tmp"));
        command.current_dir(self.workspace()).stdin(Stdio::null());
        self.user.apply(&mut command);
        command
    }

    /// The `nono-mcp` command line, as the site's user.
    #[must_use]
    pub fn nono_mcp(&self, args: &[&str]) -> Command {
        let mut command = self.command(&binary::programs().join("nono-mcp"));
        command.args(args);
        command
    }

    /// Runs the probe as the same user without any sandbox: the control of every refusal.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn outside(&self, args: &[&str]) -> String {
        said(&self.run_outside("probe", args))
    }

    /// Runs the probe under the filter of the default profile with a supervisor that judges
    /// nothing: what mediation costs at the least.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn unjudged(&self, args: &[&str]) -> String {
        let floor = binary::programs().join("nono-floor");
        let mut command = self.command(&floor);
        command.arg(self.workspace().join("probe")).args(args);
        said(&command.output().unwrap_or_else(|e| panic!("run {floor:?}: {e}")))
    }

    /// Runs a script in the workspace without any sandbox.
    ///
    /// # Panics
    /// If no shell can be started.
    #[must_use]
    pub fn run_outside_shell(&self, script: &str) -> Output {
        let output = self.command("/bin/sh".as_ref()).args(["-c", script]).output();
        output.unwrap_or_else(|e| panic!("run {script:?}: {e}"))
    }

    /// Runs a program of the workspace without any sandbox.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn run_outside(&self, program: &str, args: &[&str]) -> Output {
        let path = self.workspace().join(program);
        let mut ran = self.command(&path).args(args).output();
        // A test beside this one that forked while the program was written here still has it open,
        // until its own exec.
        while ran.as_ref().is_err_and(|e| e.kind() == ErrorKind::ExecutableFileBusy) {
            std::thread::yield_now();
            ran = self.command(&path).args(args).output();
        }
        ran.unwrap_or_else(|e| panic!("run {path:?}: {e}"))
    }
}

/// What a probe printed, or how it died.
fn said(output: &Output) -> String {
    use std::os::unix::process::ExitStatusExt;
    match output.status.signal() {
        Some(signal) => format!("signal {signal}"),
        None => String::from_utf8_lossy(&output.stdout).trim_end().to_owned(),
    }
}

/// PATH without what belongs to the home of whoever runs the tests: a site has a home of its own.
fn search_path() -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.parent().is_some());
    let elsewhere = |folder: &PathBuf| !home.as_ref().is_some_and(|home| folder.starts_with(home));
    std::env::join_paths(std::env::split_paths(&path).filter(elsewhere)).unwrap_or(path)
}
