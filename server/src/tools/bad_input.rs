//! What can be wrong with a call. Every message says what to do instead.

use crate::runs::{KEPT, KEPT_FOR};
use nono_profiles::NarrowError;
use nono_schemas::{MAX_TIMEOUT_MS, MAX_WRITE_BYTES};
use std::time::Duration;

/// Bytes one argument of a program may have: the kernel's limit, less the terminator.
pub(crate) const MAX_ARGUMENT: usize = (128 << 10) - 1;
/// Bytes that may be passed as standard input.
pub(crate) const MAX_STDIN: usize = 1 << 20;
/// Bytes a request key may have.
pub(crate) const MAX_KEY: usize = 256;

/// How a client has a shell.
pub(crate) const BY_SHELL: &str = "use `shell`";

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
        "program `{program}` was not found in PATH ({path}); give its absolute path, or {BY_SHELL} if it is a shell builtin or a pipeline"
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
    /// The way to the file is closed to commands.
    #[error(
        "`{0}` cannot be looked at: the permissions of a folder on the way do not let commands in"
    )]
    ProgramClosed(String),
    /// What a call names cannot be looked for.
    #[error("cannot look as a command: {0}")]
    CannotLook(String),
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
    /// The call asks for more than it can have.
    #[error(transparent)]
    Narrow(#[from] NarrowError),
    /// A place to write to is missing.
    #[error("`writable` {path} does not exist; make it first, or name {nearest}")]
    NoSuchWritable {
        /// As given.
        path: String,
        /// The nearest existing folder above it.
        nearest: String,
    },
    /// The wall-clock limit is not a limit.
    #[error("`timeout_ms` must be between 1 and {MAX_TIMEOUT_MS}, not {0}")]
    Timeout(u64),
    /// The request key is too long.
    #[error("`request_key` has {0} bytes and may have {MAX_KEY}")]
    LongKey(usize),
    /// The audit log cannot be written.
    #[error("{0}")]
    Unrecorded(String),
    /// There is no such run.
    #[error(
        "there is no run `{id}`; live runs: {live}. This server was started {}s ago; runs from \
         before, and those that ended more than {} minutes or {KEPT} runs ago, are not known",
        .age.as_secs(),
        KEPT_FOR.as_secs() / 60
    )]
    UnknownRun {
        /// As given.
        id: String,
        /// The live runs, in a few words.
        live: String,
        /// How old the server is.
        age: Duration,
    },
    /// The position is behind the end of the output.
    #[error(
        "`after_seq` is {after}, but the output ends at {end} so far; use `next_seq` of an earlier answer"
    )]
    BeyondEnd {
        /// As given.
        after: u64,
        /// Where the output ends.
        end: u64,
    },
    /// The pattern is none.
    #[error("`grep` is no regular expression: {0}")]
    Pattern(String),
    /// The line numbers are none.
    #[error("`lines` is `{0}`; it must be like 10-20, 10- or -10 (the last ten)")]
    Lines(String),
    /// Nobody waits for the answer.
    #[error("the call was cancelled")]
    Cancelled,
    /// The search did not come to its end.
    #[error("the output could not be searched; read it without `grep` and `lines`")]
    SearchFailed,
    /// Two ways of picking lines.
    #[error("`grep` and `lines` cannot be used together; use one call for each")]
    GrepAndLines,
    /// The text is too long for one call.
    #[error(
        "`text` has {0} bytes and may have {MAX_WRITE_BYTES}; write it in several calls, or to a file"
    )]
    LongText(usize),
    /// There is no such key.
    #[error(
        "there is no key `{0}`; there are enter, tab, esc, space, backspace, delete, up, down, left, right, home, end, page-up, page-down, f1 to f12 and ctrl-a to ctrl-z"
    )]
    Key(String),
    /// Half a size.
    #[error("a terminal's size takes both `rows` and `columns`, each between 1 and 1000")]
    HalfSize,
    /// The run has no terminal.
    #[error("run {0} has no terminal to resize; start it with tty: true")]
    NoTerminal(String),
    /// The run is over.
    #[error("run {0} is over and reads nothing any more; run_read shows how it ended")]
    Over(String),
    /// The run was started without an open input.
    #[error(
        "run {0} has no open standard input; start it again with keep_stdin: true, or with tty: true for prompts"
    )]
    NoStdin(String),
    /// The input was closed.
    #[error(
        "the standard input of run {0} is closed, or its reader is gone; run_read shows what it does"
    )]
    StdinClosed(String),
    /// The command does not read.
    #[error(
        "run {id} took {taken} of {of} bytes and then read no more; the rest was not written: run_read shows what it does, then write the rest"
    )]
    NotTaken {
        /// The run.
        id: String,
        /// Bytes it took.
        taken: usize,
        /// Bytes there were.
        of: usize,
    },
}

/// Refuses text that no system call can take.
pub(crate) fn without_nul(what: impl FnOnce() -> String, text: &str) -> Result<(), BadInput> {
    if text.contains('\0') { Err(BadInput::Nul(what())) } else { Ok(()) }
}
