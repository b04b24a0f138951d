//! What the sandbox would say to something, asked of the rules that are enforced.

use super::denials;
use super::explanation::Explanation;
use super::group::group;
use super::in_short::in_short;
use super::network::{HostAnswer, on_host};
use super::rank::Evidence;
use super::view::{Suppressed, View};
use crate::safe_text::clean;
use nono_profiles::names_one_process;
use nono_sandbox::AbsPath;
use nono_sandbox::decide::{PathVerdict, unix_path};
use nono_sandbox::policy::{Access, FsPolicy, Host, Lookup, Mediation, Source};
use nono_sandbox::record::{Confidence, Denial, DenialLog, Kind, Layer, Operation, Reason};
use nono_schemas::DecidedBy;

/// What is asked, with paths already resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    /// The profile in short.
    Summary,
    /// Something done with a file or folder.
    Path {
        /// After symbolic links.
        path: AbsPath,
        /// What.
        operation: Operation,
    },
    /// Connecting to a socket, or binding it.
    Socket {
        /// After symbolic links.
        path: AbsPath,
        /// Whether to bind.
        bind: bool,
    },
    /// Reaching a host.
    Host {
        /// Its name or address.
        host: String,
        /// Its port.
        port: Option<u16>,
    },
}

/// Answers a question.
pub(crate) fn explain(view: View<'_>, question: &Question) -> Explanation {
    match question {
        Question::Summary => Explanation::notes(in_short(view)),
        Question::Path { path, operation } => on_path(view, path, *operation),
        Question::Socket { path, bind } => on_socket(view, path, *bind),
        Question::Host { host, port } => about_host(view, host, *port),
    }
}

/// The port of a question that names none.
const USUAL_PORT: u16 = 443;

fn about_host(view: View<'_>, text: &str, port: Option<u16>) -> Explanation {
    let shown = clean::name(text.as_bytes());
    let host = match Host::parse(text) {
        Ok(host) => host,
        Err(error) => return Explanation::notes(vec![format!("{shown}: {error}")]),
    };
    let port = port.unwrap_or(USUAL_PORT);
    let policy = &view.policy.network;
    match on_host(policy, &host, port) {
        HostAnswer::Allowed { how, source } => {
            let layer = if source.is_some() { "proxy" } else { "mediation" };
            let mode = format!("network.mode is {}", policy.mode);
            let target = format!("{host}:{port}");
            let answer = Explanation::allowed(target, by(view, layer, source, &mode));
            Explanation { notes: vec![how], ..answer }
        }
        HostAnswer::Refused(kind, target) => {
            let layer = if kind == Kind::NetProxy { Layer::Proxy } else { Layer::Mediation };
            let what = (kind, Operation::Connect, layer);
            refused(view, target.into_bytes(), what, Reason::NoGrant, None)
        }
    }
}

/// The verdict on a file, as the kernel gives it: names are judged by their folder.
fn on_file<'p>(fs: &'p FsPolicy, path: &AbsPath, operation: Operation) -> Lookup<'p> {
    match operation {
        Operation::Create | Operation::Delete | Operation::Rename | Operation::Link => {
            fs.lookup_name(path, Access::WRITE)
        }
        _ => fs.lookup(path, needed(operation)),
    }
}

fn needed(operation: Operation) -> Access {
    match operation {
        Operation::Read => Access::READ,
        Operation::Execute => Access::EXECUTE,
        _ => Access::WRITE,
    }
}

fn on_path(view: View<'_>, path: &AbsPath, operation: Operation) -> Explanation {
    let fs = &view.policy.fs;
    let Some((reason, rule)) = Reason::of(on_file(fs, path, operation)) else {
        let folder = path.parent().unwrap_or_else(AbsPath::root);
        let holder =
            if fs.lookup(path, needed(operation)) == Lookup::Allowed { path } else { &folder };
        let nearest = fs
            .rules
            .iter()
            .filter(|r| r.covers(holder) && r.access.contains(needed(operation)))
            .max_by_key(|r| r.path.as_bytes().len());
        let decided = by(view, "landlock", nearest.map(|r| &r.source), SEVERAL);
        let answer = Explanation::allowed(clean::name(path.as_bytes()), decided);
        let one_process = names_one_process(path.as_path());
        return Explanation {
            notes: one_process.then(of_one_process).into_iter().collect(),
            ..answer
        };
    };
    let kind = if operation == Operation::Execute { Kind::Exec } else { Kind::Fs };
    let what = (kind, operation, Layer::Landlock);
    refused(view, path.as_bytes().to_vec(), what, reason, rule)
}

/// What the rules do not say about `/proc/NUMBER`.
fn of_one_process() -> String {
    "a number means another process inside of a run, and what is private to a process (environ, \
     maps, mem, fd) the kernel opens for those of the run alone"
        .to_owned()
}

fn on_socket(view: View<'_>, path: &AbsPath, bind: bool) -> Explanation {
    let operation = if bind { Operation::Bind } else { Operation::Connect };
    let allowed = |source, otherwise: &str| {
        let decided = by(view, "mediation", source, otherwise);
        Explanation::allowed(clean::name(path.as_bytes()), decided)
    };
    if view.policy.unix.mediation == Mediation::Off {
        return allowed(None, "linux.af_unix_mediation is off: sockets are not restricted");
    }
    match unix_path(view.policy, operation, path) {
        PathVerdict::Granted(grant) => allowed(Some(&grant.source), SEVERAL),
        PathVerdict::NotMediated => allowed(None, SEVERAL),
        PathVerdict::Denied(reason, rule) => {
            let what = (Kind::UnixSocket, operation, Layer::Mediation);
            let mut answer = refused(view, path.as_bytes().to_vec(), what, reason, rule);
            if reason != Reason::Denied && is_own(view, path) {
                answer.notes.push(
                    "a socket that the run itself binds there can be connected to".to_owned(),
                );
            }
            answer
        }
    }
}

/// Whether a program could make a socket of its own there.
fn is_own(view: View<'_>, path: &AbsPath) -> bool {
    view.policy.fs.lookup_name(path, Access::MAKE_SOCKET) == Lookup::Allowed
}

/// The same words a denial would get.
fn refused(
    view: View<'_>,
    target: Vec<u8>,
    (kind, operation, layer): (Kind, Operation, Layer),
    reason: Reason,
    rule: Option<&Source>,
) -> Explanation {
    let file = matches!(kind, Kind::Fs | Kind::Exec);
    let denial = Denial {
        kind,
        operation,
        access: if file { needed(operation) } else { Access::empty() },
        target,
        resolved: None,
        host: None,
        syscall: String::new(),
        errno: nix::errno::Errno::EACCES as i32,
        pid: 0,
        exe: Vec::new(),
        layer,
        reason,
        rule: rule.cloned(),
        confidence: Confidence::Enforced,
        count: 1,
        first_ms: 0,
        last_ms: 0,
    };
    let log = DenialLog { total: 1, items: vec![denial], ..DenialLog::default() };
    let said = String::new();
    let nothing = Evidence { said, over: true, failed: true, masked: None, took_ms: 0 };
    let open = View { suppress: &Suppressed::default(), ..view };
    let kept = denials::kept(open, &log);
    let groups = group(open, &kept);
    let item = denials::report(open, &log, (&kept, groups), &nothing).items.pop();
    item.map_or_else(|| Explanation::notes(Vec::new()), Explanation::denied)
}

/// What allows something where no one rule does.
const SEVERAL: &str = "several rules together";

/// The rule that allows something, or what does in its place.
fn by(view: View<'_>, layer: &str, source: Option<&Source>, otherwise: &str) -> DecidedBy {
    DecidedBy {
        layer: layer.to_owned(),
        rule: source.map_or_else(|| otherwise.to_owned(), |s| clean::name(s.rule.as_bytes())),
        source: source.map_or_else(|| format!("profile {}", view.policy.name), ToString::to_string),
    }
}
