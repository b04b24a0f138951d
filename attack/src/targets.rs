//! Where the things are that probes reach for.

use nix::errno::Errno;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};

/// What the host side has prepared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets {
    /// The folder of the scene: `ws`, `home` and `outside` are in it.
    pub folder: PathBuf,
    /// A process of the same user.
    pub victim: i32,
    /// Where its secret lies in its memory.
    pub memory: i64,
    /// The key of its System V memory.
    pub key: i32,
    /// The id of that.
    pub id: i32,
    /// The number of its message queue.
    pub queue: i32,
    /// Its terminal.
    pub terminal: PathBuf,
    /// A TCP port of this machine.
    pub tcp: u16,
    /// A UDP port of this machine.
    pub udp: u16,
    /// A UDP service at the address by which other machines know this one; unspecified if it has
    /// none.
    pub outer: SocketAddrV4,
    /// The number of the mount namespace that the machine is seen in; 0 if the kernel does not say.
    pub mounts: u64,
}

impl Targets {
    /// Something below the folder that nothing grants.
    pub(crate) fn outside(&self, name: &str) -> PathBuf {
        self.folder.join("outside").join(name)
    }

    /// Something below the home.
    pub(crate) fn home(&self, name: &str) -> PathBuf {
        self.folder.join("home").join(name)
    }

    /// Something in the workspace.
    pub(crate) fn own(&self, name: &str) -> PathBuf {
        self.folder.join("ws").join(name)
    }

    /// The address by which other machines know this one.
    pub(crate) fn outer_ip(&self) -> Result<Ipv4Addr, Errno> {
        let ip = *self.outer.ip();
        if ip.is_unspecified() { Err(Errno::EADDRNOTAVAIL) } else { Ok(ip) }
    }

    /// A name of the scene's own.
    pub(crate) fn tag(&self) -> String {
        let name = self.folder.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// One line for each, for a file that probes read.
    #[must_use]
    pub fn to_text(&self) -> String {
        let Self { folder, victim, memory, key, id, queue, terminal, tcp, udp, outer, mounts } =
            self;
        let (folder, terminal) = (folder.display(), terminal.display());
        format!(
            "{folder}\n{victim}\n{memory}\n{key}\n{id}\n{queue}\n{terminal}\n{tcp}\n{udp}\n\
             {outer}\n{mounts}\n"
        )
    }

    /// What [`Self::to_text`] wrote.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        Some(Self {
            folder: Path::new(lines.next()?).to_owned(),
            victim: lines.next()?.parse().ok()?,
            memory: lines.next()?.parse().ok()?,
            key: lines.next()?.parse().ok()?,
            id: lines.next()?.parse().ok()?,
            queue: lines.next()?.parse().ok()?,
            terminal: Path::new(lines.next()?).to_owned(),
            tcp: lines.next()?.parse().ok()?,
            udp: lines.next()?.parse().ok()?,
            outer: lines.next()?.parse().ok()?,
            mounts: lines.next()?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_back() {
        let targets = Targets {
            folder: "/tmp/x".into(),
            victim: 7,
            memory: -1,
            key: 5,
            id: 9,
            queue: 0,
            terminal: "/dev/pts/3".into(),
            tcp: 1,
            udp: 65535,
            outer: SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7),
            mounts: u64::MAX,
        };
        assert_eq!(Targets::from_text(&targets.to_text()), Some(targets));
        assert_eq!(Targets::from_text("/tmp/x\nno number\n"), None);
    }
}
