//! Socket addresses. Oracles: for UNIX addresses the kernel, asked to bind them and then for the
//! name it understood; for those of the internet, writing down again what was read.

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, getsockname, socket};
use nono_sandbox::decide::Address;
use nono_sandbox::sys;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What [`Address::parse`] makes of these bytes is what the kernel does.
pub fn sockaddr(bytes: &[u8]) {
    let address = Address::parse(bytes);
    let family = bytes.first_chunk::<2>().map(|family| u16::from_ne_bytes(*family));
    match (family.map(i32::from), &address) {
        (None, found) => assert_eq!(*found, Address::Malformed),
        (Some(libc::AF_UNIX), found) => unix(bytes, found),
        (Some(libc::AF_INET), found) => inet(bytes, found, 16),
        (Some(libc::AF_INET6), found) => inet(bytes, found, 24),
        (Some(libc::AF_UNSPEC), found) => assert_eq!(*found, Address::Unspecified),
        (Some(_), found) => assert_eq!(*found, Address::Other(family.unwrap_or_default())),
    }
}

/// `least`: bytes without which there is no address of that family.
fn inet(bytes: &[u8], found: &Address, least: usize) {
    assert_eq!(*found == Address::Malformed, bytes.len() < least, "{bytes:?}");
    let Address::Inet(address) = found else { return };
    assert_eq!(bytes.get(2..4), Some(&address.port().to_be_bytes()[..]));
    match address {
        SocketAddr::V4(v4) => assert_eq!(bytes.get(4..8), Some(&v4.ip().octets()[..])),
        SocketAddr::V6(v6) => {
            assert_eq!(bytes.get(8..24), Some(&v6.ip().octets()[..]));
            assert_eq!(bytes.get(24..28).unwrap_or(&[0; 4]), &v6.scope_id().to_ne_bytes()[..]);
        }
    }
}

/// A folder of this call's own, in which relative paths are harmless; one address at a time.
struct Alone {
    _folder: tempfile::TempDir,
    _one: MutexGuard<'static, ()>,
}

impl Alone {
    fn new() -> Self {
        static ONE: Mutex<()> = Mutex::new(());
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().expect("a folder");
        std::env::set_current_dir(folder.path()).expect("go there");
        Self { _folder: folder, _one: one }
    }
}

fn unix(bytes: &[u8], found: &Address) {
    let _alone = Alone::new();
    if let Address::UnixPath(path) = found {
        assert!(!path.is_empty() && path.len() <= 108 && !path.contains(&0));
        // The kernel would make it anywhere.
        if path.contains(&b'/') || path.as_slice() == b".." {
            return;
        }
    }
    let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
        .expect("a socket");
    let bound = sys::bind(fd.as_fd(), bytes);
    if *found == Address::Malformed {
        assert_eq!(bound, Err(Errno::EINVAL), "{bytes:?}");
        return;
    }
    // Two processes may want one abstract name, and `.` is there already.
    if matches!(bound, Err(Errno::EADDRINUSE | Errno::EACCES | Errno::EPERM)) {
        return;
    }
    assert_eq!(bound, Ok(()), "{bytes:?} as {found:?}");
    let name = || -> UnixAddr { getsockname(fd.as_raw_fd()).expect("a name") };
    match found {
        Address::UnixPath(path) => {
            // The file it made, and not what `getsockname` says: that has no room for the longest.
            let files = std::fs::read_dir(".").expect("the folder").map(|f| f.expect("a file"));
            let names: Vec<_> = files.map(|file| file.file_name()).collect();
            for name in &names {
                std::fs::remove_file(name).expect("remove it");
            }
            let names: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
            assert_eq!(names, [path.as_slice()]);
        }
        Address::UnixAbstract(text) => assert_eq!(name().as_abstract(), Some(text.as_slice())),
        Address::UnixUnnamed => assert_eq!(name().as_abstract().map(<[u8]>::len), Some(5)),
        other => panic!("{bytes:?} as {other:?}"),
    }
}
