//! The hand-over against children that do it wrong. The child is a real process; its side of the
//! socket is played by the test. Each fault must end in a clear refusal, with the child killed and
//! reaped and every descriptor closed.

use super::*;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::Signal;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use std::io::{IoSlice, Read};
use std::os::fd::RawFd;

/// A bootstrap in progress, the child's end of its socket, and the child's id.
#[expect(clippy::zombie_processes, reason = "reaping it is what the tested code does")]
fn begun(patience: Duration) -> (Bootstrap<AwaitingListener>, OwnedFd, Pid) {
    let process = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(process.id()).unwrap());
    let (socket, theirs) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap();
    let (child, deadline) = (Child(Some(pid)), Instant::now() + patience);
    (Bootstrap { child, socket, deadline, state: AwaitingListener }, theirs, pid)
}

fn long() -> Duration {
    Duration::from_secs(60)
}

fn assert_reaped(pid: Pid) {
    // Gone, not a zombie: a zombie could still be signalled.
    assert_eq!(kill(pid, None::<Signal>), Err(Errno::ESRCH));
}

fn send(socket: &OwnedFd, bytes: &[u8], descriptors: &[&OwnedFd]) {
    let raw: Vec<RawFd> = descriptors.iter().map(|d| d.as_raw_fd()).collect();
    let control = [ControlMessage::ScmRights(&raw)];
    let control = if raw.is_empty() { &control[..0] } else { &control[..] };
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(bytes)], control, MsgFlags::empty(), None)
        .unwrap();
}

/// Arms against one message with copies of a pipe's end; the refusal, once every copy is closed.
fn armed_by(bytes: &[u8], descriptors: usize) -> SetupFailed {
    let (bootstrap, theirs, pid) = begun(long());
    let (mut read, write) = std::io::pipe().unwrap();
    let write = OwnedFd::from(write);
    send(&theirs, bytes, &vec![&write; descriptors]);
    drop(write);
    let failed = bootstrap.arm().unwrap_err();
    assert_reaped(pid);
    // The end of the stream comes only when no copy is left anywhere.
    assert_eq!(read.read(&mut [0]).unwrap(), 0);
    failed
}

#[test]
fn a_descriptor_of_the_wrong_kind() {
    let failed = armed_by(b"L", 1);
    assert_eq!((failed.stage, failed.errno()), (Stage::Handover, Some(Errno::EPROTO)));
    assert!(failed.detail.contains("not a seccomp listener"), "{failed}");
}

#[test]
fn too_many_or_no_descriptors() {
    for count in [0, 2, 3] {
        let failed = armed_by(b"L", count);
        assert_eq!((failed.stage, failed.errno()), (Stage::Handover, Some(Errno::EPROTO)));
        assert!(failed.detail.contains(&format!("{count} descriptors")), "{failed}");
    }
}

#[test]
fn garbage() {
    for bytes in [&b"x"[..], b"LL", b"E", b"E\0\0\0\0\0", b"E\xff\0\0\0\0", b"GGGGGGG"] {
        for count in [0, 1] {
            assert_eq!(armed_by(bytes, count).stage, Stage::Handover, "{bytes:?}");
        }
    }
}

#[test]
fn a_failure_is_passed_on_with_stage_and_errno() {
    for stage in Stage::ALL {
        let failed = armed_by(&report::encode_failure(stage, libc::ENOMEM), 0);
        assert_eq!((failed.stage, failed.errno()), (stage, Some(Errno::ENOMEM)));
    }
}

#[test]
fn a_child_that_sends_nothing() {
    let (bootstrap, _theirs, pid) = begun(Duration::ZERO);
    let failed = bootstrap.arm().unwrap_err();
    assert_eq!((failed.stage, failed.errno()), (Stage::Handover, Some(Errno::ETIMEDOUT)));
    assert_reaped(pid);
}

#[test]
fn a_child_that_dies() {
    let (bootstrap, theirs, pid) = begun(long());
    kill(pid, Signal::SIGKILL).unwrap();
    drop(theirs);
    let failed = bootstrap.arm().unwrap_err();
    assert_eq!(failed.stage, Stage::Handover);
    assert!(failed.detail.contains("ended before"), "{failed}");
    assert_reaped(pid);
}

#[test]
fn a_child_that_has_another_message() {
    assert_eq!(armed_by(b"N", 0).stage, Stage::Handover);
    assert_eq!(armed_by(b"N", 1).stage, Stage::Handover);
}

/// A listener as a child has one, of a thread that is gone.
fn listener() -> OwnedFd {
    let allow = seccompiler::sock_filter { code: 6, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW };
    let confined = std::thread::spawn(move || {
        nix::sys::prctl::set_no_new_privs().unwrap();
        sys::install_filter(&[allow]).unwrap()
    });
    confined.join().unwrap()
}

/// An armed bootstrap, reached the only way there is.
fn armed(patience: Duration) -> (Bootstrap<Armed>, OwnedFd, Pid) {
    let (bootstrap, theirs, pid) = begun(patience);
    send(&theirs, b"L", &[&listener()]);
    let (bootstrap, _listener) = bootstrap.arm().unwrap();
    (bootstrap, theirs, pid)
}

/// Orders that nobody carries out.
fn entry() -> Entry {
    let null = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
    let orders = Orders {
        program: c"/bin/true".into(),
        argv: vec![c"true".into()],
        environ: vec![],
        terminal: false,
        limits: Limits::default(),
    };
    let stdio = Stdio { stdin: null(), stdout: null(), stderr: null() };
    Entry { orders, stdio, cwd: null() }
}

#[test]
fn execve_that_fails_and_execve_that_never_comes() {
    let (bootstrap, theirs, pid) = armed(long());
    send(&theirs, &report::encode_failure(Stage::Exec, libc::ENOEXEC), &[]);
    let failed = bootstrap.release(&entry()).unwrap_err();
    assert_eq!((failed.stage, failed.errno()), (Stage::Exec, Some(Errno::ENOEXEC)));
    assert_reaped(pid);

    let (bootstrap, _theirs, pid) = armed(long());
    let failed = bootstrap.release_within(&entry(), Duration::from_millis(50)).unwrap_err();
    assert_eq!(failed.errno(), Some(Errno::ETIMEDOUT));
    assert_reaped(pid);
}

#[test]
fn a_released_child_is_left_alone() {
    let (bootstrap, theirs, pid) = armed(long());
    let flags = fcntl(&bootstrap.socket, FcntlArg::F_GETFD).unwrap();
    assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
    // The child executes as soon as it has the go; its end closes with that.
    let child = std::thread::spawn(move || {
        let (kind, descriptors) = crate::control::receive_fds(theirs.as_fd()).unwrap();
        assert_eq!((kind, descriptors.len()), (report::GO, 5));
    });
    let running = bootstrap.release(&entry()).unwrap();
    child.join().unwrap();
    assert_eq!(running.leader, pid);
    kill(pid, None::<Signal>).unwrap();
    kill(pid, Signal::SIGKILL).unwrap();
    waitpid(pid, None).unwrap();
}
