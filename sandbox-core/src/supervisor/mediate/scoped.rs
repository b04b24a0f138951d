//! Paths of `openat2` with rules of its own for the way (`open_how.resolve`).
//!
//! They change what a path means: below `RESOLVE_IN_ROOT`, `/x` is a name in the folder the call
//! starts from. So the same rules are given to the kernel again, with the same folder. None of them
//! leads over another's magic link to a place that matters: all but `RESOLVE_NO_XDEV` forbid magic
//! links, and that one forbids leaving `/proc`.

use super::place::{NewPlace, Place};
use super::resolve::{Last, how, split};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, ResolveFlag, openat2};
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// Fails instead of waiting for a disk (Linux 5.12). It changes nothing of what a path means.
const RESOLVE_CACHED: u64 = 0x20;

/// Rules for the way, and where it starts.
#[derive(Debug)]
pub(in crate::supervisor) struct Scoped {
    rules: ResolveFlag,
    /// `None` where the path starts at the root.
    folder: Option<OwnedFd>,
}

/// What `open_how.resolve` says; `None` if paths mean what they always do.
///
/// # Errors
/// `EINVAL` for what this code does not know, as a kernel says that does not know it.
pub(in crate::supervisor) fn rules(bits: u64) -> Result<Option<ResolveFlag>, Errno> {
    let rules = ResolveFlag::from_bits(bits & !RESOLVE_CACHED).ok_or(Errno::EINVAL)?;
    Ok((!rules.is_empty()).then_some(rules))
}

/// Whether a path starts from the folder that the call names.
pub(in crate::supervisor) fn starts_in_folder(rules: ResolveFlag, path: &[u8]) -> bool {
    rules.contains(ResolveFlag::RESOLVE_IN_ROOT) || path.first() != Some(&b'/')
}

impl Scoped {
    /// `folder`: `None` where the path starts at the root.
    pub(in crate::supervisor) fn new(rules: ResolveFlag, folder: Option<OwnedFd>) -> Self {
        Self { rules, folder }
    }

    /// What `path` leads to.
    pub(in crate::supervisor) fn find(&self, path: &[u8], last: Last) -> Result<Place, Errno> {
        let how = how(last, self.rules);
        let path = OsStr::from_bytes(path);
        let object = match &self.folder {
            Some(folder) => openat2(folder.as_fd(), path, how),
            // Absolute, so that our own working directory does not matter.
            None => openat2(AT_FDCWD, path, how),
        };
        Place::of(object?)
    }

    /// The folder of `path`, and the name.
    pub(in crate::supervisor) fn find_new(&self, path: &[u8]) -> Result<NewPlace, Errno> {
        let (folder, name) = split(path)?;
        Ok(NewPlace { folder: self.find(folder, Last::Follow)?, name: name.to_vec() })
    }
}

/// The path that `path` means if it ends in a link with this text.
pub(in crate::supervisor) fn beyond(path: &[u8], text: &[u8]) -> Result<Vec<u8>, Errno> {
    if text.first() == Some(&b'/') {
        return Ok(text.to_vec());
    }
    let (folder, _) = split(path)?;
    Ok([folder, b"/", text].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_is_followed() {
        assert_eq!(rules(0), Ok(None));
        assert_eq!(rules(RESOLVE_CACHED), Ok(None));
        let in_root = ResolveFlag::RESOLVE_IN_ROOT;
        assert_eq!(rules(in_root.bits() | RESOLVE_CACHED), Ok(Some(in_root)));
        assert_eq!(rules(1 << 40), Err(Errno::EINVAL));
        assert!(starts_in_folder(in_root, b"/x"));
        assert!(!starts_in_folder(ResolveFlag::RESOLVE_BENEATH, b"/x"));
        assert!(starts_in_folder(ResolveFlag::RESOLVE_BENEATH, b"x"));
    }

    #[test]
    fn a_link_goes_on_from_its_folder() {
        assert_eq!(beyond(b"a/l", b"../b"), Ok(b"a//../b".to_vec()));
        assert_eq!(beyond(b"/l", b"b"), Ok(b"//b".to_vec()));
        assert_eq!(beyond(b"l", b"b"), Ok(b"./b".to_vec()));
        assert_eq!(beyond(b"a/l", b"/b"), Ok(b"/b".to_vec()));
    }
}
