//! Raw system calls. A probe says what the kernel answered and nothing else, so where a library
//! would check, retry or translate, it goes around it.

#![expect(unsafe_code, reason = "this module is the boundary to the kernel")]

use nix::errno::Errno;
use std::fs::File;
use std::os::fd::FromRawFd;

/// What the kernel said.
pub(crate) type Answer = Result<i64, Errno>;

/// One system call with up to six arguments.
///
/// Safe to call in the sense that matters here: the kernel checks every address it is given, and a
/// wrong one can harm this short-lived process alone. Callers pass addresses of live buffers.
pub(crate) fn call(number: i64, arguments: &[i64]) -> Answer {
    let mut a = [0_i64; 6];
    for (to, from) in a.iter_mut().zip(arguments) {
        *to = *from;
    }
    // SAFETY: see above; unused arguments are zero, and no call a probe makes writes beyond the
    // buffer it was given the size of.
    let result = unsafe { libc::syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]) };
    if result == -1 { Err(Errno::last()) } else { Ok(result) }
}

/// The address of something, as a register takes it.
pub(crate) fn at<T: ?Sized>(object: &T) -> i64 {
    std::ptr::from_ref(object).cast::<u8>().addr() as i64
}

/// The same, of something the kernel writes to.
pub(crate) fn at_mut<T: ?Sized>(object: &mut T) -> i64 {
    std::ptr::from_mut(object).cast::<u8>().addr() as i64
}

/// Opens the path that stands in `path` when the kernel looks, terminated whatever stands there.
pub(crate) fn open_shared(path: &[std::sync::atomic::AtomicU8], flags: i32) -> Result<File, Errno> {
    let number = call(libc::SYS_openat, &[libc::AT_FDCWD.into(), at(path), flags.into(), 0o644])?;
    let fd = i32::try_from(number).map_err(|_| Errno::EBADF)?;
    // SAFETY: the call has just returned this descriptor, so nobody else has it.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// A child that runs `act` and ends. The caller must have one thread.
pub(crate) fn in_child(act: impl FnOnce() -> i32) -> Result<nix::unistd::Pid, Errno> {
    // SAFETY: a probe has one thread when it forks, so the child is as free as the parent.
    match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Parent { child } => Ok(child),
        nix::unistd::ForkResult::Child => {
            let code = act();
            // SAFETY: `_exit` has no preconditions.
            unsafe { libc::_exit(code) }
        }
    }
}

/// A thread that has its own copy of the descriptors, and ends at once.
pub(crate) fn thread_with_own_descriptors() -> Result<(), Errno> {
    extern "C" fn end(_: *mut libc::c_void) -> libc::c_int {
        0
    }
    const STACK: usize = 64 << 10;
    let flags = libc::CLONE_VM | libc::CLONE_FS | libc::CLONE_SIGHAND | libc::CLONE_THREAD;
    // Never given back: the thread may be on it still.
    let stack = Box::leak(vec![0_u128; STACK / size_of::<u128>()].into_boxed_slice());
    let top = stack.as_mut_ptr_range().end;
    // SAFETY: the stack is the thread's alone and aligned for it; `end` touches nothing, least of
    // all what threads have of their own, which is this one's too.
    Errno::result(unsafe { libc::clone(end, top.cast(), flags, std::ptr::null_mut()) })?;
    Ok(())
}

/// `int 0x80`: the system calls of the 32-bit architecture.
#[cfg(target_arch = "x86_64")]
pub(crate) fn foreign(number: i32, first: i32, second: i32) -> i32 {
    let result: i32;
    // SAFETY: the instruction traps into the kernel, which preserves every register but the result;
    // `rbx` is saved around it because the compiler keeps it for itself.
    unsafe {
        std::arch::asm!(
            "xchg {first:r}, rbx",
            "int 0x80",
            "xchg {first:r}, rbx",
            first = inout(reg) i64::from(first) => _,
            inout("eax") number => result,
            in("ecx") second,
            in("edx") 0,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    result
}
