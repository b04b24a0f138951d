//! The private temporary folder of a server: what `$TMPDIR` is for its commands.

use crate::error::ServerError;
use nix::fcntl::{Flock, FlockArg};
use nono_sandbox::AbsPath;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// How names of such folders start. Short, because paths of sockets may have 107 bytes.
const PREFIX: &str = "nono-mcp-";
/// Random characters after that.
const RANDOM: usize = 8;
/// Folders younger than this may belong to a server that has not locked them yet.
const SETTLED: Duration = Duration::from_secs(60);

/// A folder with mode 0700 and a name nobody could guess; removed when dropped.
#[derive(Debug)]
pub(crate) struct PrivateFolder {
    folder: TempDir,
    path: AbsPath,
    /// Held as long as the server lives, so that others can tell the folder is in use.
    _lock: Flock<File>,
}

impl PrivateFolder {
    /// Makes the folder, after removing those of servers that were killed.
    ///
    /// # Errors
    /// [`ServerError::TemporaryFolder`] names the folder it should have been made in.
    pub(crate) fn make() -> Result<Self, ServerError> {
        let parent = std::env::temp_dir();
        remove_abandoned(&parent);
        let unusable = |source| ServerError::TemporaryFolder { path: parent.clone(), source };
        let folder = tempfile::Builder::new()
            .prefix(PREFIX)
            .rand_bytes(RANDOM)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(&parent)
            .map_err(unusable)?;
        let lock = lock(folder.path()).map_err(unusable)?;
        let path = AbsPath::new(folder.path().canonicalize().map_err(unusable)?)?;
        Ok(Self { folder, path, _lock: lock })
    }

    /// Where it is, canonical.
    pub(crate) fn path(&self) -> &AbsPath {
        &self.path
    }

    /// Removes the folder now, whatever commands left in it.
    pub(crate) fn remove(&self) {
        if let Err(error) = remove(self.folder.path()) {
            tracing::warn!(%error, path = %self.path, "cannot remove the private folder");
        }
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        if self.folder.path().exists() {
            self.remove();
        }
    }
}

/// The lock that says a folder is in use; fails if another process holds it.
fn lock(folder: &Path) -> io::Result<Flock<File>> {
    let file = File::open(folder)?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno.into())
}

/// Removes a tree, read-only folders included: caches of some build tools consist of them.
fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            make_writable(folder);
            fs::remove_dir_all(folder)
        }
        done => done,
    }
}

/// Gives the owner all rights to every folder of a tree. Symbolic links are not followed.
fn make_writable(folder: &Path) {
    // What cannot be changed here shows as an error of the removal.
    let _shows_later = fs::set_permissions(folder, Permissions::from_mode(0o700));
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            make_writable(&entry.path());
        }
    }
}

/// Removes private folders of this user whose server is gone without having removed them.
fn remove_abandoned(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for path in entries.flatten().filter(is_private).map(|entry| entry.path()) {
        if let Ok(_lock) = lock(&path) {
            let removed = remove(&path);
            tracing::info!(path = %path.display(), ?removed, "private folder of a killed server");
        }
    }
}

/// Whether an entry is such a folder: ours by name, owner and mode, and not brand new.
fn is_private(entry: &fs::DirEntry) -> bool {
    let name = entry.file_name();
    let named = name.to_str().and_then(|n| n.strip_prefix(PREFIX)).is_some_and(|random| {
        random.len() == RANDOM && random.chars().all(|c| c.is_ascii_alphanumeric())
    });
    // `metadata` of an entry does not follow a symbolic link.
    named
        && entry.metadata().is_ok_and(|m| {
            m.is_dir()
                && m.uid() == nix::unistd::geteuid().as_raw()
                && m.permissions().mode() & 0o7777 == 0o700
                && m.modified().is_ok_and(|at| {
                    SystemTime::now().duration_since(at).is_ok_and(|age| age >= SETTLED)
                })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(folder: &Path) {
        let long_ago = SystemTime::now() - 2 * SETTLED;
        File::open(folder).unwrap().set_modified(long_ago).unwrap();
    }

    #[test]
    fn is_private_and_gone_in_the_end_whatever_is_in_it() {
        let folder = PrivateFolder::make().unwrap();
        let path = folder.path().as_path().to_path_buf();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o700);
        fs::create_dir_all(path.join("cache/module")).unwrap();
        fs::write(path.join("cache/module/file"), "x").unwrap();
        fs::set_permissions(path.join("cache/module"), Permissions::from_mode(0o555)).unwrap();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn only_abandoned_folders_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let make = |name: &str, mode| {
            let path = parent.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            path
        };
        let abandoned = make("nono-mcp-abcDEF12", 0o700);
        let in_use = make("nono-mcp-abcDEF13", 0o700);
        let fresh = make("nono-mcp-abcDEF14", 0o700);
        let shared = make("nono-mcp-abcDEF15", 0o755);
        let other = make("nono-mcp-else", 0o700);
        [&abandoned, &in_use, &shared, &other].into_iter().for_each(|path| settled(path));
        let _held = lock(&in_use).unwrap();
        remove_abandoned(parent.path());
        assert!(!abandoned.exists());
        for kept in [in_use, fresh, shared, other] {
            assert!(kept.exists(), "{}", kept.display());
        }
    }
}
