//! Whether git finds its repository from a workspace.

use nix::unistd::geteuid;
use nono_profiles::git_dir_of;
use nono_sandbox::AbsPath;
use nono_sandbox::policy::{Access, FsPolicy, Lookup};
use std::fs;

/// The repository that `workspace` belongs to, if it lies where commands may not read: git says then
/// that there is none.
pub(super) fn out_of_reach(workspace: &AbsPath, fs: &FsPolicy) -> Option<AbsPath> {
    let found = git_dir_of(workspace.as_path(), geteuid().as_raw())?;
    let folder = AbsPath::new(fs::canonicalize(found).ok()?).ok()?;
    (fs.lookup(&folder, Access::READ) != Lookup::Allowed).then_some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nono_sandbox::policy::{FsRule, Scope, Source};
    use std::path::Path;

    /// What is warned of for a workspace `ws/at` below a folder where all of these lie.
    fn warned(at: &str, lay: impl Fn(&Path)) -> Option<String> {
        let base = tempfile::tempdir().unwrap();
        let base = fs::canonicalize(base.path()).unwrap();
        let workspace = base.join(at);
        fs::create_dir_all(&workspace).unwrap();
        lay(&base);
        let path = AbsPath::new(&workspace).unwrap();
        let source = Source { profile: "t".into(), rule: "r".into(), line: None };
        let rule = FsRule { path: path.clone(), scope: Scope::Tree, access: Access::READ, source };
        let found = out_of_reach(&path, &FsPolicy::of_rules(vec![rule]));
        let found = found.map(|at| at.as_path().strip_prefix(&base).unwrap().display().to_string());
        fs::remove_dir_all(base).unwrap();
        found
    }

    #[test]
    fn a_repository_beside_or_above_is_out_of_reach() {
        let make = |base: &Path, folder: &str| fs::create_dir_all(base.join(folder)).unwrap();
        assert_eq!(warned("nono-alone", |_| ()), None);
        assert_eq!(warned("ws", |base| make(base, "ws/.git")), None);
        let above = warned("main/crates/one", |base| make(base, "main/.git"));
        assert_eq!(above.as_deref(), Some("main/.git"));
        let linked = |text: &'static str| {
            warned("tree", move |base| {
                make(base, "main/.git/worktrees/tree");
                let back = base.join("tree/.git").display().to_string();
                fs::write(base.join("main/.git/worktrees/tree/gitdir"), back + "\n").unwrap();
                let text = text.replace("BASE", &base.display().to_string());
                fs::write(base.join("tree/.git"), text).unwrap();
            })
        };
        let beside = Some("main/.git/worktrees/tree");
        assert_eq!(linked("gitdir: BASE/main/.git/worktrees/tree\n").as_deref(), beside);
        assert_eq!(linked("gitdir: ../main/.git/worktrees/tree").as_deref(), beside);
        assert_eq!(linked("gitdir: ../gone"), None);
        assert_eq!(linked("something else"), None);
        let module = warned("main/module", |base| {
            make(base, "main/.git/modules/module");
            let settings = "[core]\n\tworktree = ../../../module\n";
            fs::write(base.join("main/.git/modules/module/config"), settings).unwrap();
            fs::write(base.join("main/module/.git"), "gitdir: ../.git/modules/module\n").unwrap();
        });
        assert_eq!(module.as_deref(), Some("main/.git/modules/module"));
    }
}
