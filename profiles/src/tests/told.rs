//! What a read-only profile takes, and who closes what.

use super::*;
use nono_sandbox::policy::{Access, Lookup};

#[test]
fn what_being_read_only_takes_is_known() {
    let world = World::new();
    let profile = world.profile("p.json", r#"{"extends": "readonly"}"#);
    let policy = world.resolve(&profile).unwrap().policy;
    let file = world.path("work/x");
    assert_ne!(policy.fs.lookup(&file, Access::WRITE), Lookup::Allowed);
    assert!(policy.unix.bind_grant(&file).is_none());
    let taken = policy.fs.read_only.as_ref().unwrap();
    assert_eq!(taken.source.profile, "readonly");
    assert_eq!(taken.source.rule, "filesystem.read_only: true");
    let again = policy.writable_again().unwrap();
    assert_eq!(again.fs.lookup(&file, Access::WRITE), Lookup::Allowed);
    assert!(again.unix.bind_grant(&file).is_some());
    assert!(again.writable_again().is_none());
    let text = r#"{"extends": "readonly", "filesystem": {"read_only": false}}"#;
    let written = world.resolved(text).policy;
    assert_eq!(written.fs.read_only, None);
    assert_eq!(written.fs.lookup(&file, Access::WRITE), Lookup::Allowed, "the grant that is told");
}

#[test]
fn what_would_open_something_closed_is_not_promised() {
    let world = World::new();
    world.make(&["work/secrets/key"]);
    let text = r#"{"extends": "readonly", "filesystem": {"deny": ["$WORKSPACE/secrets"]}}"#;
    let policy = world.resolved(text).policy;
    let again = policy.writable_again().unwrap();
    assert_ne!(again.fs.lookup(&world.path("work/x"), Access::WRITE), Lookup::Allowed);
}

#[test]
fn closed_paths_know_their_line_and_the_servers_have_none() {
    let world = World::new();
    world.make(&["home/data/personal/x", "home/.config/nono-mcp/profiles/x.json"]);
    let text = r#"{"extends": "coding", "filesystem": {"deny": ["~/data/personal"]}}"#;
    let fs = world.resolved(text).policy.fs;
    let by = |path: &str| {
        let denied = fs.denied_by(&world.path(path)).unwrap();
        denied.source.as_ref().map(|source| (source.profile.as_str(), source.rule.as_str()))
    };
    let (_, rule) = by("home/data/personal/x").unwrap();
    assert_eq!(rule, "filesystem.deny: ~/data/personal");
    assert_eq!(by("home/.ssh/id"), Some(("credentials_denied", "filesystem.deny: ~/.ssh")));
    assert_eq!(by("home/.config/nono-mcp/profiles/x.json"), None);
}

#[test]
fn the_operators_policy_is_known_beside_the_narrowed_one() {
    let world = World::new();
    let coding = world.profile("p.json", r#"{"extends": "coding"}"#);
    assert_eq!(world.resolve(&coding).unwrap().operators, None);
    world.make(&["work/.nono/"]);
    let project = r#"{"network": {"mode": "none"}, "workdir": {"access": "read"}}"#;
    fs::write(world.root.join("work/.nono/profile.json"), project).unwrap();
    let resolved = world.resolve(&coding).unwrap();
    let operators = resolved.operators.unwrap();
    assert!(operators.network.mode > resolved.policy.network.mode);
    let write = |policy: &nono_sandbox::policy::Policy| {
        policy.fs.lookup(&world.path("work/x"), Access::WRITE) == Lookup::Allowed
    };
    assert!(write(&operators) && !write(&resolved.policy));
}

#[test]
fn a_protected_file_names_its_own_part_of_an_entry() {
    let world = World::new();
    world.make(&["work/.git/config", "work/.git/hooks/x"]);
    let protected = |text: &str| {
        let fs = world.resolved(text).policy.fs;
        let path = world.path("work/.git/config");
        let protected = fs.protected.iter().find(|protected| protected.holds(&path));
        protected.map(|protected| protected.source.rule.clone())
    };
    let rule = protected(r#"{"extends": "coding"}"#);
    assert_eq!(rule.as_deref(), Some("filesystem.protect: .git/config"));
    let text = r#"{"extends": "coding", "remove": {"filesystem": {"protect": [".git/config"]}}}"#;
    assert_eq!(protected(text), None);
}
