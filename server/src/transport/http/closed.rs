//! What no command may touch, because a file of the operator's lies there.

use nono_sandbox::AbsPath;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The folder of the file, and what no command may touch: who could write to the file could let
/// itself in.
pub(super) fn own_places(path: &Path) -> Result<(PathBuf, Vec<AbsPath>), String> {
    let about = fs::metadata(path).map_err(|error| error.to_string())?;
    let mode = about.mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(format!("has mode {mode:04o}, so others can change it; `chmod go-w` it"));
    }
    let canonical = path.canonicalize().map_err(|error| error.to_string())?;
    let place = place(path).map_err(|error| error.to_string())?;
    let folder = place.parent().unwrap_or(Path::new("/")).to_path_buf();
    let closed = [canonical, place].into_iter().map(AbsPath::new).collect::<Result<_, _>>();
    Ok((folder, closed.map_err(|error| error.to_string())?))
}

/// A file, and the link that was named in its place: what no command may touch.
pub(super) fn both_ends(path: &Path) -> io::Result<Vec<AbsPath>> {
    let ends = [place(path)?, path.canonicalize()?];
    ends.into_iter().map(AbsPath::new).collect::<Result<_, _>>().map_err(io::Error::other)
}

/// Where a path lies, without following it if it is a link.
fn place(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    Ok(folder.unwrap_or(Path::new(".")).canonicalize()?.join(name))
}
