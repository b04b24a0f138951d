//! The private temporary folder of a server: what `$TMPDIR` is for its commands.

use crate::commands_rights::with_a_commands_rights;
use crate::error::ServerError;
use crate::removal::{self, Emptied};
use crate::remover;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nono_profiles::link_of_commands;
use nono_sandbox::AbsPath;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// How names of such folders start. Short, because paths of sockets may have 107 bytes.
const PREFIX: &str = "nono-mcp-";
/// Random characters after that.
const RANDOM: usize = 8;
/// Folders younger than this may belong to a server that has not locked them yet.
const SETTLED: Duration = Duration::from_secs(60);
/// How long a server spends on the removal of folders, its own when it ends and others' when it
/// starts. What takes longer is left to a [`remover`].
const PATIENCE: Duration = Duration::from_millis(300);

/// A folder with mode 0700 and a name nobody could guess; removed when dropped.
#[derive(Debug)]
pub(crate) struct PrivateFolder {
    path: AbsPath,
    /// Held as long as the server lives, so that others can tell the folder is in use. It is also
    /// the way to what is in it: the name may be somebody else's by the time it is removed.
    lock: Flock<File>,
    /// Nothing is left to do.
    is_removed: AtomicBool,
}

impl PrivateFolder {
    /// Makes the folder where the environment says, after removing those of servers that were
    /// killed.
    ///
    /// # Errors
    /// [`ServerError::TemporaryFolder`] names the folder it should have been made in.
    pub(crate) fn make(workspaces: &[AbsPath]) -> Result<Self, ServerError> {
        Self::make_in(std::env::temp_dir(), workspaces)
    }

    fn make_in(parent: PathBuf, workspaces: &[AbsPath]) -> Result<Self, ServerError> {
        let real = settled_place(&parent, workspaces)
            .map_err(|source| ServerError::TemporaryFolder { path: parent.clone(), source })?;
        remove_abandoned(&real);
        let unusable = |source| ServerError::TemporaryFolder { path: parent.clone(), source };
        let folder = tempfile::Builder::new()
            .prefix(PREFIX)
            .rand_bytes(RANDOM)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(&real)
            .map_err(unusable)?;
        let lock = lock(folder.path()).map_err(unusable)?;
        let path = AbsPath::new(folder.path().canonicalize().map_err(unusable)?)?;
        if path.as_path() != folder.path() {
            // A command was quicker. What was made is empty, and goes with `folder`.
            return Err(unusable(io::Error::other("a link came to be on the way to it")));
        }
        // Its own way of removing goes by the name.
        let _same = folder.keep();
        Ok(Self { path, lock, is_removed: AtomicBool::new(false) })
    }

    /// Where it is, canonical.
    pub(crate) fn path(&self) -> &AbsPath {
        &self.path
    }

    /// Removes the folder now, whatever commands left in it. What is not done by `until` another
    /// process goes on with.
    pub(crate) fn remove(&self, until: Instant) {
        if self.is_removed.swap(true, Ordering::Relaxed) {
            return;
        }
        if let Err(error) = remove_or_leave(&self.lock, self.path.as_path(), until) {
            tracing::warn!(%error, path = %self.path, "cannot remove the private folder");
        }
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        self.remove(deadline());
    }
}

/// When a server that begins to remove folders now stops.
pub(crate) fn deadline() -> Instant {
    Instant::now() + PATIENCE
}

/// Where a folder lies, canonical, unless commands choose that: what is made there and removed from
/// there would be theirs to point elsewhere.
fn settled_place(folder: &Path, workspaces: &[AbsPath]) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(folder)?;
    // As they are named they may lead over links themselves.
    let real = |workspace: &AbsPath| workspace.as_path().canonicalize().ok();
    let real = workspaces.iter().filter_map(real).filter_map(|path| AbsPath::new(path).ok());
    let real: Vec<AbsPath> = real.collect();
    if let Some(link) = link_of_commands(&absolute, real.iter()) {
        return Err(io::Error::other(format!(
            "it leads over the link {link} in a workspace, and commands can put that link elsewhere"
        )));
    }
    absolute.canonicalize()
}

/// The lock that says a folder is in use; fails if another process holds it, and where there is a
/// link by now.
fn lock(folder: &Path) -> io::Result<Flock<File>> {
    let only_a_folder = (OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW).bits();
    let file = OpenOptions::new().read(true).custom_flags(only_a_folder).open(folder)?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno.into())
}

/// Removes a folder that was opened and, if it is still empty, what has its name. It may have been
/// removed before.
///
/// What is in it goes with a command's rights: a command may move a folder of somebody else's to here
/// that it may not empty, and neither is that to be emptied by root's.
///
/// # Errors
/// If something cannot be removed.
pub(crate) fn remove(folder: &File, path: &Path, until: Instant) -> io::Result<Emptied> {
    let emptied = with_a_commands_rights(|| removal::empty(folder.as_fd(), until))?;
    let emptied = emptied.map_err(|errno| left(path, errno))?;
    if emptied == Emptied::InPart {
        return Ok(emptied);
    }
    match fs::remove_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(emptied),
        done => done.map(|()| emptied),
    }
}

/// What is told of a folder that could not be emptied: some of what is left in it, and why.
fn left(path: &Path, errno: Errno) -> io::Error {
    const MOST: usize = 3;
    let names = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let some: Vec<String> = names.take(MOST).map(|name| format!("{name:?}")).collect();
    io::Error::other(format!("{errno}, of what is left in it: {}", some.join(", ")))
}

/// The same; another process goes on with what is not done by `until`.
fn remove_or_leave(folder: &File, path: &Path, until: Instant) -> io::Result<Emptied> {
    let emptied = remove(folder, path, until)?;
    if emptied == Emptied::InPart {
        let mut remover = remover::start(folder, path)?;
        std::thread::spawn(move || remover.wait());
    }
    Ok(emptied)
}

/// Removes private folders of this user whose server is gone without having removed them.
fn remove_abandoned(parent: &Path) {
    let until = deadline();
    let Ok(entries) = fs::read_dir(parent) else { return };
    for path in entries.flatten().filter(is_named).map(|entry| entry.path()) {
        let Ok(folder) = lock(&path) else { continue };
        // Of what was opened, whatever has the name by now.
        if folder.metadata().is_ok_and(|metadata| is_private(&metadata)) {
            let removed = remove_or_leave(&folder, &path, until);
            match &removed {
                Err(error) => {
                    tracing::warn!(%error, path = %path.display(), "cannot remove a private folder");
                }
                Ok(removed) => {
                    tracing::info!(path = %path.display(), ?removed, "private folder of a killed server");
                }
            }
            // The others are found by the next server.
            if removed.is_ok_and(|emptied| emptied == Emptied::InPart) {
                return;
            }
        }
    }
}

/// Whether an entry has the name of such a folder.
fn is_named(entry: &fs::DirEntry) -> bool {
    let name = entry.file_name();
    name.to_str().and_then(|n| n.strip_prefix(PREFIX)).is_some_and(|random| {
        random.len() == RANDOM && random.chars().all(|c| c.is_ascii_alphanumeric())
    })
}

/// Whether a folder is one: ours by owner and mode, and not brand new.
fn is_private(folder: &Metadata) -> bool {
    let is_settled =
        |at: SystemTime| SystemTime::now().duration_since(at).is_ok_and(|age| age >= SETTLED);
    folder.uid() == nix::unistd::geteuid().as_raw()
        && folder.permissions().mode() & 0o7777 == 0o700
        && folder.modified().is_ok_and(is_settled)
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
        let folder = PrivateFolder::make(&[]).unwrap();
        let path = folder.path().as_path().to_path_buf();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o700);
        fs::create_dir_all(path.join("cache/module")).unwrap();
        fs::write(path.join("cache/module/file"), "x").unwrap();
        fs::set_permissions(path.join("cache/module"), Permissions::from_mode(0o555)).unwrap();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn is_not_made_where_a_command_chose() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap();
        for folder in ["workspace/real", "elsewhere"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        let elsewhere = root.join("elsewhere");
        std::os::unix::fs::symlink(&elsewhere, root.join("workspace/tmp")).unwrap();
        std::os::unix::fs::symlink(&elsewhere, root.join("outside")).unwrap();
        let workspace = [AbsPath::new(root.join("workspace")).unwrap()];
        let made = |name: &str| PrivateFolder::make_in(root.join(name), &workspace);
        assert!(made("workspace/real").is_ok(), "no link");
        assert!(made("outside").is_ok(), "a link of the operator's");
        let refused = made("workspace/tmp").unwrap_err().to_string();
        assert!(refused.contains("workspace/tmp in a workspace"), "{refused}");
        assert!(refused.contains("set TMPDIR to"), "{refused}");
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    }

    #[test]
    fn what_has_its_name_by_now_is_left_alone() {
        let folder = PrivateFolder::make(&[]).unwrap();
        let path = folder.path().as_path().to_path_buf();
        let moved = path.with_extension("moved");
        fs::write(path.join("file"), "x").unwrap();
        fs::rename(&path, &moved).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("file"), "x").unwrap();
        fs::set_permissions(elsewhere.path(), Permissions::from_mode(0o500)).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), &path).unwrap();
        drop(folder);
        assert_eq!(fs::read_dir(&moved).unwrap().count(), 0, "its own content is gone");
        assert!(elsewhere.path().join("file").exists());
        assert_eq!(fs::metadata(elsewhere.path()).unwrap().permissions().mode() & 0o7777, 0o500);
        fs::remove_file(&path).unwrap();
        fs::remove_dir(&moved).unwrap();
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
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("file"), "x").unwrap();
        settled(elsewhere.path());
        let link = parent.path().join("nono-mcp-abcDEF16");
        std::os::unix::fs::symlink(elsewhere.path(), &link).unwrap();
        let _held = lock(&in_use).unwrap();
        remove_abandoned(parent.path());
        assert!(!abandoned.exists());
        for kept in [in_use, fresh, shared, other, link, elsewhere.path().join("file")] {
            assert!(kept.exists(), "{}", kept.display());
        }
    }
}
