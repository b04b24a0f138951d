//! What this kernel offers, found out by asking it once.

mod calls;

pub use calls::OuterCall;

use crate::namespaces::Namespaces;
use crate::plan::Cgroups;
use crate::policy::{Hiding, Isolation, Mediation, NetworkMode, Observe, Policy, Tmp};
use crate::supervisor::{MINIMUM_ABI, SCOPES_ABI};
use crate::sys;
use std::fs;
use std::path::{Path, PathBuf};

/// The running kernel, as far as the sandbox depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// `uname -r`.
    pub kernel: String,
    /// Landlock ABI; 0 if Landlock is missing or switched off.
    pub landlock_abi: u32,
    /// Whether seccomp offers user notification with a listener (Linux 5.0).
    pub seccomp_notify: bool,
    /// Yama's `ptrace_scope`; `None` without Yama.
    pub yama_scope: Option<u8>,
    /// Control groups this process is in, as far as groups can be made below them.
    pub cgroups: Cgroups,
    /// Memory of the machine, in bytes; 0 if unknown.
    pub memory_bytes: u64,
    /// Whether this process could read kernel audit records (CAP_AUDIT_READ).
    pub audit: bool,
    /// Effective user id.
    pub uid: u32,
    /// The namespaces a run can have, or why it can have none. Found by a trial that only a process
    /// of its own can make ([`Host::with_namespaces`]); until then there are none.
    pub namespaces: Result<Namespaces, String>,
}

/// One layer of protection, as results and `doctor` show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerState {
    /// Stable name.
    pub name: &'static str,
    /// Whether it will be enforced.
    pub active: bool,
    /// Whether a run is refused without it.
    pub required: bool,
    /// Version, or what is missing and what to do about it.
    pub detail: String,
}

impl Host {
    /// Asks the kernel. A question that fails counts as "no".
    #[must_use]
    pub fn probe() -> Host {
        Host {
            kernel: read(Path::new("/proc/sys/kernel/osrelease")),
            landlock_abi: sys::landlock_abi(),
            seccomp_notify: sys::notify_available(),
            yama_scope: read(Path::new("/proc/sys/kernel/yama/ptrace_scope")).parse().ok(),
            cgroups: delegated_cgroups(),
            memory_bytes: memory(&read(Path::new("/proc/meminfo"))),
            audit: effective_capability(CAP_AUDIT_READ),
            uid: nix::unistd::geteuid().as_raw(),
            namespaces: Err("not tried".to_owned()),
        }
    }

    /// With the result of a trial.
    #[must_use]
    pub fn with_namespaces(self, namespaces: Result<Namespaces, String>) -> Host {
        Host { namespaces, ..self }
    }

    /// The namespaces that runs of a policy are in.
    #[must_use]
    pub fn namespaces_for(&self, policy: &Policy) -> Option<Namespaces> {
        match policy.isolation {
            Isolation::Off => None,
            Isolation::Auto | Isolation::Required => self.namespaces.as_ref().ok().copied(),
        }
    }

    /// Whether runs of a policy have a network namespace of their own.
    #[must_use]
    pub fn isolates_network(&self, policy: &Policy) -> bool {
        policy.network.isolate != Isolation::Off
            && policy.network.mode.stays_here()
            && self.namespaces_for(policy).is_some()
    }

    /// This kernel, pretending to be no newer than the given Landlock ABI.
    #[must_use]
    pub fn limited(self, landlock_abi: Option<u32>) -> Host {
        let landlock_abi = self.landlock_abi.min(landlock_abi.unwrap_or(u32::MAX));
        Host { landlock_abi, ..self }
    }

    /// Every layer, with what will be enforced for a policy.
    #[must_use]
    pub fn layers(&self, policy: &Policy) -> Vec<LayerState> {
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
            LayerState {
                name: "denial_reports",
                active: policy.observe != Observe::Off,
                required: false,
                detail: match policy.observe {
                    Observe::All => "file-system calls are watched".into(),
                    Observe::Writes => {
                        "file-system calls are watched, most of those that only read excepted"
                            .into()
                    }
                    Observe::Audit => "file-system denials come from the kernel's audit log".into(),
                    Observe::Off => "switched off by the profile (diagnostics.filesystem)".into(),
                },
            },
            LayerState {
                name: "tree",
                active: true,
                required: true,
                detail: match self.landlock_abi {
                    _ if self.namespaces_for(policy).is_some() => {
                        "process namespace, which ends with its supervisor".into()
                    }
                    SCOPES_ABI.. => "Landlock domain, signalled as one".into(),
                    _ => "subreaper and repeated sweep".into(),
                },
            },
        ]
    }

    /// Why every run would be refused here, if so.
    #[must_use]
    pub fn missing(&self, policy: &Policy) -> Option<String> {
        let missing: Vec<String> = self
            .layers(policy)
            .into_iter()
            .filter(|l| l.required && !l.active)
            .map(|l| format!("{}: {}", l.name, l.detail))
            .collect();
        (!missing.is_empty()).then(|| missing.join("; "))
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
        let active = self.landlock_abi >= MINIMUM_ABI;
        LayerState { name: "landlock", active, required: true, detail }
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
        LayerState { name: "landlock_scopes", active, required: false, detail }
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
        let active = self.namespaces_for(policy).is_some();
        let required = policy.isolation == Isolation::Required;
        LayerState { name: "isolation", active, required, detail }
    }

    fn protected_files(&self, policy: &Policy) -> LayerState {
        let sealed = self.namespaces_for(policy).is_some();
        let detail = match (policy.fs.kept.is_empty(), sealed) {
            (true, _) => "the profile protects nothing in trees that may be written".into(),
            (false, true) => "what is there is sealed against writing by mounts; making what is \
                              missing is watched and refused"
                .into(),
            (false, false) => "watched and refused, with no mounts behind that: a program that \
                               is written against it can get past, and the result says what \
                               changed"
                .into(),
        };
        let active = sealed && !policy.fs.kept.is_empty();
        LayerState { name: "protected_files", active, required: false, detail }
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
        let active = matches!(policy.fs.tmp, Tmp::Private { .. });
        LayerState { name: "private_tmp", active, required: false, detail }
    }

    fn hidden_files(&self, policy: &Policy) -> LayerState {
        let detail = match policy.fs.hiding {
            Hiding::Off => "switched off by the profile (filesystem.hide_denied)".into(),
            Hiding::Wanted => "needs the layer isolation".into(),
            Hiding::On => "what is closed is covered by something empty".into(),
        };
        let active = policy.fs.hiding == Hiding::On;
        LayerState { name: "hidden_files", active, required: false, detail }
    }

    fn network(&self, mode: NetworkMode) -> LayerState {
        // Without a network there are no sockets, and no addresses to read.
        let judged = mode != NetworkMode::None;
        let active = if judged { self.seccomp().active } else { self.seccomp_notify };
        let detail = match (active, mode) {
            (false, _) => "needs the layer seccomp".into(),
            (true, NetworkMode::None) => "sockets for IP cannot be made".into(),
            (true, NetworkMode::Open) => "open, but for metadata services and this server".into(),
            (true, mode) => format!("{mode}: each address is judged by the supervisor"),
        };
        LayerState { name: "network", active, required: true, detail }
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
        LayerState { name: "network_isolation", active, required, detail }
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
        let active = self.seccomp_notify && readable;
        LayerState { name: "seccomp", active, required: true, detail }
    }

    fn mediation(&self, mediated: bool) -> LayerState {
        let active = mediated && self.seccomp().active;
        let detail = match (mediated, active) {
            (false, _) => "switched off by the profile (linux.af_unix_mediation)".into(),
            (true, true) => "connect and bind of AF_UNIX sockets by path".into(),
            (true, false) => "needs the layer seccomp".into(),
        };
        LayerState { name: "af_unix_mediation", active, required: mediated, detail }
    }
}

/// linux/capability.h
const CAP_SYS_ADMIN: u32 = 21;
const CAP_AUDIT_READ: u32 = 37;

/// Whether this process holds `CAP_SYS_ADMIN`.
pub(crate) fn may_administer() -> bool {
    effective_capability(CAP_SYS_ADMIN)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).map(|s| s.trim().to_owned()).unwrap_or_default()
}

/// The total in a text as proc_meminfo(5) has it.
fn memory(text: &str) -> u64 {
    let line = text.lines().find_map(|l| l.strip_prefix("MemTotal:"));
    let number = line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    number.unwrap_or(0) * 1024
}

fn effective_capability(capability: u32) -> bool {
    let status = read(Path::new("/proc/self/status"));
    let mask = status.lines().find_map(|l| l.strip_prefix("CapEff:"));
    mask.and_then(|m| u64::from_str_radix(m.trim(), 16).ok())
        .is_some_and(|m| m & (1 << capability) != 0)
}

/// The control groups of this process that are writable: then a run can have groups of its own.
fn delegated_cgroups() -> Cgroups {
    let mounts = read(Path::new("/proc/self/mounts"));
    let own = read(Path::new("/proc/self/cgroup"));
    let folder = |controller: Option<&str>| own_group(&mounts, &own, controller);
    Cgroups { unified: folder(None), memory: folder(Some("memory")), pids: folder(Some("pids")) }
}

/// Where this process is in the hierarchy of a controller of version 1, or in that of version 2
/// (cgroups(7)), if it may make groups there.
fn own_group(mounts: &str, own: &str, controller: Option<&str>) -> Option<PathBuf> {
    let has = |list: &str, controller| list.split(',').any(|c| c == controller);
    let mount = mounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        let (point, kind, options) = (fields.get(1)?, *fields.get(2)?, fields.get(3)?);
        let fits = match controller {
            None => kind == "cgroup2",
            Some(controller) => kind == "cgroup" && has(options, controller),
        };
        fits.then(|| PathBuf::from(point))
    })?;
    let path = own.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let fits = controller.map_or(controllers.is_empty(), |c| has(controllers, c));
        fits.then(|| path.trim_start_matches('/').to_owned())
    })?;
    let folder = mount.join(path);
    // Making a group takes the folder, filling it the file.
    let writable = |path: &Path| nix::unistd::access(path, nix::unistd::AccessFlags::W_OK).is_ok();
    (writable(&folder) && writable(&folder.join("cgroup.procs"))).then_some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_groups_are_found_by_controller() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        for group in ["unified", "memory/own/place", "pids"] {
            fs::create_dir_all(at(group)).unwrap();
            fs::write(at(group).join("cgroup.procs"), "").unwrap();
        }
        let base = root.path().display();
        let mounts = format!(
            "cgroup {base}/cpu cgroup rw,cpu,cpuacct 0 0\n\
             cgroup {base}/memory cgroup rw,relatime,memory 0 0\n\
             cgroup {base}/pids cgroup rw,pids 0 0\n\
             cgroup2 {base}/unified cgroup2 rw,relatime 0 0\n"
        );
        let own = "8:pids:/\n4:memory:/own/place\n1:cpu,cpuacct:/\n0::/\n";
        let found = |controller| own_group(&mounts, own, controller);
        assert_eq!(found(None), Some(at("unified")));
        assert_eq!(found(Some("memory")), Some(at("memory/own/place")));
        assert_eq!(found(Some("pids")), Some(at("pids/")));
        assert_eq!(found(Some("cpu")), None);
        assert_eq!(found(Some("io")), None);
    }
}
