//! What an observed file-system call asks for, told from its registers.

use crate::policy::Access;
use crate::record::Operation;

/// Which object a right is needed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The object itself, symbolic links followed.
    Object,
    /// The object itself, where a last symbolic link is not followed.
    Link,
    /// The folder that holds the name; the name need not exist.
    Parent,
    /// The folder that holds the name; the name must exist.
    ParentOfExisting,
    /// The object if it exists, else the folder that would hold it.
    ObjectOrParent,
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
}

impl Attempt {
    /// Executing a file.
    pub const EXECUTE: Attempt =
        Attempt { operation: Operation::Execute, access: Access::EXECUTE, target: Target::Object };
    /// Truncating a file by path.
    pub const TRUNCATE: Attempt =
        Attempt { operation: Operation::Write, access: Access::WRITE, target: Target::Object };
    /// Making a new name.
    pub const CREATE: Attempt =
        Attempt { operation: Operation::Create, access: Access::WRITE, target: Target::Parent };
    /// Removing a name.
    pub const DELETE: Attempt = Attempt {
        operation: Operation::Delete,
        access: Access::WRITE,
        target: Target::ParentOfExisting,
    };
    /// The old name of a rename or link.
    pub const MOVE_FROM: Attempt = Attempt {
        operation: Operation::Rename,
        access: Access::WRITE,
        target: Target::ParentOfExisting,
    };
    /// The new name of a rename or link.
    pub const MOVE_TO: Attempt =
        Attempt { operation: Operation::Rename, access: Access::WRITE, target: Target::Parent };
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
    let target = match (create, flags & libc::O_NOFOLLOW != 0) {
        (true, _) => Target::ObjectOrParent,
        (false, true) => Target::Link,
        (false, false) => Target::Object,
    };
    let operation = match (create || unnamed, access.contains(Access::WRITE)) {
        (true, _) => Operation::Create,
        (false, true) => Operation::Write,
        (false, false) => Operation::Read,
    };
    let access = if unnamed { access | Access::WRITE } else { access };
    Some(Attempt { operation, access, target })
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
        let table: &[(i32, Operation, Access, Target)] = &[
            (O_RDONLY, Operation::Read, read, Target::Object),
            (O_RDONLY | O_NOFOLLOW, Operation::Read, read, Target::Link),
            (O_WRONLY, Operation::Write, write, Target::Object),
            (O_RDWR, Operation::Write, read | write, Target::Object),
            (O_RDONLY | O_TRUNC, Operation::Write, read | write, Target::Object),
            (O_WRONLY | O_CREAT, Operation::Create, write, Target::ObjectOrParent),
            (O_RDONLY | O_CREAT, Operation::Create, read, Target::ObjectOrParent),
            (O_RDWR | O_TMPFILE, Operation::Create, read | write, Target::Object),
        ];
        for (flags, operation, access, target) in table {
            let expected = Attempt { operation: *operation, access: *access, target: *target };
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
}
