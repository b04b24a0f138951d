//! Whole profiles, resolved in folders made for the test.

mod builtin;
mod coding;
mod credentials;
mod docs;
mod examples;
mod files;
mod links;
mod obeyed;
mod own;
mod project;
mod protect;
mod snapshots;
mod told;

use crate::{Context, ProfileError, ProfileRef, Resolved, resolve};
use nono_sandbox::AbsPath;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// A home, a workspace, a temporary folder and a place for profiles, side by side.
struct World {
    _dir: tempfile::TempDir,
    root: PathBuf,
    environment: BTreeMap<OsString, OsString>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        for folder in ["home", "work", "tmp", "profiles"] {
            fs::create_dir(root.join(folder)).unwrap();
        }
        let environment = BTreeMap::from([
            ("HOME".into(), root.join("home").into()),
            ("PATH".into(), "/usr/bin:/bin".into()),
        ]);
        Self { _dir: dir, root, environment }
    }

    fn path(&self, relative: &str) -> AbsPath {
        AbsPath::new(self.root.join(relative)).unwrap()
    }

    fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.environment.insert(name.into(), value.into());
    }

    fn make(&self, files: &[&str]) {
        for file in files {
            let path = self.root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            if file.ends_with('/') {
                fs::create_dir_all(path).unwrap();
            } else {
                fs::write(path, "").unwrap();
            }
        }
    }

    fn profile(&self, name: &str, text: &str) -> ProfileRef {
        let path = self.root.join("profiles").join(name);
        fs::write(&path, text).unwrap();
        ProfileRef::File(path)
    }

    fn context(&self) -> Context {
        let uid = fs::metadata(&self.root).unwrap().uid();
        let (work, tmp) = (self.path("work"), self.path("tmp"));
        Context::new(vec![work], tmp, self.environment.clone(), uid)
    }

    fn resolve(&self, profile: &ProfileRef) -> Result<Resolved, ProfileError> {
        resolve(profile, &self.context())
    }

    /// Resolves a profile of this text, which must be valid.
    fn resolved(&self, text: &str) -> Resolved {
        self.resolve(&self.profile("p.json", text)).unwrap()
    }

    fn error(&self, text: &str) -> String {
        self.resolve(&self.profile("p.json", text)).unwrap_err().to_string()
    }

    fn show(&self, path: &AbsPath) -> String {
        let relative = path.as_path().strip_prefix(&self.root);
        relative.unwrap_or(path.as_path()).display().to_string()
    }
}
