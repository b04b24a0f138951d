//! The sandbox of a run: what it may do, and what of that this kernel enforces.

use crate::report::{Suppressed, View};
use nix::ifaddrs::getifaddrs;
use nono_sandbox::AbsPath;
use nono_sandbox::host::{Host, LayerState};
use nono_sandbox::policy::{FsRule, Policy, SettledPolicy};
use std::net::IpAddr;
use std::sync::Arc;

/// What one run may do. Most runs share the operator's; a call that asks for less has its own.
#[derive(Debug)]
pub(crate) struct Sandbox {
    /// What the command may do.
    pub(crate) policy: SettledPolicy,
    /// What this kernel enforces of it.
    pub(crate) layers: Vec<LayerState>,
    /// Why nothing can run in it, if that is so.
    pub(crate) missing: Option<String>,
    /// What the call gave up, in the words it used.
    pub(crate) narrowed: Vec<String>,
    /// The sandbox of calls that ask for no less, if this is a narrower one.
    wider: Option<Arc<Sandbox>>,
    /// The operator's policy without the project file, if there is one.
    operators: Option<Policy>,
    /// Which denials stay out of reports.
    suppress: Suppressed,
    /// What would be granted if it had been there.
    absent: Vec<FsRule>,
}

impl Sandbox {
    /// The operator's.
    pub(crate) fn new(policy: Policy, host: &Host, suppress: Suppressed) -> Self {
        let policy = settled(policy, host);
        let (layers, missing) = (host.layers(&policy), host.missing(&policy));
        Self {
            policy,
            layers,
            missing,
            narrowed: Vec::new(),
            wider: None,
            operators: None,
            suppress,
            absent: vec![],
        }
    }

    /// With what would be granted if it had been there when the profile was resolved.
    pub(crate) fn with_absent(self, absent: Vec<FsRule>) -> Self {
        Self { absent, ..self }
    }

    /// With the policy that a project file narrowed.
    pub(crate) fn with_operators(self, operators: Option<Policy>) -> Self {
        Self { operators, ..self }
    }

    /// One for a call that asked for less of `wider`.
    pub(crate) fn narrower(
        wider: &Arc<Self>,
        policy: Policy,
        host: &Host,
        narrowed: Vec<String>,
    ) -> Self {
        let own = Self::new(policy, host, wider.suppress.clone());
        Self { narrowed, wider: Some(Arc::clone(wider)), ..own }
    }

    /// What reports need of it.
    pub(crate) fn view(&self) -> View<'_> {
        View {
            policy: &self.policy,
            wider: self.wider.as_ref().map(|wider| &*wider.policy),
            operators: self.wider.as_deref().unwrap_or(self).operators.as_ref(),
            narrowed: &self.narrowed,
            suppress: &self.suppress,
            absent: &self.absent,
            layers: &self.layers,
            is_folder: &is_folder,
            is_own_address: &is_own_address,
        }
    }

    /// The first workspace folder.
    pub(crate) fn workspace(&self) -> &AbsPath {
        self.policy.fs.workspaces.first().unwrap_or(&self.policy.fs.tmpdir)
    }
}

/// A policy on this machine.
pub(crate) fn settled(policy: Policy, host: &Host) -> SettledPolicy {
    let mounts = host.namespaces_for(&policy).is_some();
    policy.settled(mounts, is_folder)
}

/// Whether a canonical path is a folder.
fn is_folder(path: &AbsPath) -> bool {
    std::fs::symlink_metadata(path.as_path()).is_ok_and(|found| found.is_dir())
}

/// Whether an interface of this machine has this address.
fn is_own_address(ip: IpAddr) -> bool {
    getifaddrs().into_iter().flatten().filter_map(|interface| interface.address).any(|address| {
        let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
        v4.or(address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip()))) == Some(ip)
    })
}
