//! The host side: what probes reach for, and the same probes outside of any sandbox.

mod sockets;

use crate::probes::lifetimes;
use crate::sys::{at, at_mut, call};
use crate::verdict::Said;
use crate::{Evidence, Outcome, Probe, Targets};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::pty::openpty;
use nix::sys::mman::{shm_open, shm_unlink};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::Mode;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What must not be found anywhere.
pub(crate) const SECRET: &str = "made up for the attack";
/// What sockets of the host say to whoever reaches them.
pub(crate) const GREETING: &str = "reached";
/// The name of the program in the workspace.
const PROGRAM: &str = "nono-mcp";

/// The scene could not be set.
#[derive(Debug, thiserror::Error)]
#[error("set the scene of the attack: {what}")]
pub struct SceneError {
    what: &'static str,
    #[source]
    source: io::Error,
}

fn doing(what: &'static str) -> impl Fn(io::Error) -> SceneError {
    move |source| SceneError { what, source }
}

/// Folders, sockets and a process that nothing grants. All of it goes with the value.
#[derive(Debug)]
pub struct Scene {
    targets: Targets,
    victim: Child,
    /// Without close-on-exec: whatever is started from here is born with it.
    _inherited: File,
    _folder: TempDir,
}

impl Scene {
    /// Sets it. `program` is this program, `arguments` make it run the probe that is named behind
    /// them.
    ///
    /// # Errors
    /// [`SceneError`] names the part that could not be made.
    pub fn set(program: &Path, arguments: &[&str]) -> Result<Self, SceneError> {
        let folder = tempfile::Builder::new().prefix("nono-attack-").tempdir();
        let folder = folder.map_err(doing("make a folder"))?;
        let base = folder.path().canonicalize().map_err(doing("name the folder"))?;
        files(&base, program).map_err(doing("write files"))?;
        let outside = base.join("outside");
        let tag = base.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let ports = sockets::open(&outside, &tag).map_err(doing("open sockets"))?;
        let (victim, lines) = start_victim(&base, arguments).map_err(doing("start a process"))?;
        let inherited = File::open(&outside).map_err(doing("open a folder"))?;
        fcntl(&inherited, FcntlArg::F_SETFD(FdFlag::empty()))
            .map_err(|e| doing("keep a folder open")(e.into()))?;
        let odd = || doing("hear from the process")(io::ErrorKind::InvalidData.into());
        let [memory, key, id, queue, terminal] = lines;
        let targets = Targets {
            folder: base,
            victim: i32::try_from(victim.id()).map_err(|_| odd())?,
            memory: memory.parse().map_err(|_| odd())?,
            key: key.parse().map_err(|_| odd())?,
            id: id.parse().map_err(|_| odd())?,
            queue: queue.parse().map_err(|_| odd())?,
            terminal: terminal.into(),
            tcp: ports.tcp,
            udp: ports.udp,
            outer: ports.outer,
            mounts: mounts(),
        };
        fs::write(targets.own("targets"), targets.to_text()).map_err(doing("write the targets"))?;
        Ok(Self { targets, victim, _inherited: inherited, _folder: folder })
    }

    /// The workspace, with the program in it.
    #[must_use]
    pub fn workspace(&self) -> PathBuf {
        self.targets.own("")
    }

    /// What probes read in the workspace to know their targets.
    #[must_use]
    pub fn targets_file() -> &'static str {
        "targets"
    }

    /// The program, as a command in the workspace names it.
    #[must_use]
    pub fn program() -> String {
        format!("./{PROGRAM}")
    }

    /// Variables for everything that is started on this scene.
    #[must_use]
    pub fn environment(&self) -> Vec<(OsString, OsString)> {
        let agent = self.targets.outside("stream.sock").into_os_string();
        vec![
            ("HOME".into(), self.targets.home("").into_os_string()),
            ("NONO_ATTACK_TOKEN".into(), SECRET.into()),
            ("SSH_AUTH_SOCK".into(), agent),
        ]
    }

    /// Runs a probe outside of any sandbox.
    ///
    /// # Errors
    /// [`SceneError`] if it cannot be started.
    pub fn outside(&self, arguments: &[&str], probe: &Probe) -> Result<Said, SceneError> {
        let output = Command::new(self.workspace().join(PROGRAM))
            .args(arguments)
            .arg(probe.name)
            .envs(self.environment())
            .current_dir(self.workspace())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .map_err(doing("start a probe"))?;
        let ended = output.status.signal().map_or("silent".to_owned(), |s| format!("signal {s}"));
        let said = Said::parse(&String::from_utf8_lossy(&output.stdout), &ended);
        self.with_evidence(probe, said, Instant::now() + Duration::from_secs(5))
    }

    /// What a probe showed in the end: once `until`, when all it could leave must have shown itself.
    ///
    /// # Errors
    /// [`SceneError`] if the workspace cannot be looked at.
    pub fn with_evidence(
        &self,
        probe: &Probe,
        said: Said,
        until: Instant,
    ) -> Result<Said, SceneError> {
        if probe.evidence == Evidence::Answer {
            return Ok(said);
        }
        loop {
            let survived = lifetimes::survived(&self.targets, probe.name);
            if survived.map_err(|e| doing("look for survivors")(e.into()))? {
                return Ok(Said::Out("left a mark".to_owned()));
            }
            if Instant::now() >= until {
                return Ok(Said::Stopped("no mark".to_owned()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // Its input ends, so it takes away what it made and ends.
        drop(self.victim.stdin.take());
        let _ended = self.victim.wait();
    }
}

fn files(base: &Path, program: &Path) -> io::Result<()> {
    for folder in
        ["ws", "ws/.git", "ws/.git/hooks", "home", "home/.ssh", "outside", "outside/empty"]
    {
        fs::create_dir(base.join(folder))?;
    }
    let texts = [
        "home/.ssh/id_ed25519",
        "home/.netrc",
        "outside/secret",
        "outside/file",
        "outside/to-remove",
        "outside/to-move",
        "outside/to-rename",
        "outside/to-white-out",
    ];
    for text in texts {
        fs::write(base.join(text), SECRET)?;
    }
    // A repository, as far as anybody who asks for one looks.
    fs::write(base.join("ws/.git/HEAD"), "ref: refs/heads/main\n")?;
    fs::write(base.join("ws/.git/config"), "[core]\n\tbare = false\n")?;
    fs::write(base.join("ws/.git/hooks/pre-commit"), "#!/bin/sh\n")?;
    fs::write(base.join("home/.gitconfig"), "[user]\n\tname = Nobody\n")?;
    for program in ["outside/program", "outside/binary"] {
        fs::copy("/bin/true", base.join(program))?;
        fs::set_permissions(base.join(program), fs::Permissions::from_mode(0o755))?;
    }
    symlink("secret", base.join("outside/link-to-secret"))?;
    let copy = base.join("ws").join(PROGRAM);
    fs::hard_link(program, &copy).or_else(|_| fs::copy(program, &copy).map(drop))
}

/// The number of this process's mount namespace, if the kernel says it (Linux 6.10).
fn mounts() -> u64 {
    /// linux/nsfs.h
    const NS_GET_MNTNS_ID: i64 = 0x8008_b705;
    let mut number = 0_u64;
    let Ok(own) = File::open("/proc/self/ns/mnt") else { return 0 };
    let arguments = [own.as_raw_fd().into(), NS_GET_MNTNS_ID, at_mut(&mut number)];
    call(libc::SYS_ioctl, &arguments).map_or(0, |_| number)
}

/// Starts the victim; it says five lines.
fn start_victim(base: &Path, arguments: &[&str]) -> io::Result<(Child, [String; 5])> {
    let mut victim = Command::new(base.join("ws").join(PROGRAM))
        .args(arguments)
        .arg("victim")
        .arg(base.file_name().unwrap_or_default())
        .env("NONO_ATTACK_TOKEN", SECRET)
        .current_dir(base.join("outside"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = victim.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut lines = BufReader::new(output).lines();
    let mut next = || lines.next().ok_or(io::ErrorKind::UnexpectedEof)?;
    let said = [next()?, next()?, next()?, next()?, next()?];
    Ok((victim, said))
}

/// What the victim keeps in its memory.
static KEPT: AtomicU64 = AtomicU64::new(u64::from_ne_bytes(*b"a secret"));

/// Leaves the mark of the probe `owner-signal` for each signal of its kind, which kills nobody then.
/// The victim works beside the workspace.
fn leave_marks() -> Result<(), Errno> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGUSR1);
    signals.thread_block()?;
    let mark = Path::new("../ws").join(lifetimes::marker("owner-signal"));
    std::thread::spawn(move || {
        while signals.wait().is_ok() {
            let _nobody_looks = fs::write(&mark, "signalled");
        }
    });
    Ok(())
}

/// The victim: makes what processes of a user share, says where it is, waits for the end of its
/// input, and takes it away again.
pub(crate) fn victim() -> Outcome {
    let tag = std::env::args().next_back().ok_or(Errno::EINVAL)?;
    leave_marks()?;
    let object = format!("/{tag}");
    shm_open(object.as_str(), OFlag::O_CREAT | OFlag::O_RDWR, Mode::S_IRUSR | Mode::S_IWUSR)?;
    let terminal = openpty(None, None)?;
    let name = nix::unistd::ttyname(&terminal.slave)?;
    // Whoever uses the same number has chosen it on purpose.
    let key = 0x6e6f_0000 | i64::from(nix::unistd::getpid().as_raw() & 0xffff);
    let exclusive = i64::from(libc::IPC_CREAT | libc::IPC_EXCL | 0o600);
    let memory = call(libc::SYS_shmget, &[key, 4096, exclusive])?;
    let semaphores = call(libc::SYS_semget, &[key, 1, exclusive])?;
    let queue = call(libc::SYS_msgget, &[key, exclusive])?;
    // Something to be taken out of it.
    call(libc::SYS_msgsnd, &[queue, at(&[1_i64, 0]), 1, 0])?;
    let posix = std::ffi::CString::new(tag).map_err(|_| Errno::EINVAL)?;
    let posix = at(posix.to_bytes_with_nul());
    let flags = i64::from(libc::O_CREAT | libc::O_RDWR);
    let _if_built = call(libc::SYS_mq_open, &[posix, flags, 0o600, 0]);
    let kept = at(&KEPT);
    let lines = format!("{kept}\n{key}\n{memory}\n{queue}\n{}\n", name.display());
    let told = io::stdout().write_all(lines.as_bytes()).and_then(|()| io::stdout().flush());
    let ended = io::stdin().read_to_end(&mut Vec::new());
    let _if_built = call(libc::SYS_mq_unlink, &[posix]);
    for (number, id) in [(libc::SYS_msgctl, queue), (libc::SYS_shmctl, memory)] {
        let _gone_already = call(number, &[id, 0, 0]);
    }
    let _gone_already = call(libc::SYS_semctl, &[semaphores, 0, 0]);
    shm_unlink(object.as_str())?;
    match told.and(ended) {
        Ok(_) => Ok(String::new()),
        Err(_) => Err(Errno::EPIPE),
    }
}
