//! Looking at processes from outside.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Stdio};

/// Ids of the processes whose command line contains `tag`, zombies left out: they have no command
/// line any more.
///
/// # Panics
/// If `/proc` cannot be read.
#[must_use]
pub fn with_tag(tag: &str) -> Vec<u32> {
    all()
        .into_iter()
        .filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|b| *b == 0).any(|word| word == tag.as_bytes())
        })
        .collect()
}

/// A tag that no other test uses.
#[must_use]
pub fn new_tag() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("nono-it-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn all() -> Vec<u32> {
    std::fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter_map(|e| e.file_name().to_str()?.parse().ok())
        .collect()
}

/// Processes that were made since the machine was started (proc_stat(5)).
///
/// # Panics
/// If `/proc` cannot be read.
#[must_use]
pub fn made() -> u64 {
    let text = std::fs::read_to_string("/proc/stat").expect("/proc/stat");
    let count = text.lines().find_map(|line| line.strip_prefix("processes "));
    count.and_then(|count| count.parse().ok()).expect("a count")
}

/// One field of `/proc/PID/stat`, counted from 1 as in proc(5), beyond the command name.
fn stat(pid: u32, field: usize) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = text.rsplit_once(") ")?.1;
    after_name.split(' ').nth(field.checked_sub(3)?).map(str::to_owned)
}

/// The state of a process as in proc(5), such as `S`, `T` or `Z`.
#[must_use]
pub fn state(pid: u32) -> Option<char> {
    stat(pid, 3)?.chars().next()
}

/// All descendants of `root`, by their ids, with their start times: together they name a process
/// for good.
///
/// # Panics
/// If `/proc` cannot be read.
#[must_use]
pub fn descendants(root: u32) -> Vec<(u32, String)> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for pid in all() {
        if let Some(parent) = stat(pid, 4).and_then(|p| p.parse().ok()) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let (mut found, mut next) = (Vec::new(), vec![root]);
    while let Some(pid) = next.pop() {
        for child in children.get(&pid).into_iter().flatten() {
            next.push(*child);
            if let Some(start) = stat(*child, 22) {
                found.push((*child, start));
            }
        }
    }
    found
}

/// The child of `root` that `pid` descends from, or `pid` itself.
#[must_use]
pub fn branch(root: u32, pid: u32) -> Option<u32> {
    let mut at = pid;
    loop {
        let parent: u32 = stat(at, 4)?.parse().ok()?;
        match parent {
            0 => return None,
            _ if parent == root => return Some(at),
            _ => at = parent,
        }
    }
}

/// Whether a process found by [`descendants`] is still there; a zombie is not.
#[must_use]
pub fn lives((pid, start): &(u32, String)) -> bool {
    stat(*pid, 22).as_ref() == Some(start) && stat(*pid, 3).as_deref() != Some("Z")
}

/// Zombie children of `pid`.
#[must_use]
pub fn zombies(pid: u32) -> usize {
    descendants(pid).iter().filter(|(p, _)| stat(*p, 3).as_deref() == Some("Z")).count()
}

/// Resident memory of a process in KiB; `None` if it is gone.
#[must_use]
pub fn resident(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// How many descriptors and threads a process has, and its resident memory in KiB.
///
/// # Panics
/// If the process is gone.
#[must_use]
pub fn weight(pid: u32) -> (usize, usize, u64) {
    let count = |what: &str| {
        std::fs::read_dir(format!("/proc/{pid}/{what}")).expect("a living process").count()
    };
    (count("fd"), count("task"), resident(pid).expect("a living process"))
}

/// A process outside of the sandbox, of the same user, to be attacked.
#[derive(Debug)]
pub struct Victim {
    child: Child,
    /// Where its secret lies in its memory.
    pub secret_at: String,
}

/// What lies there.
pub const VICTIM_SECRET: &str = "victim's secret!";

impl Victim {
    /// Starts one; `program` is a probe.
    ///
    /// # Panics
    /// If it does not come up.
    #[must_use]
    pub fn start(site: &crate::Site) -> Self {
        use std::io::BufRead;
        let program: PathBuf = site.workspace().join("probe");
        let mut command = site.command(&program);
        command.arg("victim").env("VICTIM", "of-the-test").stdout(Stdio::piped());
        let mut child = command.spawn().expect("start a victim");
        let mut line = String::new();
        std::io::BufReader::new(child.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("an address");
        Self { child, secret_at: line.trim().to_owned() }
    }

    /// Its process id, as the probes take it.
    #[must_use]
    pub fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// Whether it has not been killed.
    ///
    /// # Panics
    /// If it cannot be waited for.
    #[must_use]
    pub fn lives(&mut self) -> bool {
        self.child.try_wait().expect("wait for the victim").is_none()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
