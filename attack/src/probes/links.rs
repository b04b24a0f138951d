//! Links and renames: other names for what is outside.

use super::{c_path, did, done, io};
use crate::sys::{at, call};
use crate::{Outcome, Probe, Targets};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

pub(crate) const PROBES: &[Probe] = &[
    Probe::new("symlink-read", "read through a symbolic link in the workspace", |t| {
        let link = fresh(t, "link-to-secret");
        symlink(t.outside("secret"), &link).map_err(io)?;
        did(fs::read(link))
    }),
    Probe::new("symlink-create", "make a file through a link to a folder", |t| {
        let link = fresh(t, "link-to-folder");
        symlink(t.outside(""), &link).map_err(io)?;
        let made = link.join("through");
        did(fs::write(&made, "x").and_then(|()| fs::remove_file(made)))
    }),
    Probe::new("symlink-outside", "make a symbolic link outside", |t| {
        let link = t.outside("link");
        did(symlink("anywhere", &link).and_then(|()| fs::remove_file(link)))
    }),
    Probe::new("fifo-outside", "make a pipe with a name outside", |t| {
        let pipe = t.outside("fifo");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU)?;
        did(fs::remove_file(pipe))
    }),
    Probe::new("link-in", "give a secret a second name in the workspace", |t| {
        let link = fresh(t, "hard-link");
        did(fs::hard_link(t.outside("secret"), &link).and_then(|()| fs::read(link)))
    }),
    Probe::new("link-out", "give a file of the workspace a name outside", |t| {
        let (own, link) = (t.own("to-link"), t.outside("linked"));
        fs::write(&own, "x").map_err(io)?;
        did(fs::hard_link(own, &link).and_then(|()| fs::remove_file(link)))
    }),
    Probe::new("rename-in", "move a file into the workspace", |t| {
        let (from, to) = (t.outside("to-move"), fresh(t, "moved"));
        did(fs::rename(&from, &to).and_then(|()| fs::rename(to, from)))
    }),
    Probe::new("rename-out", "move a file out of the workspace", |t| {
        let (from, to) = (t.own("to-move-out"), t.outside("moved-out"));
        fs::write(&from, "x").map_err(io)?;
        did(fs::rename(&from, &to).and_then(|()| fs::remove_file(to)))
    }),
    Probe::new("rename-within", "rename a file outside", |t| {
        let (from, to) = (t.outside("to-rename"), t.outside("renamed"));
        did(fs::rename(&from, &to).and_then(|()| fs::rename(to, from)))
    }),
    Probe::new("exchange", "exchange a folder of the workspace with one outside", |t| {
        let own = t.own("to-exchange");
        fs::create_dir_all(&own).map_err(io)?;
        rename(&own, &t.outside("empty"), EXCHANGE)?;
        done(rename(&own, &t.outside("empty"), EXCHANGE))
    }),
    Probe::new("whiteout", "leave a whiteout where a file was", |t| {
        let (from, to) = (t.outside("to-white-out"), t.outside("whited-out"));
        rename(&from, &to, WHITEOUT)?;
        did(fs::rename(to, from))
    }),
    Probe::new("handle", "open a file by its handle", handle).root(),
];

/// linux/fs.h
const EXCHANGE: i64 = 2;
const WHITEOUT: i64 = 4;

/// A name in the workspace that is free.
fn fresh(t: &Targets, name: &str) -> std::path::PathBuf {
    let path = t.own(name);
    let _not_there = fs::remove_file(&path);
    path
}

fn rename(from: &Path, to: &Path, flags: i64) -> crate::sys::Answer {
    let (from, to) = (c_path(from)?, c_path(to)?);
    let here = i64::from(libc::AT_FDCWD);
    let (from, to) = (at(from.to_bytes_with_nul()), at(to.to_bytes_with_nul()));
    call(libc::SYS_renameat2, &[here, from, here, to, flags])
}

fn handle(t: &Targets) -> Outcome {
    // `struct file_handle` with room for any handle.
    let mut handle = [0_u32; 34];
    handle[0] = 128;
    let (mut mount, here) = (0_i32, i64::from(libc::AT_FDCWD));
    let path = c_path(&t.outside("secret"))?;
    let path = at(path.to_bytes_with_nul());
    let (into, id) = (crate::sys::at_mut(&mut handle), crate::sys::at_mut(&mut mount));
    call(libc::SYS_name_to_handle_at, &[here, path, into, id, 0])?;
    done(call(libc::SYS_open_by_handle_at, &[here, at(&handle), 0]))
}
