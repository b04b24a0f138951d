//! Control groups of one run: killed as one, and counting memory and tasks where a controller does.
//!
//! Whatever needs a path happens before the supervisor confines itself; after that it holds
//! descriptors. The server removes the groups: at the top of a hierarchy only a capability lets
//! anybody do that, and a supervisor has none.

use crate::groups;
use crate::plan::Cgroups;
use crate::policy::{Exceeded, Limits, Resource};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Where a group says how often a limit was hit.
#[derive(Debug)]
struct Counter {
    exceeded: Exceeded,
    /// Has a line `key N`.
    events: File,
    key: &'static str,
}

/// One group.
#[derive(Debug)]
struct Group {
    /// Writing `0` here moves the writer into the group.
    entrance: File,
    /// Writing `1` here kills everything in the group; version 2 only (Linux 5.14).
    kill: Option<File>,
    counters: Vec<Counter>,
}

/// The groups of one run.
#[derive(Debug, Default)]
pub(super) struct Groups(Vec<Group>);

impl Groups {
    /// Makes what can be made. Where it cannot, the sweep and the watch take its place, and the
    /// outcome says so.
    pub(super) fn make(parents: &Cgroups, limits: &Limits) -> Self {
        let name = groups::name(std::os::unix::process::parent_id(), std::process::id());
        let mut made = Self::default();
        made.add(parents.unified.as_deref(), &name, |folder| unified(folder, limits));
        if limits.memory_bytes.is_some() && !made.counts(Resource::Memory) {
            made.add(parents.memory.as_deref(), &name, |folder| memory_v1(folder, limits));
        }
        if limits.tasks.is_some() && !made.counts(Resource::Tasks) {
            made.add(parents.pids.as_deref(), &name, |folder| pids_v1(folder, limits));
        }
        made
    }

    fn add(
        &mut self,
        parent: Option<&Path>,
        name: &str,
        open: impl FnOnce(&Path) -> io::Result<Group>,
    ) {
        let Some(folder) = parent.map(|p| p.join(name)) else { return };
        if fs::create_dir(&folder).is_err() {
            return;
        }
        match open(&folder) {
            Ok(group) => self.0.push(group),
            // Nothing is in it; a group that stays is swept up by the next server.
            Err(_) => drop(fs::remove_dir(&folder)),
        }
    }

    /// Descriptors through which a process moves itself into the groups.
    pub(super) fn entrances(&self) -> io::Result<Vec<File>> {
        self.0.iter().map(|g| g.entrance.try_clone()).collect()
    }

    /// Whether there is one that is killed as a whole.
    pub(super) fn can_kill(&self) -> bool {
        self.0.iter().any(|g| g.kill.is_some())
    }

    /// Kills everything in it, processes that are just being forked included.
    pub(super) fn kill(&self) {
        for mut kill in self.0.iter().filter_map(|g| g.kill.as_ref()) {
            // What survives a failure is found by the sweep.
            let _swept_instead = kill.write_all(b"1");
        }
    }

    /// Whether a resource is counted by the kernel.
    pub(super) fn counts(&self, resource: Resource) -> bool {
        self.counters().any(|c| c.exceeded.resource == resource)
    }

    /// The first limit that has been hit.
    pub(super) fn exceeded(&self) -> Option<Exceeded> {
        self.counters().find(|c| c.hits() > 0).map(|c| c.exceeded)
    }

    fn counters(&self) -> impl Iterator<Item = &Counter> {
        self.0.iter().flat_map(|g| &g.counters)
    }
}

impl Counter {
    fn hits(&self) -> u64 {
        let mut text = [0u8; 1024];
        let length = self.events.read_at(&mut text, 0).unwrap_or(0);
        let text = String::from_utf8_lossy(text.get(..length).unwrap_or_default()).into_owned();
        hits(&text, self.key)
    }
}

/// The number behind `key` in lines of `key N`.
fn hits(text: &str, key: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    value.and_then(|v| v.trim().parse().ok()).unwrap_or(0)
}

fn writable(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).open(path)
}

/// Sets a limit and opens the file that counts its hits.
fn counter(
    folder: &Path,
    (knob, events, key): (&str, &str, &'static str),
    exceeded: Exceeded,
) -> io::Result<Counter> {
    writable(&folder.join(knob))?.write_all(exceeded.limit.to_string().as_bytes())?;
    Ok(Counter { exceeded, events: File::open(folder.join(events))?, key })
}

fn limit(resource: Resource, limits: &Limits) -> Option<Exceeded> {
    let limit = match resource {
        Resource::Memory => limits.memory_bytes,
        Resource::Tasks => limits.tasks.map(u64::from),
        Resource::CpuTime | Resource::FileSize | Resource::Output => None,
    };
    limit.map(|limit| Exceeded { resource, limit })
}

/// Version 2. Its controllers are there only if whoever delegated the parent enabled them.
fn unified(folder: &Path, limits: &Limits) -> io::Result<Group> {
    let controllers = [
        (Resource::Memory, ("memory.max", "memory.events", "oom_kill")),
        (Resource::Tasks, ("pids.max", "pids.events", "max")),
    ];
    let counters = controllers.into_iter().filter_map(|(resource, files)| {
        limit(resource, limits).and_then(|exceeded| counter(folder, files, exceeded).ok())
    });
    let counters = counters.collect();
    let kill = writable(&folder.join("cgroup.kill")).ok();
    let entrance = writable(&folder.join("cgroup.procs"))?;
    Ok(Group { entrance, kill, counters })
}

fn memory_v1(folder: &Path, limits: &Limits) -> io::Result<Group> {
    let files = ("memory.limit_in_bytes", "memory.oom_control", "oom_kill");
    counting(folder, limit(Resource::Memory, limits), files)
}

fn pids_v1(folder: &Path, limits: &Limits) -> io::Result<Group> {
    counting(folder, limit(Resource::Tasks, limits), ("pids.max", "pids.events", "max"))
}

fn counting(
    folder: &Path,
    limit: Option<Exceeded>,
    files: (&str, &str, &'static str),
) -> io::Result<Group> {
    let counters = limit.map(|exceeded| counter(folder, files, exceeded)).transpose()?;
    let entrance = writable(&folder.join("cgroup.procs"))?;
    let counters = counters.into_iter().collect();
    Ok(Group { entrance, kill: None, counters })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_by_their_whole_name() {
        let text = "low 0\nmax 3\noom 1\noom_kill 2\noom_group_kill 9\n";
        assert_eq!((hits(text, "oom_kill"), hits(text, "max"), hits(text, "oom")), (2, 3, 1));
        assert_eq!((hits(text, "kill"), hits("", "max")), (0, 0));
    }
}
