//! What kind of file something is.

use nix::sys::stat::FileStat;

/// What kind of file something is (inode(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A socket.
    Socket,
    /// A pipe, named or not.
    Pipe,
    /// A character device, terminals among them.
    CharacterDevice,
    /// A block device.
    BlockDevice,
    /// None of them: what the kernel keeps behind a descriptor and gives no name.
    Other,
}

impl FileKind {
    /// Of what was looked at.
    #[must_use]
    pub fn of(stat: &FileStat) -> Self {
        Self::from_mode(stat.st_mode)
    }

    /// As a mode says it, whatever its permissions are.
    #[must_use]
    pub fn from_mode(mode: u32) -> Self {
        match mode & libc::S_IFMT {
            libc::S_IFREG => Self::Regular,
            libc::S_IFDIR => Self::Folder,
            libc::S_IFLNK => Self::Link,
            libc::S_IFSOCK => Self::Socket,
            libc::S_IFIFO => Self::Pipe,
            libc::S_IFCHR => Self::CharacterDevice,
            libc::S_IFBLK => Self::BlockDevice,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_say_nothing_about_the_kind() {
        for (bits, kind) in [
            (libc::S_IFREG, FileKind::Regular),
            (libc::S_IFDIR, FileKind::Folder),
            (libc::S_IFLNK, FileKind::Link),
            (libc::S_IFSOCK, FileKind::Socket),
            (libc::S_IFIFO, FileKind::Pipe),
            (libc::S_IFCHR, FileKind::CharacterDevice),
            (libc::S_IFBLK, FileKind::BlockDevice),
            (0, FileKind::Other),
        ] {
            assert_eq!(FileKind::from_mode(bits), kind);
            assert_eq!(FileKind::from_mode(bits | 0o7777), kind);
        }
    }
}
