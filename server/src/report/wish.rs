//! What would allow a denial: entries of a grant, before they are tried.

use super::group::denial_path;
use super::view::View;
use nono_sandbox::AbsPath;
use nono_sandbox::policy::Access;
use nono_sandbox::record::{Denial, Kind, Operation};

/// One entry of a grant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wish {
    pub(super) path: AbsPath,
    pub(super) what: What,
}

/// What an entry allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    ReadFile,
    WriteFile,
    AllowFile,
    Read,
    Write,
    Allow,
    Connect,
    Bind,
}

impl What {
    /// For a folder or a file that lacks these rights.
    fn lacking(missing: Access, folder: bool) -> Self {
        let reads = missing.intersects(Access::READ | Access::EXECUTE);
        match (reads, missing.contains(Access::WRITE), folder) {
            (true, true, true) => What::Allow,
            (true, true, false) => What::AllowFile,
            (_, false, true) => What::Read,
            (_, false, false) => What::ReadFile,
            (false, true, true) => What::Write,
            (false, true, false) => What::WriteFile,
        }
    }

    /// The rights it gives.
    pub(super) fn access(self) -> Access {
        let read = Access::READ | Access::EXECUTE;
        match self {
            What::ReadFile | What::Read => read,
            What::WriteFile | What::Write => Access::WRITE,
            What::AllowFile | What::Allow => read | Access::WRITE,
            What::Connect => Access::empty(),
            What::Bind => Access::MAKE_SOCKET,
        }
    }
}

impl Wish {
    /// One entry for the folder instead of one for each file in it.
    pub(super) fn together(view: View<'_>, folder: &AbsPath, wishes: &[Wish]) -> Option<Wish> {
        let socket = |w: &Wish| matches!(w.what, What::Connect | What::Bind);
        // Sockets are named one by one: a folder of them is never narrow.
        if wishes.iter().any(socket) {
            return None;
        }
        let all = wishes.iter().fold(Access::empty(), |all, w| all | w.what.access());
        let missing = all - view.policy.fs.rights(folder);
        Some(Wish { path: folder.clone(), what: What::lacking(missing, true) })
    }
}

/// What would allow one denial.
pub(super) fn wish(view: View<'_>, denial: &Denial) -> Option<Wish> {
    let path = denial_path(denial)?;
    match (denial.kind, denial.operation) {
        (Kind::UnixSocket, Operation::Bind) => return Some(Wish { path, what: What::Bind }),
        (Kind::UnixSocket, _) => return Some(Wish { path, what: What::Connect }),
        _ => {}
    }
    if denial.access.contains(Access::MAKE_SOCKET) {
        return Some(Wish { path, what: What::Bind });
    }
    // Names are made and removed in a folder, so the grant is about that.
    let path = if by_name(denial.operation) { path.parent()? } else { path };
    let folder = by_name(denial.operation) || (view.is_folder)(&path);
    let missing = denial.access - view.policy.fs.rights(&path);
    Some(Wish { what: What::lacking(missing, folder), path })
}

/// Whether an operation is about a name in its folder.
pub(super) fn by_name(operation: Operation) -> bool {
    matches!(operation, Operation::Create | Operation::Delete | Operation::Rename | Operation::Link)
}
