//! What mediation costs at the least here: `nono-floor PROGRAM [ARG]...` runs a program under the
//! filter of the default profile, with a supervisor that judges nothing. It is **no sandbox**; it
//! is what measurements are compared with.
//!
//! `connect` is performed with a copied address on a duplicated descriptor, in as few system calls
//! as there can be; every other trapped call is answered "go on". A blocking call holds up the
//! others.

use nix::errno::Errno;
use nono_profiles::{Context, MissingFolders, ProfileRef, resolve};
use nono_sandbox::filter::{Handover, compile};
use nono_sandbox::sys::{self, NotificationData};
use nono_sandbox::{AbsPath, IpcScope, policy::Policy};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus};
use std::sync::mpsc;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let Some(program) = words.next() else {
        eprintln!("usage: nono-floor PROGRAM [ARG]...");
        return ExitCode::from(64);
    };
    let mut command = Command::new(program);
    command.args(words);
    let ended = run(command).unwrap_or_else(|error| panic!("nono-floor: {error}"));
    // As shells report a signal (bash(1), EXIT STATUS).
    let code = ended.code().or_else(|| ended.signal().map(|signal| signal + 128));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// The program under the filter, and this thread as its supervisor.
fn run(mut command: Command) -> Result<ExitStatus, Box<dyn std::error::Error + Send + Sync>> {
    // Nothing is handed over: both sides are this process.
    let handover = Handover { fd: -1, secret: u64::from_ne_bytes(sys::random_bytes()?) };
    let program = compile(&default_policy()?, handover, IpcScope::Kernel)?;
    let (listeners, listener) = mpsc::channel();
    let filtered = std::thread::spawn(move || {
        nix::sys::prctl::set_no_new_privs()?;
        // It may fail only here: the sender is gone then, and nobody waits for a listener.
        listeners.send(sys::install_filter(&program)?).map_err(|_| Errno::EPIPE)?;
        command.status()
    });
    if let Ok(listener) = listener.recv() {
        // Missing before Linux 6.6, and slower then.
        let _slower = sys::set_sync_wakeup(listener.as_fd());
        std::thread::spawn(move || supervise(&listener));
    }
    Ok(filtered.join().map_err(|_| "the filtered thread panicked")??)
}

/// Of the folder this is started in, as a server there would have it.
fn default_policy() -> Result<Policy, Box<dyn std::error::Error + Send + Sync>> {
    let workspace = AbsPath::new(std::env::current_dir()?)?;
    let tmpdir = AbsPath::new(std::env::temp_dir())?;
    let uid = nix::unistd::getuid().as_raw();
    let mut context = Context::new(vec![workspace], tmpdir, std::env::vars_os().collect(), uid);
    context.missing_folders = MissingFolders::Leave;
    Ok(resolve(&ProfileRef::Name("coding".to_owned()), &context)?.policy)
}

/// Answers until nobody is left who could ask.
fn supervise(listener: &OwnedFd) {
    let mut last = None;
    loop {
        match sys::receive(listener.as_fd()) {
            Ok(data) => answer(listener, &data, &mut last),
            Err(Errno::EINTR | Errno::ENOENT) => {}
            Err(_) => return,
        }
    }
}

/// `last`: the thread served last and a descriptor for it.
fn answer(listener: &OwnedFd, data: &NotificationData, last: &mut Option<(i32, OwnedFd)>) {
    // Whoever died meanwhile needs no answer.
    let _gone = if data.nr == libc::SYS_connect {
        let result = connect(data, last).map(|()| 0).map_err(|errno| errno as i32);
        sys::finish_call(listener.as_fd(), data.id, result)
    } else {
        sys::continue_call(listener.as_fd(), data.id)
    };
}

fn connect(data: &NotificationData, last: &mut Option<(i32, OwnedFd)>) -> Result<(), Errno> {
    let [fd, address, length, ..] = data.args;
    let most = size_of::<libc::sockaddr_storage>();
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| Errno::EINVAL)?.min(most)];
    sys::read_memory(data.tid, address, &mut bytes)?;
    let (_, task) = match last.take() {
        Some(known) if known.0 == data.tid => last.insert(known),
        _ => last.insert((data.tid, sys::open_thread_pidfd(data.tid)?)),
    };
    // The kernel takes the lower half of the register.
    let socket = sys::duplicate_from(task.as_fd(), fd as i32)?;
    sys::connect(socket.as_fd(), &bytes)
}
