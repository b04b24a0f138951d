//! Objects that processes of a user share by name or key.

use super::{did, done, io};
use crate::sys::{at, at_mut, call};
use crate::{Expect, Probe};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::mman::{shm_open, shm_unlink};
use nix::sys::stat::Mode;

const SHARED: &str = "without namespaces System V and POSIX memory are the user's, and PostgreSQL, \
                      Python and browsers need them";

/// linux/ipc.h
const IPC_NOWAIT: i64 = 0o4000;

pub(crate) const PROBES: &[Probe] = &[
    Probe::new("own-memory", "System V memory of one's own", |_| {
        let id = call(libc::SYS_shmget, &[0, 4096, 0o600])?;
        call(libc::SYS_shmat, &[id, 0, 0])?;
        done(call(libc::SYS_shmctl, &[id, 0, 0]))
    })
    .expect(Expect::Works),
    Probe::new("own-object", "POSIX memory of one's own", |t| {
        let name = format!("/{}-own", t.tag());
        let flags = OFlag::O_CREAT | OFlag::O_RDWR;
        shm_open(name.as_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
        done(shm_unlink(name.as_str()))
    })
    .expect(Expect::Works),
    Probe::new("memory-key", "another process's System V memory, by key", |t| {
        let id = call(libc::SYS_shmget, &[t.key.into(), 0, 0])?;
        done(call(libc::SYS_shmat, &[id, 0, 0]))
    })
    .expect(Expect::ByNamespaces(SHARED)),
    Probe::new("memory-id", "the same, by its id", |t| {
        done(call(libc::SYS_shmat, &[t.id.into(), 0, 0]))
    })
    .expect(Expect::ByNamespaces(SHARED)),
    Probe::new("memory-object", "another process's POSIX memory", |t| {
        let name = format!("/{}", t.tag());
        done(shm_open(name.as_str(), OFlag::O_RDWR, Mode::empty()))
    })
    .expect(Expect::ByNamespaces(SHARED)),
    Probe::new("memory-list", "list System V memory", |t| {
        let text = std::fs::read_to_string("/proc/sysvipc/shm").map_err(io)?;
        let (key, id) = (t.key.to_string(), t.id.to_string());
        let listed = |line: &str| {
            let mut words = line.split_whitespace();
            words.next() == Some(&key) && words.next() == Some(&id)
        };
        if text.lines().any(listed) { Ok(String::new()) } else { Err(Errno::ENOENT) }
    })
    .expect(Expect::ByNamespaces(SHARED)),
    Probe::new("semaphores", "another process's semaphores", |t| {
        done(call(libc::SYS_semget, &[t.key.into(), 0, 0]))
    })
    .expect(Expect::ByNamespaces(SHARED)),
    Probe::new("queue-key", "another process's message queue", |t| {
        done(call(libc::SYS_msgget, &[t.key.into(), 0]))
    }),
    Probe::new("queue-list", "list System V queues", |t| {
        let text = std::fs::read_to_string("/proc/sysvipc/msg").map_err(io)?;
        let id = t.queue.to_string();
        let listed = |line: &str| line.split_whitespace().nth(1) == Some(&id);
        if text.lines().any(listed) { Ok(String::new()) } else { Err(Errno::ENOENT) }
    })
    .expect(Expect::ByNamespaces(
        "without namespaces keys, numbers and sizes are everybody's to read; what is in the queues \
         is not",
    )),
    Probe::new("queue-send", "send to one of them by its number", |t| {
        // `struct msgbuf`: a kind that nobody waits for, and the text.
        let message = [7_i64, 0];
        done(call(libc::SYS_msgsnd, &[t.queue.into(), at(&message), 1, IPC_NOWAIT]))
    }),
    Probe::new("queue-receive", "take a message out of it", |t| {
        let mut message = [0_i64; 8];
        let arguments = [t.queue.into(), at_mut(&mut message), 56, 0, IPC_NOWAIT];
        done(call(libc::SYS_msgrcv, &arguments))
    }),
    Probe::new("queue-status", "ask who uses it", |t| {
        // `struct msqid_ds`, with room.
        let (mut status, stat) = ([0_i64; 32], 2);
        done(call(libc::SYS_msgctl, &[t.queue.into(), stat, at_mut(&mut status)]))
    }),
    Probe::new("queue-object", "another process's POSIX queue", |t| {
        let name = std::ffi::CString::new(t.tag()).map_err(|_| Errno::EINVAL)?;
        done(call(libc::SYS_mq_open, &[at(name.to_bytes_with_nul()), 0, 0, 0]))
    })
    .if_built(),
    Probe::new("keyring-join", "the user's keys", |_| done(call(libc::SYS_keyctl, &[1, 0])))
        .if_built(),
    Probe::new("keyring-add", "add a key", |_| {
        let (kind, name) = (c"user", c"nono-attack");
        let (kind, name) = (at(kind.to_bytes_with_nul()), at(name.to_bytes_with_nul()));
        // The process keyring, which ends with the process.
        done(call(libc::SYS_add_key, &[kind, name, at(b"x"), 1, -2]))
    })
    .if_built(),
    Probe::new("keyring-ask", "ask for a key", |_| {
        let (kind, name) = (c"user", c"nono-attack-absent");
        let (kind, name) = (at(kind.to_bytes_with_nul()), at(name.to_bytes_with_nul()));
        done(call(libc::SYS_request_key, &[kind, name, 0, 0]))
    })
    .answers(Errno::ENOKEY),
    Probe::new("host-object", "list the objects of others in /dev/shm", |t| {
        did(std::fs::metadata(format!("/dev/shm/{}", t.tag())))
    })
    .expect(Expect::ByNamespaces(SHARED)),
];
