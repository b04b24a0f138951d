//! Whom a test runs as, and what it lets every user see.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// The user a server, its probes and its fixtures belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// Whoever runs the tests.
    Same,
    /// An ordinary user, reached by giving root up.
    Ordinary,
}

/// `nobody` wherever there is a convention.
const ORDINARY: u32 = 65534;

impl User {
    /// The users that can be tried here.
    #[must_use]
    pub fn all() -> Vec<User> {
        if is_root() { vec![User::Same, User::Ordinary] } else { vec![User::Same] }
    }

    /// Whether this user is root.
    #[must_use]
    pub fn is_root(self) -> bool {
        self == User::Same && is_root()
    }

    /// The user's number.
    #[must_use]
    pub fn uid(self) -> u32 {
        match self {
            User::Same => nix::unistd::getuid().as_raw(),
            User::Ordinary => ORDINARY,
        }
    }

    /// Makes `path` this user's own.
    ///
    /// # Panics
    /// If the owner cannot be changed.
    pub fn own(self, path: &Path) {
        if self == User::Ordinary {
            std::os::unix::fs::lchown(path, Some(ORDINARY), Some(ORDINARY))
                .unwrap_or_else(|e| panic!("chown {path:?}: {e}"));
        }
    }

    /// Makes `command` run as this user, with no other groups.
    pub fn apply(self, command: &mut Command) {
        if self == User::Ordinary {
            command.uid(ORDINARY).gid(ORDINARY);
        }
    }
}

/// Lets every user look into a folder.
///
/// # Panics
/// If the mode cannot be changed.
pub fn open_to_all(folder: &Path) {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))
        .unwrap_or_else(|e| panic!("open {folder:?}: {e}"));
}

/// Lets every user read a file.
///
/// # Panics
/// If the mode cannot be changed.
pub fn readable_by_all(file: &Path) {
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644))
        .unwrap_or_else(|e| panic!("open {file:?}: {e}"));
}

fn is_root() -> bool {
    nix::unistd::getuid().is_root()
}
