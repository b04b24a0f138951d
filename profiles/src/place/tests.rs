//! Paths, links and globs in a real folder.

use super::*;
use crate::variables::Origin;
use std::os::unix::fs::{PermissionsExt, symlink};

fn expanded(base: &Path, components: &[&str]) -> Expanded {
    let components = components.iter().map(|c| (*c).to_owned()).collect();
    Expanded { base: base.to_path_buf(), components, origin: Origin::Written }
}

#[test]
fn globs_match_names_in_one_folder() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["java-17", "java-21", "python3", ".java-hidden", "deep/java-99"] {
        fs::create_dir_all(dir.path().join(name)).unwrap();
    }
    let matched = |components: &[&str], dots| -> Vec<String> {
        let found = Places::default().paths(&expanded(dir.path(), components), dots).unwrap();
        let relative = found.iter().map(|p| p.strip_prefix(dir.path()).unwrap());
        relative.map(|p| p.display().to_string()).collect()
    };
    assert_eq!(matched(&["java-*"], DotNames::Skip), ["java-17", "java-21"]);
    assert_eq!(matched(&["python?"], DotNames::Skip), ["python3"]);
    assert_eq!(matched(&["*java*"], DotNames::Match), [".java-hidden", "java-17", "java-21"]);
    assert_eq!(matched(&["*", "java-*"], DotNames::Skip), ["deep/java-99"]);
    assert_eq!(matched(&["python3", "x"], DotNames::Skip), ["python3/x"]);
    assert!(matched(&["none*"], DotNames::Skip).is_empty());
    let bad = Places::default().paths(&expanded(dir.path(), &["[a"]), DotNames::Skip);
    assert!(bad.unwrap_err().contains("glob"));
}

#[test]
fn links_and_missing_parts() {
    let dir = tempfile::tempdir().unwrap();
    let real = fs::canonicalize(dir.path()).unwrap();
    fs::create_dir(real.join("target")).unwrap();
    symlink(real.join("target"), real.join("link")).unwrap();
    symlink(real.join("nowhere"), real.join("dangling")).unwrap();
    let path = |relative: &str| AbsPath::new(real.join(relative)).unwrap();
    let mut places = Places::default();
    for _ in 0..2 {
        let found = places.existing(&real.join("link")).unwrap();
        assert_eq!(found, Existing { path: path("target"), is_folder: true });
        for missing in ["no", "no/deeper", "dangling"] {
            let error = places.existing(&real.join(missing)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound, "{missing}");
        }
        let far = places.as_far_as_possible(&real.join("link/a/b.sock")).unwrap();
        assert_eq!(far, path("target/a/b.sock"));
        let ends = |places: &mut Places, relative| places.both_ends(&real.join(relative)).unwrap();
        assert_eq!(ends(&mut places, "link"), [path("link"), path("target")]);
        assert_eq!(ends(&mut places, "link/a/b"), [path("target/a/b")]);
        assert_eq!(ends(&mut places, "dangling"), [path("dangling")]);
    }
    assert_eq!(places.existing(Path::new("/")).unwrap().path, AbsPath::root());
    assert_eq!(places.existing(&real.join("link/../target")).unwrap().path, path("target"));
}

#[test]
fn links_to_the_asking_process_are_refused() {
    let mut places = Places::default();
    for path in ["/proc/self", "/proc/self/fd", "/dev/fd"] {
        assert!(places.existing(Path::new(path)).is_err(), "{path}");
    }
    let proc = Existing { path: AbsPath::new("/proc").unwrap(), is_folder: true };
    assert_eq!(places.existing(Path::new("/proc")).unwrap(), proc);
}

#[test]
fn folders_are_made_private_and_only_in_own_folders() {
    let dir = tempfile::tempdir().unwrap();
    let uid = fs::metadata(dir.path()).unwrap().uid();
    let wanted = dir.path().join("a/b");
    let mut places = Places::default();
    assert!(places.existing(&wanted).is_err());
    assert!(!places.make(Make::Folder, &wanted, uid + 1).unwrap());
    assert!(!wanted.exists());
    assert!(places.make(Make::Folder, &wanted, uid).unwrap());
    assert!(places.existing(&wanted).unwrap().is_folder);
    assert_eq!(fs::metadata(&wanted).unwrap().permissions().mode() & 0o777, 0o700);
}
