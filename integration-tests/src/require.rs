//! What these tests need. A missing feature of the kernel fails a test; a workload whose program is
//! not installed says so and is left out.

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

/// Whether there is such a program; that there is none is said.
#[must_use]
pub fn has_program(name: &str) -> bool {
    let found = is_installed(name);
    if !found {
        eprintln!("NOT TESTED: this machine has no {name} for it");
    }
    found
}

fn is_installed(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}
