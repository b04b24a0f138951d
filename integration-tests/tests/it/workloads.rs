//! Everyday work passes under the default profile: it succeeds, nothing is called the cause of a
//! failure, nothing is left over. Nothing here needs a network beyond loopback.
//!
//! A program that this machine or this user does not have fails its test, unless it may be missing
//! (`require::MAY_SKIP`).

mod built_in;
mod habits;
pub(crate) mod languages;
mod services;

use nono_integration_tests::require::leave_out;
use nono_integration_tests::{Answer, Server, Site, as_each_user};
use serde_json::json;
use std::path::Path;

/// Whether the site's user has all these programs. One that must not be missing fails the test.
fn has(site: &Site, programs: &[&str]) -> bool {
    programs.iter().all(|name| provides(site, name, &format!("command -v {name}")))
}

/// Whether a script shows that the site's user has this.
fn provides(site: &Site, what: &str, script: &str) -> bool {
    let there = succeeds_outside(site, script);
    if !there {
        leave_out(what, &format!("no {what} here for {:?}: {script}", site.user()));
    }
    there
}

/// Whether a script succeeds without any sandbox.
fn succeeds_outside(site: &Site, script: &str) -> bool {
    let mut shell = site.command(Path::new("/bin/sh"));
    shell.args(["-c", script]).output().expect("a shell").status.success()
}

/// Runs a script that stops at its first failure, and gives the answer however it ended.
fn work(server: &Server, script: &str) -> Answer {
    let command = format!("set -euo pipefail\n{script}");
    server.ask("shell", json!({"command": command, "timeout_ms": 300_000, "yield_ms": 300_000}))
}

/// Nothing was refused that mattered, and nothing was left.
fn untroubled(answer: &Answer) {
    let denials = &answer.value["denials"];
    assert!(denials["likely_cause"].is_null(), "{}", answer.text);
    let left = &answer.value["processes"]["leftover_killed"];
    assert_eq!(left.as_u64().unwrap_or(0), 0, "left over: {}", answer.text);
    for item in answer.denials() {
        eprintln!("refused without harm: {item}");
    }
}

/// Runs a script that must succeed, untroubled.
fn passes(server: &Server, script: &str) -> Answer {
    let answer = work(server, script);
    assert_eq!((answer.status(), answer.exit_code()), ("exited", Some(0)), "{}", answer.text);
    untroubled(&answer);
    answer
}

/// As [`passes`], and no refusal at all is reported.
fn passes_unrefused(server: &Server, script: &str) -> Answer {
    let answer = passes(server, script);
    assert_eq!(answer.denials_total(), 0, "{}", answer.text);
    answer
}

/// Gives the site's user a name for commits.
fn with_git_identity(site: &Site) {
    site.file(
        "home/.gitconfig",
        "[user]\n name = Test\n email = test@example.invalid\n[init]\n defaultBranch = main\n",
    );
}

#[test]
fn git_in_a_new_repository_and_its_clones() {
    as_each_user(|site| {
        if !has(&site, &["git"]) {
            return;
        }
        with_git_identity(&site);
        let server = site.serve();
        let answer = passes(
            &server,
            "git init -q one; cd one; echo a > a; git add a; git commit -qm first
             git checkout -qb side; echo b >> a; git commit -qam second; git checkout -q main
             git merge -q side; git gc -q; git tag v1; git stash list
             ln -s a link; git add link; git commit -qm link; cd ..
             git clone -q file://$PWD/one two; git clone -q one three
             cd two; git log --format=%s; test -L link; git fsck --strict; git status --short
             echo '#!/bin/sh' > .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit
             git commit -q --allow-empty -m hooked; git push -q origin HEAD:refs/heads/back",
        );
        assert_eq!(answer.stdout(), "link\nsecond\nfirst\n", "{}", answer.text);
        assert_eq!(passes_unrefused(&server, "git -C one log --format=%an -1").stdout(), "Test\n");
    });
}

#[test]
fn git_worktrees_submodules_and_an_editor() {
    as_each_user(|site| {
        if !has(&site, &["git"]) {
            return;
        }
        with_git_identity(&site);
        let server = site.serve();
        let answer = passes(
            &server,
            r#"printf '#!/bin/sh\necho edited > "$1"\n' > editor; chmod +x editor
            git init -q library; git -C library commit -q --allow-empty -m x
            git init -q project; cd project
            GIT_EDITOR=$PWD/../editor git commit -q --allow-empty
            git -c protocol.file.allow=always submodule --quiet add $PWD/../library lib
            git commit -qm submodule; git worktree add -q ../tree; cd ../tree
            git log --format=%s; git rev-parse --git-dir | grep -q project/.git/worktrees
            GIT_EDITOR=$PWD/../editor git commit -q --amend --allow-empty; git log -1 --format=%s
            cd ../project; git worktree remove ../tree"#,
        );
        assert_eq!(answer.stdout(), "submodule\nedited\nedited\n", "{}", answer.text);
    });
}

#[test]
fn files_move_between_granted_folders() {
    as_each_user(|site| {
        let answer = passes_unrefused(
            &site.serve(),
            "mkdir -p a/b; echo kept > a/b/c; mv a $TMPDIR/moved; mv $TMPDIR/moved/b .; cat b/c
             rename() { python3 -c 'import os, sys; os.rename(*sys.argv[1:])' \"$@\"; }
             rename b a-b; rename a-b/c top; cat top",
        );
        assert_eq!(answer.stdout(), "kept\nkept\n");
    });
}

#[test]
fn make_with_jobs_and_a_compiler() {
    as_each_user(|site| {
        if !has(&site, &["make", "gcc"]) {
            return;
        }
        let server = site.serve();
        let answer = passes_unrefused(
            &server,
            r#"mkdir sub
            for n in 1 2 3 4 5 6; do echo "int f$n(void) { return $n; }" > f$n.c; done
            echo 'int f1(void); int f6(void); int puts(const char *);
            int main(void) { return f1() + f6() == 7 ? puts("seven") < 0 : 1; }' > main.c
            printf 'all: prog sub-all\nprog: main.o f1.o f2.o f3.o f4.o f5.o f6.o\n\tgcc -g -o $@ $^\n' > Makefile
            printf 'sub-all:\n\t+$(MAKE) -s -C sub\n' >> Makefile
            printf 'all: x y z\nx y z:\n\techo $@ > $@\n' > sub/Makefile
            make -s -j4; ./prog; cat sub/x sub/y sub/z
            ar rcs lib.a f1.o f2.o; nm lib.a | grep -c ' T '; make -s -j4"#,
        );
        let built = "seven\nx\ny\nz\n2\n";
        assert!(answer.stdout().starts_with(built), "{}", answer.text);
    });
}

#[test]
fn here_documents_temporary_files_and_process_substitution() {
    as_each_user(|site| {
        let answer = passes_unrefused(
            &site.serve(),
            "cat <<END\nhere $((1 + 1))\nEND\n\
             cat <<< string
             f=$(mktemp); d=$(mktemp -d); echo made > $f; cp $f $d/copy; cat $d/copy
             diff <(echo same) <(echo same) && echo alike
             echo out > >(cat >&1); wait $!
             cat /dev/fd/0 < $f; cat /proc/self/fd/0 < $f; echo to-stdout > /dev/stdout
             exec 5<> $d/both; echo five >&5; cat $d/both; rm -r $f $d",
        );
        let expected = "here 2\nstring\nmade\nalike\nout\nmade\nmade\nto-stdout\nfive\n";
        assert_eq!(answer.stdout(), expected, "{}", answer.text);
    });
}

#[test]
fn many_short_processes_at_once() {
    as_each_user(|site| {
        if !has(&site, &["xargs", "find"]) {
            return;
        }
        let answer = passes_unrefused(
            &site.serve(),
            "seq 400 | xargs -P8 -n1 sh -c 'echo $0 > f$0'; find . -name 'f[0-9]*' | wc -l
             find . -name 'f[0-9]*' -print0 | xargs -0 -P8 -n50 cat | sort -n | tail -1",
        );
        assert_eq!(answer.stdout(), "400\n400\n", "{}", answer.text);
    });
}

/// tmux opens the far end of its terminal by name. Below /dev/pts are the user's own terminals as
/// well, unless a run has a file system of terminals to itself.
#[test]
fn tmux_has_terminals_of_its_own() {
    const SESSION: &str =
        "SHELL=/bin/sh tmux -L private -f /dev/null new-session -d -x 80 -y 24 'exec cat'
        tmux -L private send-keys -t 0 hello Enter
        until tmux -L private capture-pane -t 0 -p | grep -c hello | grep -q 2; do sleep 0.05; done
        tmux -L private kill-server";
    as_each_user(|site| {
        if !has(&site, &["tmux"]) {
            return;
        }
        passes(&site.serve(), SESSION);
        let without = site.serve_with(&serde_json::json!({ "isolation": "off" }));
        let answer = work(&without, "tmux -L private -f /dev/null new-session -d 'exec cat'");
        assert_ne!(answer.exit_code(), Some(0), "{}", answer.text);
        let terminal = |d: &serde_json::Value| {
            d["target"].as_str().is_some_and(|target| target.starts_with("/dev/pts/"))
        };
        let denials = answer.denials();
        let denial =
            denials.iter().find(|d| terminal(d)).unwrap_or_else(|| panic!("{}", answer.text));
        assert!(denial["grant"].is_null(), "its number is another one next time: {denial}");
        assert!(denial["alternatives"][0].as_str().unwrap().contains("tty: true"), "{denial}");
    });
}

#[test]
fn sqlite_with_a_write_ahead_log() {
    as_each_user(|site| {
        if !has(&site, &["sqlite3"]) {
            return;
        }
        let answer = passes_unrefused(
            &site.serve(),
            "sqlite3 db 'pragma journal_mode=wal; create table t(x);'
             seq 20 | xargs -P4 -I% sqlite3 -cmd '.timeout 20000' db 'insert into t values (%)'
             sqlite3 db 'select count(*), sum(x) from t; pragma integrity_check; vacuum;'",
        );
        assert!(answer.stdout().ends_with("wal\n20|210\nok\n"), "{}", answer.text);
    });
}
