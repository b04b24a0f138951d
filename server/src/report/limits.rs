//! Limits that ran out, told as denials: which one, how much there was, who can raise it.

use nono_sandbox::policy::{Exceeded, Origin, Policy, Resource};
use nono_schemas::{
    Access, Confidence, DecidedBy, DenialItem, DenialKind, Denials, DeniedOperation, Grantable,
    Reason, Relevance, Retry,
};

/// Puts a limit that ran out before all other denials: it is what ended the run.
pub(super) fn add(denials: &mut Denials, exceeded: Exceeded, policy: &Policy) {
    let number = denials.items.len() + 1;
    let item = item(exceeded, policy, number);
    denials.likely_cause = Some(item.id.clone());
    denials.items.insert(0, item);
    denials.total += 1;
    denials.distinct += 1;
    denials.shown += 1;
}

fn item(exceeded: Exceeded, policy: &Policy, number: usize) -> DenialItem {
    let (words, limit) = (words(exceeded), exceeded.resource.limit());
    let origin = policy.origins.of(limit.field());
    DenialItem {
        id: format!("d{number}"),
        kind: DenialKind::ResourceLimit,
        operation: DeniedOperation::Use,
        access: Access::Use,
        target: format!("more than {}", words.what),
        resolved_target: None,
        host: None,
        members: 1,
        examples: Vec::new(),
        syscall: words.field.to_owned(),
        errno: words.errno.to_owned(),
        pid: 0,
        exe: None,
        count: 1,
        decided_by: DecidedBy {
            layer: "limits".to_owned(),
            rule: format!("{} is {}", limit.field(), exceeded.limit),
            source: origin.to_string(),
        },
        reason: Reason::LimitExceeded,
        confidence: Confidence::Enforced,
        relevance: Relevance::LikelyCause,
        why: "a limit ran out".to_owned(),
        grantable: match origin {
            Origin::Call => Grantable::ByCall,
            Origin::Written(_) | Origin::Default => Grantable::OperatorOnly,
        },
        grant: None,
        risk: None,
        risk_why: None,
        alternatives: Vec::new(),
        retry: Retry::NeverUnchanged,
    }
}

/// A limit, in words.
pub(super) struct Words {
    /// `more than 2.0 GiB of memory`
    pub(super) what: String,
    /// The name of the limit in profiles and calls.
    pub(super) field: &'static str,
    /// What a program in the run saw of it.
    errno: &'static str,
}

/// What ran out.
pub(super) fn words(exceeded: Exceeded) -> Words {
    let limit = exceeded.limit;
    let (what, field, errno) = match exceeded.resource {
        Resource::CpuTime => (
            format!("{}.{}s of processor time", limit / 1000, limit % 1000 / 100),
            "cpu_ms",
            "SIGKILL",
        ),
        Resource::Memory => (format!("{} of memory", bytes(limit)), "memory_bytes", "SIGKILL"),
        Resource::Tasks => (format!("{limit} processes and threads"), "processes", "EAGAIN"),
        Resource::FileSize => {
            (format!("{} in one file", bytes(limit)), "file_size_bytes", "SIGXFSZ")
        }
        Resource::Output => (format!("{} of output", bytes(limit)), "output_bytes", "SIGKILL"),
    };
    Words { what, field, errno }
}

/// A size as a person would say it.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut tenths = u128::from(bytes) * 10;
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    let mut unit = "";
    for next in UNITS {
        if tenths < 10240 {
            break;
        }
        tenths /= 1024;
        unit = next;
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        assert_eq!((bytes(1023), bytes(1024)), ("1023 bytes".into(), "1.0 KiB".into()));
        assert_eq!((bytes(2 << 30), bytes(u64::MAX)), ("2.0 GiB".into(), "16777215.9 TiB".into()));
        let exceeded = Exceeded { resource: Resource::CpuTime, limit: 1500 };
        assert_eq!(words(exceeded).what, "1.5s of processor time");
    }
}
