//! Files of the workspace that something outside runs or obeys later.

use super::{did, io};
use crate::sys::call;
use crate::{Expect, Outcome, Probe, Targets};
use nix::errno::Errno;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// Tries of each race, at least.
const TRIES: usize = 2_000;
/// How long each race is tried, at least: the other thread has to run at all.
const TIME: Duration = Duration::from_millis(500);

pub(crate) const PROBES: &[Probe] = &[
    Probe::new("hook", "change a hook of the repository", |t| {
        did(OpenOptions::new().append(true).open(t.own(".git/hooks/pre-commit")))
    }),
    Probe::new("hook-new", "make another hook", |t| {
        make_and_remove(&t.own(".git/hooks/post-checkout"))
    }),
    Probe::new("git-settings", "put other settings in the place of .git/config", |t| {
        let (new, settings) = (t.own(".git/config.lock"), t.own(".git/config"));
        did(fs::copy(&settings, &new).and_then(|_| fs::rename(new, settings)))
    }),
    Probe::new("git-moved", "move .git away, to put another in its place", |t| {
        let (git, away) = (t.own(".git"), t.own("git-away"));
        did(fs::rename(&git, &away).and_then(|()| fs::rename(away, git)))
    }),
    Probe::new("git-linked", "give .git/config a second name", |t| {
        let second = t.own("second-name");
        did(fs::hard_link(t.own(".git/config"), &second).and_then(|()| fs::remove_file(second)))
    }),
    Probe::new("envrc", "make .envrc", |t| make_and_remove(&t.own(".envrc"))),
    Probe::new("envrc-renamed", "give a file that name", |t| {
        let (own, envrc) = (t.own("to-be-envrc"), t.own(".envrc"));
        fs::write(&own, "x").map_err(io)?;
        did(fs::rename(own, &envrc).and_then(|()| fs::remove_file(envrc)))
    }),
    Probe::new("envrc-socket", "make it as a socket", |t| {
        let path = t.own(".envrc");
        did(UnixListener::bind(&path).and_then(|_| fs::remove_file(path)))
    }),
    Probe::new("envrc-hidden", "make it by a path that only the kernel can read", envrc_hidden)
        .if_built(),
    Probe::new("envrc-unread", "make it by a program that nobody may read", envrc_unread),
    Probe::new("head", "make HEAD, so that the workspace is a repository itself", |t| {
        make_and_remove(&t.own("HEAD"))
    }),
    Probe::new("hook-raced", "change a hook by a path that changes while it is judged", |t| {
        race(t, ".git/hooks/pre-commit", ".git/hookz/pre-commit", false)
    })
    .expect(Expect::ByNamespaces(
        "mounts seal it where a run has namespaces; elsewhere the watch can be raced, and the \
         result says what changed",
    )),
    Probe::new("missing-raced", "make .mcp.json the same way", |t| {
        race(t, ".mcp.json", ".mcp.jsox", true)
    })
    .open("nothing can be mounted over what is missing; the watch can be raced, and the result says so"),
];

fn make_and_remove(path: &Path) -> Outcome {
    let made = OpenOptions::new().write(true).create_new(true).open(path);
    did(made.and_then(|_| fs::remove_file(path)))
}

/// The path lies in memory that no other process can look into (memfd_secret(2)).
fn envrc_hidden(t: &Targets) -> Outcome {
    let (path, flags) = (t.own(".envrc"), i64::from(libc::O_CREAT | libc::O_WRONLY));
    let memory = call(libc::SYS_memfd_secret, &[0])?;
    call(libc::SYS_ftruncate, &[memory, 4096])?;
    let access = i64::from(libc::PROT_READ | libc::PROT_WRITE);
    let place = call(libc::SYS_mmap, &[0, 4096, access, libc::MAP_SHARED.into(), memory, 0])?;
    // Such memory can only be filled through its mapping: the kernel does so here.
    let (from, to) = std::io::pipe().map_err(io)?;
    (&to).write_all(&bytes(&path)).map_err(io)?;
    call(libc::SYS_read, &[from.as_raw_fd().into(), place, 4096])?;
    call(libc::SYS_openat, &[libc::AT_FDCWD.into(), place, flags, 0o644])?;
    did(fs::remove_file(path))
}

/// The supervisor may not look into a program that its user may not read.
fn envrc_unread(t: &Targets) -> Outcome {
    let (program, path) = (t.own("unreadable"), t.own(".envrc"));
    fs::copy("/usr/bin/touch", &program).map_err(io)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o111)).map_err(io)?;
    let ended = std::process::Command::new(&program).arg(&path).status();
    fs::remove_file(program).map_err(io)?;
    ended.map_err(io)?;
    did(fs::remove_file(path))
}

fn bytes(path: &Path) -> Vec<u8> {
    [path.as_os_str().as_bytes(), b"\0"].concat()
}

/// Opens a path that another thread changes between `aim` and `harmless`, of the same length, until
/// something was written to `aim`.
fn race(t: &Targets, aim: &str, harmless: &str, make: bool) -> Outcome {
    let (aim, harmless): (PathBuf, PathBuf) = (t.own(aim), t.own(harmless));
    if let Some(folder) = harmless.parent() {
        fs::create_dir_all(folder).map_err(io)?;
    }
    let size = |path: &Path| fs::metadata(path).map(|metadata| metadata.len()).ok();
    let before = size(&aim);
    let (aim_bytes, harmless_bytes) = (bytes(&aim), bytes(&harmless));
    let shared: Vec<AtomicU8> = harmless_bytes.iter().map(|byte| AtomicU8::new(*byte)).collect();
    let over = AtomicBool::new(false);
    let flags = libc::O_WRONLY | libc::O_APPEND | if make { libc::O_CREAT } else { 0 };
    fs::write(&harmless, "").map_err(io)?;
    let reached = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for text in [&aim_bytes, &harmless_bytes] {
                    for (cell, byte) in shared.iter().zip(text) {
                        cell.store(*byte, Ordering::Relaxed);
                    }
                }
            }
        });
        let start = Instant::now();
        let more = (0..).take_while(|tries| *tries < TRIES || start.elapsed() < TIME);
        let reached = more.into_iter().any(|_| {
            // What it opened shows in the size of the file that is meant.
            if let Ok(mut file) = crate::sys::open_shared(&shared, flags) {
                let _any = file.write_all(b"#");
            }
            size(&aim) != before
        });
        over.store(true, Ordering::Relaxed);
        reached
    });
    let _gone = fs::remove_file(&harmless);
    if make {
        let _gone = fs::remove_file(&aim);
    }
    if reached { Ok(String::new()) } else { Err(Errno::EACCES) }
}
