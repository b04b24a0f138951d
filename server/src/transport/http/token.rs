//! The token of a server with one user: from the environment, from a file, or made here.

use super::closed::both_ends;
use super::error::HttpError;
use crate::session::TOKEN_VARIABLE;
use nix::fcntl::OFlag;
use nono_http::Token;
use nono_sandbox::AbsPath;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// More is no token.
const MOST_BYTES: u64 = 16 << 10;
/// What a file with a token may let others do: nothing, except that its group may read it.
const OTHERS: u32 = 0o027;

/// A token, and the file it is in.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) token: Token,
    /// `None` if it came in the environment.
    pub(super) file: Option<PathBuf>,
    /// What commands must not reach: the file, and the link that was named in its place.
    pub(super) closed: Vec<AbsPath>,
}

/// The token to ask for: from the file that was named, else from the environment, else from the
/// file this server keeps, which is made if there is none.
///
/// # Errors
/// [`HttpError`] names the file and what to do.
pub(super) fn find(named: Option<&Path>) -> Result<Found, HttpError> {
    if let Some(path) = named {
        return in_file(path);
    }
    if let Some(value) = std::env::var_os(TOKEN_VARIABLE) {
        let text = value.to_string_lossy();
        let token = Token::parse(&text).map_err(HttpError::Variable)?;
        return Ok(Found { token, file: None, closed: Vec::new() });
    }
    let path = kept_file().ok_or(HttpError::Homeless)?;
    match make(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(source) => return Err(HttpError::TokenFile { path, source }),
    }
    in_file(&path)
}

/// Where a token is kept from one start to the next: in the folder of the server's configuration,
/// which is closed to commands whatever their profile says.
fn kept_file() -> Option<PathBuf> {
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let config = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(config.join("nono-mcp").join("http-token"))
}

/// Makes a file with a new token, for its owner alone.
fn make(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let token = crate::random::hex::<32>()?;
    // All of it or nothing: a file with half a token would be in the way for ever.
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(file, "{token}")?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error).map(drop)
}

pub(super) fn in_file(path: &Path) -> Result<Found, HttpError> {
    let unreadable = |source| HttpError::TokenFile { path: path.to_path_buf(), source };
    let canonical = path.canonicalize().map_err(unreadable)?;
    // A pipe would block the start.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(&canonical)
        .map_err(unreadable)?;
    check(&file).map_err(|problem| HttpError::OpenToken { path: canonical.clone(), problem })?;
    let mut text = String::new();
    file.take(MOST_BYTES).read_to_string(&mut text).map_err(unreadable)?;
    let token = Token::parse(&text)
        .map_err(|problem| HttpError::BadToken { path: canonical.clone(), problem })?;
    let closed = both_ends(path).map_err(unreadable)?;
    Ok(Found { token, file: Some(canonical), closed })
}

/// Whether a file keeps a secret.
pub(super) fn check(file: &File) -> Result<(), String> {
    let about = file.metadata().map_err(|error| error.to_string())?;
    if !about.is_file() {
        return Err("is not a file".to_owned());
    }
    let mode = about.mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(format!("has mode {mode:04o}, so others can use it; `chmod 600` it"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_made_token_is_its_owners_alone_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nono-mcp/http-token");
        make(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.trim_end().len(), 64);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        assert_eq!(make(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left");
    }

    #[test]
    fn a_file_that_others_can_read_holds_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "0123456789abcdef0123456789abcdef\n").unwrap();
        for (mode, kept) in [(0o600, true), (0o440, true), (0o644, false), (0o660, false)] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(in_file(&path).is_ok(), kept, "{mode:o}");
        }
        assert!(in_file(folder.path()).is_err(), "a folder");
        assert!(in_file(&folder.path().join("none")).is_err());
    }
}
