//! Grants and denials over a real tree with symbolic links, against what the file system itself
//! says: a file can be read exactly if a grant leads to a folder it is in and no denial does.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use nono_fuzz::World;
use nono_profiles::resolve;
use nono_sandbox::AbsPath;
use nono_sandbox::policy::{Access, Lookup};
use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

/// One of the fourteen folders of the tree: two names, three levels.
#[derive(Arbitrary, Debug, Clone, Copy)]
struct Folder(u8);

#[derive(Arbitrary, Debug)]
struct Input {
    links: Vec<(Folder, Folder)>,
    read: Vec<(Folder, bool)>,
    deny: Vec<(Folder, bool)>,
}

impl Folder {
    fn below(self) -> String {
        let all = [
            "a", "b", "a/a", "a/b", "b/a", "b/b", "a/a/a", "a/a/b", "a/b/a", "a/b/b", "b/a/a",
            "b/a/b", "b/b/a", "b/b/b",
        ];
        all[usize::from(self.0) % all.len()].to_owned()
    }
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::default();
}

fn plant(tree: &Path, links: &[(Folder, Folder)]) {
    if tree.exists() {
        fs::remove_dir_all(tree).expect("an old tree goes");
    }
    for at in 0..14 {
        let folder = tree.join(Folder(at).below());
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("file"), "").expect("a file");
    }
    for (at, (from, to)) in links.iter().take(4).enumerate() {
        let link = tree.join(from.below()).join(format!("link{at}"));
        std::os::unix::fs::symlink(tree.join(to.below()), link).expect("a link");
    }
}

/// The folder an entry names, by itself or through the links that were put there.
fn entry(tree: &Path, folder: Folder, linked: bool, links: &[(Folder, Folder)]) -> PathBuf {
    match links.iter().take(4).enumerate().last().filter(|_| linked) {
        Some((at, (from, _))) => tree.join(from.below()).join(format!("link{at}")),
        None => tree.join(folder.below()),
    }
}

fuzz_target!(|input: Input| {
    WORLD.with_borrow_mut(|world| {
        let tree = world.path("home/tree");
        plant(&tree, &input.links);
        let list = |wanted: &[(Folder, bool)]| -> Vec<PathBuf> {
            wanted.iter().take(6).map(|(f, l)| entry(&tree, *f, *l, &input.links)).collect()
        };
        let (read, deny) = (list(&input.read), list(&input.deny));
        let json = |paths: &[PathBuf]| {
            let quoted: Vec<String> =
                paths.iter().map(|p| format!("\"{}\"", p.display())).collect();
            format!("[{}]", quoted.join(","))
        };
        let text =
            format!("{{\"filesystem\": {{\"read\": {}, \"deny\": {}}}}}", json(&read), json(&deny));
        let profile = world.profile(text.as_bytes());
        let leads = |paths: &[PathBuf]| -> Vec<PathBuf> {
            paths.iter().map(|path| fs::canonicalize(path).expect("it exists")).collect()
        };
        let (granted, closed) = (leads(&read), leads(&deny));
        // A grant that lies in what is closed, or is it, is a contradiction and refused.
        let contradicts = granted.iter().any(|g| closed.iter().any(|c| g.starts_with(c)));
        let resolved = match resolve(&profile, &world.context()) {
            Ok(resolved) => resolved,
            Err(error) => {
                assert!(contradicts, "{error}\n{text}");
                return;
            }
        };
        for at in 0..14 {
            let file = tree.join(Folder(at).below()).join("file");
            let asked = AbsPath::new(file.clone()).expect("absolute");
            let may = resolved.policy.fs.lookup(&asked, Access::READ) == Lookup::Allowed;
            let inside = |all: &[PathBuf]| all.iter().any(|folder| file.starts_with(folder));
            let expected = inside(&granted) && !inside(&closed);
            assert_eq!(may, expected, "{}\n{text}", file.display());
        }
    });
});
