//! Files that something outside of the sandbox runs later: they stay as they are in every tier, and
//! the everyday commands of git, npm and cargo go on working beside them.

use nono_integration_tests::require::has_program;
use nono_integration_tests::{Answer, Server, Site, as_each_user};
use serde_json::{Value, json};
use std::path::Path;

/// Both tiers: with namespaces of the run's own, and without.
const TIERS: [&str; 2] = ["required", "off"];

/// A repository with a hook, settings of an editor and of an agent, and nothing for direnv.
fn furnish(site: &Site) {
    for folder in [".git", ".git/hooks", ".git/refs", ".git/objects", ".vscode", ".claude"] {
        site.folder(&format!("ws/{folder}"));
    }
    site.file("ws/.git/HEAD", "ref: refs/heads/main\n");
    site.file("ws/.git/config", "[core]\n\trepositoryformatversion = 0\n");
    site.file("ws/.git/hooks/pre-commit", "#!/bin/sh\n");
    site.file("ws/.vscode/tasks.json", "{}");
    site.file("ws/.claude/settings.json", "{}");
}

fn serve(site: &Site, isolation: &str) -> Server {
    site.serve_with(&json!({ "isolation": isolation }))
}

/// What must not work, as arguments of the probe.
const CHANGES: [&[&str]; 19] = [
    &["file", "append", ".git/config"],
    &["file", "truncate", ".git/config"],
    &["file", "unlink", ".git/config"],
    &["file", "rename", ".git/config", ".git/other"],
    &["file", "rename", "new", ".git/config"],
    &["file", "link", ".git/config", "second"],
    &["file", "append", ".git/hooks/pre-commit"],
    &["file", "append", ".git/hooks/post-checkout"],
    &["file", "mkdir", ".git/hooks/folder"],
    &["file", "symlink", ".git/hooks/post-merge"],
    &["file", "rename", ".git/hooks", "hooks"],
    &["file", "rename", ".git", "git"],
    &["file", "create", ".git/commondir"],
    &["file", "create", ".envrc"],
    &["file", "symlink", ".envrc"],
    &["file", "rename", "new", ".envrc"],
    &["file", "symlink", ".cursor"],
    &["file", "append", ".vscode/tasks.json"],
    &["attribute", "chmod", ".git/hooks/pre-commit"],
];

/// Everything below the places in question, with contents.
fn snapshot(site: &Site) -> Vec<(String, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    let mut folders = vec![site.workspace()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("list").map(|e| e.expect("entry")) {
            let path = entry.path();
            let content = std::fs::read(&path).ok().filter(|content| content.len() < 4096);
            found.push((path.to_string_lossy().into_owned(), content));
            if entry.file_type().expect("kind").is_dir() {
                folders.push(path);
            }
        }
    }
    found.sort();
    found
}

fn denial(answer: &Answer) -> Value {
    let all = answer.denials();
    let kept = all.iter().find(|denial| denial["reason"] == "kept");
    kept.unwrap_or_else(|| panic!("{}", answer.text)).clone()
}

#[test]
fn nothing_listed_can_be_changed() {
    as_each_user(|site| {
        furnish(&site);
        site.file("ws/new", "x");
        let before = snapshot(&site);
        for isolation in TIERS {
            let server = serve(&site, isolation);
            for args in CHANGES {
                let answer = server.run("probe", args);
                assert_eq!(answer.said(), "EACCES", "{isolation} {args:?}: {}", answer.text);
                let denial = denial(&answer);
                assert_eq!(denial["confidence"], "enforced", "{denial}");
                assert_eq!(denial["grantable"], "operator_only", "{denial}");
                let rule = denial["decided_by"]["rule"].as_str().expect("a rule");
                assert!(rule.starts_with("filesystem.protect: "), "{denial}");
                let way = denial["alternatives"][0].as_str().expect("a way out");
                assert!(way.contains("\"remove\""), "{denial}");
                assert_eq!(snapshot(&site), before, "{isolation} {args:?}");
            }
            for args in [
                &["file", "append", ".git/HEAD"][..],
                &["file", "read", ".git/config"],
                &["file", "append", "sub.envrc"],
                &["file", "unlink", "sub.envrc"],
                &["file", "rename", ".git/HEAD", ".git/HEAD2"],
                &["file", "rename", ".git/HEAD2", ".git/HEAD"],
            ] {
                assert_eq!(server.probe(args), "ok", "{isolation} {args:?}");
            }
        }
    });
}

/// Each on a place of its own, since one would be in the way of another.
#[test]
fn each_change_works_where_nothing_protects() {
    as_each_user(|site| {
        let user = site.user();
        for args in CHANGES {
            let site = Site::new(user);
            furnish(&site);
            site.file("ws/new", "x");
            assert_eq!(site.outside(args), "ok", "{args:?} as {user:?}");
        }
    });
}

/// What the supervisor cannot read, it cannot judge; nothing goes on for that. Each has a control.
#[test]
fn what_cannot_be_seen_changes_nothing() {
    const HIDDEN_PATH: &str = "import ctypes, mmap, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
fd = libc.syscall(447, 0)
assert fd >= 0, os.strerror(ctypes.get_errno())
os.ftruncate(fd, 4096)
place = libc.mmap(None, 4096, 3, 1, fd, 0)
ctypes.memmove(place, b'.envrc\\0', 7)
made = libc.open(ctypes.c_void_p(place), os.O_CREAT | int(sys.argv[1]), 0o644)
raise SystemExit(0 if made >= 0 else ctypes.get_errno())";
    const SOCKET: &str = "import socket; socket.socket(socket.AF_UNIX).bind('.envrc')";
    // O_WRONLY and O_RDONLY: either makes what is missing.
    let ways: [&[&str]; 4] = [
        &["/usr/bin/python3", "-c", HIDDEN_PATH, "1"],
        &["/usr/bin/python3", "-c", HIDDEN_PATH, "0"],
        &["/usr/bin/python3", "-c", SOCKET],
        &["./unreadable", ".envrc"],
    ];
    as_each_user(|site| {
        let envrc = site.path("ws/.envrc");
        let program = site.path("ws/unreadable");
        std::fs::copy("/usr/bin/touch", &program).expect("copy touch");
        site.command(Path::new("chmod")).args(["0111", "unreadable"]).status().expect("chmod");
        for way in ways {
            let outside = site.command(Path::new(way[0])).args(&way[1..]).output().expect("run");
            let said = String::from_utf8_lossy(&outside.stderr);
            assert!(outside.status.success() && envrc.exists(), "control {way:?}: {said}");
            std::fs::remove_file(&envrc).expect("remove");
        }
        for isolation in TIERS {
            let server = serve(&site, isolation);
            for way in ways {
                let answer = server.exec(way);
                assert_ne!(answer.exit_code(), Some(0), "{isolation} {way:?}: {}", answer.text);
                assert!(!envrc.exists(), "{isolation} {way:?}: {}", answer.text);
            }
        }
    });
}

/// A name is taken by whatever is made there, not by files alone: git does not start in a repository
/// with a socket for its `commondir`.
#[test]
fn nothing_of_any_kind_takes_a_protected_name() {
    const MAKE: &str = "import os, socket, sys
kind, name = sys.argv[1:]
if kind == 'bound':
    socket.socket(socket.AF_UNIX).bind(name)
else:
    os.mknod(name, int(kind, 8) | 0o600)";
    // S_IFSOCK, S_IFIFO, S_IFREG.
    const KINDS: [&str; 4] = ["0140000", "0010000", "0100000", "bound"];
    as_each_user(|site| {
        furnish(&site);
        std::fs::remove_file(site.path("ws/.vscode/tasks.json")).expect("remove");
        let names =
            [".envrc", ".vscode/tasks.json", ".git/commondir", ".git/hooks/pre-push", ".nono"];
        for isolation in TIERS {
            let server = serve(&site, isolation);
            for (kind, name) in KINDS.iter().flat_map(|kind| names.map(|name| (*kind, name))) {
                let answer = server.exec(&["/usr/bin/python3", "-c", MAKE, kind, name]);
                let what = format!("{isolation} {kind} {name}: {}", answer.text);
                assert_ne!(answer.exit_code(), Some(0), "{what}");
                // In a sealed folder, `bind` fails before it is judged.
                if kind != "bound" {
                    assert_eq!(denial(&answer)["confidence"], "enforced", "{what}");
                }
                assert!(!site.path(&format!("ws/{name}")).exists(), "{what}");
            }
            for kind in KINDS {
                let answer = server.exec(&["/usr/bin/python3", "-c", MAKE, kind, "beside"]);
                assert_eq!(answer.exit_code(), Some(0), "{isolation} {kind}: {}", answer.text);
                std::fs::remove_file(site.path("ws/beside")).expect("made");
            }
        }
    });
}

/// A work tree and a submodule that somebody outside adds while the server runs. The next run finds
/// them, whatever stood by for it.
#[test]
fn what_is_added_to_a_repository_later_is_protected_from_the_next_run_on() {
    // The last: a name to race with.
    const LATER: [(&str, &str, &str); 2] =
        [(".git/worktrees/t", "commondir", "commondis"), (".git/modules/lib", "config", "confix")];
    as_each_user(|site| {
        for (isolation, raced) in [("required", "EROFS"), ("off", "ok")] {
            let site = Site::new(site.user());
            furnish(&site);
            let server = serve(&site, isolation);
            assert_eq!(server.probe(&["file", "append", "text"]), "ok");
            for folder in [".git/worktrees", ".git/modules"] {
                site.folder(&format!("ws/{folder}"));
            }
            for (folder, file, beside) in LATER {
                site.folder(&format!("ws/{folder}"));
                for name in [file, beside] {
                    site.file(&format!("ws/{folder}/{name}"), "x");
                }
            }
            for (folder, file, beside) in LATER {
                let (path, beside) = (format!("{folder}/{file}"), format!("{folder}/{beside}"));
                for args in [
                    &["file", "append", path.as_str()][..],
                    &["file", "rename", &beside, &path],
                    &["file", "rename", folder, "moved"],
                ] {
                    let answer = server.run("probe", args);
                    assert_eq!(answer.said(), "EACCES", "{isolation} {args:?}: {}", answer.text);
                    assert_eq!(denial(&answer)["confidence"], "enforced", "{}", answer.text);
                }
                assert_eq!(server.probe(&["file", "append", &beside]), "ok", "{isolation}");
                let (path, beside) = (format!("ws/{path}"), format!("ws/{beside}"));
                let race = ["flip", &site.text(&path), &site.text(&beside)];
                let answer = server.run("probe", &race);
                assert_eq!(answer.said(), raced, "{isolation}: {}", answer.text);
                let told = answer.text.contains("protected files changed while this ran");
                assert_eq!(told, isolation == "off", "{isolation}: {}", answer.text);
            }
        }
    });
}

/// Ways to `.envrc` that do not go straight down. Each is run in the workspace.
const DETOURS: [&str; 9] = [
    "ln -s . here && echo x > here/.envrc",
    "mkdir a && ln -s ../.. a/up && mkdir -p a/b && echo x > a/up/ws/.envrc",
    "mkdir gone && cd gone && rmdir ../gone && echo x > ../.envrc",
    "ln -s .envrc name && echo x > name",
    "ln -s name2 name1 && ln -s .envrc name2 && echo x > name1",
    "cd / && cd - > /dev/null && echo x > ./../ws/./.envrc",
    "exec 7< . && echo x > /proc/self/fd/7/.envrc",
    "exec 7> new && ln -L /proc/self/fd/7 .envrc",
    // Where it starts from is longer than a path may be.
    "n=$(printf 'd%.0s' $(seq 250)); for i in $(seq 20); do mkdir $n && cd -P $n || exit; done; \
     echo x > $(printf '../%.0s' $(seq 20)).envrc",
];

#[test]
fn no_detour_leads_to_what_is_protected() {
    as_each_user(|site| {
        let user = site.user();
        for isolation in TIERS {
            for detour in DETOURS {
                let site = Site::new(user);
                let server = serve(&site, isolation);
                let answer = server.shell(detour);
                assert_ne!(answer.exit_code(), Some(0), "{isolation} {detour}: {}", answer.text);
                let denial = denial(&answer);
                let led = denial.get("resolved_target").unwrap_or(&denial["target"]);
                assert_eq!(*led, site.text("ws/.envrc"), "{isolation} {detour}: {}", answer.text);
                assert!(!site.path("ws/.envrc").exists(), "{isolation} {detour}");
            }
        }
    });
}

#[test]
fn every_detour_works_where_nothing_protects() {
    as_each_user(|site| {
        let user = site.user();
        for detour in DETOURS {
            let site = Site::new(user);
            let profile = json!({"groups": {"exclude": ["run_later_protected"]}});
            let answer = site.serve_with(&profile).shell(detour);
            assert_eq!(answer.exit_code(), Some(0), "{detour}: {}", answer.text);
            assert!(site.path("ws/.envrc").exists(), "{detour}");
        }
    });
}

/// A path that changes while it is judged gets past the watch. It meets the mounts, and where there
/// are none, the result tells.
#[test]
fn what_gets_past_the_watch_is_stopped_or_told() {
    as_each_user(|site| {
        furnish(&site);
        site.file("ws/.git/confix", "");
        let config = site.text("ws/.git/config");
        for (isolation, said) in [("required", "EROFS"), ("off", "ok")] {
            let server = serve(&site, isolation);
            let answer = server.run("probe", &["flip", &config, &site.text("ws/.git/confix")]);
            assert_eq!(answer.said(), said, "{isolation}: {}", answer.text);
            let told = answer.text.contains("protected files changed while this ran");
            assert_eq!(told, isolation == "off", "{isolation}: {}", answer.text);
            let quiet = server.run("probe", &["file", "append", "harmless"]);
            assert!(!quiet.text.contains("protected files"), "{}", quiet.text);
        }
        let text = std::fs::read_to_string(&config).expect("settings");
        assert!(text.ends_with("0\nx"), "{text}");
    });
}

/// A folder that nobody may enter hides what becomes of the files in it. That is told, as what it
/// is, and once.
#[test]
fn a_folder_that_is_closed_is_told_once() {
    as_each_user(|site| {
        for isolation in TIERS {
            for missing in [false, true] {
                let site = Site::new(site.user());
                furnish(&site);
                if missing {
                    std::fs::remove_file(site.path("ws/.vscode/tasks.json")).expect("remove");
                }
                let server = serve(&site, isolation);
                for (command, expected) in
                    [("chmod 755 .vscode", false), ("chmod 0 .vscode", true), ("true", false)]
                {
                    let answer = server.shell(command);
                    let what = format!("{isolation} {missing} {command}: {}", answer.text);
                    assert_eq!(answer.exit_code(), Some(0), "{what}");
                    let told = answer.text.matches("permissions changed while this ran").count();
                    assert_eq!(told, usize::from(expected), "{what}");
                    assert_eq!(answer.text.contains(&site.text("ws/.vscode")), expected, "{what}");
                    assert!(!answer.text.contains("protected files changed"), "{what}");
                }
                site.command(Path::new("chmod")).args(["755", ".vscode"]).status().expect("chmod");
            }
        }
    });
}

/// A file that cannot be seen when a run starts is sealed all the same, itself or with the folder
/// that hides it. Where there are no mounts, who opens that folder is told.
#[test]
fn a_closed_folder_keeps_nothing_from_being_sealed() {
    const OPEN_AND_RACE: &str =
        "chmod 755 .git 2> /dev/null; exec ./probe flip $PWD/.git/config $PWD/.git/confix";
    as_each_user(|site| {
        for (isolation, open) in [("required", false), ("off", true)] {
            let site = Site::new(site.user());
            furnish(&site);
            site.file("ws/.git/confix", "");
            let server = serve(&site, isolation);
            assert_eq!(server.shell("chmod 0 .git").exit_code(), Some(0));
            let answer = server.shell(OPEN_AND_RACE);
            assert_eq!(answer.said() == "ok", open, "{isolation}: {}", answer.text);
            let told = answer.text.contains("permissions changed while this ran");
            assert!(told || !open, "{isolation}: {}", answer.text);
            let control = site.command(Path::new("chmod")).args(["755", ".git"]).status();
            assert!(control.expect("chmod").success());
            let settings = std::fs::read_to_string(site.path("ws/.git/config")).expect("settings");
            assert_eq!(settings.ends_with('x'), open, "{isolation}: {settings}");
            let answer = server.shell("cat .git/config && echo > .git/HEAD");
            assert_eq!(answer.exit_code(), Some(0), "{isolation}: {}", answer.text);
            assert!(!answer.text.contains("permissions changed"), "{}", answer.text);
        }
    });
}

#[test]
fn the_layer_says_which() {
    as_each_user(|site| {
        for (isolation, active) in [("required", true), ("off", false)] {
            let answer = serve(&site, isolation).shell("true");
            let layers = answer.value["sandbox"]["layers"].as_array().expect("layers").clone();
            let layer = layers.iter().find(|l| l["name"] == "protected_files").expect("a layer");
            assert_eq!(layer["active"], active, "{isolation}: {layer}");
        }
    });
}

/// Without reports the files stay as they are all the same.
#[test]
fn it_does_not_depend_on_reports() {
    as_each_user(|site| {
        furnish(&site);
        for isolation in TIERS {
            let server = site
                .serve_with(&json!({"isolation": isolation, "diagnostics": {"filesystem": "off"}}));
            for args in [CHANGES[0], CHANGES[3], CHANGES[11], CHANGES[13]] {
                assert_eq!(server.probe(args), "EACCES", "{isolation} {args:?}");
            }
        }
    });
}

fn git(site: &Site, words: &[&str]) {
    let done = site.command(Path::new("git")).args(words).output().expect("git");
    assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn git_works_in_old_and_new_repositories() {
    if !has_program("git") {
        return;
    }
    as_each_user(|site| {
        site.file("home/.gitconfig", "[user]\n\tname = A\n\temail = a@example.invalid\n");
        git(&site, &["init", "-q", "-b", "main", "."]);
        for isolation in TIERS {
            let server = serve(&site, isolation);
            for command in [
                "echo 1 >> text && git add text && git commit -qm one",
                "git checkout -q -B side && echo 2 >> text && git commit -qam two",
                "git checkout -q main && git merge -q side",
                "git stash list && git tag -f t && git gc -q && git status --short",
                "git clone -q . copy && cd copy && git config user.name B && git remote add x .. &&
                 echo 3 >> text && git commit -qam three && git fetch -q x && cd .. && rm -rf copy",
                "git init -q new && cd new && git config user.name B && echo '#!/bin/sh' \
                 > .git/hooks/pre-commit && chmod +x .git/hooks/pre-commit && echo > a &&
                 git add a && git commit -qm first && cd .. && rm -rf new",
                "git worktree add -q ../ws/tree main~1 --detach && git worktree remove tree",
            ] {
                let answer = server.shell(command);
                assert_eq!(answer.exit_code(), Some(0), "{isolation} {command}: {}", answer.text);
                assert_eq!(answer.denials_total(), 0, "{isolation} {command}: {}", answer.text);
            }
            let answer = server.shell("git config user.name C");
            assert_ne!(answer.exit_code(), Some(0), "{}", answer.text);
            assert_eq!(denial(&answer)["reason"], "kept");
            let settings = std::fs::read_to_string(site.path("ws/.git/config")).expect("settings");
            assert!(!settings.contains("name = C"), "{settings}");
        }
    });
}

/// What the settings of a repository name is protected with them, and the way from a submodule to
/// its repository; the everyday commands of git go on working.
#[test]
fn what_settings_of_a_repository_name_is_protected() {
    if !has_program("git") {
        return;
    }
    as_each_user(|site| {
        site.file("home/.gitconfig", "[user]\n\tname = A\n\temail = a@example.invalid\n");
        git(&site, &["init", "-q", "-b", "main", "."]);
        git(&site, &["init", "-q", "-b", "main", "library"]);
        git(&site, &["-C", "library", "commit", "-q", "--allow-empty", "-m", "x"]);
        let allow = ["-c", "protocol.file.allow=always"];
        let add = ["submodule", "--quiet", "add", &site.text("ws/library"), "sub"];
        git(&site, &[&allow[..], &add[..]].concat());
        git(&site, &["config", "include.path", "../.gitconfig"]);
        git(&site, &["config", "core.hooksPath", ".githooks"]);
        site.file("ws/.gitconfig", "[alias]\n\tx = status\n");
        for isolation in TIERS {
            let server = serve(&site, isolation);
            for args in [
                &["file", "append", ".gitconfig"][..],
                &["file", "unlink", ".gitconfig"],
                &["file", "append", "sub/.git"],
                &["file", "rename", "sub/.git", "sub/git"],
                &["file", "rename", "sub", "old"],
                &["file", "mkdir", ".githooks"],
                &["file", "create", ".git/remotes"],
            ] {
                let answer = server.run("probe", args);
                assert_eq!(answer.said(), "EACCES", "{isolation} {args:?}: {}", answer.text);
                assert_eq!(denial(&answer)["confidence"], "enforced", "{}", answer.text);
            }
            for command in [
                "echo 1 >> text && git add text && git commit -qm one && git x --short",
                "cd sub && echo 1 >> a && git add a && git commit -qm two && cd .. &&
                 git commit -qm moved sub && git submodule status && git fetch -q ./library",
                "git checkout -q --detach HEAD~1 && git checkout -q main",
            ] {
                let answer = server.shell(command);
                assert_eq!(answer.exit_code(), Some(0), "{isolation} {command}: {}", answer.text);
            }
        }
    });
}

#[test]
fn npm_and_cargo_work_beside_them() {
    as_each_user(|site| {
        furnish(&site);
        site.file("ws/package.json", r#"{"name": "a", "version": "1.0.0", "dependencies": {"b": "file:b"}, "scripts": {"prepare": "git config core.hooksPath x || true"}}"#);
        site.folder("ws/b");
        site.file("ws/b/package.json", r#"{"name": "b", "version": "1.0.0"}"#);
        site.folder("ws/c");
        site.folder("ws/c/src");
        site.file("ws/c/Cargo.toml", "[package]\nname = \"c\"\nedition = \"2021\"\n");
        site.file("ws/c/src/main.rs", "fn main() {}\n");
        for isolation in TIERS {
            let server = serve(&site, isolation);
            for (program, command) in [
                (
                    "npm",
                    "npm install --no-audit --no-fund && test -e node_modules/b/package.json && rm -r node_modules",
                ),
                ("cargo", "cd c && cargo build -q --offline && target/debug/c && rm -r target"),
            ] {
                let there = server.shell(&format!("command -v {program} && {program} --version"));
                if there.exit_code() != Some(0) {
                    continue;
                }
                let answer = server.shell(command);
                assert_eq!(answer.exit_code(), Some(0), "{isolation} {command}: {}", answer.text);
            }
        }
    });
}
