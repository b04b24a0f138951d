//! AF_UNIX: the sockets of the host.

use super::{did, done, io};
use crate::sys::{at, call, in_child};
use crate::{Expect, Outcome, Probe, Targets};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, sendmsg, sendto, socket,
    socketpair,
};
use nix::sys::stat::Mode;
use std::fs;
use std::io::{IoSlice, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

pub(crate) const PROBES: &[Probe] = &[
    Probe::new("own-socket", "serve and connect in the workspace", own).expect(Expect::Works),
    Probe::new("stream", "connect to a socket of the host", |t| stream(&host(t))),
    Probe::new("seqpacket", "the same, sequenced packets", |t| {
        let fd = make(SockType::SeqPacket)?;
        done(connect(fd.as_raw_fd(), &address(&t.outside("packets.sock"))?))
    }),
    Probe::new("relative", "by a relative path", |_| stream(Path::new("../outside/stream.sock"))),
    Probe::new("chdir", "from a folder nothing grants", |t| {
        std::env::set_current_dir(t.outside("")).map_err(io)?;
        stream(Path::new("stream.sock"))
    }),
    Probe::new("symlink", "through a symbolic link in the workspace", |t| {
        let link = fresh(t, "link.sock");
        symlink(host(t), &link).map_err(io)?;
        stream(&link)
    }),
    Probe::new("proc-root", "through /proc/self/root", |t| {
        let path = host(t);
        stream(&Path::new("/proc/self/root").join(path.strip_prefix("/").unwrap_or(&path)))
    }),
    Probe::new("pinned-folder", "through a folder opened with O_PATH", |t| {
        let folder = open(&t.outside(""), OFlag::O_PATH, Mode::empty())?;
        stream(Path::new(&format!("/proc/self/fd/{}/stream.sock", folder.as_raw_fd())))
    }),
    Probe::new("hard-link", "by a second name in the workspace", |t| {
        let link = fresh(t, "hard.sock");
        fs::hard_link(host(t), &link).map_err(io)?;
        stream(&link)
    }),
    Probe::new("move-socket", "moved into the workspace", |t| {
        let (from, to) = (t.outside("movable.sock"), fresh(t, "moved.sock"));
        fs::rename(&from, &to).map_err(io)?;
        let reached = stream(&to);
        fs::rename(to, from).map_err(io)?;
        reached
    }),
    Probe::new("replace-own", "by the name of an own socket, replaced", |t| {
        let own = fresh(t, "replaced.sock");
        let _listener = UnixListener::bind(&own).map_err(io)?;
        fs::remove_file(&own).map_err(io)?;
        fs::hard_link(host(t), &own).map_err(io)?;
        stream(&own)
    }),
    Probe::new("victim-root", "through another process's root", |t| {
        let path = host(t);
        let root = format!("/proc/{}/root", t.victim);
        stream(&Path::new(&root).join(path.strip_prefix("/").unwrap_or(&path)))
    }),
    Probe::new("thread", "from a second thread", |t| {
        let path = host(t);
        std::thread::spawn(move || stream(&path)).join().map_err(|_| Errno::EIO)?
    }),
    Probe::new("child", "from a process that has lost its parent", orphan),
    Probe::new("dgram-sendto", "send a datagram", |t| {
        let fd = make(SockType::Datagram)?;
        done(sendto(fd.as_raw_fd(), b"x", &mail(t)?, MsgFlags::empty()))
    }),
    Probe::new("dgram-connect", "connect a datagram socket", |t| {
        let fd = make(SockType::Datagram)?;
        done(connect(fd.as_raw_fd(), &mail(t)?))
    }),
    Probe::new("dgram-sendmsg", "send a message", |t| message(&make(SockType::Datagram)?, t)),
    Probe::new("raw-alias", "the same by its other name", |t| message(&make(SockType::Raw)?, t)),
    Probe::new("pair-sendto", "re-point one of a pair of datagram sockets", |t| {
        let (one, _other) = pair()?;
        done(sendto(one.as_raw_fd(), b"x", &mail(t)?, MsgFlags::empty()))
    }),
    Probe::new("pair-sendmsg", "the same by a message", |t| message(&pair()?.0, t)),
    Probe::new("pair-connect", "connect one of a pair", |t| {
        let (one, _other) = pair()?;
        done(connect(one.as_raw_fd(), &mail(t)?))
    }),
    Probe::new("abstract", "connect to a name without a file", |t| {
        let name = SocketAddr::from_abstract_name(t.tag()).map_err(io)?;
        greeted(UnixStream::connect_addr(&name))
    }),
    Probe::new("bind-outside", "make a socket outside", |t| {
        let path = t.outside("new.sock");
        let bound = UnixListener::bind(&path);
        let _not_there = fs::remove_file(path);
        did(bound)
    }),
    Probe::new("bind-home", "make a socket in the home", |t| {
        let path = t.home("new.sock");
        let bound = UnixListener::bind(&path);
        let _not_there = fs::remove_file(path);
        did(bound)
    }),
    Probe::new("race-path", "change the path while the call is looked at", race_path),
    Probe::new("race-family", "change the family while the call is looked at", race_family),
    Probe::new("race-link", "change a link while the call is looked at", race_link),
];

/// Tries of each race: a hundred times what unguarded designs take.
const TRIES: u32 = 2000;

fn host(t: &Targets) -> PathBuf {
    t.outside("stream.sock")
}

fn fresh(t: &Targets, name: &str) -> PathBuf {
    let path = t.own(name);
    let _not_there = fs::remove_file(&path);
    path
}

/// Only what has been greeted has reached somebody.
fn greeted(stream: std::io::Result<UnixStream>) -> Outcome {
    let mut said = String::new();
    stream.and_then(|mut s| s.read_to_string(&mut said)).map_err(io)?;
    if said == crate::scene::GREETING { Ok(String::new()) } else { Err(Errno::EPROTO) }
}

fn stream(path: &Path) -> Outcome {
    greeted(UnixStream::connect(path))
}

fn own(t: &Targets) -> Outcome {
    let path = fresh(t, "own.sock");
    let listener = UnixListener::bind(&path).map_err(io)?;
    let _client = UnixStream::connect(&path).map_err(io)?;
    did(listener.accept())
}

fn make(kind: SockType) -> Result<OwnedFd, Errno> {
    socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None)
}

fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    socketpair(AddressFamily::Unix, SockType::Datagram, None, SockFlag::SOCK_CLOEXEC)
}

fn address(path: &Path) -> Result<UnixAddr, Errno> {
    UnixAddr::new(path)
}

fn mail(t: &Targets) -> Result<UnixAddr, Errno> {
    address(&t.outside("datagrams.sock"))
}

fn message(fd: &OwnedFd, t: &Targets) -> Outcome {
    let to = mail(t)?;
    done(sendmsg(fd.as_raw_fd(), &[IoSlice::new(b"x")], &[], MsgFlags::empty(), Some(&to)))
}

/// The grandchild waits until it has another parent, connects, and says so through a pipe.
fn orphan(t: &Targets) -> Outcome {
    let path = host(t);
    let (mut read, write) = std::io::pipe().map_err(io)?;
    let parent = in_child(|| {
        let before = nix::unistd::getpid();
        let started = in_child(|| {
            while nix::unistd::getppid() == before {
                std::thread::yield_now();
            }
            let said = stream(&path).map_or_else(|e| e as i32, |_| 0);
            let _nobody = nix::unistd::write(&write, &said.to_ne_bytes());
            0
        });
        i32::from(started.is_err())
    })?;
    nix::sys::wait::waitpid(parent, None)?;
    drop(write);
    let mut said = [0; 4];
    read.read_exact(&mut said).map_err(io)?;
    match i32::from_ne_bytes(said) {
        0 => Ok(String::new()),
        errno => Err(Errno::from_raw(errno)),
    }
}

/// An address that another thread writes to.
struct Shared([AtomicU8; 110]);

impl Shared {
    fn new(path: &Path) -> Result<Self, Errno> {
        use std::os::unix::ffi::OsStrExt;
        let shared = Self([const { AtomicU8::new(0) }; 110]);
        shared.set(0, &1_u16.to_ne_bytes());
        let path = path.as_os_str().as_bytes();
        if path.len() > 107 {
            return Err(Errno::ENAMETOOLONG);
        }
        shared.set(2, path);
        Ok(shared)
    }

    fn set(&self, from: usize, bytes: &[u8]) {
        for (to, byte) in self.0.iter().skip(from).zip(bytes) {
            to.store(*byte, Ordering::Relaxed);
        }
    }

    /// One try: whether the other end greets like the host.
    fn connect(&self) -> Result<bool, Errno> {
        let fd = make(SockType::Stream)?;
        if call(libc::SYS_connect, &[i64::from(fd.as_raw_fd()), at(&self.0), 110]).is_err() {
            return Ok(false);
        }
        let mut said = [0; 16];
        let length = recv(fd.as_raw_fd(), &mut said, MsgFlags::empty()).unwrap_or(0);
        Ok(said.get(..length) == Some(crate::scene::GREETING.as_bytes()))
    }
}

/// Tries while `flip` runs in another thread; a socket of one's own closes every connection.
fn race(t: &Targets, name: &str, flip: impl Fn(&Shared) + Sync) -> Outcome {
    let own = fresh(t, name);
    let listener = UnixListener::bind(&own).map_err(io)?;
    listener.set_nonblocking(true).map_err(io)?;
    let (shared, over) = (Shared::new(&own)?, AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                flip(&shared);
            }
        });
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((client, _)) => drop(client),
                    Err(_) => std::thread::yield_now(),
                }
            }
        });
        let mut result = Err(Errno::EACCES);
        for _ in 0..TRIES {
            match shared.connect() {
                Ok(true) => result = Ok(String::new()),
                Ok(false) => {}
                Err(errno) => result = Err(errno),
            }
            if result != Err(Errno::EACCES) {
                break;
            }
        }
        over.store(true, Ordering::Relaxed);
        result
    })
}

fn race_path(t: &Targets) -> Outcome {
    use std::os::unix::ffi::OsStrExt;
    let (own, host) = (t.own("race-path.sock"), host(t));
    let pad = |path: &Path| [path.as_os_str().as_bytes(), &[0; 2]].concat();
    let (own, host) = (pad(&own), pad(&host));
    race(t, "race-path.sock", |shared| {
        shared.set(2, &host);
        shared.set(2, &own);
    })
}

fn race_family(t: &Targets) -> Outcome {
    use std::os::unix::ffi::OsStrExt;
    let host = [host(t).as_os_str().as_bytes(), &[0; 2]].concat();
    race(t, "race-family.sock", |shared| {
        shared.set(2, &host);
        shared.set(0, &2_u16.to_ne_bytes());
        shared.set(0, &1_u16.to_ne_bytes());
    })
}

fn race_link(t: &Targets) -> Outcome {
    let (link, spare) = (t.own("race-link"), t.own("race-spare"));
    let (own, host) = (t.own("race-link.sock"), host(t));
    let point = |to: &Path| {
        let _ = fs::remove_file(&spare);
        let _ = symlink(to, &spare).and_then(|()| fs::rename(&spare, &link));
    };
    point(&own);
    let path = Shared::new(&link)?;
    race(t, "race-link.sock", |shared| {
        shared.set(2, &path.0.each_ref().map(|b| b.load(Ordering::Relaxed))[2..]);
        point(&host);
        point(&own);
    })
}
