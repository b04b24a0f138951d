//! Names of the control groups of runs, and their removal once they are empty.
//!
//! The name of a group says whose it is, so that a server removes what its runs had, a sweeper what
//! a killed server had, and the next server what is left then.

use crate::plan::Cgroups;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const PREFIX: &str = "nono-mcp-";
/// How long the kernel may take to let go of a group whose last process was reaped.
const PATIENCE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(1);

/// Where a supervisor makes its groups, and for which server: one that has been left behind by its
/// server makes none, because nobody would remove them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupsAt {
    /// The server's process id.
    pub server: u32,
    /// Groups to make groups in.
    pub parents: Cgroups,
}

impl GroupsAt {
    /// As arguments of a supervisor.
    #[must_use]
    pub fn to_arguments(&self) -> [OsString; 4] {
        let folder =
            |f: &Option<PathBuf>| f.clone().map(PathBuf::into_os_string).unwrap_or_default();
        let Cgroups { unified, memory, pids } = &self.parents;
        [self.server.to_string().into(), folder(unified), folder(memory), folder(pids)]
    }

    /// What [`Self::to_arguments`] made, which is taken from `arguments`; `None` for anything else.
    #[must_use]
    pub fn from_arguments(mut arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        let server = arguments.next()?.to_str()?.parse().ok()?;
        let mut next =
            || Some(Some(arguments.next()?).filter(|a| !a.is_empty()).map(PathBuf::from));
        let parents = Cgroups { unified: next()?, memory: next()?, pids: next()? };
        Some(Self { server, parents })
    }
}

/// The name of the groups of the run that a server's supervisor sees through.
#[must_use]
pub fn name(server: u32, supervisor: u32) -> String {
    format!("{PREFIX}{server}-{supervisor}")
}

/// Whose a group is: server and supervisor.
fn owners(name: &str) -> Option<(u32, u32)> {
    let (server, supervisor) = name.strip_prefix(PREFIX)?.split_once('-')?;
    Some((server.parse().ok()?, supervisor.parse().ok()?))
}

/// Kills what is left of a run whose supervisor is gone, where there is a group that can be killed.
pub fn kill(at: &GroupsAt, supervisor: u32) {
    let name = name(at.server, supervisor);
    at.parents.all().for_each(|parent| kill_folder(&parent.join(&name)));
}

/// Whether the kernel has killed something of a run, because the memory of its groups ran out.
#[must_use]
pub fn ran_out_of_memory(at: &GroupsAt, supervisor: u32) -> bool {
    let name = name(at.server, supervisor);
    let folders = at.parents.all().map(|parent| parent.join(&name));
    let events = folders.flat_map(|folder| MEMORY_EVENTS.map(|file| folder.join(file)));
    let mut texts = events.filter_map(|file| fs::read_to_string(file).ok());
    texts.any(|text| count(&text, MEMORY_KILLS) > 0)
}

/// Where groups with a memory controller say what came of it: version 2, version 1.
pub(crate) const MEMORY_EVENTS: [&str; 2] = ["memory.events", "memory.oom_control"];
/// How often something was killed for it (cgroups(7), and memory.rst of either version).
pub(crate) const MEMORY_KILLS: &str = "oom_kill";

/// The number behind `key` in lines of `key N`.
pub(crate) fn count(text: &str, key: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    value.and_then(|v| v.trim().parse().ok()).unwrap_or(0)
}

/// Removes the groups of one run, which has ended.
pub fn remove(at: &GroupsAt, supervisor: u32) {
    let name = name(at.server, supervisor);
    for folder in at.parents.all().map(|parent| parent.join(&name)) {
        remove_folder(&folder);
    }
}

/// Kills and removes what is left of all runs of a server that is gone; whether there is nothing
/// left.
#[must_use]
pub fn sweep(at: &GroupsAt) -> bool {
    let left = find(&at.parents, |owner, _| owner == at.server);
    // Each of them, whatever became of the one before.
    left.iter().filter(|folder| !end(folder)).count() == 0
}

/// Kills and removes what is left of runs whose server and supervisor are both gone.
pub fn remove_abandoned(parents: &Cgroups) {
    let gone = |pid: u32| !Path::new(&format!("/proc/{pid}")).exists();
    for folder in find(parents, |server, supervisor| gone(server) && gone(supervisor)) {
        end(&folder);
    }
}

fn find(parents: &Cgroups, wanted: impl Fn(u32, u32) -> bool) -> Vec<PathBuf> {
    let entries = parents.all().filter_map(|parent| fs::read_dir(parent).ok()).flatten().flatten();
    entries
        .filter(|entry| {
            let owners = entry.file_name().to_str().and_then(owners);
            owners.is_some_and(|(server, supervisor)| wanted(server, supervisor))
        })
        .map(|entry| entry.path())
        .collect()
}

/// Kills what is in a group and removes it; whether it is gone.
fn end(folder: &Path) -> bool {
    kill_folder(folder);
    remove_folder(folder)
}

/// In version 1, which cannot be killed, the same processes are in the group of version 2.
fn kill_folder(folder: &Path) {
    if let Ok(mut kill) = fs::OpenOptions::new().write(true).open(folder.join("cgroup.kill")) {
        let _gone_before = kill.write_all(b"1");
    }
}

fn remove_folder(folder: &Path) -> bool {
    let until = Instant::now() + PATIENCE;
    while let Err(error) = fs::remove_dir(folder) {
        if error.kind() != std::io::ErrorKind::ResourceBusy {
            return error.kind() == std::io::ErrorKind::NotFound;
        }
        if Instant::now() >= until {
            return false;
        }
        std::thread::sleep(PAUSE);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_by_their_whole_name() {
        let text = "low 0\nmax 3\noom 1\noom_kill 2\noom_group_kill 9\n";
        assert_eq!((count(text, "oom_kill"), count(text, "max"), count(text, "oom")), (2, 3, 1));
        assert_eq!((count(text, "kill"), count("", "max")), (0, 0));
    }

    #[test]
    fn names_say_whose_a_group_is() {
        assert_eq!(owners(&name(12, 34)), Some((12, 34)));
        for other in ["nono-mcp-12", "nono-mcp-a-b", "other-12-34", "nono-mcp-12-34x"] {
            assert_eq!(owners(other), None, "{other}");
        }
    }

    #[test]
    fn places_survive_being_arguments() {
        let parents = Cgroups { memory: Some("/a b".into()), ..Cgroups::default() };
        let at = GroupsAt { server: 7, parents };
        assert_eq!(GroupsAt::from_arguments(at.to_arguments().into_iter()), Some(at));
        assert_eq!(GroupsAt::from_arguments(std::iter::empty()), None);
        assert_eq!(GroupsAt::from_arguments(["7".into(), "".into()].into_iter()), None);
    }

    #[test]
    fn only_what_nobody_owns_any_more_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        let me = std::process::id();
        // Beyond the largest process id there is.
        let gone = u32::MAX;
        let groups = [name(gone, gone), name(gone, me), name(me, gone), "user.slice".into()];
        groups.iter().for_each(|g| fs::create_dir(parent.path().join(g)).unwrap());
        let parents = Cgroups { unified: Some(parent.path().into()), ..Cgroups::default() };
        remove_abandoned(&parents);
        let left = groups.map(|g| parent.path().join(g).exists());
        assert_eq!(left, [false, true, true, true]);
        assert!(sweep(&GroupsAt { server: gone, parents: parents.clone() }));
        remove(&GroupsAt { server: me, parents }, gone);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    }
}
