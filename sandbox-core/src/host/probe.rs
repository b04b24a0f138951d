//! What this kernel offers, found out by asking it.

use super::Host;
use crate::plan::Cgroups;
use crate::sys;
use std::fs;
use std::path::{Path, PathBuf};

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
