//! Each built-in profile as it comes out: in a home and on a system made for the test, so that the
//! machine it runs on does not show.

use super::World;
use crate::{ProfileRef, builtin_names, facts};

/// What is made in the home, so that the grants for it show.
const HOME: &[&str] = &[
    "home/.cargo/bin/cargo",
    "home/.cargo/registry/x",
    "home/.rustup/x",
    "home/.npm/x",
    "home/.cache/uv/x",
    "home/go/pkg/x",
    "home/.m2/repository/x",
    "home/.gitconfig",
    "home/.ssh/id",
    "home/.local/bin/x",
];

#[test]
fn built_in_profiles_as_resolved() {
    let mut world = World::new();
    world.make(HOME);
    world.set("PATH", "/usr/bin");
    let context =
        crate::Context { missing_folders: crate::MissingFolders::Leave, ..world.context() };
    for name in builtin_names() {
        let policy = crate::resolve(&ProfileRef::from(name), &context).unwrap().policy;
        let root = world.root.display().to_string();
        // What lies outside of the test's own folders differs from machine to machine.
        let lines: Vec<String> = facts(&policy)
            .into_iter()
            .filter(|fact| {
                !matches!(fact.about, "files" | "sockets" | "closed") || fact.text.contains(&root)
            })
            .map(|fact| match fact.source {
                Some(source) => format!("{}: {}  <- {}", fact.about, fact.text, source.rule),
                None => format!("{}: {}", fact.about, fact.text),
            })
            .map(|line| line.replace(&root, ""))
            .collect();
        insta::assert_snapshot!(name, lines.join("\n"));
    }
}
