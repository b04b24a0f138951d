//! The layers of protection that a policy gets on a kernel. Pure.

use super::Host;
use crate::namespaces::{Namespaces, SHARED_MEMORY};
use crate::policy::{
    Hiding, Isolation, Mediation, NetworkMode, Observe, Policy, SettledPolicy, Tmp,
};
use std::path::Path;

/// The oldest Landlock ABI that can keep a file from being changed: from 3 on (Linux 6.2) truncation
/// is a right of its own.
pub(crate) const MINIMUM_ABI: u32 = 3;
/// From this ABI on (Linux 6.12) the kernel keeps signals and abstract sockets inside a domain.
/// Below it the supervisor does.
pub(crate) const SCOPES_ABI: u32 = 6;

/// One layer of protection, as results and `doctor` show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerState {
    /// Stable name.
    pub name: &'static str,
    /// Whether it will be enforced.
    pub standing: Standing,
    /// Whether a run is refused without it.
    pub required: bool,
    /// Version, or what is missing and what to do about it.
    pub detail: String,
}

/// Whether a layer is enforced, and who decided that if it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Active,
    /// The profile does without it.
    NotAsked,
    /// The profile would have it, and it cannot be had here.
    Missing,
}

impl Standing {
    /// Of a layer that a profile can do without.
    fn new(asked: bool, enforced: bool) -> Self {
        match (asked, enforced) {
            (_, true) => Self::Active,
            (false, false) => Self::NotAsked,
            (true, false) => Self::Missing,
        }
    }

    /// Of a layer that is always asked for.
    fn always(enforced: bool) -> Self {
        Self::new(true, enforced)
    }
}

impl LayerState {
    /// Whether it will be enforced.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.standing == Standing::Active
    }

    /// Whether it keeps commands from being run: it is needed, and cannot be had here.
    #[must_use]
    pub fn is_lacking(&self) -> bool {
        self.required && !self.is_active()
    }
}

impl Host {
    /// Every layer, with what will be enforced for a policy.
    #[must_use]
    pub fn layers(&self, policy: &SettledPolicy) -> Vec<LayerState> {
        let mediated = policy.unix.mediation == Mediation::Pathname;
        vec![
            self.landlock(),
            self.scopes(),
            self.seccomp(),
            self.mediation(mediated),
            self.isolation(policy),
            self.protected_files(policy),
            self.private_tmp(policy),
            self.hidden_files(policy),
            self.network(policy.network.mode),
            self.network_isolation(policy),
            denial_reports(policy.observe),
            self.tree(policy),
        ]
    }

    /// Why every run would be refused here, if so.
    #[must_use]
    pub fn missing(&self, policy: &SettledPolicy) -> Option<String> {
        let layers = self.layers(policy).into_iter().filter(LayerState::is_lacking);
        let missing = layers.map(|l| format!("{}: {}", l.name, l.detail));
        let missing: Vec<String> = missing.chain(self.covered(policy)).collect();
        (!missing.is_empty()).then(|| missing.join("; "))
    }

    /// A folder that commands need and would not find, because they have another one above it.
    fn covered(&self, policy: &Policy) -> Option<String> {
        self.namespaces_for(policy)?;
        let shared = Path::new(SHARED_MEMORY);
        let mut needed = policy.fs.workspaces.iter().chain([&policy.fs.tmpdir]);
        let folder = needed.find(|folder| folder.as_path().starts_with(shared))?;
        Some(format!(
            "isolation: {folder} cannot be seen by commands, because each run has a \
             {SHARED_MEMORY} of its own; take a folder elsewhere (--workspace, TMPDIR), or let the \
             profile say `isolation: off`"
        ))
    }

    fn landlock(&self) -> LayerState {
        let detail = match self.landlock_abi {
            0 => "missing; boot with `lsm=landlock,…` on a kernel with CONFIG_SECURITY_LANDLOCK, and \
                  inside a container allow the landlock_* calls"
                .into(),
            abi if abi < MINIMUM_ABI => {
                format!("ABI {abi}; ABI {MINIMUM_ABI} is needed, which Linux 6.2 brings")
            }
            abi => format!("ABI {abi}"),
        };
        let standing = Standing::always(self.landlock_abi >= MINIMUM_ABI);
        LayerState { name: "landlock", standing, required: true, detail }
    }

    fn scopes(&self) -> LayerState {
        let active = self.landlock_abi >= SCOPES_ABI;
        let detail = if active {
            "signals and abstract sockets stay inside".into()
        } else {
            format!(
                "needs Landlock ABI {SCOPES_ABI} (Linux 6.12); until then signals are mediated and \
                 abstract names are a run's own"
            )
        };
        let standing = Standing::always(active);
        LayerState { name: "landlock_scopes", standing, required: false, detail }
    }

    fn isolation(&self, policy: &Policy) -> LayerState {
        let detail = match (policy.isolation, &self.namespaces) {
            (Isolation::Off, _) => "switched off by the profile (isolation)".into(),
            (_, Ok(Namespaces::Privileged)) => {
                "processes, /proc, /dev/shm and System V objects of its own".into()
            }
            (_, Ok(Namespaces::ByUser)) => {
                "processes, /proc, /dev/shm and System V objects of its own, by a user namespace: \
                 files of other users are shown as owned by nobody"
                    .into()
            }
            (_, Err(why)) => format!(
                "namespaces cannot be had here: {why}; start the server with CAP_SYS_ADMIN, or \
                 allow user namespaces (kernel.apparmor_restrict_unprivileged_userns=0 on Ubuntu)"
            ),
        };
        let standing = Standing::new(
            policy.isolation != Isolation::Off,
            self.namespaces_for(policy).is_some(),
        );
        let required = policy.isolation == Isolation::Required;
        LayerState { name: "isolation", standing, required, detail }
    }

    fn protected_files(&self, policy: &Policy) -> LayerState {
        let sealed = self.namespaces_for(policy).is_some();
        let detail = match (policy.fs.protected.is_empty(), sealed) {
            (true, _) => "the profile protects nothing in trees that may be written".into(),
            (false, true) => "what is there is sealed against writing by mounts; making what is \
                              missing is watched and refused"
                .into(),
            (false, false) => "watched and refused, with no mounts behind that: a program that \
                               is written against it can get past, and the result says what \
                               changed"
                .into(),
        };
        let asked = !policy.fs.protected.is_empty();
        let standing = Standing::new(asked, asked && sealed);
        LayerState { name: "protected_files", standing, required: false, detail }
    }

    fn private_tmp(&self, policy: &Policy) -> LayerState {
        let detail = match &policy.fs.tmp {
            Tmp::Machine => "switched off by the profile (filesystem.private_tmp)".into(),
            Tmp::Wanted(_) => "needs the layer isolation".into(),
            Tmp::Private { stays } if stays.is_empty() => "/tmp is $TMPDIR".into(),
            Tmp::Private { stays } => {
                let stays: Vec<String> = stays.iter().map(ToString::to_string).collect();
                format!("/tmp is $TMPDIR, beside {}", stays.join(", "))
            }
            Tmp::Impossible(why) => format!("/tmp is the machine's: {why}"),
        };
        let (asked, enforced) = match policy.fs.tmp {
            Tmp::Machine => (false, false),
            Tmp::Wanted(_) | Tmp::Impossible(_) => (true, false),
            Tmp::Private { .. } => (true, true),
        };
        let standing = Standing::new(asked, enforced);
        LayerState { name: "private_tmp", standing, required: false, detail }
    }

    fn hidden_files(&self, policy: &Policy) -> LayerState {
        let detail = match policy.fs.hiding {
            Hiding::Off => "switched off by the profile (filesystem.hide_denied)".into(),
            Hiding::Wanted => "needs the layer isolation".into(),
            Hiding::On => "what is closed is covered by something empty".into(),
        };
        let hiding = policy.fs.hiding;
        let standing = Standing::new(hiding != Hiding::Off, hiding == Hiding::On);
        LayerState { name: "hidden_files", standing, required: false, detail }
    }

    fn network(&self, mode: NetworkMode) -> LayerState {
        // Without a network there are no sockets, and no addresses to read.
        let judged = mode != NetworkMode::None;
        let active = if judged { self.seccomp().is_active() } else { self.seccomp_notify };
        let detail = match (active, mode) {
            (false, _) => "needs the layer seccomp".into(),
            (true, NetworkMode::None) => "sockets for IP cannot be made".into(),
            (true, NetworkMode::Open) => "open, but for metadata services and this server".into(),
            (true, mode) => format!("{mode}: each address is judged by the supervisor"),
        };
        let standing = Standing::always(active);
        LayerState { name: "network", standing, required: true, detail }
    }

    fn network_isolation(&self, policy: &Policy) -> LayerState {
        let mode = policy.network.mode;
        let active = self.isolates_network(policy);
        let detail = match policy.network.isolate {
            Isolation::Off => "switched off by the profile (network.isolate)".into(),
            _ if active => "a network of its own, with a loopback device and nothing else".into(),
            _ if !mode.stays_here() => {
                format!("network.mode {mode} reaches addresses directly, which takes the network")
            }
            _ => "needs the layer isolation".into(),
        };
        let required = policy.network.isolate == Isolation::Required;
        let standing = Standing::new(policy.network.isolate != Isolation::Off, active);
        LayerState { name: "network_isolation", standing, required, detail }
    }

    /// The supervisor reads the memory of its descendants, which Yama allows up to scope 1.
    fn can_read_callers(&self) -> bool {
        self.yama_scope.is_none_or(|scope| scope <= 1)
    }

    /// Filters, and somebody who can answer what they pass on: under every profile that is at
    /// least what changes attributes of files.
    fn seccomp(&self) -> LayerState {
        let readable = self.can_read_callers();
        let detail = match (self.seccomp_notify, readable) {
            (false, _) => "no seccomp filters; a kernel with CONFIG_SECCOMP_FILTER is needed, and \
                           inside a container a seccomp profile that allows seccomp(2)"
                .into(),
            (true, false) => "kernel.yama.ptrace_scope is 2 or 3, which hides the command's \
                              memory from its supervisor; set it to 1"
                .into(),
            (true, true) => "filters for everything the command starts".into(),
        };
        let standing = Standing::always(self.seccomp_notify && readable);
        LayerState { name: "seccomp", standing, required: true, detail }
    }

    fn mediation(&self, mediated: bool) -> LayerState {
        let active = mediated && self.seccomp().is_active();
        let detail = match (mediated, active) {
            (false, _) => "switched off by the profile (linux.af_unix_mediation)".into(),
            (true, true) => "connect and bind of AF_UNIX sockets by path".into(),
            (true, false) => "needs the layer seccomp".into(),
        };
        let standing = Standing::new(mediated, active);
        LayerState { name: "af_unix_mediation", standing, required: mediated, detail }
    }
    fn tree(&self, policy: &Policy) -> LayerState {
        let detail = match self.landlock_abi {
            _ if self.namespaces_for(policy).is_some() => {
                "process namespace, which ends with its supervisor".into()
            }
            SCOPES_ABI.. => "Landlock domain, signalled as one".into(),
            _ => "subreaper and repeated sweep".into(),
        };
        LayerState { name: "tree", standing: Standing::Active, required: true, detail }
    }
}

fn denial_reports(observe: Observe) -> LayerState {
    let detail = match observe {
        Observe::All => "file-system calls are watched".into(),
        Observe::Writes => {
            "file-system calls are watched, most of those that only read excepted".into()
        }
        Observe::Audit => "file-system denials come from the kernel's audit log".into(),
        Observe::Off => "switched off by the profile (diagnostics.filesystem)".into(),
    };
    let reported = observe != Observe::Off;
    let standing = Standing::new(reported, reported);
    LayerState { name: "denial_reports", standing, required: false, detail }
}
