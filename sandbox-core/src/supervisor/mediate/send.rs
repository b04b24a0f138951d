//! Addressed sends, performed on the caller's behalf. Trapped only where the profile allows UNIX
//! datagram sockets or judges addresses of IP; elsewhere no socket could send to what it may not
//! connect to.

use super::blocking::Interrupted;
use super::caller::Confirmed;
use super::request::{SocketRequest, judge, refuse_abstract};
use super::turn::Turn;
use super::{network, pinned, private_name};
use crate::IpcScope;
use crate::decide::{Address, Control, Domain, Header, SocketCall, controls, pieces, socket_call};
use crate::filter::SendCall;
use crate::rate::MediationMode;
use crate::record::Kind;
use crate::register::{int, unsigned};
use crate::sys;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{SockType, getsockopt, sockopt};
use nix::unistd::Pid;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Most data one call moves. A stream's caller sees a short write and goes on; no UNIX datagram of
/// this size fits a default send buffer.
const MAX_DATA: u64 = 256 << 10;
/// Pieces of one message (`UIO_MAXIOV`), and messages of one `sendmmsg`.
const MAX_PIECES: u64 = 1024;
/// Control messages of one message; `optmem_max` is smaller.
const MAX_CONTROL: u64 = 64 << 10;
/// Descriptors that one message passes on (`SCM_MAX_FD`): no call has more of ours than that.
const MAX_PASSED: usize = 253;
/// Where `struct mmsghdr` has its result, and its size.
const RESULT_OFFSET: u64 = Header::SIZE as u64;
const MMSGHDR: u64 = 64;

/// Performs the call; how much was sent.
pub(super) fn perform(
    turn: &Turn<'_>,
    [fd, second, third, fourth, fifth, sixth]: [u64; 6],
    what: SendCall,
) -> Result<i64, Interrupted> {
    let sender = Sender(turn);
    let sent = match what {
        SendCall::To => sender.send_to(fd, (second, third), int(fourth), (fifth, sixth)),
        SendCall::Messages => sender.send_many(fd, second, unsigned(third), int(fourth)),
        SendCall::Message => sender.send_message(fd, second, int(third)),
    };
    match sent {
        Ok(sent) => i64::try_from(sent).map_err(|_| Errno::EOVERFLOW.into()),
        Err(failed) => {
            if let Interrupted::Failed(errno) = failed {
                turn.unreadable(errno, Kind::UnixSocket);
            }
            Err(failed)
        }
    }
}

/// Takes out of a control message what would lead a datagram elsewhere than its address says: the
/// device of `IP_PKTINFO`. Routes and other headers are refused.
fn keep_on_its_way(level: i32, kind: i32, data: &mut [u8]) -> Result<(), Errno> {
    /// linux/in.h and linux/in6.h; a device's number is an `int`.
    const IP_RETOPTS: i32 = 7;
    const IPV6_HEADERS: [i32; 8] = [54, 55, 57, 59, 2, 3, 4, 5];
    const DEVICE: usize = 4;
    let device = match (level, kind) {
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => data.get_mut(..DEVICE),
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => data.get_mut(16..16 + DEVICE),
        (libc::IPPROTO_IP, IP_RETOPTS) => return Err(Errno::EPERM),
        (libc::IPPROTO_IPV6, kind) if IPV6_HEADERS.contains(&kind) => return Err(Errno::EPERM),
        _ => return Ok(()),
    };
    device.ok_or(Errno::EINVAL)?.fill(0);
    Ok(())
}

struct Sender<'t, 's>(&'t Turn<'s>);

impl Sender<'_, '_> {
    fn send_to(
        &self,
        fd: u64,
        (buffer, length): (u64, u64),
        flags: i32,
        (name, name_length): (u64, u64),
    ) -> Result<usize, Interrupted> {
        let request = self.addressed((fd, name, name_length))?;
        let data = self.gather(&request.socket, &[(buffer, length)])?;
        request.charge(self.0)?;
        self.deliver(&request, &data, &[], flags)
    }

    fn send_message(&self, fd: u64, header: u64, flags: i32) -> Result<usize, Interrupted> {
        let copied = self.0.caller.read(header, Header::SIZE)?;
        let copied = copied.as_slice().try_into().map_err(|_| Errno::EFAULT)?;
        let header = Header::parse(copied);
        let request = self.request(fd, &header)?;
        if header.piece_count > MAX_PIECES {
            return Err(Errno::EMSGSIZE.into());
        }
        let length = usize::try_from(header.piece_count * 16).unwrap_or(0);
        let vector = self.0.caller.read(header.pieces, length)?;
        let data = self.gather(&request.socket, &pieces(&vector))?;
        let (control, _held) = self.control(&header, request.domain)?;
        // A send without an address is no call about an address; where all are charged, it is.
        if !request.bytes.is_empty() || self.0.shared.charged == MediationMode::Proxy {
            request.charge(self.0)?;
        }
        self.deliver(&request, &data, &control, flags)
    }

    fn send_many(
        &self,
        fd: u64,
        messages: u64,
        count: u32,
        flags: i32,
    ) -> Result<usize, Interrupted> {
        let mut done = 0usize;
        for at in 0..u64::from(count).min(MAX_PIECES) {
            let header = messages.wrapping_add(at * MMSGHDR);
            match self.send_message(fd, header, flags) {
                Ok(sent) => {
                    let sent = u32::try_from(sent).unwrap_or(u32::MAX).to_ne_bytes();
                    let result = header.wrapping_add(RESULT_OFFSET);
                    match self.0.caller.write(result, &sent) {
                        Ok(()) => done += 1,
                        // As the kernel has it (net/socket.c): the message is gone, uncounted.
                        Err(_) if done > 0 => break,
                        Err(errno) => return Err(errno.into()),
                    }
                }
                // What was sent is sent: the error of a later message is for the next call.
                Err(_) if done > 0 => break,
                Err(failed) => return Err(failed),
            }
        }
        Ok(done)
    }

    fn request(&self, fd: u64, header: &Header) -> Result<SocketRequest, Errno> {
        if header.name != 0 {
            return self.addressed((fd, header.name, header.name_length.into()));
        }
        let (socket, domain) = self.0.hold(fd)?;
        Ok(SocketRequest { socket, domain, bytes: Vec::new(), address: Address::Unspecified })
    }

    fn addressed(&self, registers: (u64, u64, u64)) -> Result<SocketRequest, Errno> {
        SocketRequest::take(self.0, registers)
    }

    /// The data of all pieces. A stream's is cut at the cap; a datagram goes whole or not at all.
    fn gather(&self, socket: &OwnedFd, all: &[(u64, u64)]) -> Result<Vec<u8>, Interrupted> {
        let stream = getsockopt(socket, sockopt::SockType) == Ok(SockType::Stream);
        let total = all.iter().fold(0u64, |sum, (_, length)| sum.saturating_add(*length));
        if total > MAX_DATA && !stream {
            return Err(Errno::EMSGSIZE.into());
        }
        let mut left = MAX_DATA;
        let mut data = Vec::new();
        for (base, length) in all {
            let take = (*length).min(left);
            left -= take;
            let take = usize::try_from(take).unwrap_or(0);
            data.extend(self.0.caller.read(*base, take)?);
        }
        Ok(data)
    }

    /// The control messages, with the caller's descriptors replaced by copies of ours and its
    /// process id by ours (the kernel lets nobody claim another's). The copies live until sent.
    fn control(&self, header: &Header, domain: Domain) -> Result<(Vec<u8>, Vec<OwnedFd>), Errno> {
        let mut held = Vec::new();
        if header.control == 0 || header.control_length == 0 {
            return Ok((Vec::new(), held));
        }
        if header.control_length > MAX_CONTROL {
            return Err(Errno::ENOBUFS);
        }
        let length = usize::try_from(header.control_length).map_err(|_| Errno::ENOBUFS)?;
        let mut bytes = self.0.caller.read(header.control, length)?;
        for Control { level, kind, data } in controls(&bytes).ok_or(Errno::EINVAL)? {
            let Some(data) = bytes.get_mut(data) else { return Err(Errno::EINVAL) };
            if domain == Domain::Inet {
                keep_on_its_way(level, kind, data)?;
            }
            match (level, kind) {
                (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                    if held.len() + data.len() / 4 > MAX_PASSED {
                        return Err(Errno::EINVAL);
                    }
                    for number in data.chunks_exact_mut(4) {
                        let theirs =
                            u32::from_ne_bytes((&*number).try_into().map_err(|_| Errno::EINVAL)?);
                        let copy = self.0.caller.descriptor(theirs.into())?;
                        number.copy_from_slice(&copy.as_raw_fd().to_ne_bytes());
                        held.push(copy);
                    }
                }
                (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) => {
                    let pid = data.get_mut(..4).ok_or(Errno::EINVAL)?;
                    if *pid == self.0.caller.process()?.to_ne_bytes() {
                        pid.copy_from_slice(&Pid::this().as_raw().to_ne_bytes());
                    }
                }
                _ => {}
            }
        }
        Ok((bytes, held))
    }

    /// Judges the address and sends.
    fn deliver(
        &self,
        request: &SocketRequest,
        data: &[u8],
        control: &[u8],
        flags: i32,
    ) -> Result<usize, Interrupted> {
        let Turn { shared, caller, .. } = self.0;
        if request.domain == Domain::Inet {
            let confirmed = match request.bytes.as_slice() {
                [] => caller.still_waits()?,
                _ => network::prepare_send(self.0, request, data)?,
            };
            let name = request.address.spelled_out(&request.bytes);
            return self.transmit(request, confirmed, &name, data, control, flags);
        }
        let name = match socket_call(request.domain, &request.address, shared.ipc) {
            SocketCall::AsCopied => request.bytes.clone(),
            SocketCall::OwnName(name) => private_name::address(self.0, name)?,
            SocketCall::Path(path) => {
                let (pinned, confirmed) = judge(self.0, path)?;
                let name = pinned::address(&pinned);
                return self.transmit(request, confirmed, &name, data, control, flags);
            }
        };
        let confirmed = caller.still_waits()?;
        let result = self.transmit(request, confirmed, &name, data, control, flags);
        match (shared.ipc, result, &request.address) {
            (
                IpcScope::Kernel,
                Err(Interrupted::Failed(Errno::EPERM)),
                Address::UnixAbstract(name),
            ) => Err(refuse_abstract(self.0, name).into()),
            (
                IpcScope::Mediated,
                Err(Interrupted::Failed(Errno::ECONNREFUSED)),
                Address::UnixAbstract(name),
            ) => Err(private_name::not_found(self.0, name).into()),
            (_, result, _) => result,
        }
    }

    fn transmit(
        &self,
        request: &SocketRequest,
        _: Confirmed,
        name: &[u8],
        data: &[u8],
        control: &[u8],
        flags: i32,
    ) -> Result<usize, Interrupted> {
        let socket = request.socket.as_fd();
        // Without a copy the kernel would go on reading our memory once we have let go of it. It
        // is refused to ask for that; who got such a socket from outside is not heard.
        let quiet = (flags | libc::MSG_NOSIGNAL) & !libc::MSG_ZEROCOPY;
        let act = || sys::send_message(socket, name, data, control, quiet);
        let result = if flags & libc::MSG_DONTWAIT != 0 {
            act().map_err(Interrupted::Failed)
        } else {
            self.0.on_socket(socket, act)
        };
        let broken = matches!(result, Err(Interrupted::Failed(Errno::EPIPE)));
        if broken && flags & libc::MSG_NOSIGNAL == 0 {
            // The signal belongs to whoever made the call, and that was not us.
            let _gone = kill(Pid::from_raw(self.0.caller.tid()), Signal::SIGPIPE);
        }
        result
    }
}
