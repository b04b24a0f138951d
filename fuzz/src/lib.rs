//! What fuzz targets of profiles share: a small world to resolve profiles in, and profiles that
//! never touch a disk.

use nix::sys::memfd::{MFdFlags, memfd_create};
use nono_profiles::{Context, MissingFolders, ProfileRef};
use nono_sandbox::AbsPath;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Seek, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Folders that last as long as the process.
#[derive(Debug)]
pub struct World {
    root: TempDir,
    text: File,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// Makes a home, a workspace and a temporary folder, in memory where the machine allows it.
    #[must_use]
    pub fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let root = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let root = root.expect("a folder");
        for folder in ["home", "work", "tmp"] {
            fs::create_dir(root.path().join(folder)).expect("a folder");
        }
        let text = memfd_create(c"profile", MFdFlags::MFD_CLOEXEC).expect("a file in memory");
        Self { root, text: text.into() }
    }

    /// A path below the world's root.
    #[must_use]
    pub fn path(&self, below: &str) -> PathBuf {
        fs::canonicalize(self.root.path()).expect("it exists").join(below)
    }

    /// What profiles are resolved against: nothing of the machine's environment but this world.
    #[must_use]
    pub fn context(&self) -> Context {
        let absolute = |below| AbsPath::new(self.path(below)).expect("absolute");
        let variables = [("HOME", self.path("home")), ("PATH", PathBuf::from("/usr/bin:/bin"))];
        let environment: BTreeMap<_, _> =
            variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let mut context =
            Context::new(vec![absolute("work")], absolute("tmp"), environment, u32::MAX);
        context.missing_folders = MissingFolders::Leave;
        context
    }

    /// A profile of this text.
    pub fn profile(&mut self, text: &[u8]) -> ProfileRef {
        self.text.set_len(0).expect("an empty file");
        self.text.rewind().expect("its start");
        self.text.write_all(text).expect("room in memory");
        ProfileRef::File(format!("/proc/self/fd/{}", self.text.as_raw_fd()).into())
    }
}
