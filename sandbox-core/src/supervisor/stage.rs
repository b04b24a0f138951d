//! The stages of building a sandbox, in order. A failure names the stage and the errno.

use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A step on the way from a plan to a running command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Stage {
    /// Reading the plan and its descriptors.
    ReadPlan = 1,
    /// Namespaces of the run's own.
    Namespaces,
    /// The supervisor confining itself.
    ConfineSupervisor,
    /// Starting the child process.
    Fork,
    /// New session.
    Session,
    /// Standard input, output and error.
    Stdio,
    /// Resource limits.
    Limits,
    /// Entering the working directory.
    WorkingDirectory,
    /// Death signal and check of the parent.
    ParentDeath,
    /// Dropping capabilities.
    Capabilities,
    /// `no_new_privs`.
    NoNewPrivileges,
    /// Landlock.
    Landlock,
    /// The seccomp filter.
    Filter,
    /// Handing the listener over.
    Handover,
    /// Waiting for the supervisor's go.
    AwaitRelease,
    /// `execve`.
    Exec,
}

impl Stage {
    /// All stages, in order.
    pub const ALL: [Stage; 16] = [
        Stage::ReadPlan,
        Stage::Namespaces,
        Stage::ConfineSupervisor,
        Stage::Fork,
        Stage::Session,
        Stage::Stdio,
        Stage::Limits,
        Stage::WorkingDirectory,
        Stage::ParentDeath,
        Stage::Capabilities,
        Stage::NoNewPrivileges,
        Stage::Landlock,
        Stage::Filter,
        Stage::Handover,
        Stage::AwaitRelease,
        Stage::Exec,
    ];

    /// The stage with this number, as it travels in the bootstrap report.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Stage> {
        Self::ALL.into_iter().find(|s| *s as u8 == number)
    }

    /// Stable name, as results show it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Stage::ReadPlan => "read_plan",
            Stage::Namespaces => "namespaces",
            Stage::ConfineSupervisor => "confine_supervisor",
            Stage::Fork => "fork",
            Stage::Session => "session",
            Stage::Stdio => "stdio",
            Stage::Limits => "limits",
            Stage::WorkingDirectory => "working_directory",
            Stage::ParentDeath => "parent_death",
            Stage::Capabilities => "capabilities",
            Stage::NoNewPrivileges => "no_new_privs",
            Stage::Landlock => "landlock",
            Stage::Filter => "seccomp",
            Stage::Handover => "handover",
            Stage::AwaitRelease => "await_release",
            Stage::Exec => "exec",
        }
    }
}

/// The sandbox could not be built in full, so nothing ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupFailed {
    /// The step that failed.
    pub stage: Stage,
    /// The errno as a number, where there is one.
    errno: Option<i32>,
    /// What exactly, in words, where the errno does not say it.
    pub detail: String,
}

impl SetupFailed {
    /// A failure of the system's, with words.
    #[must_use]
    pub fn new(stage: Stage, errno: Errno, detail: impl Into<String>) -> Self {
        Self { stage, errno: Some(errno as i32), detail: detail.into() }
    }

    /// A failure that has no errno.
    #[must_use]
    pub fn in_words(stage: Stage, detail: impl Into<String>) -> Self {
        Self { stage, errno: None, detail: detail.into() }
    }

    /// The same failure in other words.
    #[must_use]
    pub fn saying(&self, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), ..*self }
    }

    /// The errno, where there is one.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        self.errno.map(Errno::from_raw)
    }
}

impl fmt::Display for SetupFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.stage.name())?;
        if let Some(errno) = self.errno {
            write!(f, ": {}", std::io::Error::from_raw_os_error(errno))?;
        }
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

impl std::error::Error for SetupFailed {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_order() {
        for (at, stage) in Stage::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(stage as u8), at + 1);
            assert_eq!(Stage::from_number(stage as u8), Some(stage));
        }
        assert_eq!(Stage::from_number(0), None);
    }
}
