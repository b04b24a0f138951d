//! Profiles that lie where commands may write: they decide what the next server allows.

use super::World;
use crate::{Context, NoteKind, OwnFiles, ProfileRef, Resolved, resolve};
use nono_sandbox::policy::{Access, Lookup};
use std::os::unix::fs::symlink;

const PLAIN: &str = r#"{"extends": "coding"}"#;

fn write(world: &World, path: &str, text: &str) -> ProfileRef {
    let path = world.root.join(path);
    std::fs::write(&path, text).unwrap();
    ProfileRef::File(path)
}

fn stays(world: &World, resolved: &Resolved, path: &str) -> bool {
    matches!(resolved.policy.fs.lookup(&world.path(path), Access::WRITE), Lookup::Protected(_))
}

/// What was said about a file.
fn told(resolved: &Resolved, file: &str) -> bool {
    let about = |message: &str| message.contains(file) && message.contains("this server obeys");
    let mut notes = resolved.notes.iter().filter(|note| note.is_warning());
    notes.any(|note| note.kind == NoteKind::OwnProgram && about(&note.message))
}

#[test]
fn a_profile_in_the_workspace_stays_as_it_is_and_that_is_told() {
    let world = World::new();
    let profile = write(&world, "work/nono.json", PLAIN);
    let resolved = world.resolve(&profile).unwrap();
    assert!(stays(&world, &resolved, "work/nono.json"));
    assert!(told(&resolved, "work/nono.json"), "{:?}", resolved.notes);
    assert!(!stays(&world, &resolved, "work/other.json"));
    // One beside it is nobody's business.
    let beside = world.resolve(&world.profile("p.json", PLAIN)).unwrap();
    assert!(!stays(&world, &beside, "work/nono.json"));
    assert!(!told(&beside, "json"));
}

#[test]
fn so_does_what_it_extends_and_the_links_to_it() {
    let world = World::new();
    world.make(&["work/conf/"]);
    write(&world, "work/conf/base.json", PLAIN);
    let base = world.path("work/conf/base.json");
    let profile = world.profile("p.json", &format!(r#"{{"extends": "{base}"}}"#));
    let resolved = world.resolve(&profile).unwrap();
    assert!(stays(&world, &resolved, "work/conf/base.json"));
    assert!(told(&resolved, "work/conf/base.json"));

    write(&world, "home/real.json", PLAIN);
    symlink(world.root.join("home"), world.root.join("work/away")).unwrap();
    symlink(world.root.join("work/away/real.json"), world.root.join("work/named.json")).unwrap();
    let resolved = world.resolve(&ProfileRef::File(world.root.join("work/named.json"))).unwrap();
    for link in ["work/named.json", "work/away"] {
        assert!(stays(&world, &resolved, link), "{link}");
    }
}

#[test]
fn so_do_profiles_that_calls_may_choose_and_those_of_others() {
    let world = World::new();
    let other = write(&world, "work/other.json", PLAIN);
    let own = OwnFiles { profiles: vec![other], ..OwnFiles::default() };
    let resolved = resolve(&ProfileRef::default(), &Context { own, ..world.context() }).unwrap();
    assert!(stays(&world, &resolved, "work/other.json"));
}

/// A command that could rewrite the profile would say in it that it could not.
#[test]
fn no_profile_in_a_workspace_names_a_program_whatever_it_says_of_workspaces() {
    let world = World::new();
    let named = r#""environment": {"credentials": {"KEY": {"command": ["/bin/echo", "x"]}}}"#;
    let closed = format!(r#"{{"extends": "coding", "workdir": {{"access": "read"}}, {named}}}"#);
    assert!(world.resolve(&world.profile("p.json", &closed)).is_ok(), "control");
    let inside = write(&world, "work/nono.json", &closed);
    let message = world.resolve(&inside).unwrap_err().to_string();
    assert!(message.contains("commands can change"), "{message}");
    // The workspace of somebody else who is served is no better.
    let beside = write(&world, "home/p.json", &closed);
    let own = OwnFiles { workspaces: vec![world.path("home")], ..OwnFiles::default() };
    let error = resolve(&beside, &Context { own, ..world.context() }).unwrap_err();
    assert!(error.to_string().contains("commands can change"), "{error}");
}
