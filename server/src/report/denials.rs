//! Denial records as items of a result: suppressed ones counted, the rest ranked and explained.

use super::{View, clean, grant};
use nix::errno::Errno;
use nono_sandbox::AbsPath;
use nono_sandbox::record::{self, Denial, DenialLog, Kind, Layer, Operation};
use nono_schemas::{
    Access, Confidence, DecidedBy, DenialItem, DenialKind, Denials, DeniedOperation, Reason, Retry,
};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Items in a result.
const MAX_ITEMS: usize = 20;

/// The denials of a run, and what the reader should do about the first one, if there is more to
/// say than its grant.
pub(super) fn report(view: View<'_>, log: &DenialLog) -> (Denials, Option<String>) {
    let (hidden, mut kept): (Vec<&Denial>, Vec<&Denial>) =
        log.items.iter().partition(|d| is_suppressed(view, d));
    kept.sort_by_key(|d| rank(d.operation));
    let suppressed = hidden.iter().map(|d| d.count).sum();
    let items: Vec<DenialItem> =
        kept.iter().take(MAX_ITEMS).zip(1..).map(|(d, n)| item(view, d, n)).collect();
    let hint = kept.first().and_then(|d| instead(view, d));
    let denials = Denials {
        total: log.total.saturating_sub(suppressed),
        distinct: kept.len() as u64,
        shown: items.len() as u64,
        suppressed,
        items,
    };
    (denials, hint)
}

/// Whether the profile keeps this one out of reports. Judged on the path as the program gave it,
/// never resolved, so that absent sockets match too.
fn is_suppressed(view: View<'_>, denial: &Denial) -> bool {
    denial.kind == Kind::UnixSocket
        && view.suppress.is_match(Path::new(OsStr::from_bytes(&denial.target)))
}

/// What changes something or reaches somebody tells more than what only looks. Ties keep the order
/// in which things happened.
fn rank(operation: Operation) -> u8 {
    match operation {
        Operation::Write
        | Operation::Create
        | Operation::Delete
        | Operation::Rename
        | Operation::Connect
        | Operation::Bind
        | Operation::Send
        | Operation::Signal => 0,
        Operation::Execute => 1,
        Operation::Read => 2,
    }
}

fn item(view: View<'_>, denial: &Denial, number: usize) -> DenialItem {
    let target = clean::name(&denial.target);
    DenialItem {
        id: format!("d{number}"),
        kind: match denial.kind {
            Kind::Fs => DenialKind::Fs,
            Kind::UnixSocket => DenialKind::UnixSocket,
            Kind::Exec => DenialKind::Exec,
            Kind::Signal => DenialKind::Signal,
        },
        operation: operation(denial.operation),
        access: access(denial.operation),
        resolved_target: denial.resolved.as_deref().map(clean::name).filter(|r| *r != target),
        target,
        syscall: clean::name(denial.syscall.as_bytes()),
        errno: format!("{:?}", Errno::from_raw(denial.errno)),
        pid: denial.pid,
        exe: (!denial.exe.is_empty()).then(|| clean::name(&denial.exe)),
        count: denial.count,
        decided_by: decided_by(view, denial),
        reason: match denial.reason {
            record::Reason::NoGrant => Reason::NoGrant,
            record::Reason::InsufficientAccess => Reason::InsufficientAccess,
            record::Reason::Protected => Reason::Protected,
            record::Reason::NotSupported => Reason::NotSupported,
        },
        confidence: match denial.confidence {
            record::Confidence::Enforced => Confidence::Enforced,
            record::Confidence::Observed => Confidence::Observed,
        },
        grant: if instead(view, denial).is_none() { grant::narrowest(view, denial) } else { None },
        retry: Retry::NeverUnchanged,
    }
}

fn operation(operation: Operation) -> DeniedOperation {
    match operation {
        Operation::Read => DeniedOperation::Read,
        Operation::Write => DeniedOperation::Write,
        Operation::Create => DeniedOperation::Create,
        Operation::Delete => DeniedOperation::Delete,
        Operation::Rename => DeniedOperation::Rename,
        Operation::Execute => DeniedOperation::Execute,
        Operation::Connect => DeniedOperation::Connect,
        Operation::Bind => DeniedOperation::Bind,
        Operation::Send => DeniedOperation::Send,
        Operation::Signal => DeniedOperation::Signal,
    }
}

fn access(operation: Operation) -> Access {
    match operation {
        Operation::Read => Access::Read,
        Operation::Write | Operation::Create | Operation::Delete | Operation::Rename => {
            Access::Write
        }
        Operation::Execute => Access::Execute,
        Operation::Connect | Operation::Send => Access::Connect,
        Operation::Bind => Access::Bind,
        Operation::Signal => Access::Signal,
    }
}

fn decided_by(view: View<'_>, denial: &Denial) -> DecidedBy {
    let nearest = denial.rule.as_ref();
    let rule = match (denial.reason, nearest) {
        (record::Reason::Protected, _) => "protected: no profile can open this".to_owned(),
        (record::Reason::NotSupported, _) if denial.kind == Kind::Signal => {
            "signals stay inside the run; no profile can change this".to_owned()
        }
        (record::Reason::NotSupported, _) if denial.target.starts_with(b"@") => {
            "abstract sockets stay inside the run that made them; no profile can change this"
                .to_owned()
        }
        (record::Reason::NotSupported, _) => {
            "the sandbox cannot judge this and so refuses it".to_owned()
        }
        (_, Some(rule)) => format!("{} does not allow this access", rule.rule),
        (_, None) => "no grant covers this path".to_owned(),
    };
    let advice = instead(view, denial).map(|a| format!("; {a}")).unwrap_or_default();
    DecidedBy {
        layer: match denial.layer {
            Layer::Mediation => "mediation",
            Layer::Landlock => "landlock",
        }
        .to_owned(),
        rule: clean::name(format!("{rule}{advice}").as_bytes()),
        source: nearest
            .map_or_else(|| format!("profile {}", view.policy.name), ToString::to_string),
    }
}

/// What a caller can do without any grant; then none is proposed.
fn instead(view: View<'_>, denial: &Denial) -> Option<String> {
    let target = denial_path(denial)?;
    let shared = AbsPath::new("/tmp").ok()?;
    let var = AbsPath::new("/var/tmp").ok()?;
    let temporary = (target.is_within(&shared) || target.is_within(&var))
        && !target.is_within(&view.policy.fs.tmpdir);
    let changes = access(denial.operation) == Access::Write || denial.operation == Operation::Bind;
    (temporary && changes).then(|| "use $TMPDIR instead of /tmp for temporary files".to_owned())
}

/// The path a denial is about: resolved where it could be, else as given.
pub(super) fn denial_path(denial: &Denial) -> Option<AbsPath> {
    let bytes = denial.resolved.as_deref().unwrap_or(&denial.target);
    AbsPath::new(Path::new(OsStr::from_bytes(bytes))).ok()
}
