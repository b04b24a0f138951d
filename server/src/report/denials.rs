//! Denial records as items of a result: suppressed ones counted, the rest gathered, ranked and
//! explained.

use super::group::Group;
use super::narrowed::Narrowed;
use super::rank::{Evidence, Ranked, rank};
use super::view::View;
use super::wire::{access, kind, operation, reason};
use super::{grant, instead, later, network, read_only};
use crate::safe_text::clean;
use nix::errno::Errno;
use nono_sandbox::filter::is_by_number;
use nono_sandbox::record::{self, Denial, DenialLog, Kind, Layer};
use nono_schemas::{
    Access, Confidence, DecidedBy, DenialItem, Denials, Grantable, Relevance, Retry,
};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Items in a result.
const MAX_ITEMS: usize = 20;
/// Targets named as examples of a group.
const MAX_EXAMPLES: usize = 3;

/// The records of `log` that the profile does not keep out of reports, inferred ones last.
pub(super) fn kept<'d>(view: View<'_>, log: &'d DenialLog) -> Vec<&'d Denial> {
    log.items.iter().chain(&log.inferred).filter(|d| !is_suppressed(view, d)).collect()
}

/// The denials of a run.
///
/// `kept`: what [`kept`] gave of `log`, and what it comes to in groups.
pub(super) fn report(
    view: View<'_>,
    log: &DenialLog,
    (kept, groups): (&[&Denial], Vec<Group<'_>>),
    evidence: &Evidence,
) -> Denials {
    let recorded: u64 = log.items.iter().map(|d| d.count).sum();
    let seen = |d: &&&Denial| d.confidence != record::Confidence::Inferred;
    let suppressed = recorded - kept.iter().filter(seen).map(|d| d.count).sum::<u64>();
    let ranked = rank(groups, evidence);
    let counted = |benign: bool| {
        ranked
            .iter()
            .filter(move |r| seen(&&r.group.first) && (r.relevance == Relevance::Benign) == benign)
    };
    let benign: u64 = counted(true).map(|r| r.group.count).sum();
    let items: Vec<DenialItem> =
        ranked.iter().take(MAX_ITEMS).zip(1..).map(|(r, n)| item(view, r, n)).collect();
    let beyond = ranked.iter().skip(MAX_ITEMS).filter(|r| r.relevance != Relevance::Benign);
    let unshown: u64 = beyond.filter(|r| seen(&&r.group.first)).map(|r| r.group.count).sum();
    let likely = items.iter().find(|i| i.relevance == Relevance::LikelyCause);
    Denials {
        total: log.total.saturating_sub(suppressed).saturating_sub(benign),
        distinct: counted(false).map(|r| distinct(&r.group)).sum(),
        shown: items.len() as u64,
        dropped: log.dropped + unshown,
        suppressed,
        benign,
        inferred: ranked.iter().filter(|r| !seen(&&r.group.first)).map(|r| r.group.count).sum(),
        likely_cause: likely.map(|i| i.id.clone()),
        masked: None,
        repeated: None,
        notes: Vec::new(),
        items,
    }
}

/// Whether the profile keeps this one out of reports. Judged on the path as the program gave it,
/// never resolved, so that absent sockets and links match too.
fn is_suppressed(view: View<'_>, denial: &Denial) -> bool {
    let globs = match denial.kind {
        Kind::UnixSocket => &view.suppress.sockets,
        Kind::Fs | Kind::Exec => &view.suppress.paths,
        Kind::Signal
        | Kind::Socket
        | Kind::Syscall
        | Kind::NestedSandbox
        | Kind::NetConnect
        | Kind::NetBind
        | Kind::Dns
        | Kind::NetProxy => return false,
    };
    globs.is_match(Path::new(OsStr::from_bytes(&denial.target)))
}

/// Different targets of a group.
fn distinct(group: &Group<'_>) -> u64 {
    let mut targets: Vec<&[u8]> = group.members.iter().map(|d| d.target.as_slice()).collect();
    targets.sort_unstable();
    targets.dedup();
    targets.len() as u64
}

fn item(view: View<'_>, ranked: &Ranked<'_>, number: usize) -> DenialItem {
    let (group, denial) = (&ranked.group, ranked.group.first);
    let folder = group.folder.as_ref().map(|f| clean::name(f.as_bytes()));
    let members = if folder.is_some() { distinct(group) } else { 1 };
    let target = folder.clone().unwrap_or_else(|| clean::name(&denial.target));
    let resolved = denial.resolved.as_deref().map(clean::name);
    let narrowed = Narrowed::of(view, group);
    let later = later::granted(view, group).filter(|_| narrowed.is_none());
    let needs_grant = narrowed.is_none() && later.is_none();
    let tried = if needs_grant { grant::narrowest(view, group) } else { None };
    let one_process = grant::is_of_one_process(denial);
    let changes = access(denial.operation) == Access::Write;
    let (grant, risk, risk_why) =
        tried.map_or((None, None, None), |t| (Some(t.grant), Some(t.risk), Some(t.risk_why)));
    let examples = group.members.iter().take(MAX_EXAMPLES).map(|d| clean::name(&d.target));
    DenialItem {
        id: format!("d{number}"),
        kind: kind(denial.kind),
        operation: operation(denial.operation),
        access: access(denial.operation),
        resolved_target: resolved.filter(|r| folder.is_none() && *r != target),
        host: denial.host.as_deref().map(clean::name),
        examples: examples.filter(|_| folder.is_some()).collect(),
        target,
        members,
        syscall: clean::name(denial.syscall.as_bytes()),
        errno: format!("{:?}", Errno::from_raw(denial.errno)),
        pid: denial.pid,
        exe: (!denial.exe.is_empty()).then(|| clean::name(&denial.exe)),
        count: group.count,
        decided_by: match (narrowed, later) {
            (Some(narrowed), _) => narrowed.decided_by(view, decided_by(view, denial)),
            (None, Some(rule)) => later::decided_by(rule),
            (None, None) => decided_by(view, denial),
        },
        reason: reason(denial.reason),
        confidence: match denial.confidence {
            record::Confidence::Enforced => Confidence::Enforced,
            record::Confidence::Observed => Confidence::Observed,
            record::Confidence::Audit => Confidence::Audit,
            record::Confidence::Inferred => Confidence::Inferred,
        },
        relevance: ranked.relevance,
        why: ranked.why.clone(),
        grantable: match denial.reason {
            _ if let Some(narrowed) = narrowed => narrowed.grantable(),
            record::Reason::Denied => Grantable::Never,
            _ if one_process && changes => Grantable::NotByGrant,
            record::Reason::NotSupported | record::Reason::MoreRights | record::Reason::NoPlace => {
                Grantable::NotByGrant
            }
            record::Reason::NoGrant
            | record::Reason::InsufficientAccess
            | record::Reason::Protected => Grantable::OperatorOnly,
        },
        grant,
        risk,
        risk_why,
        alternatives: match narrowed {
            Some(narrowed) => vec![narrowed.way_out()],
            None => {
                let way_out = later.map(later::way_out).into_iter();
                way_out.chain(instead::alternatives(view, group)).collect()
            }
        },
        retry: Retry::NeverUnchanged,
    }
}

fn decided_by(view: View<'_>, denial: &Denial) -> DecidedBy {
    use record::Reason::{
        Denied, InsufficientAccess, MoreRights, NoGrant, NoPlace, NotSupported, Protected,
    };
    let read_only = read_only::stands_behind(view, denial);
    let nearest = read_only.map(|by| &by.source).or(denial.rule.as_ref());
    let rule = match (denial.reason, nearest) {
        (NoPlace, _) => network::no_place(),
        _ if network::is_about(denial) => network::rule(&view.policy.network, denial),
        (Denied, Some(rule)) => format!("{} closes it, whatever is granted", rule.rule),
        (Denied, None) => "the server's own: no profile can open this".to_owned(),
        (MoreRights, _) => {
            "moved or linked there, the file would have more rights than where it is".to_owned()
        }
        (Protected, Some(rule)) if grant::is_a_place(rule) => {
            format!("{}: what a run sees at the same name in /tmp has its place here", rule.rule)
        }
        (Protected, Some(rule)) => format!(
            "{}: protected, because something outside of the sandbox runs or obeys it",
            rule.rule
        ),
        (Protected, None) => "protected against writing".to_owned(),
        (NotSupported, _) => unsupported(denial).to_owned(),
        _ if grant::needs_datagrams(denial) => {
            "datagram sockets need linux.af_unix_datagram in the profile".to_owned()
        }
        (NoGrant | InsufficientAccess, _) if grant::is_of_one_process(denial) => {
            "no grant can open what is one process's: it has another number in each run".to_owned()
        }
        (NoGrant | InsufficientAccess, _) if let Some(read_only) = read_only => {
            read_only::rule(read_only)
        }
        (NoGrant | InsufficientAccess, Some(rule)) => {
            format!("{} does not allow this access", rule.rule)
        }
        (NoGrant | InsufficientAccess, None) => "no grant covers this path".to_owned(),
    };
    DecidedBy {
        layer: match denial.layer {
            Layer::Mediation => "mediation",
            Layer::Landlock => "landlock",
            Layer::Seccomp => "seccomp",
            Layer::Proxy => "proxy",
        }
        .to_owned(),
        rule: clean::name(rule.as_bytes()),
        source: match nearest {
            Some(rule) => rule.to_string(),
            None if matches!(denial.reason, NoPlace | Denied) => "the server".to_owned(),
            None if network::is_because_of_mode(&view.policy.network, denial) => {
                view.policy.origins.of(network::MODE).to_string()
            }
            None => format!("profile {}", view.policy.name),
        },
    }
}

/// The rule behind a refusal that no profile can change.
fn unsupported(denial: &Denial) -> &'static str {
    match denial.kind {
        Kind::Signal => "signals stay inside the run; no profile can change this",
        Kind::NestedSandbox => "no sandbox inside of this one; no profile can change this",
        Kind::Syscall if is_by_number(&denial.syscall) => {
            "a thread may change limits, priority and processors of itself and its process, and of \
             the rest of its run only where that has namespaces (isolation)"
        }
        Kind::Syscall => "no command may make this system call; no profile can change this",
        Kind::Socket if denial.syscall == "setsockopt" => {
            "sockets choose devices and join groups in the network mode `open` only"
        }
        Kind::Socket => "no command may make this kind of socket; no profile can change this",
        _ if denial.target.starts_with(b"@") => {
            "abstract sockets stay inside the run that made them; no profile can change this"
        }
        Kind::Fs
        | Kind::UnixSocket
        | Kind::Exec
        | Kind::NetConnect
        | Kind::NetBind
        | Kind::Dns
        | Kind::NetProxy => "the sandbox cannot judge this and so refuses it",
    }
}
