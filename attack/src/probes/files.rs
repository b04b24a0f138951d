//! Files outside of every grant: contents and names.

use super::{c_path, did, done, io};
use crate::sys::{at, call};
use crate::{Expect, Outcome, Probe, Targets};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;
use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::Path;

pub(crate) const PROBES: &[Probe] = &[
    Probe::new("own-file", "write, read and remove a file in the workspace", own)
        .expect(Expect::Works),
    Probe::new("read", "read a file nothing grants", |t| read(&t.outside("secret"))),
    Probe::new("read-key", "read a private key in the home", |t| read(&t.home(".ssh/id_ed25519"))),
    Probe::new("read-token", "read ~/.netrc", |t| read(&t.home(".netrc"))),
    Probe::new("list", "list a folder nothing grants", |t| did(fs::read_dir(t.outside("")))),
    Probe::new("list-home", "list the home", |t| did(fs::read_dir(t.home("")))),
    Probe::new("write", "open a file to write", |t| {
        did(OpenOptions::new().write(true).open(t.outside("file")))
    }),
    Probe::new("append", "open a file to append", |t| {
        did(OpenOptions::new().append(true).open(t.outside("file")))
    }),
    Probe::new("create", "make a file", |t| make_and_remove(&t.outside("made"))),
    Probe::new("create-home", "make ~/.bashrc", |t| make_and_remove(&t.home(".bashrc"))),
    Probe::new("unnamed", "make a file without a name", |t| {
        let flags = OFlag::O_TMPFILE | OFlag::O_RDWR;
        done(open(&t.outside(""), flags, Mode::S_IRWXU))
    }),
    Probe::new("truncate", "truncate by path", |t| {
        let path = c_path(&t.outside("file"))?;
        done(call(libc::SYS_truncate, &[at(path.to_bytes_with_nul()), 0]))
    }),
    Probe::new("mkdir", "make a folder", |t| {
        let made = t.outside("folder");
        did(fs::create_dir(&made).and_then(|()| fs::remove_dir(made)))
    }),
    Probe::new("unlink", "remove a file", |t| {
        let path = t.outside("to-remove");
        did(fs::remove_file(&path).and_then(|()| File::create(path)))
    }),
    Probe::new("rmdir", "remove a folder", |t| {
        let path = t.outside("empty");
        did(fs::remove_dir(&path).and_then(|()| fs::create_dir(path)))
    }),
    Probe::new("dotdot", "climb out of the workspace", |_| read(Path::new("../outside/secret"))),
    Probe::new("o-path", "open below a folder that was opened with O_PATH", |t| {
        let folder = open(&t.outside(""), OFlag::O_PATH, Mode::empty())?;
        done(openat(&folder, "secret", OFlag::O_RDONLY, Mode::empty()))
    }),
    Probe::new("o-path-again", "open an O_PATH descriptor again, to read", |t| {
        let pinned = open(&t.outside("secret"), OFlag::O_PATH, Mode::empty())?;
        read(Path::new(&format!("/proc/self/fd/{}", pinned.as_raw_fd())))
    }),
    Probe::new("neither-way", "open for neither reading nor writing", |t| {
        let path = c_path(&t.outside("secret"))?;
        let here = libc::AT_FDCWD.into();
        done(call(libc::SYS_openat, &[here, at(path.to_bytes_with_nul()), libc::O_ACCMODE.into()]))
    }),
    Probe::new("neither-way-2", "the same by openat2", |t| {
        let path = c_path(&t.outside("secret"))?;
        let how = [u64::from(libc::O_ACCMODE.cast_unsigned()), 0, 0];
        let (here, size) = (libc::AT_FDCWD.into(), 24);
        let arguments = [here, at(path.to_bytes_with_nul()), at(&how), size];
        done(call(libc::SYS_openat2, &arguments))
    }),
    Probe::new("own-root", "read through /proc/self/root", |t| {
        let path = t.outside("secret");
        read(&Path::new("/proc/self/root").join(path.strip_prefix("/").unwrap_or(&path)))
    }),
    Probe::new("execute", "run a program nothing grants", |t| {
        did(std::process::Command::new(t.outside("program")).status())
    }),
    Probe::new("loader", "have the loader run it", loader),
    Probe::new("interpreter", "have a script's first line run it", |t| {
        let script = t.own("script");
        fs::write(&script, format!("#!{}\n", t.outside("program").display())).map_err(io)?;
        executable(&script)?;
        did(std::process::Command::new(script).status())
    }),
    Probe::new("run-own", "run a program it made itself", |t| {
        let made = t.own("made-program");
        fs::write(&made, "#!/bin/sh\nexit 0\n").map_err(io)?;
        executable(&made)?;
        did(std::process::Command::new(made).status())
    })
    .open("compiling and running programs is what the workspace is for; they are confined too"),
    Probe::new("run-memory", "run a program that is in memory only", run_memory)
        .open("the same as a program in the workspace: confined like everything else"),
    Probe::new("exists", "learn whether a file exists", |t| did(fs::metadata(t.outside("secret"))))
        .open("stat shows existence, size and times; Landlock does not judge it, contents stay closed"),
];

fn own(t: &Targets) -> Outcome {
    let path = t.own("own-file");
    fs::write(&path, "text").map_err(io)?;
    read(&path)?;
    did(fs::remove_file(path))
}

fn read(path: &Path) -> Outcome {
    fs::read(path).map(|bytes| format!("{} bytes", bytes.len())).map_err(io)
}

fn make_and_remove(path: &Path) -> Outcome {
    let made = OpenOptions::new().write(true).create_new(true).open(path);
    did(made.and_then(|_| fs::remove_file(path)))
}

fn executable(path: &Path) -> Result<(), Errno> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(io)
}

/// The loader reads the program itself, so no right to execute is asked for.
fn loader(t: &Targets) -> Outcome {
    let loaders = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];
    let loader = loaders.into_iter().find(|path| Path::new(path).exists());
    let loader = loader.ok_or(Errno::ENOENT)?;
    let output =
        std::process::Command::new(loader).arg(t.outside("binary")).output().map_err(io)?;
    if output.status.success() { Ok(String::new()) } else { Err(Errno::EACCES) }
}

fn run_memory(_: &Targets) -> Outcome {
    // Without close-on-exec: the interpreter opens it by its number.
    let program = nix::sys::memfd::memfd_create(c"probe", nix::sys::memfd::MFdFlags::empty())?;
    nix::unistd::write(&program, b"#!/bin/sh\nexit 0\n")?;
    let path = format!("/proc/self/fd/{}", program.as_raw_fd());
    did(std::process::Command::new(path).status())
}
