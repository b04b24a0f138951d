//! Messages of the kernel's audit log, as far as they tell what Landlock refused. Pure.
//!
//! One event is several messages with the same serial number: what Landlock refused, the first time
//! which process made the domain, the system call, and an end (kernel documentation,
//! admin-guide/LSM/landlock; numbers from linux/audit.h).

use crate::hex;
use nono_sandbox::policy::Access;
use nono_sandbox::record::Operation;

const SYSCALL: u16 = 1300;
const END: u16 = 1320;
const LANDLOCK_ACCESS: u16 = 1423;
const LANDLOCK_DOMAIN: u16 = 1424;

/// What one message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// Landlock refused something. The domain's name is a number for as long as it exists.
    Refused { domain: u64, what: Option<RefusedAccess> },
    /// A process made a domain.
    Made { domain: u64, pid: i32 },
    /// A domain is gone, with so many refusals.
    Gone { domain: u64, refusals: u64 },
    /// The call that met the refusal.
    Call(Call),
    /// The event is complete.
    End,
}

/// What was refused, where this is about files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RefusedAccess {
    pub(super) operation: Operation,
    pub(super) access: Access,
    /// Whether `path` is the folder of the name in question.
    pub(super) in_folder: bool,
    pub(super) path: Vec<u8>,
}

/// A system call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) number: i64,
    /// Positive; `None` if it succeeded after all.
    pub(super) errno: Option<i32>,
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) exe: Vec<u8>,
    /// The mark of a run, if this is the call that leaves it: the fourth argument of
    /// `mknodat` (`nono_sandbox::plan::Launch::kernel_log_mark`).
    pub(super) mark: Option<u64>,
}

/// The event's serial number and what the message says of it; `None` for everything else that is
/// written to that log.
pub(super) fn read(kind: u16, text: &[u8]) -> Option<(u64, Message)> {
    let fields = Fields::of(text)?;
    let message = match kind {
        LANDLOCK_ACCESS => {
            Message::Refused { domain: fields.hex("domain")?, what: refused(&fields) }
        }
        LANDLOCK_DOMAIN => {
            let domain = fields.hex("domain")?;
            match fields.raw("status")? {
                b"allocated" => Message::Made { domain, pid: fields.number("pid")? },
                b"deallocated" => Message::Gone { domain, refusals: fields.number("denials")? },
                _ => return None,
            }
        }
        SYSCALL => Message::Call(Call {
            mark: (fields.number("syscall") == Some(nix::libc::SYS_mknodat))
                .then(|| fields.hex("a3"))
                .flatten(),
            number: fields.number("syscall")?,
            errno: fields.number::<i32>("exit").map(i32::saturating_neg).filter(|n| *n > 0),
            pid: fields.number("pid")?,
            parent: fields.number("ppid")?,
            exe: fields.text("exe").unwrap_or_default(),
        }),
        END => Message::End,
        _ => return None,
    };
    Some((fields.serial, message))
}

/// The first of several rights decides what the attempt is called.
fn refused(fields: &Fields<'_>) -> Option<RefusedAccess> {
    let rights = fields.raw("blockers")?.split(|b| *b == b',').filter_map(right);
    let (mut access, mut first) = (Access::empty(), None);
    for (operation, needed, in_folder) in rights {
        access |= needed;
        first = first.or(Some((operation, in_folder)));
    }
    let (operation, in_folder) = first?;
    Some(RefusedAccess { operation, access, in_folder, path: fields.text("path")? })
}

fn right(name: &[u8]) -> Option<(Operation, Access, bool)> {
    Some(match name {
        b"fs.read_file" | b"fs.read_dir" => (Operation::Read, Access::READ, false),
        b"fs.write_file" | b"fs.truncate" => (Operation::Write, Access::WRITE, false),
        b"fs.execute" => (Operation::Execute, Access::EXECUTE, false),
        b"fs.remove_dir" | b"fs.remove_file" => (Operation::Delete, Access::WRITE, true),
        b"fs.refer" => (Operation::Rename, Access::WRITE, true),
        // Sockets are made by bind, which the mediator tells.
        b"fs.make_sock" => return None,
        name if name.starts_with(b"fs.make_") => (Operation::Create, Access::WRITE, true),
        _ => return None,
    })
}

/// `audit(SECONDS.MILLIS:SERIAL): name=value …`
struct Fields<'t> {
    serial: u64,
    rest: &'t [u8],
}

impl<'t> Fields<'t> {
    fn of(text: &'t [u8]) -> Option<Self> {
        let text = text.strip_prefix(b"audit(")?;
        let colon = memchr::memchr(b':', text)?;
        let close = memchr::memmem::find(text, b"):")?;
        let serial = std::str::from_utf8(text.get(colon + 1..close)?).ok()?.parse().ok()?;
        Some(Self { serial, rest: text.get(close + 2..)? })
    }

    /// A value as it stands there, quotes included. What a program can choose is quoted and has no
    /// space or quote in it, or is written in hexadecimal.
    fn raw(&self, name: &str) -> Option<&'t [u8]> {
        self.rest
            .split(|b| b.is_ascii_whitespace() || *b == 0)
            .find_map(|word| word.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        std::str::from_utf8(self.raw(name)?).ok()?.parse().ok()
    }

    fn hex(&self, name: &str) -> Option<u64> {
        u64::from_str_radix(std::str::from_utf8(self.raw(name)?).ok()?, 16).ok()
    }

    /// A value that a program can choose: in quotes as it is, else in hexadecimal.
    fn text(&self, name: &str) -> Option<Vec<u8>> {
        let raw = self.raw(name)?;
        match raw.strip_prefix(b"\"") {
            Some(quoted) => Some(quoted.strip_suffix(b"\"")?.to_vec()),
            None => hex::decode(raw),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kind: u16, text: &str) -> Option<Message> {
        let (serial, message) = read(kind, text.as_bytes())?;
        assert_eq!(serial, 88);
        Some(message)
    }

    #[test]
    fn the_messages_of_one_event() {
        // As Linux 6.18 writes them.
        let refused = said(
            LANDLOCK_ACCESS,
            "audit(1795660469.300:88): domain=15013f780 blockers=fs.make_reg path=\"/tmp\" dev=\"vda\" ino=246951",
        );
        let what = RefusedAccess {
            operation: Operation::Create,
            access: Access::WRITE,
            in_folder: true,
            path: b"/tmp".to_vec(),
        };
        assert_eq!(refused, Some(Message::Refused { domain: 0x1_5013_f780, what: Some(what) }));
        assert_eq!(
            said(
                LANDLOCK_DOMAIN,
                "audit(1795660469.300:88): domain=15013f780 status=allocated mode=enforcing pid=13735 uid=0 exe=\"/x\" comm=\"x\"",
            ),
            Some(Message::Made { domain: 0x1_5013_f780, pid: 13735 })
        );
        assert_eq!(
            said(LANDLOCK_DOMAIN, "audit(1.2:88): domain=15013f780 status=deallocated denials=5\0"),
            Some(Message::Gone { domain: 0x1_5013_f780, refusals: 5 })
        );
        assert_eq!(
            said(
                SYSCALL,
                "audit(1.2:88): arch=c000003e syscall=257 success=no exit=-13 a0=ffffff9c items=0 ppid=13693 pid=13735 auid=4294967295 uid=0 comm=\"sh\" exe=\"/usr/bin/dash\" key=(null)",
            ),
            Some(Message::Call(Call {
                number: 257,
                errno: Some(13),
                pid: 13735,
                parent: 13693,
                exe: b"/usr/bin/dash".to_vec(),
                mark: None,
            }))
        );
        let marked = format!(
            "audit(1.2:88): arch=c000003e syscall={} success=no exit=-13 a0=ffffff9c a1=1 a2=2000 a3=f00dfeedf00dfeed ppid=3 pid=4",
            nix::libc::SYS_mknodat
        );
        let Some(Message::Call(call)) = said(SYSCALL, &marked) else { panic!() };
        assert_eq!(call.mark, Some(0xf00d_feed_f00d_feed));
        assert_eq!(said(END, "audit(1.2:88): "), Some(Message::End));
    }

    #[test]
    fn names_with_spaces_and_several_rights() {
        let refused = said(
            LANDLOCK_ACCESS,
            "audit(1.2:88): domain=a blockers=fs.write_file,fs.truncate path=2F746D702F6120622231 dev=\"vda\" ino=1",
        );
        let Some(Message::Refused { domain: 10, what: Some(what) }) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!((what.path.as_slice(), what.access), (&b"/tmp/a b\"1"[..], Access::WRITE));
        assert_eq!((what.operation, what.in_folder), (Operation::Write, false));
    }

    #[test]
    fn what_is_not_about_files_only_counts() {
        let refused = said(LANDLOCK_ACCESS, "audit(1.2:88): domain=a blockers=scope.signal opid=1");
        assert_eq!(refused, Some(Message::Refused { domain: 10, what: None }));
        for (kind, text) in [
            (1327, "audit(1.2:88): proctitle=00"),
            (LANDLOCK_ACCESS, "audit(1.2:x): domain=a blockers=fs.refer path=\"/\""),
            (LANDLOCK_ACCESS, "audit(1.2:88): domain=zz"),
            (LANDLOCK_DOMAIN, "audit(1.2:88): domain=a status=odd"),
            (SYSCALL, "nothing"),
        ] {
            assert_eq!(read(kind, text.as_bytes()), None, "{text}");
        }
    }
}
