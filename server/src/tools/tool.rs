//! Which tools there are.

/// A tool of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    /// A program and its arguments.
    Exec,
    /// What the sandbox would say.
    Explain,
    /// Which runs there are.
    RunList,
    /// The output of a run.
    RunRead,
    /// A signal to a run.
    RunSignal,
    /// Input for a run.
    RunWrite,
    /// A command line, run by a shell.
    Shell,
}

impl Tool {
    /// All tools, in the order they are listed.
    pub(crate) const ALL: [Tool; 7] = [
        Tool::Exec,
        Tool::RunList,
        Tool::RunRead,
        Tool::RunSignal,
        Tool::RunWrite,
        Tool::Explain,
        Tool::Shell,
    ];

    /// The tool's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Tool::Exec => "exec",
            Tool::Explain => "sandbox_explain",
            Tool::RunList => "run_list",
            Tool::RunRead => "run_read",
            Tool::RunSignal => "run_signal",
            Tool::RunWrite => "run_write",
            Tool::Shell => "shell",
        }
    }

    /// The tool of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.name() == name)
    }
}
