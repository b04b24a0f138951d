//! What an observed file-system call asks for, told from its registers.

use super::FileKind;
use crate::policy::Access;
use crate::record::Operation;

/// Which object a right is needed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The object itself, symbolic links followed.
    Object,
    /// The object itself, where a last symbolic link is not followed.
    Link,
    /// The folder that holds the name; the name must not exist.
    Parent,
    /// The folder that holds the name; the name must exist.
    ParentOfExisting,
    /// The object if it exists, else the folder that would hold it.
    ObjectOrParent,
}

/// What kind of object a call can work on. On any other it fails for an ordinary reason, so the
/// sandbox made no difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// `open` to read: `ENXIO` on sockets, `ELOOP` on links that are not followed.
    Open,
    /// `open` to write: also `EISDIR`.
    Write,
    /// `O_DIRECTORY`, `O_TMPFILE`, `rmdir`: `ENOTDIR`.
    Folder,
    /// `execve`, `truncate`: nothing but regular files.
    File,
    /// `unlink`: `EISDIR`.
    NoFolder,
    /// Names that are made.
    Any,
    /// Symbolic links that are made: names behind theirs come to be as well.
    NewLink,
}

impl Fit {
    /// Whether the call can work on such an object.
    #[must_use]
    pub fn admits(self, kind: FileKind) -> bool {
        match self {
            Fit::Open => !matches!(kind, FileKind::Socket | FileKind::Link),
            Fit::Write => !matches!(kind, FileKind::Socket | FileKind::Link | FileKind::Folder),
            Fit::Folder => kind == FileKind::Folder,
            Fit::File => kind == FileKind::Regular,
            Fit::NoFolder => kind != FileKind::Folder,
            Fit::Any | Fit::NewLink => true,
        }
    }
}

/// What one path of a call needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// For the record.
    pub operation: Operation,
    /// The access the rules must give.
    pub access: Access,
    /// On what.
    pub target: Target,
    /// What kind of object that must be.
    pub fit: Fit,
}

impl Attempt {
    /// Whether the call could change something.
    #[must_use]
    pub fn may_change(&self) -> bool {
        self.access.intersects(Access::CHANGES) || self.target == Target::ObjectOrParent
    }

    /// Executing a file.
    pub const EXECUTE: Attempt = Attempt {
        operation: Operation::Execute,
        access: Access::EXECUTE,
        target: Target::Object,
        fit: Fit::File,
    };
    /// Truncating a file by path.
    pub const TRUNCATE: Attempt = Attempt {
        operation: Operation::Write,
        access: Access::WRITE,
        target: Target::Object,
        fit: Fit::File,
    };
    /// Making a new name.
    pub const CREATE: Attempt = Attempt {
        operation: Operation::Create,
        access: Access::WRITE,
        target: Target::Parent,
        fit: Fit::Any,
    };
    /// Making a symbolic link.
    pub const SYMLINK: Attempt = Attempt { fit: Fit::NewLink, ..Attempt::CREATE };
    /// Giving a file a second name, by which it could be changed.
    pub const RELINK: Attempt = Attempt {
        operation: Operation::Link,
        access: Access::WRITE,
        target: Target::Object,
        fit: Fit::Any,
    };
    /// Removing a file's name.
    pub const UNLINK: Attempt = Attempt {
        operation: Operation::Delete,
        access: Access::WRITE,
        target: Target::ParentOfExisting,
        fit: Fit::NoFolder,
    };
    /// Removing a folder.
    pub const RMDIR: Attempt = Attempt { fit: Fit::Folder, ..Attempt::UNLINK };
}

/// What `mknod` with this mode needs. `None`: device nodes, which only root could make anyway.
#[must_use]
pub fn node_attempt(mode: u32) -> Option<Attempt> {
    match FileKind::from_mode(mode) {
        FileKind::CharacterDevice | FileKind::BlockDevice => None,
        FileKind::Socket => Some(Attempt { access: Access::MAKE_SOCKET, ..Attempt::CREATE }),
        _ => Some(Attempt::CREATE),
    }
}

/// What an open with these flags needs. `None`: nothing the rules have a say in (`O_PATH`).
#[must_use]
pub fn open_attempt(flags: i32) -> Option<Attempt> {
    if flags & libc::O_PATH != 0 {
        return None;
    }
    let mut access = match flags & libc::O_ACCMODE {
        libc::O_WRONLY => Access::WRITE,
        // Mode 3 is "check for reading and writing" (open(2)).
        libc::O_RDWR | libc::O_ACCMODE => Access::READ | Access::WRITE,
        _ => Access::READ,
    };
    if flags & libc::O_TRUNC != 0 {
        access |= Access::WRITE;
    }
    let unnamed = flags & libc::O_TMPFILE == libc::O_TMPFILE;
    let create = flags & libc::O_CREAT != 0 && !unnamed;
    let exclusive = create && flags & libc::O_EXCL != 0;
    let target = match (create, flags & libc::O_NOFOLLOW != 0) {
        _ if exclusive => Target::Parent,
        (true, _) => Target::ObjectOrParent,
        (false, true) => Target::Link,
        (false, false) => Target::Object,
    };
    let writes = access.contains(Access::WRITE);
    let operation = match (create || unnamed, writes) {
        (true, _) => Operation::Create,
        (false, true) => Operation::Write,
        (false, false) => Operation::Read,
    };
    let fit = match (flags & libc::O_DIRECTORY != 0, writes || create) {
        (true, _) => Fit::Folder,
        (false, true) => Fit::Write,
        (false, false) => Fit::Open,
    };
    let access = if unnamed || exclusive { access | Access::WRITE } else { access };
    Some(Attempt { operation, access, target, fit })
}

impl Attempt {
    /// What is asked for once it is known whether the object exists: only an object that does not
    /// has to be made.
    #[must_use]
    pub fn settled(self, exists: bool) -> Attempt {
        match (self.target, exists) {
            (Target::ObjectOrParent, true) if self.access.contains(Access::WRITE) => {
                Attempt { operation: Operation::Write, ..self }
            }
            (Target::ObjectOrParent, true) => Attempt { operation: Operation::Read, ..self },
            (Target::ObjectOrParent, false) => {
                Attempt { access: self.access | Access::WRITE, ..self }
            }
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens() {
        use libc::*;
        let read = Access::READ;
        let write = Access::WRITE;
        let table: &[(i32, Operation, Access, Target, Fit)] = &[
            (O_RDONLY, Operation::Read, read, Target::Object, Fit::Open),
            (O_RDONLY | O_NOFOLLOW, Operation::Read, read, Target::Link, Fit::Open),
            (O_RDONLY | O_DIRECTORY, Operation::Read, read, Target::Object, Fit::Folder),
            (O_WRONLY, Operation::Write, write, Target::Object, Fit::Write),
            (O_RDWR, Operation::Write, read | write, Target::Object, Fit::Write),
            (O_RDONLY | O_TRUNC, Operation::Write, read | write, Target::Object, Fit::Write),
            (O_WRONLY | O_CREAT, Operation::Create, write, Target::ObjectOrParent, Fit::Write),
            (O_RDONLY | O_CREAT, Operation::Create, read, Target::ObjectOrParent, Fit::Write),
            (O_WRONLY | O_CREAT | O_EXCL, Operation::Create, write, Target::Parent, Fit::Write),
            (O_RDWR | O_TMPFILE, Operation::Create, read | write, Target::Object, Fit::Folder),
        ];
        for (flags, operation, access, target, fit) in table {
            let (operation, access, target, fit) = (*operation, *access, *target, *fit);
            let expected = Attempt { operation, access, target, fit };
            assert_eq!(open_attempt(*flags), Some(expected), "{flags:#o}");
        }
        assert_eq!(open_attempt(O_PATH | O_RDWR), None);
    }

    #[test]
    fn only_what_does_not_exist_is_made() {
        let asked = |flags, exists| {
            let settled = open_attempt(flags).unwrap().settled(exists);
            (settled.operation, settled.access)
        };
        let create = libc::O_CREAT;
        let write = Access::WRITE;
        assert_eq!(asked(create | libc::O_WRONLY, true), (Operation::Write, write));
        assert_eq!(asked(create | libc::O_RDONLY, true), (Operation::Read, Access::READ));
        assert_eq!(asked(create | libc::O_WRONLY, false), (Operation::Create, write));
        assert_eq!(
            asked(create | libc::O_RDONLY, false),
            (Operation::Create, Access::READ | write)
        );
        assert_eq!(asked(libc::O_WRONLY, true), (Operation::Write, write));
    }

    #[test]
    fn nodes() {
        assert_eq!(node_attempt(libc::S_IFIFO | 0o600), Some(Attempt::CREATE));
        assert_eq!(node_attempt(0o600), Some(Attempt::CREATE));
        assert_eq!(node_attempt(libc::S_IFCHR), None);
        assert_eq!(node_attempt(libc::S_IFSOCK).unwrap().access, Access::MAKE_SOCKET);
    }

    #[test]
    fn objects_that_fail_anyway_do_not_fit() {
        assert!(!Fit::Write.admits(FileKind::Folder) && Fit::Open.admits(FileKind::Folder));
        assert!(!Fit::Open.admits(FileKind::Socket) && !Fit::Open.admits(FileKind::Link));
        assert!(!Fit::File.admits(FileKind::Folder) && Fit::NoFolder.admits(FileKind::Link));
        assert!(Fit::Folder.admits(FileKind::Folder) && !Fit::Folder.admits(FileKind::Regular));
    }
}
