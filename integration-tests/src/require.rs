//! What these tests need. What is missing fails a test, features of the kernel and programs alike: a
//! test that is left out in silence passes. Programs that [`MAY_SKIP`] lists may be missing.

/// Fails the test unless the kernel has the named feature.
///
/// ```
/// nono_integration_tests::require!(landlock 1);
/// nono_integration_tests::require!(seccomp_notify);
/// ```
#[macro_export]
macro_rules! require {
    (landlock $abi:literal) => {
        let found = $crate::require::landlock_abi();
        assert!(found >= $abi, "this test needs Landlock ABI {}; the kernel has {found}", $abi);
    };
    (seccomp_notify) => {
        assert!($crate::require::seccomp_notify(), "this test needs seccomp user notification");
    };
}

/// The kernel's Landlock ABI, 0 without Landlock.
#[must_use]
pub fn landlock_abi() -> i64 {
    const VERSION: usize = 1;
    // SAFETY: with this flag the call takes no pointer and changes nothing.
    unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, 0_usize, 0_usize, VERSION) }.max(0)
}

/// Whether seccomp can notify a listener.
#[must_use]
pub fn seccomp_notify() -> bool {
    const ACTION_AVAILABLE: usize = 2;
    let action = libc::SECCOMP_RET_USER_NOTIF;
    // SAFETY: reads one number and changes nothing.
    unsafe { libc::syscall(libc::SYS_seccomp, ACTION_AVAILABLE, 0_usize, &raw const action) == 0 }
}

/// Fails the test unless there is such a program.
///
/// # Panics
/// If there is none.
pub fn program(name: &str) {
    assert!(is_installed(name), "this test needs the program {name}");
}

/// The variable with names of what may be missing, separated by spaces or commas.
pub const MAY_SKIP: &str = "NONO_TESTS_MAY_SKIP";
/// What may be missing where it is not set, because a machine for development often does without.
const USUAL: &str = "pytest go chromium";

/// Whether there is such a program.
///
/// # Panics
/// If there is none and it must not be missing.
#[must_use]
pub fn has_program(name: &str) -> bool {
    any_program(&[name]).is_some()
}

/// The first of these programs that there is.
///
/// # Panics
/// If there is none, and the first must not be missing.
#[must_use]
pub fn any_program<'n>(names: &[&'n str]) -> Option<&'n str> {
    let found = names.iter().copied().find(|name| is_installed(name));
    if let (None, Some(first)) = (found, names.first()) {
        leave_out(first, &format!("this machine has no {}", names.join(" or ")));
    }
    found
}

/// Says that something is not tested, because `what` is missing.
///
/// # Panics
/// If it must not be.
pub fn leave_out(what: &str, why: &str) {
    let listed = std::env::var(MAY_SKIP).unwrap_or_else(|_| USUAL.to_owned());
    assert!(lists(&listed, what), "{why}; what may be missing is listed in {MAY_SKIP}: {what}");
    eprintln!("NOT TESTED: {why}");
}

fn lists(names: &str, name: &str) -> bool {
    names.split([' ', ',']).any(|listed| listed == name)
}

fn is_installed(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_listed_as_a_whole() {
        assert!(lists("java,node pytest", "node") && lists("pytest", "pytest"));
        assert!(!lists("nodejs", "node") && !lists("", "node"));
    }
}
