//! What can be wrong with a call. Every message says what to do instead.

use nono_schemas::MAX_TIMEOUT_MS;

/// Bytes one argument of a program may have: the kernel's limit, less the terminator.
pub(crate) const MAX_ARGUMENT: usize = (128 << 10) - 1;
/// Bytes that may be passed as standard input.
pub(crate) const MAX_STDIN: usize = 1 << 20;

/// Why a call cannot become a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadInput {
    /// The arguments do not fit the schema.
    #[error("{0}")]
    Schema(String),
    /// The command is too long for one argument.
    #[error(
        "`command` has {0} bytes and may have {MAX_ARGUMENT}; write it to a file in the workspace and run that, or pass data as `stdin`"
    )]
    LongCommand(usize),
    /// An argument is too long.
    #[error(
        "argv[{at}] has {length} bytes and may have {MAX_ARGUMENT}; pass long data as `stdin` or in a file"
    )]
    LongArgument {
        /// Which one.
        at: usize,
        /// Its bytes.
        length: usize,
    },
    /// Standard input is too long.
    #[error(
        "`stdin` has {0} bytes and may have {MAX_STDIN}; write it to a file in the workspace and redirect from that"
    )]
    LongStdin(usize),
    /// A NUL byte, which no system call can take.
    #[error("{0} contains a NUL byte (\\u0000), which no program can be given; remove it")]
    Nul(String),
    /// No program.
    #[error("`argv` is empty; give the program first, then its arguments")]
    NoProgram,
    /// The program's name is empty.
    #[error("argv[0] is empty; it must be the program to run")]
    EmptyProgram,
    /// The program is nowhere on the path.
    #[error(
        "program `{program}` was not found in PATH ({path}); give its absolute path, or use `shell` if it is a shell builtin or a pipeline"
    )]
    NotOnPath {
        /// The name.
        program: String,
        /// What was searched.
        path: String,
    },
    /// There is no such program file.
    #[error("program `{0}` does not exist; paths are relative to the working directory")]
    NoSuchProgram(String),
    /// The file is not a program.
    #[error("`{0}` is not an executable file; make it executable, or run it with its interpreter")]
    NotExecutable(String),
    /// The profile does not let commands execute it.
    #[error(
        "profile {profile} does not let commands execute {program}; use a program from the workspace or the system folders, or ask the operator to grant it"
    )]
    ProgramNotGranted {
        /// The profile.
        profile: String,
        /// The file.
        program: String,
    },
    /// There is neither bash nor sh.
    #[error("neither bash nor sh was found in PATH ({0}); use `exec` with a program instead")]
    NoShell(String),
    /// The working directory is missing.
    #[error("`cwd` {cwd} does not exist; the nearest folder that does is {nearest}")]
    NoSuchFolder {
        /// As given.
        cwd: String,
        /// The nearest existing folder above it.
        nearest: String,
    },
    /// The working directory is a file.
    #[error("`cwd` {cwd} is not a folder; the folder it is in is {parent}")]
    NotAFolder {
        /// As given.
        cwd: String,
        /// The folder above.
        parent: String,
    },
    /// The working directory cannot be entered.
    #[error("`cwd` {cwd} cannot be entered: {why}; use a folder below {workspace}")]
    FolderUnusable {
        /// As given.
        cwd: String,
        /// What the system said.
        why: String,
        /// Where one can work.
        workspace: String,
    },
    /// The profile does not let commands read the working directory.
    #[error(
        "`cwd` {cwd} is outside of what profile {profile} lets commands read; use a folder below {workspace}"
    )]
    FolderNotGranted {
        /// As given.
        cwd: String,
        /// The profile.
        profile: String,
        /// Where one can work.
        workspace: String,
    },
    /// The wall-clock limit is not a limit.
    #[error("`timeout_ms` must be between 1 and {MAX_TIMEOUT_MS}, not {0}")]
    Timeout(u64),
}
