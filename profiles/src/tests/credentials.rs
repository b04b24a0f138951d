//! Secrets: where they are, who may name them, and that nothing of them can be reached or changed.

use super::World;
use crate::{CredentialFrom, NoteKind};
use nono_sandbox::policy::{Access, Lookup};
use std::path::PathBuf;

#[test]
fn a_variable_is_named_and_its_file_stays_closed() {
    let world = World::new();
    world.make(&["home/conf/token", "home/conf/other"]);
    let resolved = world.resolved(
        r#"{
            "filesystem": {"read": ["~/conf"]},
            "environment": {
                "allow_vars": ["TOKEN"],
                "set_vars": {"TOKEN": "public"},
                "credentials": {
                    "TOKEN": {"file": "~/conf/token", "why": "w"},
                    "KEY": {"command": ["/bin/echo", "$HOME/x"]}
                }
            }
        }"#,
    );
    let file = world.path("home/conf/token");
    let names: Vec<&str> = resolved.credentials.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["KEY", "TOKEN"]);
    assert_eq!(resolved.credentials[1].from, CredentialFrom::File(file.as_path().into()));
    assert_eq!(resolved.credentials[1].source.line, Some(7));
    let home = world.path("home").as_path().join("x");
    let command = CredentialFrom::Command(PathBuf::from("/bin/echo"), vec![home.into()]);
    assert_eq!(resolved.credentials[0].from, command);
    let environment = &resolved.policy.environment;
    assert!(environment.credentials.contains_key("TOKEN"));
    assert!(!environment.variables.contains_key("TOKEN"), "the secret comes last");
    let read = |path| resolved.policy.fs.lookup(&world.path(path), Access::READ);
    assert_eq!(read("home/conf/other"), Lookup::Allowed);
    assert!(matches!(read("home/conf/token"), Lookup::Denied(_)));
}

#[test]
fn nothing_that_runs_outside_can_be_changed_from_inside() {
    let world = World::new();
    world.make(&["work/print", "home/bin/print", "home/writable/list"]);
    let error = |command: &str| {
        let text = format!(
            r#"{{"extends": "coding", "filesystem": {{"allow": ["~/writable"]}},
                "environment": {{"credentials": {{"KEY": {{"command": {command}}}}}}}}}"#
        );
        world.error(&text)
    };
    let work = world.path("work/print");
    let writable = world.path("home/writable/list");
    for command in [
        format!(r#"["{work}"]"#),
        format!(r#"["/bin/sh", "{work}"]"#),
        format!(r#"["/bin/cat", "{writable}"]"#),
        r#"["/bin/cat", "$HOME/writable/list"]"#.to_owned(),
    ] {
        let message = error(&command);
        assert!(message.contains("commands can change"), "{command}: {message}");
        assert!(message.contains("outside of the sandbox"), "{message}");
    }
    let fine = format!(r#"["{}"]"#, world.path("home/bin/print"));
    let text = format!(
        r#"{{"extends": "coding", "environment": {{"credentials": {{"KEY": {{"command": {fine}}}}}}}}}"#
    );
    assert_eq!(world.resolved(&text).credentials.len(), 1);
    // A profile that lies in the workspace could be made to name another command.
    let inside = world.path("work/profile.json");
    std::fs::write(inside.as_path(), &text).unwrap();
    let reference = crate::ProfileRef::File(inside.as_path().into());
    let message = world.resolve(&reference).unwrap_err().to_string();
    assert!(message.contains("work/profile.json") && message.contains("can change"), "{message}");
}

#[test]
fn a_secret_in_a_folder_that_is_written_is_refused() {
    let world = World::new();
    world.make(&["work/token"]);
    let token = world.path("work/token");
    let message = world.error(&format!(
        r#"{{"extends": "coding", "environment": {{"credentials": {{"KEY": {{"file": "{token}"}}}}}}}}"#
    ));
    assert!(message.contains("contains") && message.contains("work/token"), "{message}");
}

#[test]
fn a_project_file_names_no_secret_and_can_do_without_one() {
    let world = World::new();
    world.make(&["home/conf/token", "work/.nono/x"]);
    let operator = world.profile(
        "p.json",
        r#"{"extends": "coding", "filesystem": {"read": ["~/conf"]},
            "environment": {"credentials": {"TOKEN": {"file": "~/conf/token"}}}}"#,
    );
    let project = |text: &str| {
        std::fs::write(world.path("work/.nono/profile.json").as_path(), text).unwrap();
        world.resolve(&operator).unwrap()
    };
    let resolved =
        project(r#"{"environment": {"credentials": {"OTHER": {"command": ["/bin/echo", "x"]}}}}"#);
    let names: Vec<&str> = resolved.credentials.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["TOKEN"]);
    let ignored = |n: &crate::Note| n.kind == NoteKind::Widening && n.message.contains("a secret");
    assert!(resolved.notes.iter().any(ignored), "{:?}", resolved.notes);
    let resolved = project(r#"{"remove": {"environment": {"credentials": ["TOKEN"]}}}"#);
    assert!(resolved.credentials.is_empty());
    assert!(resolved.policy.environment.credentials.is_empty());
    // Doing without the secret opens its file to nobody.
    let file = world.path("home/conf/token");
    assert_ne!(resolved.policy.fs.lookup(&file, Access::READ), Lookup::Allowed);
    let other = project(r#"{"extends": "strict"}"#);
    assert!(other.credentials.is_empty(), "strict has no such secret");
}
