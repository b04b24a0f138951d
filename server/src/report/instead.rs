//! What a caller can do without any grant.

use super::grant::{is_a_place, is_of_one_process};
use super::group::{Group, denial_path};
use super::view::View;
use nono_sandbox::AbsPath;
use nono_sandbox::decide::{PathVerdict, unix_path};
use nono_sandbox::policy::{Access, Lookup, OwnView, Tmp};
use nono_sandbox::record::{Denial, Kind, Operation, Reason};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Alternatives for one denial.
const MAX: usize = 2;

/// Tools that keep files at home, and the variable that makes them keep those elsewhere: in the
/// workspace, or in `$TMPDIR` where nothing else can be written.
const MOVABLE: &[(&str, &str)] = &[
    ("/.cargo/", "set CARGO_HOME to a folder below the workspace"),
    ("/.rustup/", "use the installed toolchain; RUSTUP_TOOLCHAIN names it"),
    ("/.npm/", "set npm_config_cache to a folder below $TMPDIR"),
    ("/.cache/pip/", "set PIP_CACHE_DIR to a folder below $TMPDIR"),
    ("/.cache/uv/", "set UV_CACHE_DIR to a folder below $TMPDIR"),
    ("/.cache/go-build/", "set GOCACHE to a folder below $TMPDIR"),
    ("/go/pkg/", "set GOMODCACHE to a folder below $TMPDIR"),
    ("/.gradle/", "set GRADLE_USER_HOME to a folder below $TMPDIR"),
    ("/.m2/wrapper/", "set MAVEN_USER_HOME to a folder below $TMPDIR"),
    ("/.m2/", "pass -Dmaven.repo.local with a folder below $TMPDIR"),
    ("/node/corepack/", "set COREPACK_HOME to a folder below $TMPDIR"),
    ("/.cache/bazelisk/", "set BAZELISK_HOME to a folder below $TMPDIR"),
    ("/.cache/", "set XDG_CACHE_HOME to a folder below $TMPDIR"),
    ("/.config/", "set XDG_CONFIG_HOME to a folder below the workspace"),
    ("/.local/share/", "set XDG_DATA_HOME to a folder below the workspace"),
    ("/.gnupg/", "set GNUPGHOME to a folder below $TMPDIR"),
    ("/.distcc/", "set DISTCC_DIR to a folder below $TMPDIR"),
    ("/.ansible/", "set ANSIBLE_HOME to a folder below $TMPDIR"),
    ("/.erlang.cookie/", "start it with --cookie, or with HOME=$TMPDIR"),
    ("/site-packages/", "make a virtual environment below the workspace (python3 -m venv DIR)"),
    ("/dist-packages/", "make a virtual environment below the workspace (python3 -m venv DIR)"),
    ("/node_modules/", "install below the workspace, not globally"),
];

/// What to do instead, the best first.
pub(super) fn alternatives(view: View<'_>, group: &Group<'_>) -> Vec<String> {
    let first = group.first;
    let mut ways: Vec<String> = Vec::new();
    if is_shared_temporary(view, first) {
        let asked = view.policy.fs.tmp != Tmp::Machine;
        let otherwise = if asked { "" } else { "; or the operator sets filesystem.private_tmp" };
        ways.push(format!("use $TMPDIR instead of /tmp for temporary files{otherwise}"));
    }
    match (first.kind, first.reason) {
        (Kind::NestedSandbox, _) => ways.push(
            "run it without a sandbox of its own (browsers: --no-sandbox); it is confined already"
                .to_owned(),
        ),
        (_, Reason::Protected) => ways.extend(unprotect(first)),
        (_, Reason::NoPlace) => ways.extend([
            "close connections that are idle, keep-alive ones too, and hold fewer at a time".into(),
            "end other runs that hold some (run_list, run_signal), and try again".into(),
        ]),
        (_, Reason::MoreRights) => ways.push("copy it, then remove the original".to_owned()),
        (Kind::Fs, _) if first.operation == Operation::Link => {
            ways.push("copy it instead of linking".to_owned());
        }
        (Kind::Fs, _) if is_terminal(first) => ways.push(
            "for one terminal, call with tty: true; terminals that a run makes can be opened by \
             name only in a run with namespaces and without tty"
                .to_owned(),
        ),
        (Kind::Fs, _) if is_of_one_process(first) => ways.push(of_one_process(first).to_owned()),
        (Kind::Fs, _) if changes(first) => ways.extend(elsewhere(view, first)),
        (Kind::UnixSocket, _) => ways.extend(own_service(view, first)),
        (Kind::Syscall, _) => ways.extend(from_inside(first).map(str::to_owned)),
        _ => {}
    }
    ways.extend(super::network::instead(view, first));
    ways.truncate(MAX);
    ways
}

/// What the operator can do about something that stays as it is; nobody else can.
fn unprotect(denial: &Denial) -> Option<String> {
    let source = denial.rule.as_ref()?;
    if is_a_place(source) {
        return Some("use another name, or the folder in /tmp itself".to_owned());
    }
    let rule = &source.rule;
    let Some(rule) = rule.strip_prefix("filesystem.protect: ") else {
        // The profile itself, which no profile can let go.
        return Some("show the change to the person you work for and let them make it".to_owned());
    };
    let rule = crate::safe_text::clean::name(rule.as_bytes());
    Some(format!(
        "show the change to the person you work for and let them make it; where commands are to \
         make such changes, the operator's profile takes the entry out with \
         \"remove\": {{\"filesystem\": {{\"protect\": [{rule:?}]}}}}"
    ))
}

/// How names in the folder all users share begin at which programs meet: the JVM's tools and what
/// they attach to, clients of a display.
const MEETING: [&str; 5] = ["hsperfdata_", ".java_pid", ".attach_pid", ".X11-unix", ".ICE-unix"];

/// Whether this only looks at that folder, or for somebody to meet there.
fn looks_at_shared(denial: &Denial, target: &AbsPath, shared: &AbsPath) -> bool {
    let below = target.as_path().strip_prefix(shared.as_path()).ok();
    let mut names = below.into_iter().flatten();
    let meets = |name: &OsStr| {
        name.to_str().is_some_and(|name| MEETING.iter().any(|start| name.starts_with(start)))
    };
    denial.operation == Operation::Read && names.next().is_none_or(meets)
}

/// Whether this is a temporary file in the folder all users share, or a look at that.
fn is_shared_temporary(view: View<'_>, denial: &Denial) -> bool {
    let Some(target) = denial_path(denial) else { return false };
    let mut shared = ["/tmp", "/var/tmp"].into_iter().filter_map(|path| AbsPath::new(path).ok());
    let Some(shared) = shared.find(|shared| target.is_within(shared)) else { return false };
    let binds = denial.operation == Operation::Bind;
    let changes = changes(denial) || (binds && can_bind_in(view, &view.policy.fs.tmpdir));
    // A workspace or somebody's site may lie below /tmp; those are not what TMPDIR is for.
    let depth = target.as_path().components().count();
    let meant = changes || looks_at_shared(denial, &target, &shared);
    meant && depth <= 4 && !target.is_within(&view.policy.fs.tmpdir)
}

/// What does from inside of a program what no command may do from outside of it.
fn from_inside(denial: &Denial) -> Option<&'static str> {
    match denial.target.as_slice() {
        b"ptrace" | b"process_vm_readv" | b"process_vm_writev" => Some(
            "use valgrind, or a debugger that works from inside of the program: pdb, debugpy, \
             node --inspect, JDWP",
        ),
        b"perf_event_open" | b"bpf" => Some(
            "use a profiler that works from inside of the program (cProfile, memray, JFR, \
             node --cpu-prof), or valgrind",
        ),
        _ => None,
    }
}

fn is_terminal(denial: &Denial) -> bool {
    denial_path(denial).is_some_and(|path| OwnView::names_terminal(&path))
}

/// What is left to do about `/proc/NUMBER`.
fn of_one_process(denial: &Denial) -> &'static str {
    if changes(denial) {
        "do without it"
    } else {
        "the operator can grant `/proc` for reading, as the group `system` does: commands find \
         themselves there"
    }
}

fn changes(denial: &Denial) -> bool {
    matches!(
        denial.operation,
        Operation::Write
            | Operation::Create
            | Operation::Delete
            | Operation::Rename
            | Operation::Link
    )
}

fn elsewhere(view: View<'_>, denial: &Denial) -> Vec<String> {
    let Some(target) = denial_path(denial) else { return Vec::new() };
    let text = format!("{target}/");
    let fs = &view.policy.fs;
    let writable = |root: &&AbsPath| fs.lookup(root, Access::WRITE) == Lookup::Allowed;
    let root = fs.workspaces.iter().find(writable);
    let known = MOVABLE.iter().find(|(part, _)| text.contains(part)).map(|(_, way)| *way);
    let homely = || is_hidden_in_home(view, &target).then_some("run it with HOME=$TMPDIR");
    let movable = known.or_else(homely).map(|way| match root {
        Some(_) => way.to_owned(),
        None => way.replace("the workspace", "$TMPDIR"),
    });
    let makes = matches!(denial.operation, Operation::Create | Operation::Write);
    let write = makes.then(|| match root {
        Some(root) => format!("write below {} or $TMPDIR", name(root)),
        None => "write below $TMPDIR".to_owned(),
    });
    movable.into_iter().chain(write).collect()
}

/// Whether this is in a file or folder that a program keeps for itself in the home. What is closed
/// to everybody is there for another reason.
fn is_hidden_in_home(view: View<'_>, target: &AbsPath) -> bool {
    let home = view.policy.environment.variables.get("HOME");
    let home = home.map(|home| Path::new(OsStr::from_bytes(home)));
    let below = home.and_then(|home| target.as_path().strip_prefix(home).ok());
    let first = below.and_then(|below| below.iter().next());
    let closed = matches!(view.policy.fs.lookup_name(target, Access::WRITE), Lookup::Denied(_));
    first.is_some_and(|name| name.as_bytes().starts_with(b".")) && !closed
}

/// Whether sockets can be bound in a folder.
fn can_bind_in(view: View<'_>, folder: &AbsPath) -> bool {
    folder.join("s").is_ok_and(|socket| {
        let verdict = unix_path(view.policy, Operation::Bind, &socket);
        let lookup = view.policy.fs.lookup_name(&socket, Access::MAKE_SOCKET);
        matches!(verdict, PathVerdict::Granted(_) | PathVerdict::NotMediated)
            && lookup == Lookup::Allowed
    })
}

fn name(path: &AbsPath) -> String {
    crate::safe_text::clean::name(path.as_bytes())
}

/// A service of the run's own, where a program can have one.
fn own_service(view: View<'_>, denial: &Denial) -> Option<String> {
    let target = String::from_utf8_lossy(&denial.target);
    let in_tmpdir = can_bind_in(view, &view.policy.fs.tmpdir);
    let workspaces = &view.policy.fs.workspaces;
    let in_workspace = workspaces.first().is_some_and(|root| can_bind_in(view, root));
    let way = if denial.operation == Operation::Bind {
        match (in_workspace, in_tmpdir) {
            (true, true) => "bind it below the workspace or $TMPDIR",
            (true, false) => "bind it below the workspace",
            (false, true) => "bind it below $TMPDIR",
            (false, false) => {
                "give it an abstract name (one that starts with a zero byte): such sockets stay \
                 inside the run"
            }
        }
    } else if !in_tmpdir {
        return None;
    } else if target.contains("gpg-agent") || target.contains("/.gnupg/") {
        "use keys of the project's own: GNUPGHOME=$TMPDIR/gnupg"
    } else if target.contains("agent") {
        "start an agent of the run's own: ssh-agent -a $TMPDIR/agent.sock"
    } else if target.contains("postgres") || target.contains("PGSQL") {
        "start a server in the run with its socket below $TMPDIR"
    } else {
        return None;
    };
    Some(way.to_owned())
}
