//! What a watched call is about, as far as its path tells.

use crate::AbsPath;
use crate::decide::{Attempt, Fit, Target};
use crate::policy::{Access, FsIndex};
use crate::supervisor::mediate::Caller;
use crate::supervisor::mediate::place::{LeadsTo, NewPlace};
use crate::supervisor::mediate::resolve::{Last, MAX_LINKS, find, may_have_links, resolve_new};
use nix::errno::Errno;
use nix::fcntl::readlinkat;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// One path of a watched call, read while the caller waited.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) attempt: Attempt,
    /// As the program gave it.
    pub(super) path: Vec<u8>,
    pub(super) start: Start,
}

/// What it takes to follow a path later.
#[derive(Debug)]
pub(super) enum Start {
    /// Nothing: it goes straight down, and this is the whole of it.
    Plain {
        /// From the root.
        path: AbsPath,
        /// The folder from which it is written, if it is not the root.
        written_from: Option<i32>,
    },
    /// The folder it starts from; `None` for the root.
    In(Option<OwnedFd>),
}

impl Watched {
    /// Whether the path as it is written is allowed. A link may make that wrong.
    pub(super) fn seems_allowed(&self, index: &FsIndex) -> bool {
        let Attempt { access, target, fit, .. } = self.attempt;
        let Some(path) = self.written() else { return false };
        match target {
            // Names behind its own come to be as well.
            _ if fit == Fit::NewLink => false,
            Target::Object | Target::Link => index.allows(path, access),
            Target::Parent | Target::ParentOfExisting => index.allows_name(path, access),
            Target::ObjectOrParent => {
                index.allows(path, access) && index.allows_name(path, access | Access::WRITE)
            }
        }
    }

    /// The whole path, as far as it tells what the call is about.
    pub(super) fn written(&self) -> Option<&AbsPath> {
        if let Start::Plain { path, .. } = &self.start { Some(path) } else { None }
    }

    /// Whether the path as it is written may not be the path of what the call is about.
    pub(super) fn may_have_links(&self) -> bool {
        let Some(path) = self.written() else { return true };
        let last = match self.attempt.target {
            Target::Object | Target::ObjectOrParent => Last::Follow,
            // A single name in a folder: the kernel says where the folder is.
            _ if !self.path.contains(&b'/') => return false,
            Target::Link | Target::Parent | Target::ParentOfExisting => Last::NoFollow,
        };
        may_have_links(path, last)
    }

    /// What the path leads to.
    pub(super) fn find(&self, caller: &Caller<'_>, last: Last) -> Result<LeadsTo, Errno> {
        self.follow(caller, |base, path| find(caller, base, path, last))
    }

    /// The folder of the path's name.
    pub(super) fn find_new(&self, caller: &Caller<'_>) -> Result<NewPlace, Errno> {
        self.follow(caller, |base, path| resolve_new(caller, base, path))
    }

    /// The same, where a link that leads nowhere is followed: what is made is made where it leads.
    pub(super) fn find_made(&self, caller: &Caller<'_>) -> Result<NewPlace, Errno> {
        let mut new = self.find_new(caller)?;
        for _ in 0..=MAX_LINKS {
            let text = match readlinkat(&new.folder.object, OsStr::from_bytes(&new.name)) {
                Ok(text) => text.into_vec(),
                // Nothing there, or no link.
                Err(Errno::ENOENT | Errno::EINVAL) => return Ok(new),
                Err(errno) => return Err(errno),
            };
            new = resolve_new(caller, Some(&new.folder.object), &text)?;
        }
        Err(Errno::ELOOP)
    }

    /// Looks from where the path starts: from the root if it goes straight down, which is cheaper,
    /// and where that way is closed from the folder that the program has.
    fn follow<T>(
        &self,
        caller: &Caller<'_>,
        look: impl Fn(Option<&OwnedFd>, &[u8]) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let (path, dirfd) = match &self.start {
            Start::Plain { path, written_from } => (path, written_from),
            Start::In(folder) => return look(folder.as_ref(), &self.path),
        };
        match (look(None, path.as_bytes()), dirfd) {
            (Err(Errno::EACCES), Some(dirfd)) => look(Some(&caller.folder(*dirfd)?), &self.path),
            (found, _) => found,
        }
    }
}
