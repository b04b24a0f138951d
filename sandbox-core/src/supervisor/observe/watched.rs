//! What a watched call is about, as far as its path tells.

use crate::AbsPath;
use crate::decide::{Attempt, Fit, Target};
use crate::policy::{Access, FsIndex};
use crate::supervisor::mediate::resolve::{Last, may_have_links};
use std::os::fd::OwnedFd;

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
    Plain(AbsPath),
    /// The folder it starts from; `None` for the root.
    In(Option<OwnedFd>),
}

impl Watched {
    /// Whether the path as it is written is allowed. A link may make that wrong.
    pub(super) fn seems_allowed(&self, index: &FsIndex) -> bool {
        let Attempt { access, target, fit, .. } = self.attempt;
        let Start::Plain(path) = &self.start else { return false };
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

    /// Whether the path as it is written may not be the path of what the call is about.
    pub(super) fn may_have_links(&self) -> bool {
        let Start::Plain(path) = &self.start else { return true };
        let last = match self.attempt.target {
            Target::Object | Target::ObjectOrParent => Last::Follow,
            // A single name in a folder: the kernel says where the folder is.
            _ if !self.path.contains(&b'/') => return false,
            Target::Link | Target::Parent | Target::ParentOfExisting => Last::NoFollow,
        };
        may_have_links(path, last)
    }

    /// Where to look, and for what.
    pub(super) fn place(&self) -> (Option<&OwnedFd>, &[u8]) {
        match &self.start {
            Start::Plain(path) => (None, path.as_bytes()),
            Start::In(folder) => (folder.as_ref(), &self.path),
        }
    }
}
