//! Changes of modes, owners, times and extended attributes, told from registers. Landlock has no
//! right for these, so they are judged like writing and performed on the caller's behalf.

use crate::filter::AttributeCall;
use crate::register::{int, unsigned};
use nix::errno::Errno;

/// On what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeTarget {
    /// What a descriptor was opened for; not one of `O_PATH`.
    Descriptor(u64),
    /// What a path means.
    Path {
        /// Where a relative path starts.
        dirfd: i32,
        /// Where the path lies.
        address: u64,
        /// Whether a symbolic link at its end is followed.
        follow: bool,
        /// Whether an empty path means `dirfd` itself (`AT_EMPTY_PATH`).
        empty: bool,
    },
}

/// How two times are laid out in memory. Each is a second and its fraction, 64 bits each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimesLayout {
    /// `struct utimbuf`: seconds alone.
    Seconds,
    /// Two `struct timeval`.
    Micros,
    /// Two `struct timespec`, with `UTIME_NOW` and `UTIME_OMIT`.
    Nanos,
}

/// What is changed. Addresses are the program's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeChange {
    /// Permission bits.
    Mode(u32),
    /// User and group; `u32::MAX` leaves one as it is.
    Owner(u32, u32),
    /// Access and modification time, from this address; 0 means now.
    Times(TimesLayout, u64),
    /// An extended attribute is set.
    SetXattr {
        /// Its name.
        name: u64,
        /// Its value.
        value: u64,
        /// The value's size.
        size: u64,
        /// `XATTR_CREATE`, `XATTR_REPLACE`.
        flags: i32,
    },
    /// An extended attribute is removed.
    RemoveXattr {
        /// Its name.
        name: u64,
    },
}

/// What a call asks for.
///
/// # Errors
/// `EINVAL` for flags the kernel does not know either.
pub fn attribute(
    call: AttributeCall,
    args: &[u64; 6],
) -> Result<(AttributeTarget, AttributeChange), Errno> {
    use AttributeCall as Call;
    let [a, b, c, d, e, _] = *args;
    let mode = |register| AttributeChange::Mode(unsigned(register));
    let owner = |user, group| AttributeChange::Owner(unsigned(user), unsigned(group));
    let times = AttributeChange::Times;
    let set = || AttributeChange::SetXattr { name: b, value: c, size: d, flags: int(e) };
    let remove = || AttributeChange::RemoveXattr { name: b };
    let fd = AttributeTarget::Descriptor;
    Ok(match call {
        Call::Chmod => (path(a, true), mode(b)),
        Call::FChmod => (fd(a), mode(b)),
        Call::FChmodAt => (at(a, b, 0)?, mode(c)),
        Call::FChmodAt2 => (at(a, b, d)?, mode(c)),
        Call::Chown => (path(a, true), owner(b, c)),
        Call::LChown => (path(a, false), owner(b, c)),
        Call::FChown => (fd(a), owner(b, c)),
        Call::FChownAt => (at(a, b, e)?, owner(c, d)),
        Call::Utime => (path(a, true), times(TimesLayout::Seconds, b)),
        Call::Utimes => (path(a, true), times(TimesLayout::Micros, b)),
        Call::FUtimesAt => (or_descriptor(a, b, 0)?, times(TimesLayout::Micros, c)),
        Call::UtimensAt => (or_descriptor(a, b, d)?, times(TimesLayout::Nanos, c)),
        Call::SetXattr => (path(a, true), set()),
        Call::LSetXattr => (path(a, false), set()),
        Call::FSetXattr => (fd(a), set()),
        Call::RemoveXattr => (path(a, true), remove()),
        Call::LRemoveXattr => (path(a, false), remove()),
        Call::FRemoveXattr => (fd(a), remove()),
    })
}

fn path(address: u64, follow: bool) -> AttributeTarget {
    AttributeTarget::Path { dirfd: libc::AT_FDCWD, address, follow, empty: false }
}

fn at(dirfd: u64, address: u64, flags: u64) -> Result<AttributeTarget, Errno> {
    let flags = int(flags);
    if flags & !(libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(AttributeTarget::Path {
        dirfd: int(dirfd),
        address,
        follow: flags & libc::AT_SYMLINK_NOFOLLOW == 0,
        empty: flags & libc::AT_EMPTY_PATH != 0,
    })
}

/// `utimensat` without a path is `futimens` (utimensat(2)).
fn or_descriptor(dirfd: u64, address: u64, flags: u64) -> Result<AttributeTarget, Errno> {
    let target = at(dirfd, address, flags)?;
    match (address, int(dirfd)) {
        (0, libc::AT_FDCWD) => Err(Errno::EFAULT),
        (0, _) if unsigned(flags) != 0 => Err(Errno::EINVAL),
        (0, _) => Ok(AttributeTarget::Descriptor(dirfd)),
        _ => Ok(target),
    }
}

/// Access and modification time as `struct timespec` has them, from the bytes at the program's
/// address.
///
/// # Errors
/// `EINVAL` for microseconds that are none, as the kernel says.
pub fn times(layout: TimesLayout, bytes: &[u8]) -> Result<[(i64, i64); 2], Errno> {
    let number = |at: usize| -> Result<i64, Errno> {
        let bytes = bytes.get(at * 8..).and_then(<[u8]>::first_chunk);
        bytes.map(|b| i64::from_ne_bytes(*b)).ok_or(Errno::EFAULT)
    };
    let pair = |first: usize| Ok((number(first)?, number(first + 1)?));
    let whole = |seconds: i64, micros: i64| match micros {
        0..1_000_000 => Ok((seconds, micros * 1000)),
        _ => Err(Errno::EINVAL),
    };
    match layout {
        TimesLayout::Seconds => Ok([(number(0)?, 0), (number(1)?, 0)]),
        TimesLayout::Nanos => Ok([pair(0)?, pair(2)?]),
        TimesLayout::Micros => Ok([whole(number(0)?, number(1)?)?, whole(number(2)?, number(3)?)?]),
    }
}

impl TimesLayout {
    /// How many bytes two times take.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            TimesLayout::Seconds => 16,
            TimesLayout::Micros | TimesLayout::Nanos => 32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CWD: u64 = 0xffff_ff9c;

    #[test]
    fn targets() {
        let target = |call, args: [u64; 6]| attribute(call, &args).map(|(target, _)| target);
        let by_path = |dirfd, follow, empty| {
            Ok(AttributeTarget::Path { dirfd, address: 0x1000, follow, empty })
        };
        let here = libc::AT_FDCWD;
        let (nofollow, empty) = (0x100, 0x1000);
        use AttributeCall::*;
        for call in [Chmod, Chown, Utime, Utimes, SetXattr, RemoveXattr] {
            assert_eq!(target(call, [0x1000, 1, 2, 3, 4, 5]), by_path(here, true, false));
        }
        for call in [LChown, LSetXattr, LRemoveXattr] {
            assert_eq!(target(call, [0x1000, 1, 2, 3, 4, 5]), by_path(here, false, false));
        }
        for call in [FChmod, FChown, FSetXattr, FRemoveXattr] {
            let expected = Ok(AttributeTarget::Descriptor(7));
            assert_eq!(target(call, [7, 1, 2, 3, 4, 5]), expected);
        }
        assert_eq!(target(FChmodAt, [CWD, 0x1000, 0o644, 77, 77, 77]), by_path(here, true, false));
        assert_eq!(target(FChmodAt2, [9, 0x1000, 0, nofollow, 0, 0]), by_path(9, false, false));
        assert_eq!(target(FChmodAt2, [9, 0x1000, 0, 1, 0, 0]), Err(Errno::EINVAL));
        assert_eq!(target(FChownAt, [9, 0x1000, 1, 1, empty, 0]), by_path(9, true, true));
        assert_eq!(target(FChownAt, [9, 0x1000, 1, 1, 0x800, 0]), Err(Errno::EINVAL));
        assert_eq!(target(UtimensAt, [9, 0x1000, 0, 0, 0, 0]), by_path(9, true, false));
        assert_eq!(target(UtimensAt, [9, 0, 0, 0, 0, 0]), Ok(AttributeTarget::Descriptor(9)));
        assert_eq!(target(UtimensAt, [9, 0, 0, nofollow, 0, 0]), Err(Errno::EINVAL));
        assert_eq!(target(UtimensAt, [CWD, 0, 0, 0, 0, 0]), Err(Errno::EFAULT));
        assert_eq!(target(FUtimesAt, [9, 0, 0, 0, 0, 0]), Ok(AttributeTarget::Descriptor(9)));
    }

    #[test]
    fn times_in_three_layouts() {
        let bytes =
            |numbers: &[i64]| -> Vec<u8> { numbers.iter().flat_map(|n| n.to_ne_bytes()).collect() };
        let four = bytes(&[1, 2, 3, 4]);
        assert_eq!(times(TimesLayout::Seconds, &four[..16]), Ok([(1, 0), (2, 0)]));
        assert_eq!(times(TimesLayout::Micros, &four), Ok([(1, 2000), (3, 4000)]));
        assert_eq!(times(TimesLayout::Nanos, &four), Ok([(1, 2), (3, 4)]));
        assert_eq!(times(TimesLayout::Nanos, &four[..31]), Err(Errno::EFAULT));
        for wrong in [-1, 1_000_000, i64::MAX] {
            let wrong = bytes(&[1, wrong, 3, 4]);
            assert_eq!(times(TimesLayout::Micros, &wrong), Err(Errno::EINVAL));
        }
    }
}
