//! The narrowest piece of a profile that would allow what was refused.

use super::View;
use super::denials::denial_path;
use nono_sandbox::AbsPath;
use nono_sandbox::record::{Denial, Kind, Operation, Reason};
use nono_schemas::{FilesystemGrant, Grant};

/// The grant, for the operator; `None` where no profile can allow it, or where the name cannot be
/// written into one.
pub(super) fn narrowest(view: View<'_>, denial: &Denial) -> Option<Grant> {
    match denial.reason {
        Reason::Protected | Reason::NotSupported => return None,
        Reason::NoGrant | Reason::InsufficientAccess => {}
    }
    let path = denial_path(denial)?;
    if view.policy.fs.protected.iter().any(|p| path.is_within(p) || p.is_within(&path)) {
        return None;
    }
    let mut grant = FilesystemGrant::default();
    if denial.kind == Kind::Signal {
        return None;
    }
    let (list, path) = match (denial.kind, denial.operation) {
        (Kind::UnixSocket, Operation::Bind) => (&mut grant.unix_socket_bind, path),
        (Kind::UnixSocket, _) => (&mut grant.unix_socket, path),
        (Kind::Fs | Kind::Exec, Operation::Read | Operation::Execute) => {
            let folder = (view.is_folder)(&path);
            (if folder { &mut grant.read } else { &mut grant.read_file }, path)
        }
        (Kind::Fs | Kind::Exec, Operation::Write) if !(view.is_folder)(&path) => {
            (&mut grant.write_file, path)
        }
        // Names are made and removed in a folder, so the grant is about that.
        (Kind::Fs | Kind::Exec | Kind::Signal, _) => {
            let folder = path.parent()?;
            if view.policy.fs.protected.iter().any(|p| p.is_within(&folder)) {
                return None;
            }
            (&mut grant.write, folder)
        }
    };
    list.push(as_text(&path)?);
    Some(Grant { filesystem: grant })
}

/// The path as a profile would spell it; `None` if it is not text, or if its characters mean
/// something else in a profile.
fn as_text(path: &AbsPath) -> Option<String> {
    let text = std::str::from_utf8(path.as_bytes()).ok()?;
    let plain = |c: char| !c.is_control() && !"*?[]{}$\\".contains(c);
    (text != "/" && text.len() <= 512 && text.chars().all(plain)).then(|| text.to_owned())
}
