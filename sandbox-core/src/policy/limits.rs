//! How much of the machine one run may use.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Limits of one run. `None`: the sandbox sets none.
///
/// What counts them: a cgroup where one can be had, else process limits (setrlimit(2)) and the
/// supervisor's own watch, which looks several times a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// Descriptors one process may have open before it asks for more, as it may up to the hard limit
    /// (`RLIMIT_NOFILE`): what the server was started with. The server and the run's supervisor have
    /// more; commands do not, as some go through all the numbers there could be.
    pub soft_open_files: Option<u64>,
}

/// A limit that a profile or a call can set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// Processor time, in milliseconds.
    Cpu,
    /// Memory, in bytes.
    Memory,
    /// Processes and threads.
    Tasks,
    /// Descriptors of one process.
    OpenFiles,
    /// Bytes in one file.
    FileSize,
    /// Bytes of output.
    Output,
}

impl Limit {
    /// All of them.
    pub const ALL: [Limit; 6] =
        [Self::Cpu, Self::Memory, Self::Tasks, Self::OpenFiles, Self::FileSize, Self::Output];

    /// Its field in profiles.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::Cpu => "limits.cpu_ms",
            Self::Memory => "limits.memory_bytes",
            Self::Tasks => "limits.processes",
            Self::OpenFiles => "limits.open_files",
            Self::FileSize => "limits.file_size_bytes",
            Self::Output => "limits.output_bytes",
        }
    }
}

impl Limits {
    /// A limit in its unit.
    #[must_use]
    pub fn get(&self, limit: Limit) -> Option<u64> {
        match limit {
            Limit::Cpu => self.cpu.map(|cpu| u64::try_from(cpu.as_millis()).unwrap_or(u64::MAX)),
            Limit::Memory => self.memory_bytes,
            Limit::Tasks => self.tasks.map(u64::from),
            Limit::OpenFiles => self.open_files,
            Limit::FileSize => self.file_size_bytes,
            Limit::Output => self.output_bytes,
        }
    }

    /// Sets a limit, in its unit.
    pub fn set(&mut self, limit: Limit, most: u64) {
        match limit {
            Limit::Cpu => self.cpu = Some(Duration::from_millis(most)),
            Limit::Memory => self.memory_bytes = Some(most),
            Limit::Tasks => self.tasks = Some(u32::try_from(most).unwrap_or(u32::MAX)),
            Limit::OpenFiles => self.open_files = Some(most),
            Limit::FileSize => self.file_size_bytes = Some(most),
            Limit::Output => self.output_bytes = Some(most),
        }
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

impl Resource {
    /// The limit on it.
    #[must_use]
    pub fn limit(self) -> Limit {
        match self {
            Self::CpuTime => Limit::Cpu,
            Self::Memory => Limit::Memory,
            Self::Tasks => Limit::Tasks,
            Self::FileSize => Limit::FileSize,
            Self::Output => Limit::Output,
        }
    }
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
    fn what_is_set_is_there_and_nothing_else() {
        for limit in Limit::ALL {
            let mut limits = Limits::default();
            limits.set(limit, 7);
            for other in Limit::ALL {
                assert_eq!(limits.get(other), (other == limit).then_some(7), "{other:?}");
            }
        }
    }
}
