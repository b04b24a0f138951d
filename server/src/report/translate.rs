//! Misleading messages of programs, explained. Only where a record, the run's end or the policy
//! backs it: what a program prints proves nothing.

use super::benign;
use super::known::Known;
use memchr::memmem;
use nix::errno::Errno;
use nono_sandbox::policy::{NetworkMode, Policy};
use nono_sandbox::record::{Denial, Kind, Operation, Reason};

/// A message, what must be known, and what it really means.
type Entry = (&'static [&'static str], fn(Known<'_>) -> bool, &'static str);

const TABLE: &[Entry] = &[
    (
        &[
            "Could not resolve host",
            "EAI_AGAIN",
            "Temporary failure in name resolution",
            "from versions: none",
            "Network is unreachable",
            "ENETUNREACH",
        ],
        |known| known.policy.network.mode <= NetworkMode::Loopback,
        "this is no trouble with names or packages: the profile has no network beyond this \
         machine; for work without one: pip --no-index --find-links, cargo --offline, npm --offline",
    ),
    (
        &[
            "Could not resolve host",
            "EAI_AGAIN",
            "ENOTFOUND",
            "Temporary failure in name resolution",
            "Name or service not known",
            "UnknownHostException",
        ],
        |known| known.policy.network.mode.has_proxy() && known.denied(|d| d.kind == Kind::Dns),
        PAST_THE_PROXY,
    ),
    (
        &[
            "CONNECT tunnel failed",
            "403",
            "Tunnel connection failed",
            "Tunnel failed",
            "Proxy Error",
        ],
        |known| known.denied(|d| d.kind == Kind::NetProxy && d.reason != Reason::NoPlace),
        "the answer 403 came from the run's proxy, not from the host, which the profile does not \
         let it reach",
    ),
    (
        &[
            "CONNECT tunnel failed, response 502",
            "code 502 from proxy after CONNECT",
            "Tunnel connection failed: 502",
            "Bad Gateway",
            "statusCode=502",
        ],
        |known| known.policy.network.mode.has_proxy(),
        "the answer 502 came from the run's proxy, which was not kept from the host by the \
         profile: its name is not known, or it cannot be reached from this machine",
    ),
    (
        &[
            "LeakSanitizer has encountered a fatal error",
            "LeakSanitizer does not work under ptrace",
        ],
        |known| {
            // The thread that traces shares memory and descriptors with the process it looks at.
            let tracer = |d: &Denial| {
                [&b"ptrace"[..], b"clone("].iter().any(|call| d.target.starts_with(call))
            };
            known.denied(|d| d.kind == Kind::Syscall && tracer(d))
        },
        "looking for leaks takes tracing, which no command may do; the rest of AddressSanitizer \
         works: ASAN_OPTIONS=detect_leaks=0",
    ),
    (
        &["command not found", ": not found"],
        |known| {
            let start_up = |d: &Denial| START_UP.iter().any(|name| d.target.ends_with(name));
            known.denied(|d| d.operation == Operation::Read && start_up(d))
        },
        "a login shell (`bash -l`) sets PATH anew, and the start-up files that would add to it may \
         not be read; leave `-l` out: PATH is set",
    ),
    (
        &["not a git repository"],
        |known| known.denied(|d| GIT_FOLDER.iter().any(|at| memmem::find(&d.target, at).is_some())),
        "there is a repository, and it lies outside of the workspace (a linked work tree, a \
         submodule, a folder of a larger one): do not make another one here; the operator can add \
         the folder that holds it as a second --workspace",
    ),
    (
        &["could not lock config file", "could not write config file"],
        |known| {
            known.denied(|d| GIT_CONFIG.iter().any(|part| memmem::find(&d.target, part).is_some()))
        },
        "git's settings cannot be changed here, because git obeys them outside as well; for one \
         command: git -c name=value, and GIT_AUTHOR_NAME, GIT_AUTHOR_EMAIL, GIT_COMMITTER_NAME, \
         GIT_COMMITTER_EMAIL",
    ),
    (
        &["ssh: Could not resolve hostname", "ssh: connect to host"],
        |known| {
            known.policy.network.mode.has_proxy()
                && known.denied(|d| matches!(d.kind, Kind::Dns | Kind::NetConnect))
        },
        SSH_PAST_THE_PROXY,
    ),
    (
        &["Invalid cross-device link", "EXDEV", "cross-device link not permitted"],
        |known| known.denied(|d| d.errno == Errno::EXDEV as i32),
        "\"cross-device link\" does not mean two devices here: the profile gives the two folders \
         different rights, so a file may not be moved or linked from one to the other; copy it",
    ),
    (
        &["Is the docker daemon running", "Cannot connect to the Docker daemon"],
        |known| known.socket("docker"),
        "the Docker daemon may well be running: its socket is denied by the sandbox",
    ),
    (
        &["Could not open a connection to your authentication agent", "SSH_AUTH_SOCK"],
        |known| !known.has_variable("SSH_AUTH_SOCK"),
        "commands here do not get SSH_AUTH_SOCK, so there is no ssh-agent for them, whether or \
         not one runs outside",
    ),
    (
        &["can't connect to the agent", "No agent running", "no gpg-agent running"],
        |known| known.socket("gpg-agent"),
        "a gpg-agent may well be running: its socket is denied by the sandbox",
    ),
    (
        &["cannot create temp file for here-document", "cannot create temp file for here document"],
        |known| known.denied(|d| matches!(d.operation, Operation::Create | Operation::Write)),
        "the shell keeps a here-document in a temporary file and could not make one: leave TMPDIR \
         as the sandbox sets it, which is a private folder that can be written",
    ),
    (
        &[
            "Address family not supported",
            "EAFNOSUPPORT",
            "Protocol not supported",
            "EPROTONOSUPPORT",
        ],
        |known| known.denied(|d| d.kind == Kind::Socket && !benign::is_said_in_passing(d)),
        "the kernel does support this kind of socket: the sandbox does not let commands make it",
    ),
    (
        &["Too many open files", "EMFILE", "ulimit -n"],
        |known| known.policy.limits.open_files.is_some(),
        "how many files a process may have open at once is limited here: limits.open_files of the \
         profile, or `limits` of the call",
    ),
    (
        &["File too large", "EFBIG", "File size limit exceeded"],
        |known| known.policy.limits.file_size_bytes.is_some() && !known.limit_ran_out,
        "how large a file may become is limited here: limits.file_size_bytes of the profile, or \
         `limits` of the call",
    ),
    (
        &["/dev/tty: No such device or address"],
        |_| true,
        "there is no terminal here: call with tty: true, or give the answers as `stdin`",
    ),
    (
        &["namespace", "setuid sandbox", "No usable sandbox", "bwrap:", "unshare"],
        |known| known.denied(|d| d.kind == Kind::NestedSandbox),
        "a sandbox cannot be built inside of this one, and no grant changes that; switch the \
         program's own sandbox off, it is confined already",
    ),
];

/// Of any program that does not ask the proxy; of ssh there is more to say.
const PAST_THE_PROXY: &str = "names are looked up by the run's proxy, not by commands: this program does not use the proxy \
     that HTTP_PROXY and HTTPS_PROXY name (Node.js: from 22.21 and 24 on with \
     NODE_USE_ENV_PROXY=1, before with undici's EnvHttpProxyAgent; aiohttp: trust_env=True)";
const SSH_PAST_THE_PROXY: &str = "ssh does not use the run's proxy, which knows HTTP and SOCKS; for git use the https:// \
     address of the repository";
/// What shells read when they start.
const START_UP: [&[u8]; 4] = [b"/.profile", b"/.bash_profile", b"/.bash_login", b"/.bashrc"];
/// Where git keeps a repository.
const GIT_FOLDER: [&[u8]; 2] = [b"/.git/", b"/HEAD"];
/// Where git keeps settings.
const GIT_CONFIG: [&[u8]; 3] = [b"/.gitconfig", b"/.git/config", b"/git/config"];

/// Explanations of what was said, each once.
pub(super) fn notes(known: Known<'_>, said: &str) -> Vec<String> {
    let fits = |(words, test, _): &&Entry| words.iter().any(|w| said.contains(w)) && test(known);
    let mut notes: Vec<String> =
        TABLE.iter().filter(fits).map(|(.., means)| (*means).to_owned()).collect();
    if notes.iter().any(|note| note == SSH_PAST_THE_PROXY) {
        notes.retain(|note| note != PAST_THE_PROXY);
    }
    notes.extend(super::root::notes(known, said));
    notes.extend(death(known, said).map(str::to_owned));
    notes
}

/// That no leaks were looked for, where somebody seems to count on it. Without it AddressSanitizer
/// is silent about leaks, which reads like a program that has none.
pub(super) fn unlooked_for_leaks(policy: &Policy, argv: &[Vec<u8>], said: &str) -> Option<String> {
    const ASKED: [&str; 5] = [
        "-fsanitize=address",
        "-fsanitize=leak",
        "sanitizer=leak",
        "detect_leaks=1",
        "LeakSanitizer",
    ];
    let options = policy.environment.variables.get("LSAN_OPTIONS")?;
    memmem::find(options, b"detect_leaks=0")?;
    let command =
        argv.iter().any(|a| ASKED.iter().any(|w| memmem::find(a, w.as_bytes()).is_some()));
    let asked = command || said.contains("detect_leaks=1");
    // Where it was switched on again it says that it cannot.
    (asked && !said.contains("LeakSanitizer")).then(|| {
        "leaks are not looked for here (LSAN_OPTIONS=detect_leaks=0), so none are reported: looking \
         takes tracing, which no command may do; the rest of AddressSanitizer works"
            .to_owned()
    })
}

/// What the end itself means. An exit code is any program's to choose; where a shell means a signal
/// by it, somebody says so.
fn death(known: Known<'_>, said: &str) -> Option<&'static str> {
    const SHELL: i32 = 128;
    const SAID: [&str; 7] =
        ["Killed", "killed", "SIGKILL", "Error 137", "Bad system call", "SIGSYS", "Error 159"];
    let by_shell = || known.exit_code.filter(|_| SAID.iter().any(|word| said.contains(word)));
    let signal = known.signal.or_else(|| by_shell().map(|code| code - SHELL));
    match signal? {
        libc_signal::SIGSYS => Some(
            "SIGSYS: the program made a system call of another architecture (32-bit code), which \
             nothing can do in the sandbox",
        ),
        libc_signal::SIGKILL if known.limit_ran_out => None,
        libc_signal::SIGKILL => Some(
            "SIGKILL: not from the sandbox, which kills only at the end of a run; most often the \
             kernel was out of memory",
        ),
        _ => None,
    }
}

/// Numbers of signals, as shells add them to 128.
mod libc_signal {
    pub(super) const SIGKILL: i32 = 9;
    pub(super) const SIGSYS: i32 = 31;
}
