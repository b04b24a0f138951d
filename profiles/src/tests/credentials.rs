//! Secrets: where they are, who may name them, and that nothing of them can be reached or changed.

use super::World;
use crate::{CredentialFrom, NoteKind};
use nono_sandbox::policy::{Access, Lookup};

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
    let CredentialFrom::Command(own) = &resolved.credentials[0].from else { panic!("no command") };
    assert_eq!(
        (own.program.as_path(), &own.arguments[..]),
        ("/bin/echo".as_ref(), &[home.into()][..])
    );
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
fn a_program_of_the_operators_finds_nothing_that_commands_left() {
    let mut world = World::new();
    world.make(&["work/bin/x", "work/get", "home/bin/x"]);
    let (work, home) = (world.path("work"), world.path("home"));
    let path = format!("{work}/bin:relative:{home}/bin:/usr/bin");
    for (name, value) in [("PATH", path), ("PYTHONPATH", format!("{work}/lib:/usr/lib/x"))] {
        world.environment.insert(name.into(), value.into());
    }
    // `get` is a file in the workspace, and a word of the program's own.
    let text = r#"{"extends": "coding",
        "environment": {"credentials": {"KEY": {"command": ["/bin/echo", "get"]}}}}"#;
    let resolved = world.resolved(text);
    let CredentialFrom::Command(own) = &resolved.credentials[0].from else { panic!("no command") };
    let seen = |name: &str| own.environment.get(std::ffi::OsStr::new(name)).cloned();
    assert_eq!(seen("PATH"), Some(format!("{home}/bin:/usr/bin").into()));
    assert_eq!(seen("PYTHONPATH"), None);
    assert_eq!(seen("HOME"), Some(home.as_path().into()));
    assert_eq!(own.withheld, ["PYTHONPATH"]);
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
