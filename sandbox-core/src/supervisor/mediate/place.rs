//! A pinned object, and what it is called.
//!
//! An object may have no path (a pipe, a socket), and one whose path is too long for the kernel to
//! tell is called by what is near it.

use super::pinned;
use crate::AbsPath;
use crate::decide::FileKind;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, fstat};
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

/// How an object is pinned: held, and not opened.
pub(super) const PIN: OFlag = OFlag::O_PATH.union(OFlag::O_CLOEXEC);

/// An object and where it is.
#[derive(Debug)]
pub(in crate::supervisor) struct Place {
    /// `O_PATH` descriptor: names the object whatever happens to its path.
    pub(in crate::supervisor) object: OwnedFd,
    /// Canonical path of the object when it was pinned.
    pub(in crate::supervisor) path: AbsPath,
}

impl Place {
    /// Names a pinned object. One without a path (a pipe, another mount namespace) is gone.
    pub(super) fn of(object: OwnedFd) -> Result<Self, Errno> {
        LeadsTo::of(object, None)?.place()
    }
}

/// What a path leads to.
#[derive(Debug)]
pub(in crate::supervisor) enum LeadsTo {
    /// Something that is somewhere.
    Place(Place),
    /// What a magic link leads to and no path does: a pipe, a socket.
    Unnamed,
}

impl LeadsTo {
    /// Names a pinned object, and says if no path leads to it. `holder`: where it was found, and by
    /// which name.
    pub(in crate::supervisor) fn of(
        object: OwnedFd,
        holder: Option<(OwnedFd, Vec<u8>)>,
    ) -> Result<Self, Errno> {
        let path = match (pinned::path_if_any(&object), holder) {
            (Err(Errno::ENAMETOOLONG), _) if is_folder(&object)? => far_below(&object)?,
            (Err(Errno::ENAMETOOLONG), Some((folder, name))) => {
                NewPlace { folder: Place::of(folder)?, name }.path()?
            }
            (path, _) => match path? {
                Some(path) => path,
                None => return Ok(Self::Unnamed),
            },
        };
        Ok(Self::Place(Place { object, path }))
    }

    /// The place; `ENOENT` where there is none.
    pub(super) fn place(self) -> Result<Place, Errno> {
        match self {
            Self::Place(place) => Ok(place),
            Self::Unnamed => Err(Errno::ENOENT),
        }
    }
}

/// The folder of a name that need not exist, and the name.
#[derive(Debug)]
pub(in crate::supervisor) struct NewPlace {
    pub(in crate::supervisor) folder: Place,
    pub(in crate::supervisor) name: Vec<u8>,
}

impl NewPlace {
    /// The path the name would have.
    pub(in crate::supervisor) fn path(&self) -> Result<AbsPath, Errno> {
        self.folder.path.join(OsStr::from_bytes(&self.name)).map_err(|_| Errno::EINVAL)
    }
}

fn is_folder(object: &OwnedFd) -> Result<bool, Errno> {
    Ok(FileKind::of(&fstat(object)?) == FileKind::Folder)
}

/// A path for a folder whose own is too long to be told: one below the nearest folder above that
/// can be named. No rule and nothing that is protected is named by a longer path than that folder's,
/// so they say the same of both.
fn far_below(folder: &OwnedFd) -> Result<AbsPath, Errno> {
    /// Levels that one path leads up.
    const LEAP: usize = 1024;
    const MOST_LEAPS: u32 = 64;
    let up = |from: &OwnedFd, levels: usize| {
        openat(from, "../".repeat(levels).as_str(), PIN | OFlag::O_DIRECTORY, Mode::empty())
    };
    let mut from = folder.try_clone().map_err(|_| Errno::EMFILE)?;
    for _ in 0..MOST_LEAPS {
        let above = up(&from, LEAP)?;
        let Err(Errno::ENAMETOOLONG) = pinned::path(&above) else {
            return nearest(LEAP, |levels| pinned::path(&up(&from, levels)?))?
                .join("...")
                .map_err(|_| Errno::EINVAL);
        };
        from = above;
    }
    Err(Errno::ENAMETOOLONG)
}

/// The name of the nearest folder above that can be named, at most `levels` up.
fn nearest(
    levels: usize,
    name: impl Fn(usize) -> Result<AbsPath, Errno>,
) -> Result<AbsPath, Errno> {
    let (mut too_near, mut far) = (0, levels);
    while far - too_near > 1 {
        let middle = too_near.midpoint(far);
        match name(middle) {
            Err(Errno::ENAMETOOLONG) => too_near = middle,
            told => {
                told?;
                far = middle;
            }
        }
    }
    name(far)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_folder_that_can_be_named_is_found() {
        let path = |levels: usize| AbsPath::new(format!("/{levels}")).unwrap();
        for enough in 1..=16 {
            let name = |levels| match levels >= enough {
                true => Ok(path(levels)),
                false => Err(Errno::ENAMETOOLONG),
            };
            assert_eq!(nearest(16, name), Ok(path(enough)));
        }
        assert_eq!(nearest(16, |_| Err(Errno::EACCES)), Err(Errno::EACCES));
    }
}
