//! What would allow a denial: entries of a grant, before they are tried.

use super::group::denial_path;
use super::view::View;
use nono_profiles::FileList;
use nono_sandbox::AbsPath;
use nono_sandbox::policy::Access;
use nono_sandbox::record::{Denial, Kind, Operation};

/// One entry of a grant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wish {
    pub(super) path: AbsPath,
    pub(super) list: GrantList,
}

/// The list of a profile that an entry belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum GrantList {
    /// Of files.
    File(FileList),
    /// Of sockets to connect to.
    Connect,
    /// Of sockets to bind.
    Bind,
}

impl GrantList {
    /// The rights to files that come with it.
    pub(super) fn access(self) -> Access {
        match self {
            Self::File(list) => list.access(),
            Self::Connect => Access::empty(),
            Self::Bind => Access::MAKE_SOCKET,
        }
    }

    /// Whether its entries are for everything below a folder.
    pub(super) fn takes_trees(self) -> bool {
        matches!(self, Self::File(list) if !list.takes_files_only())
    }
}

impl Wish {
    /// One entry for the folder instead of one for each file in it.
    pub(super) fn together(view: View<'_>, folder: &AbsPath, wishes: &[Wish]) -> Option<Wish> {
        let socket = |w: &Wish| matches!(w.list, GrantList::Connect | GrantList::Bind);
        // Sockets are named one by one: a folder of them is never narrow.
        if wishes.iter().any(socket) {
            return None;
        }
        let all = wishes.iter().fold(Access::empty(), |all, w| all | w.list.access());
        let missing = all - view.policy.fs.rights(folder);
        Some(Wish { path: folder.clone(), list: GrantList::File(FileList::giving(missing, true)) })
    }
}

/// What would allow one denial.
pub(super) fn wish(view: View<'_>, denial: &Denial) -> Option<Wish> {
    let path = denial_path(denial)?;
    match (denial.kind, denial.operation) {
        (Kind::UnixSocket, Operation::Bind) => return Some(Wish { path, list: GrantList::Bind }),
        (Kind::UnixSocket, _) => return Some(Wish { path, list: GrantList::Connect }),
        _ => {}
    }
    if denial.access.contains(Access::MAKE_SOCKET) {
        return Some(Wish { path, list: GrantList::Bind });
    }
    // Names are made and removed in a folder, so the grant is about that.
    let path = if by_name(denial.operation) { path.parent()? } else { path };
    let folder = by_name(denial.operation) || (view.is_folder)(&path);
    let missing = denial.access - view.policy.fs.rights(&path);
    Some(Wish { list: GrantList::File(FileList::giving(missing, folder)), path })
}

/// Whether an operation is about a name in its folder.
pub(super) fn by_name(operation: Operation) -> bool {
    matches!(operation, Operation::Create | Operation::Delete | Operation::Rename | Operation::Link)
}
