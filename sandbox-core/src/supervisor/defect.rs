//! Where a supervisor has failed, for who runs the server: a supervisor has the server's own standard
//! error, where the log is, and its command another one. Only a child that is about to become the
//! command has that already.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::Write;
use std::os::fd::AsFd;
use std::panic::Location;

/// Longest line. A pipe that is ready takes as many bytes as this without waiting (`PIPE_BUF`).
const LONGEST: usize = 512;

/// Says where. Not what, which may quote the command; and to nobody who does not read, as the
/// process has to end.
pub(super) fn tell(at: Option<&Location<'_>>) {
    let mut line = [0; LONGEST];
    let mut room = &mut line[..];
    let _cut_short = match at {
        Some(at) => writeln!(room, "nono-mcp: a defect ended a supervisor, at {at}"),
        None => writeln!(room, "nono-mcp: a defect ended a supervisor"),
    };
    let length = LONGEST - room.len();
    let stderr = std::io::stderr();
    let mut reader = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
    if poll(&mut reader, PollTimeout::ZERO).is_ok_and(|ready| ready > 0) {
        let _nobody_listens = nix::unistd::write(stderr.as_fd(), &line[..length]);
    }
}
