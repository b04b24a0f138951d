//! The lists of a profile that grant files, and what each gives.

use nono_sandbox::policy::Access;

/// The lists of grants for files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileList {
    /// `filesystem.read_file`.
    ReadFile,
    /// `filesystem.write_file`.
    WriteFile,
    /// `filesystem.allow_file`.
    AllowFile,
    /// `filesystem.read`.
    Read,
    /// `filesystem.write`.
    Write,
    /// `filesystem.allow`.
    Allow,
}

/// What reading comes with: a program that can be read can be started.
const READ: Access = Access::READ.union(Access::EXECUTE);

impl FileList {
    /// The one that gives no more than is needed to a folder or a file that lacks these rights.
    #[must_use]
    pub fn giving(missing: Access, is_folder: bool) -> Self {
        match (missing.intersects(READ), missing.contains(Access::WRITE), is_folder) {
            (true, true, true) => Self::Allow,
            (true, true, false) => Self::AllowFile,
            (_, false, true) => Self::Read,
            (_, false, false) => Self::ReadFile,
            (false, true, true) => Self::Write,
            (false, true, false) => Self::WriteFile,
        }
    }

    /// The access a grant in this list gives.
    #[must_use]
    pub fn access(self) -> Access {
        match self {
            Self::Read | Self::ReadFile => READ,
            Self::Write | Self::WriteFile => Access::WRITE,
            Self::Allow | Self::AllowFile => READ | Access::WRITE,
        }
    }

    /// Whether its grants are for single files.
    #[must_use]
    pub fn takes_files_only(self) -> bool {
        matches!(self, Self::ReadFile | Self::WriteFile | Self::AllowFile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_list_gives_is_given_by_it() {
        use FileList::{Allow, AllowFile, Read, ReadFile, Write, WriteFile};
        for list in [Read, Write, Allow, ReadFile, WriteFile, AllowFile] {
            assert_eq!(FileList::giving(list.access(), !list.takes_files_only()), list);
        }
    }
}
