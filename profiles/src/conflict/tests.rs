//! What happens where grants meet denied paths.

use super::*;
use std::fs::{create_dir_all, write};
use std::os::unix::fs::symlink;
use std::path::Path;

fn source(rule: &str) -> Source {
    Source { profile: "p".into(), rule: rule.into(), line: Some(3) }
}

fn candidate(path: &Path, scope: Scope, access: Access, origin: Origin) -> Candidate<FsRule> {
    let rule =
        FsRule { path: AbsPath::new(path).unwrap(), scope, access, source: source("filesystem.x") };
    Candidate { rule, origin, built_in: false, links: Vec::new() }
}

fn closed(path: &Path) -> Denied {
    Denied {
        path: AbsPath::new(path).unwrap(),
        source: source("filesystem.deny: ~/.ssh"),
        origin: Origin::Written,
        closed_by: crate::deny::ClosedBy::Profile,
    }
}

const READ: Access = Access::READ;
const WRITE: Access = Access::WRITE;

#[test]
fn relations_compare_components() {
    let path = |s: &str| AbsPath::new(s).unwrap();
    for (granted, denied, expected) in [
        ("/h", "/h/.ssh", Some(Relation::Contains)),
        ("/", "/h/.ssh", Some(Relation::Contains)),
        ("/h/.ssh", "/h/.ssh", Some(Relation::Is)),
        ("/h/.ssh/keys", "/h/.ssh", Some(Relation::IsBelow)),
        ("/h/.ssh2", "/h/.ssh", None),
        ("/h/.s", "/h/.ssh", None),
        ("/w", "/h/.ssh", None),
    ] {
        assert_eq!(relation(&path(granted), &path(denied)), expected, "{granted}");
    }
}

#[test]
fn what_cannot_be_narrowed_is_refused_by_name() {
    let home = Path::new("/h");
    let ssh = closed(Path::new("/h/.ssh"));
    let judge = |candidate| {
        files(vec![candidate], std::slice::from_ref(&ssh), &mut Vec::new()).unwrap_err().to_string()
    };
    let workspace = judge(candidate(home, Scope::Tree, READ, Origin::Workspace));
    assert_eq!(
        workspace,
        "workspace /h contains /h/.ssh, which stays closed (profile p:3); \
         choose a project folder that does not"
    );
    let write = judge(candidate(home, Scope::Tree, WRITE, Origin::Written));
    assert_eq!(
        write,
        "p:3: filesystem.x: /h contains /h/.ssh, which stays closed (profile p:3); the \
         kernel cannot close a part of a tree in which new files can be made, so grant what is \
         beside it, or give no right to write"
    );
    let exact = judge(candidate(Path::new("/h/.ssh/id"), Scope::File, READ, Origin::Written));
    assert!(exact.contains("/h/.ssh/id is below /h/.ssh"), "{exact}");
}

#[test]
fn what_nobody_wrote_is_left_out() {
    let ssh = closed(Path::new("/h/.ssh"));
    let mut built_in = candidate(Path::new("/h"), Scope::Tree, WRITE, Origin::Written);
    built_in.built_in = true;
    let environment = candidate(Path::new("/h"), Scope::Tree, READ, Origin::Environment);
    let mut notes = Vec::new();
    let rules = files(vec![built_in, environment], &[ssh], &mut notes).unwrap();
    assert!(rules.is_empty());
    assert_eq!(notes.len(), 2);
    assert!(notes.iter().all(|n| n.kind == NoteKind::WouldOpenDenied && n.is_warning()));
    assert!(notes[0].message.contains("/h contains /h/.ssh"));
}

#[test]
fn a_file_grant_contains_nothing() {
    let ssh = closed(Path::new("/h/.ssh"));
    let file = candidate(Path::new("/h"), Scope::File, WRITE, Origin::Written);
    assert_eq!(files(vec![file], &[ssh], &mut Vec::new()).unwrap().len(), 1);
}

#[test]
fn a_readable_tree_is_narrowed_around_what_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(dir.path()).unwrap();
    for folder in ["app/.ssh", "app/src", "other/deep"] {
        create_dir_all(root.join(folder)).unwrap();
    }
    write(root.join("app/file"), "").unwrap();
    symlink(root.join("app/.ssh"), root.join("other-link")).unwrap();
    let denied = [closed(&root.join("app/.ssh")), closed(&root.join("app/.missing"))];
    let mut notes = Vec::new();
    let tree = candidate(&root, Scope::Tree, READ | Access::EXECUTE, Origin::Written);
    let rules = files(vec![tree], &denied, &mut notes).unwrap();
    let mut found: Vec<_> = rules
        .iter()
        .map(|r| (r.path.as_path().strip_prefix(&root).unwrap().display().to_string(), r.scope))
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [("app/file", Scope::File), ("app/src", Scope::Tree), ("other", Scope::Tree)];
    assert_eq!(found, expected.map(|(path, scope)| (path.to_owned(), scope)));
    assert!(rules.iter().all(|r| r.access == READ | Access::EXECUTE));
    assert_eq!(notes[0].kind, NoteKind::Narrowed);
}

#[test]
fn a_tree_in_a_closed_tree_is_not_narrowed() {
    let dir = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(dir.path()).unwrap();
    create_dir_all(root.join("ssh/keys")).unwrap();
    write(root.join("ssh/config"), "").unwrap();
    let denied = [closed(&root.join("ssh/keys")), closed(&root.join("ssh"))];
    let tree = candidate(&root.join("ssh"), Scope::Tree, READ, Origin::Written);
    let refused = files(vec![tree], &denied, &mut Vec::new()).unwrap_err().to_string();
    assert!(refused.contains("/ssh is "), "{refused}");
}

#[test]
fn narrowing_has_a_limit() {
    let dir = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(dir.path()).unwrap();
    for n in 0..=MAX_NARROWED + 1 {
        write(root.join(n.to_string()), "").unwrap();
    }
    let tree = candidate(&root, Scope::Tree, READ, Origin::Written);
    let refused = files(vec![tree], &[closed(&root.join("secret"))], &mut Vec::new());
    assert!(matches!(refused, Err(ProfileError::GrantOpensDenied { .. })));
}

#[test]
fn socket_grants_over_many_paths_are_judged() {
    let docker = closed(Path::new("/h/.docker"));
    let judge = |path: &str, reach, origin| {
        let rule = UnixGrant {
            path: AbsPath::new(path).unwrap(),
            reach,
            bind: false,
            source: source("filesystem.unix_socket"),
        };
        let candidate = Candidate { rule, origin, built_in: false, links: Vec::new() };
        sockets(vec![candidate], std::slice::from_ref(&docker), &mut Vec::new())
    };
    assert_eq!(judge("/h/.docker/run/d.sock", Reach::Exact, Origin::Written).unwrap().len(), 1);
    assert_eq!(judge("/h", Reach::Children, Origin::Written).unwrap().len(), 1);
    assert!(judge("/h", Reach::Subtree, Origin::Written).is_err());
    assert!(judge("/h/.docker/run", Reach::Children, Origin::Written).is_err());
    assert!(judge("/h/.docker", Reach::Subtree, Origin::Written).is_err());
    assert!(judge("/h", Reach::Subtree, Origin::Environment).unwrap().is_empty());
}
