//! The command's standard streams: the ends it gets, and ours.

use super::channel::{Sink, Source};
use super::start_error::StartError;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::stat::Mode;
use nix::unistd::ttyname;
use nono_sandbox::AbsPath;
use nono_sandbox::control::Stdio;
use nono_sandbox::sys;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

/// Size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Size {
    /// Lines.
    pub(crate) rows: u16,
    /// Characters in a line.
    pub(crate) columns: u16,
}

impl Default for Size {
    fn default() -> Self {
        Self { rows: 40, columns: 120 }
    }
}

/// What the command reads from standard input.
#[derive(Debug, Hash)]
pub(crate) enum Input {
    /// Nothing: `/dev/null`.
    Empty,
    /// These bytes, then end of file.
    Bytes(Vec<u8>),
    /// These bytes, then whatever is written later.
    Open(Vec<u8>),
    /// A terminal, for all three streams; these bytes are typed first.
    Terminal(Size, Vec<u8>),
    /// Whatever this process reads from its own, copied through a pipe: the command never holds
    /// the terminal itself.
    Inherited,
}

impl Input {
    /// Whether more can be written while the command runs.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Open(_) | Self::Terminal(..))
    }
}

/// Our ends.
#[derive(Debug)]
pub(super) struct Streams {
    /// To write input to, if the command has any.
    pub(super) input: Option<Sink>,
    /// To read from; a terminal's output included.
    pub(super) stdout: Source,
    /// To read from; a terminal has no second stream.
    pub(super) stderr: Option<Source>,
    /// The name of the command's terminal, if it has one.
    pub(super) terminal: Option<AbsPath>,
}

impl Streams {
    /// Opens everything: the command's ends, and ours.
    ///
    /// # Errors
    /// [`StartError::System`] if descriptors or terminals have run out.
    pub(super) fn open(input: &Input) -> Result<(Stdio, Self), StartError> {
        match input {
            Input::Terminal(size, _) => terminal(*size),
            Input::Empty => {
                let null = File::open("/dev/null");
                let null = null.map_err(StartError::doing("open /dev/null"))?;
                pipes(null.into(), None)
            }
            Input::Bytes(_) | Input::Open(_) | Input::Inherited => {
                let (read, write) = pipe()?;
                pipes(read, Some(Sink::new(write)?))
            }
        }
    }
}

fn pipe() -> Result<(OwnedFd, OwnedFd), StartError> {
    let (read, write) = std::io::pipe().map_err(StartError::doing("make a pipe"))?;
    Ok((read.into(), write.into()))
}

fn pipes(stdin: OwnedFd, input: Option<Sink>) -> Result<(Stdio, Streams), StartError> {
    let (stdout, stdout_writer) = pipe()?;
    let (stderr, stderr_writer) = pipe()?;
    let theirs = Stdio { stdin, stdout: stdout_writer, stderr: stderr_writer };
    let (stdout, stderr) = (Source::new(stdout)?, Some(Source::new(stderr)?));
    Ok((theirs, Streams { input, stdout, stderr, terminal: None }))
}

fn terminal(size: Size) -> Result<(Stdio, Streams), StartError> {
    let doing = |error: std::io::Error| StartError::doing("open a terminal")(error);
    let (master, slave) = open_terminal(size).map_err(|errno| doing(errno.into()))?;
    let name = ttyname(&slave).map_err(|errno| doing(errno.into()))?;
    let name = AbsPath::new(name).map_err(|error| doing(std::io::Error::other(error)))?;
    let copy = || slave.try_clone().map_err(doing);
    let theirs = Stdio { stdin: copy()?, stdout: copy()?, stderr: slave };
    let input = Sink::new(master.try_clone().map_err(doing)?)?;
    let stdout = Source::new(master)?;
    Ok((theirs, Streams { input: Some(input), stdout, stderr: None, terminal: Some(name) }))
}

/// Our end of a new terminal, and the command's. Not `openpty`: a supervisor that starts meanwhile,
/// of another run, would have both.
fn open_terminal(size: Size) -> Result<(OwnedFd, OwnedFd), Errno> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = posix_openpt(flags)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let slave = open(ptsname_r(&master)?.as_str(), flags, Mode::empty())?;
    sys::set_window_size(slave.as_fd(), size.rows, size.columns)?;
    Ok((master.into(), slave))
}
