//! Other doors into the kernel: calls that get around, replace or outrank the filters.

use super::done;
use crate::sys::{at, at_mut, call};
use crate::{Outcome, Probe};
use nix::errno::Errno;

pub(crate) const PROBES: &[Probe] = &[
    Probe::new("io-uring", "calls by a ring in memory", |_| {
        let mut parameters = [0_u8; 120];
        done(call(libc::SYS_io_uring_setup, &[1, at_mut(&mut parameters)]))
    })
    .if_built(),
    Probe::new("clone3", "namespaces by flags in memory", |_| {
        done(call(libc::SYS_clone3, &[0, 0]))
    })
    .answers(Errno::EINVAL),
    Probe::new("i386", "calls of the 32-bit architecture", |_| i386(20, 0)).if_built(),
    Probe::new("i386-socket", "a socket by them", |_| i386(102, 1)).if_built(),
    Probe::new("x32", "calls of the third architecture", |_| {
        done(call(0x4000_0000 | libc::SYS_getpid, &[]))
    })
    .if_built(),
    Probe::new("own-listener", "answer one's own mediated calls", |_| {
        call(libc::SYS_prctl, &[libc::PR_SET_NO_NEW_PRIVS.into(), 1, 0, 0, 0])?;
        let allow = [libc::sock_filter { code: 6, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW }];
        let program = libc::sock_fprog { len: 1, filter: allow.as_ptr().cast_mut() };
        done(call(libc::SYS_seccomp, &[1, 8, at(&program)]))
    }),
    Probe::new("bpf", "programs for the kernel", |_| {
        // An array map with one element.
        let attributes = [2_u32, 4, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        done(call(libc::SYS_bpf, &[0, at(&attributes), 72]))
    })
    .root(),
    Probe::new("perf", "counters of the processor", |_| {
        let mut attributes = [0_u32; 32];
        (attributes[0], attributes[1]) = (1, 128);
        // Only one's own user code, which asks for the fewest rights.
        attributes[10] = 0x60;
        done(call(libc::SYS_perf_event_open, &[at(&attributes), 0, -1, -1, 0]))
    })
    .if_built(),
    Probe::new("userfaultfd", "make the kernel wait for memory", |_| {
        done(call(libc::SYS_userfaultfd, &[1]))
    })
    .if_built(),
    Probe::new("module", "load code into the kernel", |_| {
        done(call(libc::SYS_init_module, &[0, 0, 0]))
    })
    .answers(Errno::EFAULT),
    Probe::new("kexec", "start another kernel", |_| {
        done(call(libc::SYS_kexec_load, &[0, 99, 0, 0x00ff_0000]))
    })
    .answers(Errno::EINVAL),
    Probe::new("reboot", "restart the machine", |_| done(call(libc::SYS_reboot, &[0, 0, 0, 0])))
        .answers(Errno::EINVAL),
    Probe::new("kernel-messages", "read what the kernel said", |_| {
        // How much there is (SYSLOG_ACTION_SIZE_UNREAD).
        done(call(libc::SYS_syslog, &[9, 0, 0]))
    })
    .root(),
    Probe::new("clock", "set the clock", |_| {
        // `struct timex`: what is there is set again (ADJ_TICK).
        let mut clock = [0_i64; 26];
        call(libc::SYS_adjtimex, &[at_mut(&mut clock)])?;
        clock[0] = 0x4000;
        done(call(libc::SYS_adjtimex, &[at_mut(&mut clock)]))
    })
    .root(),
    Probe::new("acct", "have every process recorded", |_| done(call(libc::SYS_acct, &[0]))).root(),
    Probe::new("swap", "stop swapping", |_| {
        done(call(libc::SYS_swapoff, &[at(c"/nono-not-there".to_bytes_with_nul())]))
    })
    .answers(Errno::ENOENT),
    Probe::new("segments", "change the processor's segments", |_| {
        let mut table = [0_u8; 16];
        done(call(MODIFY_LDT, &[0, at_mut(&mut table), 16]))
    })
    .if_built(),
    Probe::new("ports", "speak to hardware", |_| done(call(IOPERM, &[0x80, 1, 1]))).root(),
];

#[cfg(target_arch = "x86_64")]
const MODIFY_LDT: i64 = libc::SYS_modify_ldt;
#[cfg(target_arch = "x86_64")]
const IOPERM: i64 = libc::SYS_ioperm;
/// Not there on other architectures: a number that no kernel knows.
#[cfg(not(target_arch = "x86_64"))]
const MODIFY_LDT: i64 = 9999;
#[cfg(not(target_arch = "x86_64"))]
const IOPERM: i64 = 9999;

#[cfg(target_arch = "x86_64")]
fn i386(number: i32, first: i32) -> Outcome {
    match crate::sys::foreign(number, first, 0) {
        error @ -4095..=-1 if error != -libc::EFAULT => Err(Errno::from_raw(-error)),
        _ => Ok(String::new()),
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn i386(_: i32, _: i32) -> Outcome {
    Err(Errno::ENOSYS)
}
