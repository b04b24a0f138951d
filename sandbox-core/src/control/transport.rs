//! Messages over a stream socket, descriptors included.

use super::descriptors::{receive_fds, send_fds};
use super::error::{ControlError, call, io};
use super::{Event, Order};
use crate::plan::{Basis, Launch};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use serde::{Serialize, de::DeserializeOwned};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::marker::PhantomData;
use std::os::fd::{BorrowedFd, OwnedFd};

/// First byte of the start message.
const START: u8 = b'N';
/// First byte of a message that says what start messages behind it rest on.
const BASIS: u8 = b'B';
/// Descriptors that travel with the start message: launch, stdin, stdout, stderr. A fifth may be
/// there, the way to the proxy.
const START_FDS: usize = 4;
/// Nobody sends or takes a larger message. The largest there is: four thousand refusals from the
/// kernel's audit log, with two paths each.
const MAX_MESSAGE: usize = 64 << 20;

/// The command's standard streams.
#[derive(Debug)]
pub struct Stdio {
    /// Read end.
    pub stdin: OwnedFd,
    /// Write end.
    pub stdout: OwnedFd,
    /// Write end.
    pub stderr: OwnedFd,
}

/// What the supervisor was given.
#[derive(Debug)]
pub struct Received {
    /// What to start, on the basis that was sent last.
    pub launch: Launch,
    /// The command's streams.
    pub stdio: Stdio,
    /// Where connections to the proxy go ([`introduce`](super::introduce)), if the run has one.
    pub proxy: Option<OwnedFd>,
}

/// What a supervisor without a run is told.
#[derive(Debug)]
pub enum Work {
    /// To get ready for this.
    Prepare(Box<Basis>),
    /// To start a run.
    Start(Box<Received>),
}

/// Server: sends what to start, on the basis that was sent last, and the command's streams. One
/// `sendmsg`, so it never blocks for long and never goes out in part. `proxy`: see [`Received`].
///
/// # Errors
/// [`ControlError`] if the supervisor is gone or memory ran out.
pub fn send_start(
    socket: BorrowedFd<'_>,
    launch: &Launch,
    stdio: &Stdio,
    proxy: Option<&OwnedFd>,
) -> Result<(), ControlError> {
    let memory = seal(launch)?;
    let mut fds = vec![&memory, &stdio.stdin, &stdio.stdout, &stdio.stderr];
    fds.extend(proxy);
    send_fds(socket, START, &fds)
}

/// Server: says what the start message will rest on, so that a spare supervisor can get ready for
/// it. The last one counts.
///
/// # Errors
/// [`ControlError`] if the supervisor is gone or memory ran out.
pub fn send_basis(socket: BorrowedFd<'_>, basis: &Basis) -> Result<(), ControlError> {
    send_fds(socket, BASIS, &[&seal(basis)?])
}

/// A value in a memory file that nobody can change any more.
pub(crate) fn seal(value: &impl Serialize) -> Result<OwnedFd, ControlError> {
    let encoded = postcard::to_stdvec(value).map_err(ControlError::Codec)?;
    let memory = memfd_create(c"nono-plan", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)
        .map_err(call("memfd_create"))?;
    let mut memory = File::from(memory);
    memory.write_all(&encoded).map_err(io("write the plan"))?;
    let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE;
    fcntl(&memory, FcntlArg::F_ADD_SEALS(seals)).map_err(call("seal the plan"))?;
    Ok(memory.into())
}

pub(crate) fn unseal<T: DeserializeOwned>(memory: OwnedFd) -> Result<T, ControlError> {
    let mut memory = File::from(memory);
    memory.rewind().map_err(io("rewind the plan"))?;
    let mut encoded = Vec::new();
    memory.read_to_end(&mut encoded).map_err(io("read the plan"))?;
    postcard::from_bytes(&encoded).map_err(ControlError::Codec)
}

/// Supervisor: waits for something to do.
///
/// # Errors
/// [`ControlError::Closed`] if the server went away without a word; others if the message is
/// malformed.
pub fn receive_work(socket: BorrowedFd<'_>) -> Result<Work, ControlError> {
    let odd = |_| ControlError::Malformed("wrong number of descriptors");
    match receive_fds(socket)? {
        (START, mut fds) => {
            let proxy = if fds.len() > START_FDS { fds.pop() } else { None };
            let [memory, stdin, stdout, stderr]: [_; START_FDS] = fds.try_into().map_err(odd)?;
            let stdio = Stdio { stdin, stdout, stderr };
            Ok(Work::Start(Box::new(Received { launch: unseal(memory)?, stdio, proxy })))
        }
        (BASIS, fds) => {
            let [memory]: [_; 1] = fds.try_into().map_err(odd)?;
            Ok(Work::Prepare(Box::new(unseal(memory)?)))
        }
        _ => Err(ControlError::Malformed("not a start message")),
    }
}

/// Supervisor: sends one event.
///
/// # Errors
/// [`ControlError`] if the server is gone.
pub fn send_event(socket: impl Write, event: &Event) -> Result<(), ControlError> {
    send(socket, event)
}

/// Server: sends one order.
///
/// # Errors
/// [`ControlError`] if the supervisor is gone.
pub fn send_order(socket: impl Write, order: &Order) -> Result<(), ControlError> {
    send(socket, order)
}

fn send(mut socket: impl Write, message: &impl Serialize) -> Result<(), ControlError> {
    let encoded = postcard::to_stdvec(message).map_err(ControlError::Codec)?;
    let length = u32::try_from(encoded.len()).ok().filter(|n| *n as usize <= MAX_MESSAGE);
    let length = length.ok_or(ControlError::Malformed("message too large"))?;
    let framed = [&length.to_le_bytes()[..], &encoded].concat();
    socket.write_all(&framed).map_err(io("send a message"))
}

/// Turns received bytes into messages.
#[derive(Debug)]
pub struct Decoder<T> {
    buffer: Vec<u8>,
    message: PhantomData<fn() -> T>,
}

impl<T> Default for Decoder<T> {
    fn default() -> Self {
        Self { buffer: Vec::new(), message: PhantomData }
    }
}

impl<T: DeserializeOwned> Decoder<T> {
    /// Adds bytes as they arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, if there is one.
    ///
    /// # Errors
    /// [`ControlError`] if the bytes are not a message; the stream cannot be read on from there.
    pub fn next_message(&mut self) -> Result<Option<T>, ControlError> {
        let Some((length, rest)) = self.buffer.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        if length > MAX_MESSAGE {
            return Err(ControlError::Malformed("message too large"));
        }
        let Some(encoded) = rest.get(..length) else { return Ok(None) };
        let message = postcard::from_bytes(encoded).map_err(ControlError::Codec)?;
        self.buffer.drain(..4 + length);
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::{SetupFailed, Stage};
    use nix::errno::Errno;

    #[test]
    fn events_survive_being_cut_anywhere() {
        let events = [
            Event::Started(42),
            Event::Refused(SetupFailed::new(Stage::Landlock, Errno::EOPNOTSUPP, "no Landlock")),
            Event::Unusable(SetupFailed::new(Stage::ReadPlan, Errno::ESTALE, "replaced")),
        ];
        let mut bytes = Vec::new();
        for event in &events {
            send_event(&mut bytes, event).unwrap();
        }
        for cut in 0..bytes.len() {
            let mut decoder = Decoder::<Event>::default();
            let mut seen = Vec::new();
            for part in [&bytes[..cut], &bytes[cut..]] {
                decoder.push(part);
                while let Some(event) = decoder.next_message().unwrap() {
                    seen.push(event);
                }
            }
            assert_eq!(seen, events, "cut at {cut}");
        }
    }

    #[test]
    fn a_length_no_message_has_is_refused() {
        let mut decoder = Decoder::<Event>::default();
        decoder.push(&u32::MAX.to_le_bytes());
        assert!(matches!(decoder.next_message(), Err(ControlError::Malformed(_))));
    }
}
