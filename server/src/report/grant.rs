//! The narrowest piece of a profile that would allow all of a group, tried before it is shown.

use super::group::{Group, denial_path};
use super::view::View;
use super::wish::{GrantList, Wish, by_name, wish};
use super::{network, read_only, risk};
use nono_profiles::{FileList, names_one_process};
use nono_sandbox::AbsPath;
use nono_sandbox::decide::{PathVerdict, unix_path};
use nono_sandbox::policy::{
    FsRule, Lookup, Mediation, OwnView, Policy, Reach, Scope, Source, UnixGrant,
};
use nono_sandbox::record::{Denial, Kind, Reason};
use nono_schemas::{FilesystemGrant, Grant, LinuxGrant, Risk};

/// Files named one by one in a grant; more become their folder.
const MAX_FILES: usize = 3;

/// A grant that helps.
pub(super) struct Tried {
    pub(super) grant: Grant,
    pub(super) risk: Risk,
    pub(super) risk_why: String,
}

/// The grant, for the operator; `None` where no profile can allow it, where nothing narrow would,
/// or where a name cannot be written into one.
pub(super) fn narrowest(view: View<'_>, group: &Group<'_>) -> Option<Tried> {
    if group.members.iter().all(|d| network::is_about(d)) {
        let network::Tried { grant, risk, risk_why } = network::narrowest(view, group)?;
        return Some(Tried { grant: Grant { network: grant, ..Grant::default() }, risk, risk_why });
    }
    if group.members.iter().any(|d| belongs_to_a_scheduler(d)) {
        return None;
    }
    if group.members.iter().all(|d| needs_datagrams(d)) {
        return Some(datagrams());
    }
    let wanted = |d: &&Denial| {
        matches!(d.reason, Reason::NoGrant | Reason::InsufficientAccess)
            && matches!(d.kind, Kind::Fs | Kind::Exec | Kind::UnixSocket)
            // Both names decide about a link, and the record has one.
            && d.errno != nix::errno::Errno::EXDEV as i32
    };
    if !group.members.iter().all(wanted) {
        return None;
    }
    let lifted = read_only::lifted(view, group);
    let view = View { policy: lifted.as_ref().unwrap_or(view.policy), ..view };
    let needy = group.members.iter().filter(|d| lifted.is_none() || !allows(view.policy, d));
    let mut wishes: Vec<Wish> = needy.map(|d| wish(view, d)).collect::<Option<_>>()?;
    wishes.sort();
    wishes.dedup();
    if wishes.len() > MAX_FILES {
        wishes = vec![Wish::together(view, group.folder.as_ref()?, &wishes)?];
    }
    let filesystem =
        FilesystemGrant { read_only: lifted.is_some().then_some(false), ..written(view, &wishes)? };
    let denied = |path: &AbsPath| {
        let mut all = view.policy.fs.denied.iter().map(|denied| &denied.path);
        all.any(|p| path.is_within(p) || p.is_within(path))
    };
    let helpless = |w: &Wish| is_helpless(&w.path) || denied(&w.path);
    if wishes.iter().any(|w| helpless(w) || risk::is_too_wide(view, w)) {
        return None;
    }
    let opened = with(view.policy, &wishes);
    let helps = group.members.iter().all(|d| allows(&opened, d));
    let lifts = lifted.is_some().then_some(read_only::RISK);
    let (risk, risk_why) = risk::of(view, &wishes, lifts);
    let grant = Grant { filesystem, ..Grant::default() };
    helps.then_some(Tried { grant, risk, risk_why })
}

/// Whether a grant for this path would be about something else in the next run: its terminal has
/// another number, or is somebody else's, and so have its processes.
fn is_helpless(path: &AbsPath) -> bool {
    let within = |folder: &&str| path.as_path().starts_with(folder);
    OwnView::names_terminal(path)
        || names_one_process(path.as_path())
        || WITHOUT_USE.iter().any(within)
}

/// Folders that only serve what no command can do: leaving commands to `cron` and `at` takes their
/// set-group-id bit, and performance counters a call that is refused.
const WITHOUT_USE: [&str; 3] = ["/var/spool/cron", "/var/spool/at", "/sys/bus/event_source"];

/// Whether this was refused to a program that leaves commands to a service, which works by a right
/// that no grant gives.
fn belongs_to_a_scheduler(denial: &Denial) -> bool {
    const PROGRAMS: [&[u8]; 5] = [b"crontab", b"at", b"atq", b"atrm", b"batch"];
    let name = denial.exe.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    PROGRAMS.contains(&name)
}

/// Whether what stays because of this is the place of a folder in the private `/tmp`.
pub(super) fn is_a_place(rule: &Source) -> bool {
    rule.rule.starts_with("filesystem.private_tmp")
}

/// Whether this is about what is one process's: profiles leave out grants for that.
pub(super) fn is_of_one_process(denial: &Denial) -> bool {
    denial.kind == Kind::Fs
        && denial_path(denial).is_some_and(|path| names_one_process(path.as_path()))
}

/// Whether this is an AF_UNIX datagram socket: of all sockets that may not be made, the only one
/// that a profile can allow.
pub(super) fn needs_datagrams(denial: &Denial) -> bool {
    denial.kind == Kind::Socket && denial.reason == Reason::NoGrant
}

fn datagrams() -> Tried {
    let linux = LinuxGrant { af_unix_datagram: Some(true) };
    Tried {
        grant: Grant { linux, ..Grant::default() },
        risk: Risk::Low,
        risk_why: "sockets outside of the run still need a grant each".to_owned(),
    }
}

/// The wishes as a profile has them.
fn written(view: View<'_>, wishes: &[Wish]) -> Option<FilesystemGrant> {
    let mut grant = FilesystemGrant::default();
    for wish in wishes {
        let list = match wish.list {
            GrantList::File(FileList::ReadFile) => &mut grant.read_file,
            GrantList::File(FileList::WriteFile) => &mut grant.write_file,
            GrantList::File(FileList::AllowFile) => &mut grant.allow_file,
            GrantList::File(FileList::Read) => &mut grant.read,
            GrantList::File(FileList::Write) => &mut grant.write,
            GrantList::File(FileList::Allow) => &mut grant.allow,
            GrantList::Connect => &mut grant.unix_socket,
            GrantList::Bind => &mut grant.unix_socket_bind,
        };
        list.push(as_text(view, &wish.path)?);
    }
    Some(grant)
}

/// The path as a profile would spell it; `None` if it is not text, or if its characters mean
/// something else in a profile. The private folder has another name in the next server.
fn as_text(view: View<'_>, path: &AbsPath) -> Option<String> {
    let text = plain_text(path)?;
    let below = path.as_path().strip_prefix(view.policy.fs.tmpdir.as_path()).ok();
    let below = below.filter(|_| view.policy.fs.tmpdir != AbsPath::root());
    Some(match below.map(|below| below.to_string_lossy()) {
        Some(below) if below.is_empty() => "$TMPDIR".to_owned(),
        Some(below) => format!("$TMPDIR/{below}"),
        None => text,
    })
}

/// The path, if a profile can have it as it is.
fn plain_text(path: &AbsPath) -> Option<String> {
    let text = std::str::from_utf8(path.as_bytes()).ok()?;
    let plain = |c: char| !crate::safe_text::clean::is_deceptive(c) && !"*?[]{}$\\".contains(c);
    (text != "/" && text.len() <= 512 && text.chars().all(plain)).then(|| text.to_owned())
}

/// The policy with the wishes granted.
fn with(policy: &Policy, wishes: &[Wish]) -> Policy {
    let mut opened = policy.clone();
    let source = || Source { profile: "tried".into(), rule: "tried".into(), line: None };
    for wish in wishes {
        let (path, access) = (wish.path.clone(), wish.list.access());
        let rule = match wish.list {
            GrantList::Connect | GrantList::Bind => {
                let bind = wish.list == GrantList::Bind;
                let grant = UnixGrant { path, reach: Reach::Exact, bind, source: source() };
                opened.unix.grants.push(grant);
                wish.path.parent().filter(|_| bind).map(|folder| (folder, Scope::Tree))
            }
            list if list.takes_trees() => Some((path, Scope::Tree)),
            GrantList::File(_) => Some((path, Scope::File)),
        };
        if let Some((path, scope)) = rule {
            opened.fs.rules.push(FsRule { path, scope, access, source: source() });
        }
    }
    opened
}

/// Whether a policy allows what was denied. The same questions the sandbox asks.
pub(super) fn allows(policy: &Policy, denial: &Denial) -> bool {
    if network::is_about(denial) {
        return network::allows(&policy.network, denial);
    }
    if needs_datagrams(denial) {
        return policy.unix.datagrams || policy.unix.mediation == Mediation::Off;
    }
    let Some(path) = denial_path(denial) else { return false };
    match denial.kind {
        Kind::UnixSocket => {
            let verdict = unix_path(policy, denial.operation, &path);
            matches!(verdict, PathVerdict::Granted(_) | PathVerdict::NotMediated)
        }
        _ if by_name(denial.operation) => {
            policy.fs.lookup_name(&path, denial.access) == Lookup::Allowed
        }
        _ => policy.fs.lookup(&path, denial.access) == Lookup::Allowed,
    }
}
