//! Links that a command could have put where a grant's path leads over them.

use super::World;
use crate::{Context, NoteKind, ProfileError, Resolved, resolve};
use nono_sandbox::policy::{Access, Lookup};
use std::fs;
use std::os::unix::fs::symlink;

const PROFILE: &str = r#"{
    "workdir": { "access": "readwrite" },
    "filesystem": {
        "read": ["$VIRTUAL_ENV", "$PATH_DIRS", "$HOME/tools"],
        "allow": ["$CARGO_TARGET_DIR", "$HOME/cache", "$HOME/cache/inner"],
        "unix_socket": ["$WORKSPACE/run/app.sock", "$WORKSPACE/run/missing/app.sock"]
    }
}"#;

/// Everything of the profile is a folder where it says.
fn world() -> World {
    let mut world = World::new();
    world.make(&[
        "work/target/",
        "work/.venv/bin/",
        "work/bin/",
        "work/run/app.sock",
        "home/cache/inner/",
        "home/tools/",
        "elsewhere/run/app.sock",
        "elsewhere/bin/",
        "elsewhere/letter",
    ]);
    world.set("CARGO_TARGET_DIR", world.path("work/target").as_path());
    world.set("VIRTUAL_ENV", world.path("work/.venv").as_path());
    world.set("PATH", world.path("work/bin").as_path());
    world
}

/// A link in the place of a folder, as a command could put it there.
fn plant(world: &World, at: &str, to: &str) {
    let at = world.root.join(at);
    fs::remove_dir_all(&at).unwrap();
    symlink(world.root.join(to), at).unwrap();
}

fn opened(world: &World, resolved: &Resolved) -> bool {
    let fs = &resolved.policy.fs;
    let read = fs.lookup(&world.path("elsewhere/letter"), Access::READ) == Lookup::Allowed;
    let reaches = |socket| {
        let socket = world.path(socket);
        resolved.policy.unix.grants.iter().any(|grant| grant.covers(&socket))
    };
    read || reaches("elsewhere/run/app.sock") || reaches("elsewhere/run/missing/app.sock")
}

#[test]
fn a_link_that_a_command_put_there_grants_nothing_at_the_next_start() {
    for planted in ["work/target", "work/.venv", "work/bin", "work/run", "home/cache/inner"] {
        let world = world();
        assert!(!opened(&world, &world.resolved(PROFILE)), "before {planted}");
        plant(&world, planted, if planted == "work/run" { "elsewhere/run" } else { "elsewhere" });
        let resolved = world.resolved(PROFILE);
        assert!(!opened(&world, &resolved), "{planted}");
        let note = resolved.notes.iter().find(|note| note.kind == NoteKind::Led).expect(planted);
        let link = world.path(planted).to_string();
        assert!(note.is_warning() && note.message.contains(&link), "{planted}: {note}");
    }
}

#[test]
fn a_link_on_the_way_is_as_good_as_one_at_the_end() {
    let world = world();
    symlink(world.root.join("elsewhere"), world.root.join("away")).unwrap();
    // Over a link outside to one inside: what matters is that one of them is a command's.
    plant(&world, "work/target", "away");
    assert!(!opened(&world, &world.resolved(PROFILE)));
    plant(&world, "work/run", "work/target/run");
    assert!(!opened(&world, &world.resolved(PROFILE)));
}

#[test]
fn links_of_the_operator_lead_where_they_lead() {
    let world = world();
    plant(&world, "home/tools", "elsewhere");
    let resolved = world.resolved(PROFILE);
    assert!(opened(&world, &resolved));
    assert!(resolved.notes.iter().all(|note| note.kind != NoteKind::Led));
}

#[test]
fn a_link_to_what_is_granted_anyway_is_not_worth_a_word() {
    let world = world();
    world.make(&["work/build/"]);
    plant(&world, "work/target", "work/build");
    let resolved = world.resolved(PROFILE);
    assert!(resolved.notes.iter().all(|note| note.kind != NoteKind::Led), "{:?}", resolved.notes);
    let built = world.path("work/build/x");
    assert_eq!(resolved.policy.fs.lookup(&built, Access::WRITE), Lookup::Allowed);
}

/// Under another profile the workspace may have been writable.
#[test]
fn a_workspace_that_may_only_be_read_is_not_trusted_either() {
    let world = world();
    plant(&world, "work/target", "elsewhere");
    let resolved = world.resolved(&PROFILE.replace("readwrite", "read"));
    assert!(!opened(&world, &resolved));
}

#[test]
fn no_workspace_is_named_by_a_link_in_another() {
    let world = world();
    plant(&world, "work/bin", "elsewhere");
    symlink(world.root.join("elsewhere"), world.root.join("beside")).unwrap();
    let profile = world.profile("p.json", PROFILE);
    let with = |second| {
        let mut context = world.context();
        context.workspaces.push(world.path(second));
        resolve(&profile, &context)
    };
    assert!(with("beside").is_ok());
    let error = with("work/bin").unwrap_err();
    assert!(matches!(error, ProfileError::Folder { .. }), "{error}");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("name the folder it leads to"), "{source}");
}

/// On a server with several principals.
#[test]
fn what_lies_in_the_workspace_of_another_is_not_trusted_either() {
    let world = world();
    world.make(&["theirs/"]);
    symlink(world.root.join("elsewhere"), world.root.join("theirs/link")).unwrap();
    let theirs = |mut context: Context| {
        context.own.workspaces = vec![world.path("theirs")];
        context
    };
    let link = world.path("theirs/link");
    let text = format!(r#"{{"filesystem": {{"allow": ["{link}"]}}}}"#);
    let profile = world.profile("p.json", &text);
    assert!(opened(&world, &resolve(&profile, &world.context()).unwrap()), "control");
    assert!(!opened(&world, &resolve(&profile, &theirs(world.context())).unwrap()));

    let mut context = world.context();
    context.workspaces = vec![link];
    let profile = world.profile("p.json", PROFILE);
    assert!(resolve(&profile, &context).is_ok(), "control");
    assert!(resolve(&profile, &theirs(context)).is_err());
}

#[test]
fn no_folder_is_made_where_a_commands_link_leads() {
    let world = world();
    let text = r#"{"filesystem": {"allow": [{"path": "~/late/inner", "create": true}]}}"#;
    world.make(&["away/"]);
    symlink(world.root.join("away"), world.root.join("work/link")).unwrap();
    symlink(world.root.join("work/link"), world.root.join("home/late")).unwrap();
    world.resolved(text);
    assert!(!world.root.join("away/inner").exists());
    std::fs::remove_file(world.root.join("home/late")).unwrap();
    symlink(world.root.join("away"), world.root.join("home/late")).unwrap();
    world.resolved(text);
    assert!(world.root.join("away/inner").exists(), "control");
}
