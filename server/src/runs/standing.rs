//! What a spare supervisor has mounted, and whether it is still what is there.
//!
//! A mount holds the object it was made of: a workspace that was removed and made again would be the
//! old, empty one. Only from outside can that be seen, since the mount covers what is new.

use nono_sandbox::AbsPath;
use nono_sandbox::policy::OwnView;
use std::os::unix::fs::MetadataExt;

/// Device and inode of what is at a path, if anything is.
type Identity = Option<(u64, u64)>;

/// A view, and what its paths led to on the machine.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    view: OwnView,
    found: Vec<Identity>,
}

impl Standing {
    /// Looks at what there is to mount. To be called before it is mounted: what changes in between
    /// counts as changed.
    pub(super) fn of(view: OwnView) -> Self {
        let stays = view.tmp.iter().flat_map(|tmp| tmp.stays.iter().chain([&tmp.folder]));
        let found = stays.chain(&view.hidden).map(identity).collect();
        Self { view, found }
    }
}

fn identity(path: &AbsPath) -> Identity {
    let found = std::fs::symlink_metadata(path.as_path()).ok()?;
    Some((found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nono_sandbox::policy::PrivateTmp;

    #[test]
    fn what_is_made_again_is_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| AbsPath::new(folder.path().join(name)).unwrap();
        let now = || {
            let tmp = PrivateTmp { folder: at("tmp"), stays: vec![at("ws")] };
            let hidden = vec![at("key")];
            Standing::of(OwnView { tmp: Some(tmp), hidden, terminals: None })
        };
        std::fs::create_dir(at("ws")).unwrap();
        let before = now();
        std::fs::write(at("beside"), "x").unwrap();
        assert_eq!(now(), before);
        std::fs::write(at("key"), "x").unwrap();
        assert_ne!(now(), before);
        let before = now();
        // Its inode may be given to the new one otherwise.
        std::fs::rename(at("ws"), at("old")).unwrap();
        std::fs::create_dir(at("ws")).unwrap();
        assert_ne!(now(), before);
    }
}
