//! How much of the machine one run may use.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Limits of one run. `None`: the sandbox sets none.
///
/// What counts them: a cgroup where one can be had, else process limits (setrlimit(2)) and the
/// supervisor's own watch, which looks several times a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Processor time of the whole tree.
    pub cpu: Option<Duration>,
    /// Memory of the whole tree, in bytes.
    pub memory_bytes: Option<u64>,
    /// Processes and threads that exist at once.
    pub tasks: Option<u32>,
    /// Descriptors one process may have open.
    pub open_files: Option<u64>,
    /// Size one file may be written to, in bytes.
    pub file_size_bytes: Option<u64>,
    /// Bytes written to standard output and error together.
    pub output_bytes: Option<u64>,
    /// Processes and threads the command's *user* may have while it forks (`RLIMIT_NPROC`), other
    /// programs' included: where no control group counts the run's own, this bounds how far a fork
    /// bomb gets before the watch sees it. The kernel does not hold root to it.
    pub user_tasks: Option<u64>,
}

impl Limits {
    /// The lower of both, one by one. A request can lower a profile's limits and never raise them.
    #[must_use]
    pub fn lowered_by(&self, other: &Limits) -> Limits {
        Limits {
            cpu: lower(self.cpu, other.cpu),
            memory_bytes: lower(self.memory_bytes, other.memory_bytes),
            tasks: lower(self.tasks, other.tasks),
            open_files: lower(self.open_files, other.open_files),
            file_size_bytes: lower(self.file_size_bytes, other.file_size_bytes),
            output_bytes: lower(self.output_bytes, other.output_bytes),
            user_tasks: lower(self.user_tasks, other.user_tasks),
        }
    }

    /// These, and where there is none, the other's: how a profile file is laid over its bases.
    #[must_use]
    pub fn over(&self, base: &Limits) -> Limits {
        Limits {
            cpu: self.cpu.or(base.cpu),
            memory_bytes: self.memory_bytes.or(base.memory_bytes),
            tasks: self.tasks.or(base.tasks),
            open_files: self.open_files.or(base.open_files),
            file_size_bytes: self.file_size_bytes.or(base.file_size_bytes),
            output_bytes: self.output_bytes.or(base.output_bytes),
            user_tasks: self.user_tasks.or(base.user_tasks),
        }
    }
}

fn lower<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

/// What can run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Resource {
    /// Processor time; the limit is in milliseconds.
    CpuTime,
    /// Memory; bytes.
    Memory,
    /// Processes and threads.
    Tasks,
    /// The size of a file; bytes.
    FileSize,
    /// Output; bytes.
    Output,
}

/// A limit that ended a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exceeded {
    /// What ran out.
    pub resource: Resource,
    /// How much of it there was, in the resource's unit.
    pub limit: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_lowers_and_never_raises() {
        let profile = Limits { tasks: Some(10), memory_bytes: Some(5), ..Limits::default() };
        let request = Limits {
            tasks: Some(99),
            memory_bytes: Some(2),
            cpu: Some(Duration::ZERO),
            ..Limits::default()
        };
        let both = profile.lowered_by(&request);
        assert_eq!((both.tasks, both.memory_bytes), (Some(10), Some(2)));
        assert_eq!((both.cpu, both.open_files), (Some(Duration::ZERO), None));
        assert_eq!(profile.lowered_by(&Limits::default()), profile);
        let over = request.over(&profile);
        assert_eq!((over.tasks, over.memory_bytes, over.open_files), (Some(99), Some(2), None));
        assert_eq!(Limits::default().over(&profile), profile);
    }
}
