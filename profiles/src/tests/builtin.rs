//! What comes with the program, file by file and as resolved.

use super::World;
use crate::layer::Layer;
use crate::load::Document;
use crate::{ProfileRef, builtin, builtin_names, group_names};
use nono_sandbox::policy::{Access, Lookup, NetworkMode};
use nono_schemas::profile_file::{Entry, SetVar};

const READ: Access = Access::READ.union(Access::EXECUTE);

fn documents() -> Vec<Document> {
    let profiles = builtin_names().map(|name| builtin::profile(name).unwrap());
    let groups = group_names().map(|name| builtin::group(name).unwrap());
    profiles.chain(groups).map(|b| Document::built_in(b.name, b.text).unwrap()).collect()
}

#[test]
fn every_grant_says_why() {
    for document in documents() {
        let name = &document.name;
        assert_eq!(name, &document.label);
        let fs = &document.file.filesystem;
        let lists = [
            &fs.read,
            &fs.write,
            &fs.allow,
            &fs.read_file,
            &fs.write_file,
            &fs.allow_file,
            &fs.deny,
            &fs.unix_socket,
            &fs.unix_socket_bind,
            &fs.unix_socket_dir,
            &fs.unix_socket_dir_bind,
            &fs.unix_socket_subtree,
            &fs.unix_socket_subtree_bind,
        ];
        for entry in lists.into_iter().flatten() {
            assert!(entry.why().is_some_and(|why| !why.is_empty()), "{name}: {}", entry.path());
            assert!(matches!(entry, Entry::Detailed(_)));
        }
        for (variable, set) in &document.file.environment.set_vars {
            assert!(
                matches!(set, SetVar::Detailed(set) if set.why.is_some()),
                "{name}: {variable}"
            );
        }
        if let Some(workdir) = &document.file.workdir {
            assert!(workdir.why.is_some(), "{name}");
        }
        let meta = document.file.meta.as_ref().unwrap();
        assert!(meta.description.is_some(), "{name}");
        Layer::of(&document).unwrap();
    }
}

#[test]
fn groups_stand_alone() {
    for name in group_names() {
        let part = builtin::group(name).unwrap().part().unwrap();
        assert!(part.bases.is_empty(), "{name}");
        assert!(part.layer.groups.added.is_empty(), "{name}");
        assert!(part.layer.grants.removed.is_empty(), "{name}");
    }
    // A group that closes things grants nothing, so leaving it out cannot take a grant away.
    for name in group_names().filter(|name| name.ends_with("_denied")) {
        let part = builtin::group(name).unwrap().part().unwrap();
        assert!(part.layer.grants.added.is_empty() && !part.layer.denies.added.is_empty());
    }
}

#[test]
fn offline_is_coding_without_a_network() {
    let world = World::new();
    let coding = world.resolve(&ProfileRef::default()).unwrap().policy;
    let offline = world.resolve(&ProfileRef::from("offline")).unwrap().policy;
    assert_eq!(coding.network.mode, NetworkMode::Proxy);
    assert_eq!(offline.network.mode, NetworkMode::Loopback);
    assert_eq!(offline.name, "offline");
    assert_eq!(offline.fs, coding.fs);
    assert_eq!(offline.environment, coding.environment);
}

#[test]
fn readonly_writes_to_tmpdir_and_devices_only() {
    let world = World::new();
    world.make(&["home/.cargo/registry/x", "home/.npm/x"]);
    let coding = world.resolve(&ProfileRef::default()).unwrap().policy;
    let policy = world.resolve(&ProfileRef::from("readonly")).unwrap().policy;
    for rule in policy.fs.rules.iter().filter(|r| r.access.intersects(Access::WRITE)) {
        assert!(rule.is_for_device() || rule.path == world.path("tmp"), "{rule:?}");
    }
    let makes_sockets = |r: &&nono_sandbox::policy::FsRule| r.access.contains(Access::MAKE_SOCKET);
    let sockets: Vec<_> = policy.fs.rules.iter().filter(makes_sockets).map(|r| &r.path).collect();
    assert_eq!(sockets, [&world.path("tmp")]);
    for path in ["work/x", "home/.cargo/registry/x", "home/.npm/x"] {
        let path = world.path(path);
        assert_eq!(policy.fs.lookup(&path, Access::READ), Lookup::Allowed, "{path}");
        assert_ne!(policy.fs.lookup(&path, Access::WRITE), Lookup::Allowed, "{path}");
        assert_eq!(coding.fs.lookup(&path, Access::WRITE), Lookup::Allowed, "{path}");
    }
    assert!(policy.unix.bind_grant(&world.path("work/s")).is_none());
    assert!(policy.unix.connect_grant(&world.path("work/s")).is_some());
    assert!(policy.unix.bind_grant(&world.path("tmp/s")).is_some());
    assert_eq!(policy.fs.writable_roots(), [&world.path("tmp")]);
}

#[test]
fn strict_has_the_workspace_the_system_and_nothing_else() {
    let world = World::new();
    world.make(&["home/.cargo/bin/cargo", "home/.local/bin/x", "home/.gitconfig"]);
    let policy = world.resolve(&ProfileRef::from("strict")).unwrap().policy;
    let lookup = |path: &str| policy.fs.lookup(&world.path(path), READ);
    assert_eq!(lookup("work/x"), Lookup::Allowed);
    for path in ["home/.cargo/bin/cargo", "home/.local/bin/x", "home/.gitconfig", "home/x"] {
        assert_ne!(lookup(path), Lookup::Allowed, "{path}");
    }
    assert_eq!(policy.network.mode, NetworkMode::None);
    assert!(policy.unix.grants.is_empty() && !policy.unix.datagrams);
    assert!(policy.fs.rules.iter().all(|r| !r.access.contains(Access::MAKE_SOCKET)));
    assert_eq!(policy.fs.writable_roots(), [&world.path("work"), &world.path("tmp")]);
}

#[test]
fn a_group_can_be_left_out() {
    let world = World::new();
    world.make(&["home/.m2/repository/x", "home/.npm/x", "home/.ssh/id"]);
    let resolved = world.resolved(
        r#"{"extends": "coding", "groups": {"exclude": ["java", "credentials_denied"]}}"#,
    );
    let policy = &resolved.policy;
    let lookup = |path: &str| policy.fs.lookup(&world.path(path), Access::READ);
    assert_eq!(lookup("home/.npm/x"), Lookup::Allowed);
    assert_eq!(lookup("home/.m2/repository/x"), Lookup::NoGrant);
    // Nothing closes it any longer, and nothing opens it either.
    assert_eq!(lookup("home/.ssh/id"), Lookup::NoGrant);
    let message = world.error(r#"{"groups": {"include": ["rusty"]}}"#);
    assert!(
        message.contains(
            "p.json:1: groups.include: rusty: unknown group `rusty`; did you mean `rust`?"
        ),
        "{message}"
    );
    let message = world.error(r#"{"groups": {"exclude": ["qqqqqqqq"]}}"#);
    assert!(message.contains("unknown group") && message.contains("other_languages"), "{message}");
}

#[test]
fn single_entries_can_be_taken_out() {
    let world = World::new();
    world.make(&["home/.cargo/registry/x", "home/.cargo/git/x"]);
    let resolved = world.resolved(
        r#"{"extends": "coding",
            "remove": {
                "filesystem": {"allow": ["$CARGO_HOME/git", "/never/there"]},
                "environment": {"allow_vars": ["CARGO_*"], "set_vars": ["PAGER"], "deny_vars": ["*_KEY"]}}}"#,
    );
    let lookup = |path: &str| resolved.policy.fs.lookup(&world.path(path), Access::READ);
    assert_eq!(lookup("home/.cargo/registry/x"), Lookup::Allowed);
    assert_eq!(lookup("home/.cargo/git/x"), Lookup::NoGrant);
    assert!(!resolved.policy.environment.variables.contains_key("PAGER"));
    let unused: Vec<_> = resolved
        .notes
        .iter()
        .filter(|n| n.kind == crate::NoteKind::NothingToRemove)
        .map(|n| n.source.rule.as_str())
        .collect();
    assert_eq!(unused, ["remove.filesystem.allow: /never/there"]);
}
