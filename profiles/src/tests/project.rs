//! The project file takes away and never gives.

use super::World;
use crate::{Context, NoteKind, ProfileRef, ProjectFile, Resolved, resolve};
use nono_sandbox::policy::{Access, Lookup, Mediation, NetworkMode};
use std::fs;
use std::os::unix::fs::symlink;

const READ: Access = Access::READ.union(Access::EXECUTE);

impl World {
    fn project(&self, text: &str) {
        fs::create_dir_all(self.root.join("work/.nono")).unwrap();
        fs::write(self.root.join("work/.nono/profile.json"), text).unwrap();
    }

    fn coding(&self) -> Resolved {
        self.resolve(&ProfileRef::default()).unwrap()
    }
}

fn widenings(resolved: &Resolved) -> Vec<(String, Option<u32>)> {
    let notes = resolved.notes.iter().filter(|note| note.kind == NoteKind::Widening);
    notes.map(|note| (note.source.rule.clone(), note.source.line)).collect()
}

#[test]
fn what_narrows_counts() {
    let world = World::new();
    world.make(&["home/.npm/x", "home/.m2/repository/x"]);
    let may = |resolved: &Resolved, path: &str, access| {
        resolved.policy.fs.lookup(&world.path(path), access) == Lookup::Allowed
    };
    let before = world.coding();
    assert!(may(&before, "work/x", Access::WRITE) && may(&before, "home/.npm/x", Access::READ));
    world.project(
        r#"{"workdir": {"access": "read"}, "network": {"mode": "none"},
            "remove": {"filesystem": {"allow": ["$npm_config_cache"]},
                       "environment": {"allow_vars": ["CARGO_*"]}},
            "groups": {"exclude": ["java", "credentials_denied"]},
            "environment": {"deny_vars": ["TZ"]}}"#,
    );
    let after = world.coding();
    assert!(may(&after, "work/x", READ) && !may(&after, "work/x", Access::WRITE));
    assert!(!may(&after, "home/.npm/x", Access::READ));
    assert!(!may(&after, "home/.m2/repository/x", Access::READ));
    assert_eq!(after.policy.network.mode, NetworkMode::None);
    assert!(after.policy.unix.bind_grant(&world.path("work/s")).is_none());
    // What a left-out group closes stays closed.
    for closed in &before.policy.fs.denied {
        assert!(after.policy.fs.denied.contains(closed), "{closed:?}");
    }
    assert_eq!(widenings(&after), []);
}

#[test]
fn what_would_widen_is_ignored_and_named() {
    let world = World::new();
    world.make(&["data/x", "home/.ssh/id"]);
    let before = world.coding();
    let data = world.path("data");
    world.project(&format!(
        r#"{{
  "filesystem": {{
    "allow": ["{data}"],
    "read": ["/usr"],
    "unix_socket": ["/run/docker.sock"],
    "read_only": false
  }},
  "remove": {{ "filesystem": {{ "deny": ["~/.ssh"] }},
              "environment": {{ "deny_vars": ["*_TOKEN"] }} }},
  "environment": {{ "allow_vars": ["*"], "set_vars": {{ "LD_PRELOAD": "/x" }} }},
  "linux": {{ "af_unix_mediation": "off", "af_unix_datagram": true }},
  "diagnostics": {{ "filesystem": "off", "suppress_unix_sockets": ["/**"] }},
  "rate": {{ "burst": 1 }}
}}"#
    ));
    let after = world.coding();
    assert_eq!(after.policy, before.policy);
    assert_eq!(after.policy.unix.mediation, Mediation::Pathname);
    assert!(!after.suppress_unix_sockets.is_match("/anything"));
    let mut found = widenings(&after);
    found.sort_unstable();
    let mut expected = [
        (format!("filesystem.allow: {data}"), 3),
        ("filesystem.unix_socket: /run/docker.sock".to_owned(), 5),
        ("remove.filesystem.deny: ~/.ssh".to_owned(), 8),
        ("remove.environment.deny_vars: *_TOKEN".to_owned(), 9),
        ("environment.allow_vars: *".to_owned(), 10),
        ("environment.set_vars.LD_PRELOAD: /x".to_owned(), 10),
        ("linux.af_unix_mediation: off".to_owned(), 11),
        ("linux.af_unix_datagram: true".to_owned(), 11),
        ("diagnostics.filesystem: off".to_owned(), 12),
        ("diagnostics.suppress_unix_sockets: /**".to_owned(), 12),
        ("rate.burst: 1".to_owned(), 13),
    ]
    .map(|(rule, line)| (rule, Some(line)));
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert!(
        after.notes.iter().filter(|n| n.kind == NoteKind::Widening).all(crate::Note::is_warning)
    );
}

#[test]
fn a_wider_profile_changes_nothing_and_a_narrower_one_counts_whole() {
    let world = World::new();
    world.make(&["home/.npm/x"]);
    let strict = |world: &World| world.resolve(&ProfileRef::from("strict")).unwrap().policy;
    let before = strict(&world);
    world.project(r#"{"extends": "coding"}"#);
    let after = strict(&world);
    for rule in &after.fs.rules {
        assert_eq!(before.fs.lookup(&rule.path, rule.access), Lookup::Allowed, "{rule:?}");
    }
    assert_eq!(after.network.mode, NetworkMode::None);
    world.project(r#"{"extends": "strict"}"#);
    let coding = world.coding().policy;
    assert_eq!(coding.fs.lookup(&world.path("home/.npm/x"), Access::READ), Lookup::NoGrant);
    assert_eq!(coding.network.mode, NetworkMode::None);
    assert_eq!(coding.fs.lookup(&world.path("work/x"), Access::WRITE), Lookup::Allowed);
}

#[test]
fn a_bad_project_file_is_an_error() {
    let world = World::new();
    let error = || world.resolve(&ProfileRef::default()).unwrap_err().to_string();
    world.project("{\n \"netwrk\": {}}");
    assert!(error().contains("work/.nono/profile.json:2:2: netwrk: unknown field"), "{}", error());
    world.project(r#"{"extends": "./other.json"}"#);
    assert!(error().contains("can only extend profiles by name"), "{}", error());
    // Closing a part of a writable workspace cannot be enforced, so it is refused.
    world.project(r#"{"filesystem": {"deny": ["$WORKSPACE/secrets"]}}"#);
    assert!(error().contains("cannot close a part of a tree"), "{}", error());
    // It must not lead anywhere else, whose contents messages would quote.
    fs::remove_file(world.root.join("work/.nono/profile.json")).unwrap();
    symlink("/etc/passwd", world.root.join("work/.nono/profile.json")).unwrap();
    assert!(error().contains("symbolic links"), "{}", error());
    let ignoring = Context { project_file: ProjectFile::Ignore, ..world.context() };
    assert!(resolve(&ProfileRef::default(), &ignoring).is_ok());
}

#[test]
fn a_part_of_a_workspace_that_cannot_be_written_can_be_closed() {
    let world = World::new();
    world.make(&["work/src/main.rs", "work/secrets/key", "work/src/token"]);
    world.project(
        r#"{"workdir": {"access": "read"},
            "filesystem": {"deny": ["$WORKSPACE/secrets", "$WORKSPACE/src/token"]}}"#,
    );
    let policy = world.coding().policy;
    let lookup = |path: &str| policy.fs.lookup(&world.path(path), Access::READ);
    assert_eq!(lookup("work/src/main.rs"), Lookup::Allowed);
    assert!(matches!(lookup("work/secrets/key"), Lookup::Denied(_)));
    assert!(matches!(lookup("work/src/token"), Lookup::Denied(_)));
}
