//! Giving up root's rights for good.

use nix::errno::Errno;

const VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: libc::c_int,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Whether the calling thread holds any capability.
///
/// # Errors
/// As capget(2).
pub fn has_capabilities() -> Result<bool, Errno> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut data = [Data::default(); 2];
    // SAFETY: version 3 makes the kernel read one header and write two data elements; both
    // pointers are exclusively borrowed and `repr(C)` as in linux/capability.h.
    let result = unsafe {
        libc::syscall(libc::SYS_capget, std::ptr::from_mut(&mut header), data.as_mut_ptr())
    };
    Errno::result(result)?;
    Ok(data.iter().any(|d| (d.effective | d.permitted | d.inheritable) != 0))
}

fn prctl(option: libc::c_int, value: libc::c_ulong) -> Result<libc::c_int, Errno> {
    // SAFETY: the options used in this module take integers and no pointers (prctl(2)).
    Errno::result(unsafe { libc::prctl(option, value, 0, 0, 0) })
}

/// Drops every capability of the calling thread, from every set, for good: with `SECBIT_NOROOT`
/// locked, not even executing a file as root gives one back.
///
/// # Errors
/// The errno of the first step that failed; what was dropped by then stays dropped.
pub fn drop_capabilities() -> Result<(), Errno> {
    /// `SECBIT_NOROOT | NO_SETUID_FIXUP | NO_CAP_AMBIENT_RAISE`, each with its lock
    /// (linux/securebits.h). `KEEP_CAPS` is cleared and locked.
    const SECUREBITS: libc::c_ulong = 0x01 | 0x02 | 0x04 | 0x08 | 0x20 | 0x40 | 0x80;
    if !has_capabilities()? {
        return Ok(());
    }
    // Both need CAP_SETPCAP. A holder of other capabilities alone may lack it; what matters for
    // such a process, the empty sets below and `no_new_privs`, does not depend on it.
    match prctl(libc::PR_SET_SECUREBITS, SECUREBITS) {
        Ok(_) | Err(Errno::EPERM) => {}
        Err(errno) => return Err(errno),
    }
    for capability in 0.. {
        match prctl(libc::PR_CAPBSET_DROP, capability) {
            Ok(_) => {}
            // Past the last capability this kernel knows, or without CAP_SETPCAP.
            Err(Errno::EINVAL | Errno::EPERM) => break,
            Err(errno) => return Err(errno),
        }
    }
    drop_own_capabilities()
}

/// Drops every capability that the calling thread has. It must not execute anything as root, which
/// would give them back; one that only looks or removes saves the forty calls of the other.
///
/// # Errors
/// The errno of the first step that failed; what was dropped by then stays dropped.
pub fn drop_own_capabilities() -> Result<(), Errno> {
    prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong)?;
    let header = Header { version: VERSION_3, pid: 0 };
    let none = [Data::default(); 2];
    // SAFETY: version 3 makes the kernel read one header and two data elements, which outlive the
    // call and are `repr(C)` as in linux/capability.h.
    let result =
        unsafe { libc::syscall(libc::SYS_capset, std::ptr::from_ref(&header), none.as_ptr()) };
    Errno::result(result)?;
    if has_capabilities()? { Err(Errno::EPERM) } else { Ok(()) }
}
