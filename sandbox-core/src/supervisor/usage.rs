//! What a tree uses of the machine, from `/proc`, for limits that no control group keeps.

use super::cgroup::Groups;
use super::confine::SignalScope;
use super::reap::Left;
use super::tree;
use crate::policy::{Exceeded, Limits, Resource};
use crate::process_stat::ProcessStat;
use nix::sys::signal::Signal;
use nix::sys::sysinfo::sysinfo;
use nix::unistd::{Pid, SysconfVar, sysconf};
use std::fs;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(100);

/// Watches the limits of a run.
#[derive(Debug)]
pub(super) struct LimitWatch {
    limits: Limits,
    groups: Groups,
    /// When to look again; `None` if there is nothing to look for.
    next: Option<Instant>,
    /// Tasks of the machine when the run began.
    crowd: u64,
    /// What this process had of its own when the run began.
    before: Ours,
    /// Looks at a stopped run that are still to come, since it left no time for one while it went on.
    starved: u32,
}

/// A look that takes longer than this does not get the processor it needs.
const STARVED: Duration = Duration::from_millis(500);

/// After a look that was given up, so many are made at the stopped run before it is tried again
/// without stopping it.
const STOPPED_LOOKS: u32 = 10;

/// How long a look may take that nothing can make faster.
const LONGEST: Duration = Duration::from_secs(1);

/// A look was given up, because it would have taken too long.
#[derive(Debug)]
struct Starved;

/// The use of one process, or of several together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Use {
    /// In clock ticks, its reaped children's included.
    ticks: u64,
    tasks: u64,
    /// Resident bytes that no file stands behind, and the largest shared part.
    own: u64,
    shared: u64,
}

impl LimitWatch {
    pub(super) fn new(limits: Limits, groups: Groups, now: Instant) -> Self {
        let watched =
            limits.cpu.is_some() || limits.memory_bytes.is_some() || limits.tasks.is_some();
        let next = watched.then_some(now + INTERVAL);
        Self { limits, groups, next, crowd: tasks_of_machine(), before: Ours::now(), starved: 0 }
    }

    pub(super) fn groups(&self) -> &Groups {
        &self.groups
    }

    /// How long until the next look is due, at most `most`.
    pub(super) fn next_check(&self, now: Instant, most: Duration) -> Duration {
        self.next.map_or(most, |at| at.saturating_duration_since(now).min(most))
    }

    /// Looks, if it is time to: the limit that has run out.
    ///
    /// What forks without end, or has a thousand processes busy, leaves this process no time to count
    /// it. Then the run is stopped first, by one call, and goes on after.
    ///
    /// `left`: whether it leaves no time to reap it either. `reap` does, while it is stopped: the
    /// kernel counts what has ended until then, and refuses the run its next process.
    pub(super) fn check(
        &mut self,
        now: Instant,
        scope: Option<&SignalScope>,
        left: Left,
        reap: impl FnOnce() -> Left,
    ) -> Option<Exceeded> {
        if self.next.is_none_or(|at| now < at) {
            return None;
        }
        let exceeded = self.look(scope, left, reap);
        // What takes long is done half of the time at most: there is more to do than this.
        let took = now.elapsed();
        self.next = Some(now + took + took.max(INTERVAL));
        exceeded
    }

    /// The limit that has run out.
    fn look(
        &mut self,
        scope: Option<&SignalScope>,
        left: Left,
        reap: impl FnOnce() -> Left,
    ) -> Option<Exceeded> {
        if let Some(exceeded) = self.groups.exceeded() {
            return Some(exceeded);
        }
        let wanted = self.wanted()?;
        let Some(scope) = scope else {
            // It cannot be stopped. What was seen of it by then may be too much already.
            return measure(&wanted, self.before, Instant::now() + LONGEST).unwrap_or_default();
        };
        if self.starved == 0 && left != Left::More && !self.is_crowded() {
            match measure(&wanted, self.before, Instant::now() + STARVED) {
                Ok(exceeded) => return exceeded,
                Err(Starved) => self.starved = STOPPED_LOOKS,
            }
        }
        self.starved = self.starved.saturating_sub(1);
        measure_stopped(&wanted, self.before, scope, reap)
    }

    /// The limits that nobody else keeps; `None` if there are none.
    fn wanted(&self) -> Option<Limits> {
        let uncounted = |resource| !self.groups.counts(resource);
        let wanted = Limits {
            memory_bytes: self.limits.memory_bytes.filter(|_| uncounted(Resource::Memory)),
            tasks: self.limits.tasks.filter(|_| uncounted(Resource::Tasks)),
            ..self.limits
        };
        let any = wanted.cpu.is_some() || wanted.memory_bytes.is_some() || wanted.tasks.is_some();
        any.then_some(wanted)
    }

    /// Whether more tasks have come to be on the machine than the run may have.
    fn is_crowded(&self) -> bool {
        let uncounted = !self.groups.counts(Resource::Tasks);
        let limit = self.limits.tasks.filter(|_| uncounted).map(u64::from);
        limit.is_some_and(|limit| tasks_of_machine() > self.crowd + limit)
    }

    /// The limit behind a signal that the kernel sends for one (setrlimit(2)).
    pub(super) fn behind(&self, signal: i32) -> Option<Exceeded> {
        let (resource, limit) = match signal {
            libc::SIGXCPU => (Resource::CpuTime, self.limits.cpu.map(milliseconds)),
            libc::SIGXFSZ => (Resource::FileSize, self.limits.file_size_bytes),
            _ => return None,
        };
        limit.map(|limit| Exceeded { resource, limit })
    }
}

/// Looks at a run that is stopped meanwhile.
fn measure_stopped(
    wanted: &Limits,
    before: Ours,
    scope: &SignalScope,
    reap: impl FnOnce() -> Left,
) -> Option<Exceeded> {
    scope.signal_everybody(Signal::SIGSTOP as i32);
    // What is left then has its say in the look.
    let _left = reap();
    // A look that comes to no end decides nothing. The run's time is looked at all the same.
    let exceeded = measure(wanted, before, Instant::now() + LONGEST).unwrap_or_default();
    if exceeded.is_none() {
        scope.signal_everybody(Signal::SIGCONT as i32);
    }
    exceeded
}

/// Looks at every process of the run, until `patience` ends: the limit that has run out.
fn measure(wanted: &Limits, before: Ours, patience: Instant) -> Result<Option<Exceeded>, Starved> {
    let held = before.since();
    let (mut tree, mut used) = (Vec::new(), Use { own: held, ..Use::default() });
    let looked = tree::each_descendant(|pid| {
        tree.push(pid);
        used = used.and(use_of(pid).unwrap_or_default());
        if Instant::now() > patience { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let cpu = tree::usage().cpu + ticks(used.ticks);
    match judge(wanted, &used, cpu, || held + exact_memory(&tree)) {
        // Others might be what makes it too much.
        None if looked.is_break() => Err(Starved),
        judged => Ok(judged),
    }
}

/// Processes and threads of everybody, from one cheap call (sysinfo(2)).
fn tasks_of_machine() -> u64 {
    sysinfo().map_or(0, |info| info.process_count().into())
}

/// Memory of this process. It holds the data of calls that it performs, for as long as they block:
/// that is the run's, which no process of the run has.
#[derive(Debug, Clone, Copy)]
struct Ours(u64);

impl Ours {
    fn now() -> Self {
        let memory = fs::read_to_string("/proc/self/statm").unwrap_or_default();
        Self(resident(&memory).map_or(0, |(own, _)| own))
    }

    /// What has come to it since.
    fn since(self) -> u64 {
        Self::now().0.saturating_sub(self.0)
    }
}

impl Use {
    fn and(self, other: Use) -> Use {
        Use {
            ticks: self.ticks + other.ticks,
            tasks: self.tasks + other.tasks,
            own: self.own + other.own,
            shared: self.shared.max(other.shared),
        }
    }
}

/// The limit that has run out. The cheap sum counts memory that processes share after a fork once
/// for each, so it only says when to count exactly.
fn judge(
    limits: &Limits,
    used: &Use,
    cpu: Duration,
    exact_memory: impl FnOnce() -> u64,
) -> Option<Exceeded> {
    if let Some(limit) = limits.tasks.map(u64::from).filter(|l| used.tasks > *l) {
        return Some(Exceeded { resource: Resource::Tasks, limit });
    }
    if let Some(limit) = limits.memory_bytes.filter(|l| used.own + used.shared > *l)
        && exact_memory() > limit
    {
        return Some(Exceeded { resource: Resource::Memory, limit });
    }
    let limit = limits.cpu.filter(|l| cpu > *l)?;
    Some(Exceeded { resource: Resource::CpuTime, limit: milliseconds(limit) })
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn ticks(ticks: u64) -> Duration {
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    let per_second = u64::try_from(per_second).unwrap_or(100).max(1);
    Duration::from_millis(ticks.saturating_mul(1000) / per_second)
}

fn use_of(pid: Pid) -> Option<Use> {
    let stat = ProcessStat::of(pid.as_raw())?;
    let memory = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    parse(&stat, &memory)
}

/// Bytes in a page: 4096, and up to 65536 on other architectures.
fn page() -> u64 {
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    page.and_then(|page| u64::try_from(page).ok()).unwrap_or(4096)
}

/// Resident bytes that no file stands behind, and the shared ones, by the line of proc_pid_statm(5).
fn resident(memory: &str) -> Option<(u64, u64)> {
    let mut pages = memory.split_whitespace().skip(1).map(str::parse::<u64>);
    let resident = pages.next()?.ok()?;
    let shared = pages.next()?.ok()?;
    let own = resident.saturating_sub(shared).saturating_mul(page());
    Some((own, shared.saturating_mul(page())))
}

/// `memory`: as above.
fn parse(stat: &ProcessStat, memory: &str) -> Option<Use> {
    let (own, shared) = resident(memory)?;
    // utime, stime, cutime, cstime.
    let ticks = (14..=17).map(|number| stat.field::<u64>(number)).sum::<Option<u64>>()?;
    Some(Use { ticks, tasks: stat.field(20)?, own, shared })
}

/// Memory of the tree with shared pages counted in shares (proc_pid_smaps_rollup(5)).
fn exact_memory(tree: &[Pid]) -> u64 {
    let of = |pid: &Pid| {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = text.lines().find_map(|l| l.strip_prefix("Pss:"))?;
        line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()
    };
    tree.iter().filter_map(of).sum::<u64>() * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_process_with_any_name() {
        let stat = b"12 (a) b) S 1 12 12 0 -1 4194560 93 0 0 0 5 7 11 13 20 0 3 0 100 1000 99";
        let stat = ProcessStat::parse(stat).unwrap();
        let used = parse(&stat, "1000 30 10 1 0 5 0").unwrap();
        assert_eq!((used.ticks, used.tasks), (36, 3));
        assert_eq!((used.own, used.shared), (20 * 4096, 10 * 4096));
        let short = ProcessStat::parse(b"12 (a) S 1").unwrap();
        assert_eq!(parse(&short, "1 2 3"), None);
    }

    #[test]
    fn memory_is_counted_exactly_before_it_is_held_against_a_run() {
        let limits = Limits { memory_bytes: Some(100), tasks: Some(2), ..Limits::default() };
        let used = Use { own: 90, shared: 20, tasks: 2, ticks: 0 };
        assert_eq!(judge(&limits, &used, Duration::ZERO, || 100), None);
        let memory = Exceeded { resource: Resource::Memory, limit: 100 };
        assert_eq!(judge(&limits, &used, Duration::ZERO, || 101), Some(memory));
        let small = Use { own: 1, ..used };
        assert_eq!(judge(&limits, &small, Duration::ZERO, || unreachable!()), None);
        let many = Use { tasks: 3, ..small };
        let tasks = Exceeded { resource: Resource::Tasks, limit: 2 };
        assert_eq!(judge(&limits, &many, Duration::ZERO, || 0), Some(tasks));
    }

    #[test]
    fn processor_time_is_that_of_the_whole_tree() {
        let limits = Limits { cpu: Some(Duration::from_secs(1)), ..Limits::default() };
        let used = Use::default();
        assert_eq!(judge(&limits, &used, Duration::from_secs(1), || 0), None);
        let cpu = Exceeded { resource: Resource::CpuTime, limit: 1000 };
        assert_eq!(judge(&limits, &used, Duration::from_millis(1001), || 0), Some(cpu));
    }

    #[test]
    fn memory_that_this_process_takes_for_a_run_is_the_runs() {
        let before = Ours::now();
        let held = vec![1_u8; 64 << 20];
        let limits = Limits { memory_bytes: Some(32 << 20), ..Limits::default() };
        let exceeded = measure(&limits, before, Instant::now() + LONGEST).unwrap();
        assert_eq!(exceeded, Some(Exceeded { resource: Resource::Memory, limit: 32 << 20 }));
        drop(held);
    }

    #[test]
    fn a_look_that_takes_too_long_is_given_up() {
        let much = Limits { cpu: Some(Duration::MAX), ..Limits::default() };
        let little = Limits { tasks: Some(0), ..Limits::default() };
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let (now, later) = (Instant::now(), Instant::now() + LONGEST);
        let looks = [(much, now), (much, later), (little, now), (little, later)];
        let looks = looks.map(|(limits, patience)| measure(&limits, Ours::now(), patience));
        child.kill().unwrap();
        child.wait().unwrap();
        let [given_up, within, over, exceeded] = looks;
        assert!(given_up.is_err());
        assert_eq!(within.unwrap(), None);
        // What was seen by then was too much already.
        assert!(over.unwrap().is_some() && exceeded.unwrap().is_some());
    }

    #[test]
    fn a_process_with_an_odd_name_is_counted() {
        let me = Pid::this();
        // Of the whole process, which is its first thread's.
        let name = format!("/proc/{me}/task/{me}/comm");
        let before = fs::read(&name).unwrap();
        fs::write(&name, b"\xff) \xfe").unwrap();
        let counted = use_of(me).is_some();
        fs::write(&name, before.trim_ascii_end()).unwrap();
        assert!(counted);
    }
}
