//! A program around which system calls are refused, as container engines do it.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

const LOAD_NUMBER: libc::sock_filter = libc::sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 };

fn answer(with: u32) -> libc::sock_filter {
    libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: with }
}

/// From its start on, `command` and what it starts get `EPERM` for these calls.
///
/// # Panics
/// If a call has no number that a filter can hold.
pub fn refuse(command: &mut Command, calls: &[i64]) {
    let mut filter = vec![LOAD_NUMBER];
    for call in calls {
        let k = u32::try_from(*call).expect("the number of a call");
        filter.push(libc::sock_filter { code: 0x15, jt: 0, jf: 1, k });
        filter.push(answer(libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs()));
    }
    filter.push(answer(libc::SECCOMP_RET_ALLOW));
    let install = move || {
        let length = u16::try_from(filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let program = libc::sock_fprog { len: length, filter: filter.as_ptr().cast_mut() };
        // SAFETY: both calls take integers and, the second, a program that outlives it.
        let refused = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
                || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
                    != 0
        };
        if refused { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: between fork and exec it makes two system calls and allocates nothing.
    unsafe { command.pre_exec(install) };
}
