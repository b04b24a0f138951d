//! Ways around: calls that escape, replace or outrank the sandbox's filters and rules.

use crate::number;
use crate::sys::{self, Outcome, unix_address};
use nix::errno::Errno;

pub fn run(name: &str, rest: &[&str]) -> Option<Outcome> {
    Some(match (name, rest) {
        ("io-uring", &[]) => io_uring(),
        ("x32", &[]) => plain(sys::call(0x4000_0000 | libc::SYS_getpid, &[])),
        ("i386", &[]) => i386::getpid(),
        ("i386-connect", &[address]) => i386::connect(address),
        ("own-listener", &[]) => own_filter(libc::SECCOMP_FILTER_FLAG_NEW_LISTENER as usize),
        ("own-filter", &[]) => own_filter(0),
        ("unshare", &[what]) => flag(what).and_then(|f| plain(sys::call(libc::SYS_unshare, &[f]))),
        ("clone", &[what]) => flag(what).and_then(clone),
        ("clone3", &[]) => plain(sys::call(libc::SYS_clone3, &[0, 0])),
        ("mount", &[at]) => mount(at),
        ("chroot", &[at]) => {
            c_path(at).and_then(|p| plain(sys::call(libc::SYS_chroot, &[p.as_ptr() as usize])))
        }
        ("open-tree", &[at]) => c_path(at).and_then(|p| {
            let args = [libc::AT_FDCWD as usize, p.as_ptr() as usize, 1];
            plain(sys::call(libc::SYS_open_tree, &args))
        }),
        ("join-keyring", &[]) => plain(sys::call(libc::SYS_keyctl, &[1, 0])),
        ("add-key", &[]) => add_key(),
        ("request-key", &[]) => request_key(),
        ("bpf", &[]) => bpf_map(),
        ("perf", &[]) => perf(),
        ("userfaultfd", &[]) => plain(sys::call(libc::SYS_userfaultfd, &[1])),
        ("message-queue", &[]) => plain(sys::call(libc::SYS_msgget, &[0, 0o600])),
        ("posix-queue", &[name]) => c_path(name.trim_start_matches('/')).and_then(|p| {
            let flags = (libc::O_CREAT | libc::O_RDWR) as usize;
            plain(sys::call(libc::SYS_mq_open, &[p.as_ptr() as usize, flags, 0o600, 0]))
        }),
        ("file-handle", &[path]) => file_handle(path),
        ("ioctl", &[command]) => {
            number(command).and_then(|c: usize| plain(sys::call(libc::SYS_ioctl, &[0, c, 0])))
        }
        ("personality", &[]) => plain(sys::call(libc::SYS_personality, &[0x0040_0000])),
        ("undumpable-connect", &[address, level]) => undumpable(address, level),
        ("privileges", &[]) => privileges(),
        _ => return None,
    })
}

fn plain(result: Result<usize, Errno>) -> Outcome {
    result.map(|_| String::new())
}

fn c_path(path: &str) -> Result<std::ffi::CString, Errno> {
    std::ffi::CString::new(path).map_err(|_| Errno::EINVAL)
}

fn flag(what: &str) -> Result<usize, Errno> {
    Ok(match what {
        "user" => libc::CLONE_NEWUSER,
        "mount" => libc::CLONE_NEWNS,
        "net" => libc::CLONE_NEWNET,
        "pid" => libc::CLONE_NEWPID,
        "files" => libc::CLONE_FILES,
        _ => return Err(Errno::EINVAL),
    } as usize)
}

/// A child in a new namespace, which leaves at once.
fn clone(flags: usize) -> Outcome {
    let child = sys::call(libc::SYS_clone, &[flags | libc::SIGCHLD as usize, 0, 0, 0, 0])?;
    if child == 0 {
        let _ = sys::call(libc::SYS_exit_group, &[0]);
    }
    Ok(String::new())
}

/// A ring with one entry.
fn io_uring() -> Outcome {
    let mut parameters = [0_u8; 120];
    plain(sys::call(libc::SYS_io_uring_setup, &[1, parameters.as_mut_ptr() as usize]))
}

/// A filter that allows everything, with or without a listener.
fn own_filter(flags: usize) -> Outcome {
    sys::call(libc::SYS_prctl, &[libc::PR_SET_NO_NEW_PRIVS as usize, 1, 0, 0, 0])?;
    let allow = [libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW }];
    let program = libc::sock_fprog { len: 1, filter: allow.as_ptr().cast_mut() };
    let args = [libc::SECCOMP_SET_MODE_FILTER as usize, flags, &raw const program as usize];
    plain(sys::call(libc::SYS_seccomp, &args))
}

fn mount(at: &str) -> Outcome {
    let (kind, at) = (c"tmpfs", c_path(at)?);
    let (kind, at) = (kind.as_ptr() as usize, at.as_ptr() as usize);
    sys::call(libc::SYS_mount, &[kind, at, kind, 0, 0])?;
    plain(sys::call(libc::SYS_umount2, &[at, 0]))
}

fn add_key() -> Outcome {
    let (kind, name) = (c"user", c"nono-probe");
    let args = [
        kind.as_ptr() as usize,
        name.as_ptr() as usize,
        b"x".as_ptr() as usize,
        1,
        // The process keyring, which ends with the process.
        (-2_i32) as usize,
    ];
    plain(sys::call(libc::SYS_add_key, &args))
}

/// A key that does not exist; without a call-out the kernel says `ENOKEY`.
fn request_key() -> Outcome {
    let (kind, name) = (c"user", c"nono-probe-absent");
    let args = [kind.as_ptr() as usize, name.as_ptr() as usize, 0, 0];
    plain(sys::call(libc::SYS_request_key, &args))
}

/// An array map with one element.
fn bpf_map() -> Outcome {
    let mut attributes = [0_u32; 32];
    attributes[..4].copy_from_slice(&[2, 4, 4, 1]);
    let size = size_of_val(&attributes);
    plain(sys::call(libc::SYS_bpf, &[0, attributes.as_mut_ptr() as usize, size]))
}

/// A software clock counter on ourselves, without the kernel's side.
fn perf() -> Outcome {
    let mut attributes = [0_u64; 16];
    attributes[0] = 1 | (128 << 32); // type software, size 128
    attributes[5] = 0b0110_0000; // exclude kernel and hypervisor
    let args = [attributes.as_mut_ptr() as usize, 0, usize::MAX, usize::MAX, 0];
    plain(sys::call(libc::SYS_perf_event_open, &args))
}

fn file_handle(path: &str) -> Outcome {
    let path = c_path(path)?;
    let mut handle = [0_u32; 34];
    handle[0] = 128;
    let mut mount = 0_i32;
    let args = [
        libc::AT_FDCWD as usize,
        path.as_ptr() as usize,
        handle.as_mut_ptr() as usize,
        &raw mut mount as usize,
        0,
    ];
    plain(sys::call(libc::SYS_name_to_handle_at, &args))
}

/// Connects after saying who may look into this process (0: nobody).
fn undumpable(address: &str, level: &str) -> Outcome {
    let level = number(level)?;
    sys::call(libc::SYS_prctl, &[libc::PR_SET_DUMPABLE as usize, level, 0, 0, 0])?;
    let fd = sys::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)?;
    sys::connect(fd, &unix_address(address))?;
    sys::receive_timeout(fd, 5000);
    sys::read_text(fd)
}

/// Capabilities and `no_new_privs` as the kernel shows them.
fn privileges() -> Outcome {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|_| Errno::ENOENT)?;
    let wanted = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Groups"];
    let mut found = Vec::new();
    for line in status.lines() {
        if let Some((name, value)) = line.split_once(':')
            && wanted.contains(&name)
        {
            found.push(format!("{name}={}", value.trim().replace(' ', "+")));
        }
    }
    Ok(found.join(" "))
}

/// System calls through the 32-bit gate, which a filter for 64-bit numbers reads wrongly.
#[cfg(target_arch = "x86_64")]
mod i386 {
    use super::{Errno, Outcome, sys, unix_address};

    fn gate(number: u32, args: [u32; 3]) -> Result<u32, Errno> {
        let result: i32;
        // SAFETY: the kernel checks 32-bit pointers as it checks others; rbx, which the compiler
        // keeps for itself, is put back; the gate clobbers r8 to r11.
        unsafe {
            std::arch::asm!(
                "xchg rbx, {first}",
                "int 0x80",
                "xchg rbx, {first}",
                first = inout(reg) u64::from(args[0]) => _,
                inlateout("eax") number => result,
                in("ecx") args[1],
                in("edx") args[2],
                out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            );
        }
        if result < 0 { Err(Errno::from_raw(-result)) } else { Ok(result.cast_unsigned()) }
    }

    pub fn getpid() -> Outcome {
        gate(20, [0; 3]).map(|_| String::new())
    }

    /// socket(359) and connect(362) with the address below 4 GiB.
    pub fn connect(address: &str) -> Outcome {
        let bytes = unix_address(address);
        let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT) as usize;
        let access = (libc::PROT_READ | libc::PROT_WRITE) as usize;
        let page = sys::call(libc::SYS_mmap, &[0, 4096, access, flags, usize::MAX, 0])?;
        // SAFETY: a fresh private page of our own, larger than any address.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), page as *mut u8, bytes.len()) };
        let fd = gate(359, [libc::AF_UNIX as u32, libc::SOCK_STREAM as u32, 0])?;
        gate(362, [fd, page as u32, bytes.len() as u32])?;
        sys::receive_timeout(fd as i32, 5000);
        sys::read_text(fd as i32)
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod i386 {
    use super::{Errno, Outcome};

    pub fn getpid() -> Outcome {
        Err(Errno::ENOSYS)
    }

    pub fn connect(_address: &str) -> Outcome {
        Err(Errno::ENOSYS)
    }
}
