//! The binary under test, built when it is missing or older than its sources.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The path of `nono-mcp`, in the target folder that these tests were built in.
///
/// Another package's binary is not built by `cargo test`, so this asks cargo for it once for each
/// test process; cargo does nothing where it is fresh. `NONO_MCP_BIN` names a finished binary to
/// test instead.
///
/// # Panics
/// If the binary cannot be built.
#[must_use]
pub fn nono_mcp() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("NONO_MCP_BIN") {
        Some(path) => PathBuf::from(path),
        None => build(),
    })
}

fn build() -> PathBuf {
    // TARGET[/TRIPLE]/PROFILE/deps/THIS
    let this = std::env::current_exe().expect("path of the test program");
    let folder = this.ancestors().nth(2).expect("folder of the build profile");
    let profile = folder.file_name().and_then(|n| n.to_str()).expect("name of the build profile");
    let mut above = folder.parent().expect("target folder");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--quiet", "--workspace", "--bin", "nono-mcp"]);
    // Those that `cargo test --workspace` has built are shared only with the same profile and the
    // same features, which dependencies of tests add to: an example asks for these.
    command.args(["--example", "conformance_fixture"]);
    // What cargo tells a program that it runs: to build scripts (ring's) a change to build anew for.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command.args(["--profile", if profile == "debug" { "test" } else { profile }]);
    if let Some(triple) = above.file_name().and_then(|n| n.to_str())
        && triple.split('-').count() >= 3
        && triple.starts_with(std::env::consts::ARCH)
    {
        command.args(["--target", triple]);
        above = above.parent().expect("target folder");
    }
    command.arg("--target-dir").arg(above);
    command.arg("--manifest-path").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
    let status = command.status().expect("start cargo");
    assert!(status.success(), "cannot build nono-mcp: {command:?} ended with {status}");
    folder.join("nono-mcp")
}

/// A folder that every user can read, with `nono-mcp` and this package's programs in it.
///
/// A checkout may lie where an ordinary user cannot go (`/root`, say), so tests run copies.
///
/// # Panics
/// If copying fails.
#[must_use]
pub fn programs() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = tempfile::Builder::new().prefix("nono-it-bin-").tempdir().expect("temp");
        crate::user::open_to_all(folder.path());
        let server = nono_mcp();
        let beside = server_neighbours();
        let ours = ["nono-probe", "nono-race", "nono-client", "nono-floor"]
            .map(|name| (name, beside.as_path()));
        for (name, from) in [("nono-mcp", server)].into_iter().chain(ours) {
            let from = if from.is_dir() { from.join(name) } else { from.to_owned() };
            std::fs::copy(&from, folder.path().join(name))
                .unwrap_or_else(|e| panic!("copy {from:?}: {e}"));
        }
        remove_at_exit(folder.keep())
    })
}

/// The folder that holds this package's own programs: cargo builds them with these tests.
fn server_neighbours() -> PathBuf {
    let this = std::env::current_exe().expect("path of the test program");
    this.ancestors().nth(2).expect("folder of the build profile").to_owned()
}

static LEFT: OnceLock<PathBuf> = OnceLock::new();

extern "C" fn remove_left() {
    if let Some(folder) = LEFT.get() {
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// A static is never dropped; the folder in it goes when the process ends.
fn remove_at_exit(folder: PathBuf) -> PathBuf {
    let _ = LEFT.set(folder.clone());
    // SAFETY: the function only removes files and does not unwind.
    unsafe { libc::atexit(remove_left) };
    folder
}
