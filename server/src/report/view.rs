//! The sandbox, as reports look at it.

use globset::GlobSet;
use nono_sandbox::AbsPath;
use nono_sandbox::host::LayerState;
use nono_sandbox::policy::{FsRule, Policy};
use std::net::IpAddr;

/// What a report needs to know about the sandbox.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    /// What commands may do.
    pub(crate) policy: &'a Policy,
    /// What commands of other calls may do, if this one asked for less.
    pub(crate) wider: Option<&'a Policy>,
    /// The operator's policy without the project file of the workspace, if there is one.
    pub(crate) operators: Option<&'a Policy>,
    /// What the call gave up, in words.
    pub(crate) narrowed: &'a [String],
    /// What stays out of reports.
    pub(crate) suppress: &'a Suppressed,
    /// What the policy would have if it had been there when the server started.
    pub(crate) absent: &'a [FsRule],
    /// What is enforced.
    pub(crate) layers: &'a [LayerState],
    /// Whether a path is a folder: folders and files take different grants.
    pub(crate) is_folder: &'a dyn Fn(&AbsPath) -> bool,
    /// Whether an address is one of this machine's.
    pub(crate) is_own_address: &'a dyn Fn(IpAddr) -> bool,
}

/// Paths whose denials stay out of reports.
#[derive(Debug, Clone, Default)]
pub(crate) struct Suppressed {
    /// Of sockets.
    pub(crate) sockets: GlobSet,
    /// Of files and folders.
    pub(crate) paths: GlobSet,
}
