//! What the sandbox would say to something, asked of the rules that are enforced.

use super::group::group;
use super::network::{HostAnswer, on_host};
use super::rank::Evidence;
use super::{Suppressed, View, clean, denials};
use nono_sandbox::AbsPath;
use nono_sandbox::decide::{PathVerdict, unix_path};
use nono_sandbox::policy::{
    Access, FsPolicy, Host, Lookup, Mediation, NetworkMode, Observe, Source,
};
use nono_sandbox::record::{Confidence, Denial, DenialLog, Kind, Layer, Operation, Reason};
use nono_schemas::{DecidedBy, DenialItem, Grant, Grantable, Risk};
use serde::Serialize;

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

/// The verdict on a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// The sandbox allows it. Ordinary permissions hold as everywhere.
    Allowed,
    /// The sandbox refuses it.
    Denied,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Explanation {
    /// Absent where the answer describes the profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) verdict: Option<Verdict>,
    /// What was asked about, after symbolic links.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resolved_target: Option<String>,
    /// The rule that decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) decided_by: Option<DecidedBy>,
    /// Who can allow it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) grantable: Option<Grantable>,
    /// What the operator could add.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) grant: Option<Grant>,
    /// What that would put at stake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) risk: Option<Risk>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) risk_why: Option<String>,
    /// What needs no grant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) alternatives: Vec<String>,
    /// Anything else.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) notes: Vec<String>,
}

impl Explanation {
    /// An answer that is notes alone.
    pub(crate) fn notes(notes: Vec<String>) -> Self {
        Self {
            verdict: None,
            resolved_target: None,
            decided_by: None,
            grantable: None,
            grant: None,
            risk: None,
            risk_why: None,
            alternatives: Vec::new(),
            notes,
        }
    }

    fn allowed(target: &AbsPath, decided_by: DecidedBy) -> Self {
        Self {
            verdict: Some(Verdict::Allowed),
            resolved_target: Some(clean::name(target.as_bytes())),
            decided_by: Some(decided_by),
            ..Self::notes(Vec::new())
        }
    }

    /// The answer to what was denied already.
    pub(crate) fn denied(item: DenialItem) -> Self {
        Self {
            verdict: Some(Verdict::Denied),
            resolved_target: Some(item.resolved_target.unwrap_or(item.target)),
            decided_by: Some(item.decided_by),
            grantable: Some(item.grantable),
            grant: item.grant,
            risk: item.risk,
            risk_why: item.risk_why,
            alternatives: item.alternatives,
            notes: Vec::new(),
        }
    }

    /// The answer in lines.
    pub(crate) fn text(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        match (self.verdict, &self.resolved_target) {
            (Some(Verdict::Allowed), Some(target)) => {
                lines.push(format!("allowed: {}", clean::quoted(target)));
            }
            (Some(Verdict::Denied), Some(target)) => {
                lines.push(format!("denied: {}", clean::quoted(target)));
            }
            (Some(verdict), None) => lines.push(super::text::word(&verdict)),
            (None, _) => {}
        }
        if let Some(by) = &self.decided_by {
            lines.push(format!("why: {} ({}, {})", by.rule, by.layer, by.source));
        }
        if let Some(grant) = &self.grant {
            let json = serde_json::to_string(grant).unwrap_or_default();
            lines.push(format!("the operator can allow it in the profile: {json}"));
        }
        if let (Some(risk), Some(why)) = (self.risk, &self.risk_why) {
            lines.push(format!("risk of that: {}, {why}", super::text::word(&risk)));
        }
        if !self.alternatives.is_empty() {
            lines.push(format!("without a grant: {}", self.alternatives.join("; or ")));
        }
        lines.extend(self.notes.iter().cloned());
        lines.join("\n") + "\n"
    }
}

/// Answers a question.
pub(crate) fn explain(view: View<'_>, question: &Question) -> Explanation {
    match question {
        Question::Summary => Explanation::notes(summary(view)),
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
        HostAnswer::Allowed { how, source } => Explanation {
            verdict: Some(Verdict::Allowed),
            resolved_target: Some(format!("{host}:{port}")),
            decided_by: Some(DecidedBy {
                layer: if source.is_some() { "proxy" } else { "mediation" }.to_owned(),
                rule: source.map_or_else(
                    || format!("network.mode is {}", policy.mode),
                    |s| clean::name(s.rule.as_bytes()),
                ),
                source: source
                    .map_or_else(|| format!("profile {}", view.policy.name), ToString::to_string),
            }),
            ..Explanation::notes(vec![how])
        },
        HostAnswer::Refused(kind, target) => {
            let layer = if kind == Kind::NetProxy { Layer::Proxy } else { Layer::Mediation };
            let what = (kind, Operation::Connect, layer);
            refused_target(view, target.into_bytes(), what, Reason::NoGrant, None)
        }
    }
}

/// The verdict on a file, as the kernel gives it: names are judged by their folder.
pub(crate) fn on_file<'p>(fs: &'p FsPolicy, path: &AbsPath, operation: Operation) -> Lookup<'p> {
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
        return Explanation::allowed(path, by(view, "landlock", nearest.map(|r| &r.source)));
    };
    let kind = if operation == Operation::Execute { Kind::Exec } else { Kind::Fs };
    refused(view, path, (kind, operation, Layer::Landlock), reason, rule)
}

fn on_socket(view: View<'_>, path: &AbsPath, bind: bool) -> Explanation {
    let operation = if bind { Operation::Bind } else { Operation::Connect };
    if view.policy.unix.mediation == Mediation::Off {
        let rule = "linux.af_unix_mediation is off: sockets are not restricted";
        let source = format!("profile {}", view.policy.name);
        let decided = DecidedBy { layer: "mediation".to_owned(), rule: rule.to_owned(), source };
        return Explanation::allowed(path, decided);
    }
    match unix_path(view.policy, operation, path) {
        PathVerdict::Granted(grant) => {
            Explanation::allowed(path, by(view, "mediation", Some(&grant.source)))
        }
        PathVerdict::NotMediated => Explanation::allowed(path, by(view, "mediation", None)),
        PathVerdict::Denied(reason, rule) => {
            let what = (Kind::UnixSocket, operation, Layer::Mediation);
            let mut answer = refused(view, path, what, reason, rule);
            if reason != Reason::Protected && is_own(view, path) {
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
    path: &AbsPath,
    (kind, operation, layer): (Kind, Operation, Layer),
    reason: Reason,
    rule: Option<&Source>,
) -> Explanation {
    refused_target(view, path.as_bytes().to_vec(), (kind, operation, layer), reason, rule)
}

fn refused_target(
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
    let nothing = Evidence { said: String::new(), failed: true, masked: None, took_ms: 0 };
    let open = View { suppress: &Suppressed::default(), ..view };
    let kept = denials::kept(open, &log);
    let groups = group(open, &kept);
    let item = denials::report(open, &log, (&kept, groups), &nothing).items.pop();
    item.map_or_else(|| Explanation::notes(Vec::new()), Explanation::denied)
}

fn by(view: View<'_>, layer: &str, source: Option<&Source>) -> DecidedBy {
    DecidedBy {
        layer: layer.to_owned(),
        rule: source.map_or_else(
            || "several rules together".to_owned(),
            |s| clean::name(s.rule.as_bytes()),
        ),
        source: source.map_or_else(|| format!("profile {}", view.policy.name), ToString::to_string),
    }
}

/// The profile in a few lines.
fn summary(view: View<'_>) -> Vec<String> {
    /// Entries of a list that are named.
    const MOST: usize = 12;
    let policy = view.policy;
    let list = |mut names: Vec<String>| {
        let more = names.len().saturating_sub(MOST);
        names.truncate(MOST);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        if names.is_empty() { "none".to_owned() } else { names.join(", ") + &more }
    };
    let name = |path: &AbsPath| clean::name(path.as_bytes());
    let read = |r: &&nono_sandbox::policy::FsRule| {
        r.access.contains(Access::READ) && !r.access.contains(Access::WRITE)
    };
    let unix = &policy.unix;
    let hosts = || list(policy.network.allow.iter().map(|a| a.rule.to_string()).collect());
    let network = match policy.network.mode {
        NetworkMode::Open => "TCP and UDP open".to_owned(),
        NetworkMode::Hosts => format!("loopback, and listed hosts: {}", hosts()),
        NetworkMode::Proxy => format!("loopback, and through a proxy: {}", hosts()),
        NetworkMode::Loopback => "loopback only".to_owned(),
        NetworkMode::None => "none, loopback included".to_owned(),
    };
    let sockets = match unix.mediation {
        Mediation::Off => "not restricted".to_owned(),
        Mediation::Pathname => list(unix.grants.iter().map(|g| name(&g.path)).collect()),
    };
    let watched = match policy.observe {
        Observe::All => "all calls that open, create, change or execute",
        Observe::Writes => "calls that change something or execute, reading where that is cheap",
        Observe::Audit => "none; the kernel's audit log says what it refuses",
        Observe::Off => "none; file-system denials are not reported",
    };
    let layers = view.layers.iter().filter(|l| l.active).map(|l| l.name.to_owned());
    let narrowed = list(view.narrowed.iter().map(|words| clean::name(words.as_bytes())).collect());
    vec![
        format!("profile: {}", policy.name),
        format!("narrowed by the call: {narrowed}"),
        format!("writable: {}", list(policy.fs.writable_roots().into_iter().map(name).collect())),
        format!(
            "readable: {}",
            list(policy.fs.rules.iter().filter(read).map(|r| name(&r.path)).collect())
        ),
        format!(
            "protected, whatever a profile says: {}",
            list(policy.fs.protected.iter().map(name).collect())
        ),
        format!(
            "protected against writing: {}",
            list(policy.fs.kept.iter().map(|kept| name(&kept.path)).collect())
        ),
        format!("network: {network}"),
        format!("UNIX sockets outside: {sockets}"),
        format!("watched for denials: {watched}"),
        format!("enforced by: {}", list(layers.collect())),
        "ask with path and access, socket, host, command or denial_id for one verdict".to_owned(),
    ]
}
