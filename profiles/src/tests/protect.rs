//! What stays as it is in trees that may be written.

use super::World;
use crate::{Context, ProfileRef, Resolved, narrow, protected_now, resolve};
use nono_sandbox::policy::{Access, Lookup};
use std::os::unix::fs::symlink;

const SAYS: &str = r#"{ "extends": "coding", "filesystem": { "protect": ["own/{a,b}.txt"] } }"#;

fn coding(world: &World) -> Resolved {
    world.resolve(&ProfileRef::Name("coding".into())).unwrap()
}

fn protected(world: &World, resolved: &Resolved) -> Vec<String> {
    resolved.policy.fs.protected.iter().map(|protected| world.show(&protected.path)).collect()
}

/// Whether a file may be written, and what says no.
fn write(world: &World, resolved: &Resolved, path: &str) -> Result<(), String> {
    match resolved.policy.fs.lookup(&world.path(path), Access::WRITE) {
        Lookup::Allowed => Ok(()),
        Lookup::Protected(protected) => Err(protected.source.rule.clone()),
        other => panic!("{path}: {other:?}"),
    }
}

#[test]
fn a_repository_counts_only_if_it_is_there() {
    let world = World::new();
    let new = coding(&world);
    assert_eq!(write(&world, &new, "work/.git/hooks/pre-commit"), Ok(()));
    assert_eq!(write(&world, &new, "work/.git/config"), Ok(()));
    let nested = "work/.git/modules/lib/modules/inner/config";
    world.make(&["work/.git/HEAD", "work/.git/modules/lib/config", nested]);
    let there = coding(&world);
    for file in [
        "hooks/pre-commit",
        "config",
        "commondir",
        "modules/lib/config",
        "modules/lib/modules/inner/config",
        "modules/lib/modules/inner/hooks/pre-commit",
    ] {
        let rule = write(&world, &there, &format!("work/.git/{file}")).unwrap_err();
        assert!(rule.starts_with("filesystem.protect: .git/"), "{rule}");
    }
    for file in ["HEAD", "index.lock", "config.lock", "refs/heads/x", "modules/lib/HEAD"] {
        assert_eq!(write(&world, &there, &format!("work/.git/{file}")), Ok(()), "{file}");
    }
}

/// Somebody outside adds a work tree or a submodule while the server runs.
#[test]
fn what_patterns_match_is_looked_for_again() {
    let world = World::new();
    world.make(&["work/.git/HEAD", "work/.git/worktrees/old/commondir"]);
    let mut resolved = coding(&world);
    assert_eq!(protected_now(&resolved.policy).unwrap(), resolved.policy.fs.protected);
    assert!(write(&world, &resolved, "work/.git/worktrees/old/commondir").is_err());
    let later = ["work/.git/worktrees/t/commondir", "work/.git/modules/lib/config"];
    world.make(&later);
    assert_eq!(write(&world, &resolved, later[0]), Ok(()));
    resolved.policy.fs.protected = protected_now(&resolved.policy).unwrap();
    for file in later.iter().chain(&["work/.git/modules/lib/hooks/pre-commit"]) {
        assert!(write(&world, &resolved, file).is_err(), "{file}");
    }
    for file in ["work/.git/worktrees/t/index", "work/.git/worktrees/next/commondir"] {
        assert_eq!(write(&world, &resolved, file), Ok(()), "{file}");
    }
}

/// What settings name is obeyed like them: included files, hooks elsewhere, and the way from a
/// submodule to its repository.
#[test]
fn what_settings_name_counts() {
    let world = World::new();
    world.make(&["work/.git/HEAD", "work/real/hooks/x", "work/sub/.git", "work/sub/src/x"]);
    world.make(&["work/.git/modules/sub/HEAD", "work/plain/"]);
    let file = |path: &str, text: &str| std::fs::write(world.path(path).as_path(), text).unwrap();
    symlink("real/hooks", world.path("work/.githooks").as_path()).unwrap();
    file(
        "work/.git/config",
        "[include]\n path = ../.gitconfig\n[includeIf \"gitdir:~/x\"]\n path = missing\n\
         [core]\n hooksPath = .githooks\n",
    );
    file("work/.gitconfig", "[include]\n path = more/settings\n path = /etc/x\n");
    file(
        "work/.git/modules/sub/config",
        "[core]\n worktree = ../../../sub\n hooksPath = ../subhooks\n",
    );
    let mut resolved = coding(&world);
    for path in [
        ".gitconfig",
        "more/settings",
        ".git/missing",
        ".githooks",
        "real/hooks/pre-commit",
        "sub/.git",
        "subhooks/pre-commit",
        ".git/remotes/origin",
        ".git/branches/origin",
    ] {
        assert!(write(&world, &resolved, &format!("work/{path}")).is_err(), "{path}");
    }
    for path in ["more/x", "real/x", "sub/src/x", "plain/x", ".git/HEAD", "sub/.gitignore"] {
        assert_eq!(write(&world, &resolved, &format!("work/{path}")), Ok(()), "{path}");
    }
    // Named later; one that holds the workspace would end all writing there.
    file("work/.git/config", "[core]\n hooksPath = plain\n[include]\n path = ..\n");
    resolved.policy.fs.protected = protected_now(&resolved.policy).unwrap();
    assert!(write(&world, &resolved, "work/plain/x").is_err());
    assert_eq!(write(&world, &resolved, "work/x"), Ok(()));
    let without = world.resolved(
        r#"{ "extends": "coding", "remove": { "filesystem": { "protect": [".git/config"] } } }"#,
    );
    assert_eq!(write(&world, &without, "work/plain/x"), Ok(()));
}

/// What the user's own settings name is obeyed in every repository.
#[test]
fn what_settings_of_the_user_name_counts() {
    let world = World::new();
    world.make(&["work/.git/HEAD", "work/plain/x", "home/.config/git/config"]);
    world.make(&["work/.git/modules/sub/HEAD", "work/sub/.git"]);
    let file = |path: &str, text: &str| std::fs::write(world.path(path).as_path(), text).unwrap();
    file("work/.git/modules/sub/config", "[core]\n worktree = ../../../sub\n");
    file("home/.gitconfig", "[core]\n hooksPath = .githooks\n");
    let mut resolved = coding(&world);
    let hooks = ["work/.githooks/pre-commit", "work/sub/.githooks/pre-commit"];
    for path in hooks {
        assert!(write(&world, &resolved, path).is_err(), "{path}");
    }
    let shared = format!("[include]\n path = {}\n", world.path("work/shared").as_path().display());
    file("home/.config/git/config", &shared);
    assert_eq!(write(&world, &resolved, "work/shared"), Ok(()));
    resolved.policy.fs.protected = protected_now(&resolved.policy).unwrap();
    for path in hooks.iter().chain(&["work/shared"]) {
        assert!(write(&world, &resolved, path).is_err(), "{path}");
    }
    assert_eq!(write(&world, &resolved, "work/plain/x"), Ok(()));
}

#[test]
fn where_too_much_matches_the_folder_of_it_counts() {
    let world = World::new();
    world.make(&["work/.git/HEAD"]);
    let mut resolved = coding(&world);
    for number in 0..1100 {
        world.make(&[&format!("work/.git/worktrees/{number}/")]);
    }
    resolved.policy.fs.protected = protected_now(&resolved.policy).unwrap();
    assert!(write(&world, &resolved, "work/.git/worktrees/1099/commondir").is_err());
    assert_eq!(write(&world, &resolved, "work/.git/index"), Ok(()));
}

/// The repository of a linked work tree, granted beside it.
#[test]
fn a_repository_that_is_granted_by_itself_is_one() {
    let world = World::new();
    world.make(&["main/.git/config", "main/.vscode/", "other/config"]);
    let allow = ["main/.git", "main/.vscode", "other"].map(|folder| world.path(folder).to_string());
    let profile = format!(r#"{{"extends": "coding", "filesystem": {{"allow": {allow:?}}}}}"#);
    let resolved = world.resolved(&profile);
    for file in [
        "main/.git/config",
        "main/.git/hooks/pre-commit",
        "main/.git/commondir",
        "main/.vscode/tasks.json",
    ] {
        assert!(write(&world, &resolved, file).is_err(), "{file}");
    }
    for file in ["main/.git/refs/heads/x", "main/.git/worktrees/x/index", "other/config"] {
        assert_eq!(write(&world, &resolved, file), Ok(()), "{file}");
    }
}

/// The repository of a workspace is what git takes for it, whatever it is called.
#[test]
fn a_repository_elsewhere_in_the_tree_counts() {
    let mut world = World::new();
    let file = |world: &World, path: &str, text: &str| {
        world.make(&[path]);
        std::fs::write(world.path(path).as_path(), text).unwrap();
    };
    world.make(&["work/.bare/HEAD", "work/.bare/objects/x", "work/.bare/hooks/pre-commit.sample"]);
    world.make(&["work/.bare/modules/lib/HEAD", "work/.bare/modules/lib/objects/x"]);
    file(&world, "work/.git", "gitdir: ./.bare\n");
    file(&world, "work/.bare/config", "[core]\n hooksPath = tracked\n[include]\n path = more\n");
    file(&world, "work/.bare/modules/lib/config", "[include]\n path = ../../../shared\n");
    let resolved = coding(&world);
    for path in [
        ".git",
        ".bare/config",
        ".bare/commondir",
        ".bare/hooks/pre-commit",
        ".bare/more",
        "tracked/pre-commit",
        ".bare/modules/lib/hooks/x",
        "shared",
    ] {
        assert!(write(&world, &resolved, &format!("work/{path}")).is_err(), "{path}");
    }
    for path in [".bare/HEAD", ".bare/refs/heads/x", ".bare/worktrees/w/index", "x"] {
        assert_eq!(write(&world, &resolved, &format!("work/{path}")), Ok(()), "{path}");
    }

    // A further work tree, whose file leads to a part of another repository.
    world.make(&["main/.git/HEAD", "main/.git/objects/x", "main/.git/config"]);
    file(&world, "main/.git/worktrees/t/commondir", "../..\n");
    file(&world, "tree/.git", &format!("gitdir: {}\n", world.path("main/.git/worktrees/t")));
    world.make(&["main/.git/worktrees/t/HEAD"]);
    let both =
        Context { workspaces: vec![world.path("tree"), world.path("main")], ..world.context() };
    let resolved = resolve(&ProfileRef::Name("coding".into()), &both).unwrap();
    for path in
        ["tree/.git", "main/.git/config", "main/.git/hooks/x", "main/.git/worktrees/t/commondir"]
    {
        assert!(write(&world, &resolved, path).is_err(), "{path}");
    }
    assert_eq!(write(&world, &resolved, "main/.git/worktrees/t/HEAD"), Ok(()));

    // A repository without a work tree.
    world = World::new();
    world.make(&["work/HEAD", "work/objects/x", "work/refs/x", "work/config"]);
    let resolved = coding(&world);
    for path in ["config", "hooks/reference-transaction", "commondir"] {
        assert!(write(&world, &resolved, &format!("work/{path}")).is_err(), "{path}");
    }
    assert_eq!(write(&world, &resolved, "work/refs/heads/x"), Ok(()));
}

/// Devices, caches and the private folder are nobody's project, whatever settings name.
#[test]
fn what_settings_name_elsewhere_stays_open() {
    let world = World::new();
    world.make(&["work/.git/HEAD", "home/.npm/x", "work/.git/modules/m/HEAD"]);
    let named = format!(
        "[core]\n hooksPath = /dev/null\n[include]\n path = /dev/shm\n path = ~/.npm\n path = {}\n",
        world.path("tmp"),
    );
    for file in ["work/.git/config", "work/.git/modules/m/config"] {
        std::fs::write(world.path(file).as_path(), &named).unwrap();
    }
    let policy = coding(&world).policy;
    let all = protected_now(&policy).unwrap();
    assert!(all.iter().any(|protected| protected.path == world.path("work/.git/config")));
    let stray = all.iter().find(|protected| !protected.path.is_within(&world.path("work")));
    assert!(stray.is_none(), "{stray:?}");
}

/// git runs what a link in a folder of hooks leads to.
#[test]
fn what_hooks_are_links_to_counts() {
    let world = World::new();
    world.make(&["work/.git/HEAD", "work/.git/hooks/x.sample", "work/scripts/check", "work/lib/x"]);
    let link = |to: &str, name: &str| {
        symlink(to, world.path(&format!("work/.git/hooks/{name}")).as_path()).unwrap();
    };
    link("../../scripts/check", "pre-commit");
    link("../../scripts/missing", "post-merge");
    link("../../lib", "lib");
    link("/dev/null", "pre-push");
    let mut resolved = coding(&world);
    resolved.policy.fs.protected = protected_now(&resolved.policy).unwrap();
    for path in ["work/scripts/check", "work/scripts/missing"] {
        assert!(write(&world, &resolved, path).is_err(), "{path}");
    }
    for path in ["work/scripts/other", "work/lib/x"] {
        assert_eq!(write(&world, &resolved, path), Ok(()), "{path}");
    }
}

/// Commands can make as many links as there are inodes, and each would be looked at, kept and mounted
/// in every later run.
#[test]
fn links_of_all_repositories_are_bounded_together() {
    let world = World::new();
    world.make(&["work/.git/HEAD"]);
    let resolved = coding(&world);
    let add = |module: usize| {
        let hooks = format!("work/.git/modules/{module}/hooks");
        world.make(&[&format!("{hooks}/sample")]);
        for link in 0..512 {
            let name = world.path(&format!("{hooks}/{link}"));
            symlink(format!("../../../../t/{module}-{link}"), name.as_path()).unwrap();
        }
    };
    (0..2).for_each(add);
    let kept = protected_now(&resolved.policy).unwrap();
    let links = kept.iter().filter(|kept| world.show(&kept.path).starts_with("work/t/"));
    assert_eq!(links.count(), 1024);
    // One more to the same place is none.
    let same = world.path("work/.git/modules/0/hooks/same");
    symlink("../../../../t/0-0", same.as_path()).unwrap();
    assert_eq!(protected_now(&resolved.policy).unwrap(), kept);
    add(2);
    let error = protected_now(&resolved.policy).unwrap_err();
    assert!(error.contains("more than 1024 places") && error.contains("/hooks among"), "{error}");
    assert!(error.ends_with("remove what does not belong there"), "{error}");
}

#[test]
fn missing_files_of_editors_and_shells_count() {
    let world = World::new();
    let resolved = coding(&world);
    for file in [
        ".envrc",
        ".vscode/tasks.json",
        ".idea/watcherTasks.xml",
        ".claude/settings.json",
        ".mcp.json",
        "opencode.jsonc",
        ".opencode/plugin/x.ts",
        ".profile",
        ".helix/languages.toml",
        ".qwen/settings.json",
        ".kiro/hooks/x.kiro.hook",
        ".kiro/settings/mcp.json",
        ".roo/mcp.json",
        ".kilocode/mcp.json",
        ".factory/mcp.json",
        ".junie/mcp/mcp.json",
        ".windsurf/hooks.json",
        ".clinerules/hooks/PreToolUse",
        ".continue/mcpServers/one.yaml",
        ".aider.conf.yml",
        ".github/hooks/one.json",
        ".zed/debug.json",
        ".Rprofile",
        ".RData",
        ".irbrc",
        "$irbrc",
        ".iex.exs",
        ".pdbrc",
        ".gdbinit",
        "crush.json",
    ] {
        assert!(write(&world, &resolved, &format!("work/{file}")).is_err(), "{file}");
        assert_eq!(write(&world, &resolved, &format!("work/sub/{file}")), Ok(()), "{file}");
    }
    for file in [".vscode/extensions.json", ".kiro/specs/x.md", ".hg/hgrc", ".jj/repo/config.toml"]
    {
        assert_eq!(write(&world, &resolved, &format!("work/{file}")), Ok(()), "{file}");
    }
    world.make(&["work/.hg/store/", "work/.jj/repo/store/"]);
    let resolved = coding(&world);
    for file in [".hg/hgrc", ".jj/repo/config.toml"] {
        assert!(write(&world, &resolved, &format!("work/{file}")).is_err(), "{file}");
    }
}

#[test]
fn what_stands_where_a_folder_is_expected_counts_itself() {
    let world = World::new();
    world.make(&["work/.git", "work/real/.keep", "work/.vscode/"]);
    symlink(world.path("work/real").as_path(), world.path("work/.claude").as_path()).unwrap();
    let resolved = coding(&world);
    assert!(write(&world, &resolved, "work/.git").is_err());
    // The link, and where it leads; not the rest of what is there.
    let protected = protected(&world, &resolved);
    for path in ["work/.claude", "work/real/settings.json"] {
        assert!(protected.contains(&path.to_owned()), "{protected:?}");
    }
    assert_eq!(write(&world, &resolved, "work/real/other"), Ok(()));
}

/// Commands make links as well, and what a link kept would stay closed to all later runs.
#[test]
fn links_close_nothing_that_is_no_part_of_a_project() {
    let world = World::new();
    world.make(&["work/.git/modules/x/y", "work/src/y", "home/.npm/y", "tmp/y", "work/own"]);
    let hooks = world.path("work/.git/modules/x/hooks");
    for (target, told) in [
        ("../../..", false),
        ("../..", false),
        ("../../../..", false),
        ("../../../../../home/.npm", false),
        ("../../../../../tmp", false),
        ("/dev/null", false),
        ("../../../src", true),
    ] {
        symlink(target, hooks.as_path()).unwrap();
        let resolved = coding(&world);
        let protected = protected(&world, &resolved);
        assert!(protected.contains(&"work/.git/modules/x/hooks".to_owned()), "the link itself");
        for path in ["work/own", "home/.npm/y", "work/.git/index"] {
            assert_eq!(write(&world, &resolved, path), Ok(()), "{target}: {path}");
        }
        assert!(protected.iter().all(|path| !path.contains("null")), "{target}: {protected:?}");
        assert_eq!(write(&world, &resolved, "work/src/y").is_err(), told, "{target}");
        std::fs::remove_file(hooks.as_path()).unwrap();
    }
}

#[test]
fn an_operator_adds_and_takes_out() {
    let world = World::new();
    let more = world.resolved(SAYS);
    let rule = write(&world, &more, "work/own/a.txt").unwrap_err();
    assert_eq!(rule, "filesystem.protect: own/a.txt");
    let less = world.resolved(
        r#"{ "extends": "coding", "remove": { "filesystem": { "protect": [".envrc"] } } }"#,
    );
    assert_eq!(write(&world, &less, "work/.envrc"), Ok(()));
    assert!(write(&world, &less, "work/.mcp.json").is_err());
    assert!(less.notes.iter().all(|note| !note.is_warning()), "{:?}", less.notes);
    let without = world
        .resolved(r#"{ "extends": "coding", "groups": { "exclude": ["run_later_protected"] } }"#);
    assert!(protected(&world, &without).is_empty());
}

#[test]
fn folders_that_the_operator_opens_count_too() {
    let world = World::new();
    world.make(&["home/notes/x", "home/.cargo/registry/"]);
    let resolved =
        world.resolved(r#"{ "extends": "coding", "filesystem": { "allow": ["~/notes"] } }"#);
    assert!(write(&world, &resolved, "home/notes/.envrc").is_err());
    assert!(protected(&world, &resolved).iter().all(|path| !path.contains(".cargo")));
}

/// A variable that is set is the operator's word as much as its default is.
#[test]
fn folders_opened_by_variables_count_too() {
    let mut world = World::new();
    let trees = ["go2/src/p", "xdg/q", "work/out"];
    world.make(&trees.map(|tree| format!("{tree}/.git/config")).each_ref().map(String::as_str));
    world.set("GOPATH", world.root.join("go2"));
    world.set("XDG_DATA_HOME", world.root.join("xdg"));
    let resolved = world.resolved(
        r#"{ "extends": "coding",
             "filesystem": { "allow": ["$GOPATH/src/p", "$XDG_DATA_HOME/q", "$WORKSPACE/out"] } }"#,
    );
    for file in trees.iter().flat_map(|t| [format!("{t}/.envrc"), format!("{t}/.git/config")]) {
        assert!(write(&world, &resolved, &file).is_err(), "{file}");
    }
    assert_eq!(write(&world, &resolved, "xdg/q/file"), Ok(()));
}

#[test]
fn nothing_is_listed_where_nothing_may_be_written() {
    let world = World::new();
    let resolved = world.resolve(&ProfileRef::Name("readonly".into())).unwrap();
    assert!(protected(&world, &resolved).is_empty(), "{:?}", protected(&world, &resolved));
}

#[test]
fn a_project_file_adds_and_takes_nothing_out() {
    let world = World::new();
    world.make(&["work/.nono/"]);
    let text = r#"{ "filesystem": { "protect": ["Makefile"] },
                    "remove": { "filesystem": { "protect": [".envrc"] } } }"#;
    std::fs::write(world.path("work/.nono/profile.json").as_path(), text).unwrap();
    let resolved = coding(&world);
    assert!(write(&world, &resolved, "work/Makefile").is_err());
    assert!(write(&world, &resolved, "work/.envrc").is_err());
    assert!(resolved.notes.iter().any(|note| note.to_string().contains("only the operator's")));
}

#[test]
fn what_both_allow_keeps_what_either_keeps() {
    let world = World::new();
    let (a, b) = (coding(&world).policy, world.resolved(SAYS).policy);
    for both in [narrow::intersection(&a, &b), narrow::intersection(&b, &a)] {
        let lookup = both.fs.lookup(&world.path("work/own/a.txt"), Access::WRITE);
        assert!(matches!(lookup, Lookup::Protected(_)), "{lookup:?}");
    }
}

#[test]
fn absolute_paths_and_remarks_of_other_lists_are_refused() {
    let world = World::new();
    for path in ["/etc/x", "~/x", "$HOME/x", "", "../x", "a/**"] {
        let error = world.error(&format!(r#"{{ "filesystem": {{ "protect": ["{path}"] }} }}"#));
        assert!(error.contains("filesystem.protect"), "{path}: {error}");
    }
    let text = r#"{ "filesystem": { "deny": [{ "path": "~/x", "existing": true }] } }"#;
    let error = world.error(text);
    assert!(error.contains("`existing` belongs to `protect`"), "{error}");
}
