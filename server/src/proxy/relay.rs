//! Bytes from either side of a connection to the other, until both have said everything.
//!
//! Short exchanges go through memory that is held while there is something in it. What turns out to
//! be a large transfer goes through a pipe (splice(2)): pages change hands in the kernel, and none
//! is copied into this process and out again. Either way one direction holds a bounded amount, and
//! reads on only once that is written.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use nix::unistd::pipe2;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::Semaphore;

/// Most that is read at a time.
const CHUNK: usize = 64 << 10;
/// What a direction has carried before it is worth a pipe.
const LARGE: usize = 512 << 10;
/// Room in a pipe, in bytes: what is tried, the best first. The first is as much as an ordinary user
/// gets for one pipe, and all pipes of a user share 64 MiB (`pipe-max-size`,
/// `pipe-user-pages-soft`; pipe(7)). What is smaller than these is slower than memory.
const PIPE_SIZES: [i32; 2] = [1 << 20, 256 << 10];
/// Pipes of one run at a time; whatever else is large goes through memory.
pub(super) const MAX_PIPES: usize = 8;

/// Carries bytes both ways. An end of one direction is passed on, and the other one continues.
///
/// # Errors
/// The first that either side gives. What is on its way then is lost, as the connection is.
pub(super) async fn relay(
    program: &mut TcpStream,
    host: &mut TcpStream,
    pipes: &Semaphore,
) -> io::Result<()> {
    let (from_program, to_program) = program.split();
    let (from_host, to_host) = host.split();
    tokio::try_join!(pass(from_program, to_host, pipes), pass(from_host, to_program, pipes))?;
    Ok(())
}

/// Carries one direction to its end.
async fn pass(from: ReadHalf<'_>, mut to: WriteHalf<'_>, pipes: &Semaphore) -> io::Result<()> {
    let mut carried = 0;
    let mut pipe_wanted = true;
    loop {
        from.readable().await?;
        // Not kept from turn to turn: most connections are idle most of the time.
        let mut chunk = Vec::with_capacity(CHUNK);
        match from.try_read_buf(&mut chunk) {
            Ok(0) => break,
            Ok(length) => carried += length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        }
        to.write_all(&chunk).await?;
        drop(chunk);
        if !pipe_wanted || carried < LARGE {
            continue;
        }
        carried = 0;
        let Ok(_place) = pipes.try_acquire() else { continue };
        // Without room for a pipe, or where sockets cannot be spliced, memory does.
        pipe_wanted = match Pipe::new() {
            Ok(pipe) => match pipe.carry(from.as_ref(), to.as_ref()).await? {
                Carried::Everything => break,
                Carried::Nothing => false,
            },
            Err(_) => false,
        };
    }
    match to.shutdown().await {
        // Both sides have gone.
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        other => other,
    }
}

/// How a pipe served.
#[derive(Debug, PartialEq, Eq)]
enum Carried {
    /// The direction is at its end, and everything is written.
    Everything,
    /// The kernel does not splice these; nothing was read.
    Nothing,
}

/// A pipe that nobody else has.
struct Pipe {
    out: OwnedFd,
    inlet: OwnedFd,
    /// In bytes.
    size: usize,
}

impl Pipe {
    fn new() -> nix::Result<Self> {
        let (out, inlet) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        let mut last = Errno::EPERM;
        for size in PIPE_SIZES {
            match fcntl(&inlet, FcntlArg::F_SETPIPE_SZ(size)) {
                Ok(_) => {
                    return Ok(Self { out, inlet, size: usize::try_from(size).unwrap_or(CHUNK) });
                }
                Err(errno) => last = errno,
            }
        }
        Err(last)
    }

    /// Carries everything that is left. The pipe is empty whenever the socket is read, so a read
    /// that would block is one the socket has nothing for.
    async fn carry(&self, from: &TcpStream, to: &TcpStream) -> io::Result<Carried> {
        let mut nothing_yet = true;
        loop {
            let read =
                from.async_io(Interest::READABLE, || shift(from, &self.inlet, self.size)).await;
            let mut held = match read {
                Ok(0) => return Ok(Carried::Everything),
                Ok(held) => held,
                Err(error) if nothing_yet && error.raw_os_error() == Some(Errno::EINVAL as i32) => {
                    return Ok(Carried::Nothing);
                }
                Err(error) => return Err(error),
            };
            nothing_yet = false;
            while held > 0 {
                let write = || shift(&self.out, to, held);
                match to.async_io(Interest::WRITABLE, write).await? {
                    0 => return Err(io::ErrorKind::WriteZero.into()),
                    written => held = held.saturating_sub(written),
                }
            }
        }
    }
}

fn shift(from: impl AsFd, to: impl AsFd, most: usize) -> io::Result<usize> {
    let flags = SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK;
    Ok(splice(from, None, to, None, most, flags)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    /// Enough for both ways of carrying, and no multiple of anything.
    const MUCH: usize = 5 * LARGE + 12_345;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (near, far) =
            tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    /// A program and a host with a relay between them.
    async fn relayed(
        pipes: usize,
    ) -> (TcpStream, TcpStream, tokio::task::JoinHandle<io::Result<()>>) {
        let ((program, mut near), (mut far, host)) = (pair().await, pair().await);
        let pipes = Semaphore::new(pipes);
        let relay = tokio::spawn(async move { relay(&mut near, &mut far, &pipes).await });
        (program, host, relay)
    }

    fn pattern(length: usize) -> Vec<u8> {
        let bytes = (0..u32::try_from(length).unwrap()).map(|n| n.wrapping_mul(2_654_435_761));
        bytes.map(|n| n.to_be_bytes()[0]).collect()
    }

    async fn sends_all(from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8]) {
        let mut got = Vec::new();
        let send = async {
            from.write_all(bytes).await.unwrap();
            from.shutdown().await.unwrap();
        };
        tokio::join!(send, async { to.read_to_end(&mut got).await.unwrap() });
        assert!(got == bytes, "{} of {} bytes", got.len(), bytes.len());
    }

    #[tokio::test]
    async fn each_side_may_end_first_and_still_hears_the_other() {
        for pipes in [0, 1, 2] {
            for length in [0, 1, CHUNK, LARGE - 1, LARGE, MUCH] {
                let bytes = pattern(length);
                let (mut program, mut host, relay) = relayed(pipes).await;
                sends_all(&mut program, &mut host, &bytes).await;
                sends_all(&mut host, &mut program, &bytes).await;
                relay.await.unwrap().unwrap();
                let (mut program, mut host, relay) = relayed(pipes).await;
                sends_all(&mut host, &mut program, &bytes).await;
                sends_all(&mut program, &mut host, &bytes).await;
                relay.await.unwrap().unwrap();
            }
        }
    }

    #[tokio::test]
    async fn what_waits_for_an_answer_gets_it_however_much_went_before() {
        let (mut program, mut host, _relay) = relayed(2).await;
        let bytes = pattern(MUCH);
        let mut got = vec![0; MUCH];
        let (sent, read) = tokio::join!(host.write_all(&bytes), program.read_exact(&mut got));
        assert!(sent.is_ok() && read.is_ok() && got == bytes);
        for n in 0..50_u8 {
            program.write_all(&[n]).await.unwrap();
            assert_eq!(host.read_u8().await.unwrap(), n);
            host.write_all(&[n, n]).await.unwrap();
            assert_eq!(program.read_u16().await.unwrap(), u16::from(n) << 8 | u16::from(n));
        }
    }

    #[tokio::test]
    async fn a_side_that_breaks_off_ends_both() {
        let (program, mut host, relay) = relayed(2).await;
        let bytes = pattern(MUCH);
        // Nobody reads, so a reset is what the program's end says to what is on its way.
        let sending = tokio::spawn(async move {
            while host.write_all(&bytes).await.is_ok() {}
            host
        });
        program.readable().await.unwrap();
        drop(program);
        assert!(relay.await.unwrap().is_err());
        drop(sending.await.unwrap());
    }

    #[tokio::test]
    async fn who_does_not_read_holds_the_sender_up() {
        let (mut program, mut host, _relay) = relayed(2).await;
        let bytes = pattern(MUCH);
        let mut sent = 0_usize;
        // What the kernel's buffers and the pipe take is far less than this.
        let bound = 64 << 20;
        let stuck = std::time::Duration::from_secs(1);
        while sent < bound {
            match tokio::time::timeout(stuck, host.write(&bytes)).await {
                Ok(length) => sent += length.unwrap(),
                Err(_) => break,
            }
        }
        assert!((LARGE..bound).contains(&sent), "{sent} bytes went nowhere");
        let mut all = vec![0; sent];
        program.read_exact(&mut all).await.unwrap();
    }

    #[test]
    fn a_pipe_is_as_large_as_it_says() {
        let pipe = Pipe::new().unwrap();
        let size = fcntl(&pipe.inlet, FcntlArg::F_GETPIPE_SZ).unwrap();
        assert_eq!(usize::try_from(size).unwrap(), pipe.size);
    }
}
