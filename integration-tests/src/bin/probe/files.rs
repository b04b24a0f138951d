//! File operations, one or many: what the kernel says to each.

use crate::sys::{self, Outcome};
use nix::errno::Errno;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::FromRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, symlink};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

pub fn run(name: &str, rest: &[&str]) -> Option<Outcome> {
    match (name, rest) {
        ("file", &[operation, path]) => Some(one(operation, path, "")),
        ("file", &[operation, path, other]) => Some(one(operation, path, other)),
        ("flip", &[path, other]) => Some(flip(path, other)),
        ("files", &[list]) => Some(many(list)),
        _ => None,
    }
}

/// Opens `other` to write, again and again, while another thread makes it `path`, of the same
/// length, and back: until the kernel was asked for `path`, and what it said. `ETIMEDOUT` if it
/// never was.
fn flip(path: &str, other: &str) -> Outcome {
    if path.len() != other.len() {
        return Err(Errno::EINVAL);
    }
    let bytes: Vec<AtomicU8> = other.bytes().chain([0]).map(AtomicU8::new).collect();
    let wanted = fs::metadata(path).map_err(|_| Errno::ENOENT)?.ino();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for text in [path, other] {
                    for (cell, byte) in bytes.iter().zip(text.bytes()) {
                        cell.store(byte, Ordering::Relaxed);
                    }
                }
            }
        });
        let until = Instant::now() + Duration::from_secs(60);
        let outcome = loop {
            let flags = (libc::O_WRONLY | libc::O_APPEND) as usize;
            let at = libc::AT_FDCWD as usize;
            match sys::call(libc::SYS_openat, &[at, bytes.as_ptr() as usize, flags]) {
                Ok(fd) => {
                    // SAFETY: the call has just returned this descriptor.
                    let file = unsafe { File::from_raw_fd(fd as i32) };
                    if file.metadata().is_ok_and(|metadata| metadata.ino() == wanted) {
                        let _written = (&file).write_all(b"x");
                        break Ok(String::new());
                    }
                }
                Err(Errno::EROFS) => break Err(Errno::EROFS),
                Err(_) if Instant::now() > until => break Err(Errno::ETIMEDOUT),
                Err(_) => {}
            }
        };
        done.store(true, Ordering::Relaxed);
        outcome
    })
}

fn one(operation: &str, path: &str, other: &str) -> Outcome {
    let done = match operation {
        "read" => File::open(path).map(drop),
        "list" => fs::read_dir(path).map(drop),
        "write" => OpenOptions::new().write(true).open(path).map(drop),
        "both" => OpenOptions::new().read(true).write(true).open(path).map(drop),
        "append" => OpenOptions::new().append(true).create(true).open(path).map(drop),
        "truncate" => OpenOptions::new().write(true).truncate(true).open(path).map(drop),
        "create" => {
            OpenOptions::new().write(true).create(true).truncate(false).open(path).map(drop)
        }
        "create-new" => OpenOptions::new().write(true).create_new(true).open(path).map(drop),
        "unnamed" => {
            OpenOptions::new().write(true).custom_flags(libc::O_TMPFILE).open(path).map(drop)
        }
        "no-follow" => {
            OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path).map(drop)
        }
        "folder" => {
            OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(path).map(drop)
        }
        "mkdir" => fs::create_dir(path),
        "rmdir" => fs::remove_dir(path),
        "unlink" => fs::remove_file(path),
        "symlink" => symlink("anywhere", path),
        "fifo" => nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).map_err(io::Error::from),
        "rename" => fs::rename(path, other),
        "link" => fs::hard_link(path, other),
        "execute" => execute(path),
        _ => return Err(Errno::ENOSYS),
    };
    let errno = |e: io::Error| e.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw);
    done.map(|()| String::new()).map_err(errno)
}

/// Starts a program; its own exit code is its own affair.
fn execute(path: &str) -> io::Result<()> {
    let mut command = Command::new(path);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().map(drop)
}

/// One operation for each line, `operation path`; as many words as lines come back.
fn many(list: &str) -> Outcome {
    let text = fs::read_to_string(list).map_err(|_| Errno::EINVAL)?;
    let said = text.lines().map(|line| {
        let (operation, path) = line.split_once(' ').unwrap_or((line, ""));
        one(operation, path, "").map_or_else(|errno| format!("{errno:?}"), |_| "ok".to_owned())
    });
    Ok(said.collect::<Vec<_>>().join(" "))
}
