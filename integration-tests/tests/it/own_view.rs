//! What a run sees differently where its profile asks for it: `/tmp` that is the private folder, and
//! nothing where what is closed would be.

use nono_integration_tests::host_unix::HostSocket;
use nono_integration_tests::user::{open_to_all, readable_by_all};
use nono_integration_tests::{Answer, Server, Site, as_each_user, processes};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A server with a profile like this. What the profile grants in the home is not to lie in `/tmp`,
/// where the sites of tests are.
struct Elsewhere {
    server: Server,
    _home: TempDir,
}

impl std::ops::Deref for Elsewhere {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

fn serve(site: &Site, profile: &Value) -> Elsewhere {
    let home = tempfile::Builder::new().prefix("nono-it-").tempdir_in("/var/tmp").expect("a home");
    open_to_all(home.path());
    site.user().own(home.path());
    let (workspace, profile) = (site.text("ws"), site.profile(profile));
    let args = ["--stdio", "--workspace", &workspace, "--profile", &profile.to_string_lossy()];
    let mut command = site.nono_mcp(&args);
    command.env("HOME", home.path());
    Elsewhere { server: Server::start_command(site, command), _home: home }
}

fn private(site: &Site) -> Elsewhere {
    serve(site, &json!({ "isolation": "required", "filesystem": { "private_tmp": true } }))
}

fn hiding(site: &Site) -> Server {
    site.serve_with(&json!({ "isolation": "required", "filesystem": { "hide_denied": true } }))
}

/// Something in the machine's `/tmp`, gone when dropped.
struct InTmp(PathBuf);

impl InTmp {
    fn name() -> PathBuf {
        Path::new("/tmp").join(format!("nono-it-{}", processes::new_tag()))
    }

    fn file(text: &str) -> Self {
        let path = Self::name();
        std::fs::write(&path, text).expect("write to /tmp");
        readable_by_all(&path);
        Self(path)
    }

    fn text(&self) -> String {
        self.0.to_string_lossy().into_owned()
    }
}

impl Drop for InTmp {
    fn drop(&mut self) {
        let _it_may_be_gone = std::fs::remove_file(&self.0);
    }
}

#[test]
fn tmp_is_the_private_folder_and_not_the_machines() {
    as_each_user(|site| {
        let host = InTmp::file("of the machine");
        let path = host.text();
        let shared = site.serve();
        assert_eq!(shared.shell(&format!("test -e {path}")).value["exit_code"], 0, "control");
        let server = private(&site);
        let answer = server.shell(&format!("test -e {path} && echo seen; echo one > /tmp/file"));
        assert_eq!(answer.layer("private_tmp")["active"], true, "{}", answer.text);
        assert_eq!((answer.stdout(), answer.exit_code()), ("", Some(0)), "{}", answer.text);
        // The next run finds it, by either name; nobody outside does under the one in /tmp.
        let answer =
            server.shell("cat /tmp/file $TMPDIR/file; echo two > $TMPDIR/file; cat /tmp/file");
        assert_eq!(answer.stdout(), "one\none\ntwo\n", "{}", answer.text);
        assert!(!Path::new("/tmp/file").exists());
        assert_eq!(answer.denials_total(), 0, "{}", answer.text);
    });
}

#[test]
fn workspaces_below_tmp_stay_and_what_is_kept_in_them_as_well() {
    as_each_user(|site| {
        assert!(site.workspace().starts_with("/tmp"), "the sites of these tests lie in /tmp");
        site.folder("ws/.git");
        site.folder("ws/.git/hooks");
        site.file("ws/.git/hooks/pre-commit", "#!/bin/sh\n");
        site.file("outside/file", "x");
        let server = private(&site);
        let outside = site.text("outside/file");
        let answer = server
            .shell(&format!("pwd; echo x > file; cat {outside}; echo y >> .git/hooks/pre-commit"));
        assert_eq!(answer.stdout(), format!("{}\n", site.text("ws")));
        assert!(answer.stderr().contains("No such file"), "{}", answer.text);
        assert_eq!(std::fs::read_to_string(site.path("ws/file")).expect("written"), "x\n");
        let kept = std::fs::read_to_string(site.path("ws/.git/hooks/pre-commit")).expect("read");
        assert_eq!(kept, "#!/bin/sh\n");
        let denials = answer.denials();
        assert!(denials.iter().any(|d| d["reason"] == "kept"), "{}", answer.text);
        // What the workspace stands on cannot be moved out from under other runs.
        let base = site.text("");
        let base = base.trim_end_matches('/');
        for away in [format!("mv {base} /tmp/away"), "rm -rf $TMPDIR/nono-it-*".to_owned()] {
            let answer = server.shell(&away);
            assert_eq!(answer.exit_code(), Some(1), "{}", answer.text);
            assert_eq!(server.shell("cat file").stdout(), "x\n", "{away}");
        }
    });
}

#[test]
fn sockets_in_tmp_are_the_runs_own() {
    as_each_user(|site| {
        let path = InTmp(InTmp::name());
        let socket = HostSocket::stream(&path.0, "from outside");
        let text = path.text();
        assert_eq!(site.outside(&["connect", "stream", &text]), "ok from outside", "control");
        let server = private(&site);
        assert_eq!(server.probe(&["connect", "stream", &text]), "ENOENT");
        let own = server.run("probe", &["serve-self", "stream", "/tmp/own.sock"]);
        assert!(own.said().starts_with("ok"), "{}", own.text);
        assert_eq!(own.denials_total(), 0, "{}", own.text);
        assert_eq!(socket.reached(), 1);
    });
}

#[test]
fn where_it_cannot_be_had_tmp_is_closed_and_results_say_why() {
    as_each_user(|site| {
        site.folder("shared");
        let shared = site.text("shared");
        let cases = [
            (json!({ "isolation": "off", "filesystem": { "private_tmp": true } }), "isolation"),
            (json!({ "filesystem": { "private_tmp": true, "read": [shared] } }), shared.as_str()),
        ];
        for (profile, why) in cases {
            let server = serve(&site, &profile);
            let path = InTmp(InTmp::name()).text();
            let answer = server.shell(&format!("echo x > {path}"));
            let shown = answer.layer("private_tmp");
            assert_eq!(shown["active"], false, "{profile}");
            assert!(shown["detail"].as_str().expect("why").contains(why), "{shown}");
            assert!(answer.denial("fs", &path).is_some(), "{}", answer.text);
            assert!(answer.text.contains("$TMPDIR instead of /tmp"), "{}", answer.text);
        }
    });
}

/// A spare supervisor that was made ready for another view is not used.
#[test]
fn calls_that_see_different_things_can_follow_each_other() {
    as_each_user(|site| {
        let server = private(&site);
        for _ in 0..3 {
            let wide = server.shell("echo x > /tmp/file && cat /tmp/file");
            assert_eq!(wide.stdout(), "x\n", "{}", wide.text);
            let call = json!({ "command": "cat /tmp/file", "writable": [] });
            // The workspace lies in /tmp and may not be written like the private folder.
            let narrow = server.ask("shell", call);
            assert_eq!(narrow.layer("private_tmp")["active"], false, "{}", narrow.text);
            assert_eq!(narrow.stdout(), "", "{}", narrow.text);
        }
    });
}

/// A workspace in `/tmp` has its place in the private folder, which has another name. Who could move
/// that place would move the workspace to where no rule is about it.
#[test]
fn the_place_of_a_workspace_in_the_private_folder_stays() {
    as_each_user(|site| {
        let server = private(&site);
        let refused = |answer: &Answer| answer.denials().iter().any(|d| d["reason"] == "kept");
        let direct = server.shell("echo evil > .envrc");
        assert!(refused(&direct), "control: {}", direct.text);
        let workspace = site.workspace();
        let below = workspace.strip_prefix("/tmp").expect("in /tmp");
        let first = below.iter().next().expect("a name").to_string_lossy().into_owned();
        let rest = below.iter().skip(1).collect::<std::path::PathBuf>();
        let moved = format!("mv $TMPDIR/{first} $TMPDIR/zz && cd /tmp/zz/{}", rest.display());
        let attempts = [
            format!("{moved} && echo evil > .envrc"),
            format!("rm -rf $TMPDIR/{first}; echo x > $TMPDIR/{first}"),
        ];
        for attempt in &attempts {
            for narrow in [json!({}), json!({ "writable": [] })] {
                let mut call = narrow.clone();
                call["command"] = json!(attempt);
                let answer = server.ask("shell", call);
                assert!(refused(&answer), "{attempt}, {narrow}: {}", answer.text);
                assert!(answer.text.contains("has its place here"), "{}", answer.text);
                let next = server.shell("echo fine > ../beside && cat ../beside && ls");
                assert!(next.stdout().starts_with("fine\n"), "{attempt}: {}", next.text);
                assert_eq!(next.value["notes"], serde_json::Value::Null, "{}", next.text);
            }
        }
        assert!(!site.path("ws/.envrc").exists());
        assert!(!site.path("beside").exists(), "that is in the private folder");
    });
}

/// Nor are such places closed to later runs, by either name.
#[test]
fn the_place_of_a_workspace_keeps_its_mode() {
    as_each_user(|site| {
        let server = private(&site);
        let workspace = site.workspace();
        let place = workspace.parent().expect("a folder").strip_prefix("/tmp").expect("in /tmp");
        let place = place.display();
        site.folder("beside");
        let outside = site.run_outside_shell("chmod 0 ../beside && stat -c %a ../beside");
        assert_eq!(outside.stdout, b"0\n", "the control");
        let own = server.shell("mkdir /tmp/own && chmod 0 /tmp/own && stat -c %a /tmp/own");
        assert_eq!(own.stdout(), "0\n", "a folder that is nobody's place: {}", own.text);
        for name in ["/tmp", "$TMPDIR"] {
            for change in ["chmod 0", "chmod 700", "touch -d @0"] {
                let answer = server.shell(&format!("{change} {name}/{place}"));
                let kept = answer.denials().iter().any(|d| d["reason"] == "kept");
                assert!(kept, "{change} {name}: {}", answer.text);
            }
            let held = "import os, sys; os.fchmod(os.open(sys.argv[1], os.O_RDONLY), 0)";
            let answer = server.shell(&format!("python3 -c '{held}' {name}/{place}"));
            assert_ne!(answer.exit_code(), Some(0), "{name}: {}", answer.text);
            let next = server.shell("echo fine > made && cat made && rm made");
            assert_eq!(next.stdout(), "fine\n", "{name}: {}", next.text);
        }
    });
}

/// What was mounted ahead is what is there when a run starts.
#[test]
fn a_folder_that_is_made_again_is_the_new_one() {
    as_each_user(|site| {
        let server = private(&site);
        for round in 0..3 {
            assert_eq!(server.shell("echo x > file; ls file").stdout(), "file\n");
            let old = site.path(&format!("old-{round}"));
            std::fs::rename(site.workspace(), &old).expect("move it away");
            site.folder("ws");
            std::fs::copy(old.join("probe"), site.path("ws/probe")).expect("copy");
            let answer = server.shell("ls");
            assert_eq!(answer.stdout(), "probe\n", "{}", answer.text);
        }
    });
}

/// The same for what comes to be closed after that.
#[test]
fn what_comes_to_be_while_a_supervisor_waits_is_hidden_too() {
    as_each_user(|site| {
        let server = hiding(&site);
        let path = site.text("home/.pgpass");
        assert_eq!(server.shell(&format!("test -e {path}")).exit_code(), Some(1));
        site.file("home/.pgpass", "secret\n");
        let answer = server.shell(&format!("stat -c %s {path}"));
        assert_eq!(answer.stdout(), "0\n", "{}", answer.text);
    });
}

#[test]
fn what_is_closed_cannot_be_seen_and_is_still_reported() {
    as_each_user(|site| {
        let (folder, key) = (site.text("home/.ssh"), site.text("home/.ssh/id_ed25519"));
        let netrc = site.text("home/.netrc");
        let look = |server: &Server, path: &str| {
            server.shell(&format!("stat -c %s {path}")).stdout().to_owned()
        };
        let closed = site.serve();
        assert_ne!(look(&closed, &key), "", "control");
        assert_ne!(look(&closed, &netrc), "0\n", "control");
        let server = hiding(&site);
        assert_eq!(look(&server, &key), "");
        assert_eq!(look(&server, &netrc), "0\n");
        for (command, path) in [
            (format!("cat {key}"), &key),
            (format!("cat {netrc}"), &netrc),
            (format!("ls {folder}"), &folder),
            (format!("echo x >> {key}"), &key),
            (format!("echo x > {folder}/new"), &format!("{folder}/new")),
            (format!("cd {folder} || cat .ssh/id_ed25519; cd ..; cat {key}"), &key),
        ] {
            let answer = server.shell(&command);
            assert_eq!(answer.layer("hidden_files")["active"], true);
            let denial = answer.denial("fs", path);
            let denial = denial.unwrap_or_else(|| panic!("{command}: {}", answer.text));
            assert_eq!(denial["reason"], "protected", "{command}: {denial}");
            assert_eq!(denial["errno"], "EACCES", "{command}: {denial}");
        }
        assert!(site.path("home/.ssh/id_ed25519").exists());
    });
}

#[test]
fn a_socket_behind_a_cover_is_reported_like_one_that_is_closed() {
    as_each_user(|site| {
        site.folder("home/.gnupg");
        let path = site.text("home/.gnupg/S.gpg-agent");
        let socket = HostSocket::stream(&site.path("home/.gnupg/S.gpg-agent"), "agent");
        assert_eq!(site.outside(&["connect", "stream", &path]), "ok agent", "control");
        let answer = hiding(&site).run("probe", &["connect", "stream", &path]);
        assert_eq!(answer.said(), "EACCES", "{}", answer.text);
        let denial = answer.denial("unix_socket", &path).expect("a record");
        assert_eq!(denial["reason"], "protected", "{denial}");
        assert_eq!(socket.reached(), 1);
    });
}

/// Whoever asks for less gets it; nobody gets more.
#[test]
fn a_project_file_can_ask_for_both_and_take_away_neither() {
    as_each_user(|site| {
        site.folder("ws/.nono");
        let both = |on: bool| json!({ "filesystem": { "private_tmp": on, "hide_denied": on } });
        for (operator, project) in [(both(true), both(false)), (json!({}), both(true))] {
            site.file("ws/.nono/profile.json", &project.to_string());
            let answer = serve(&site, &operator).shell("true");
            for name in ["private_tmp", "hidden_files"] {
                assert_eq!(answer.layer(name)["active"], true, "{project}: {}", answer.text);
            }
        }
    });
}

#[test]
fn tools_that_look_from_outside_see_no_more_of_what_is_hidden() {
    as_each_user(|site| {
        site.folder("home/.ssh/zz-sub");
        let program = site.file("home/.ssh/zz-prog", "#!/bin/sh\n");
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        site.file("home/.ssh/zz-key", "secret");
        std::os::unix::fs::symlink("/usr/bin/env", site.path("home/.ssh/zz-link")).unwrap();
        let server = hiding(&site);
        let answers = |name: &str| -> Vec<String> {
            let path = site.text(&format!("home/.ssh/{name}"));
            server.shell(&format!("ln -sfn {path} way"));
            let mut said = Vec::new();
            let mut ask = |tool: &str, arguments: Value| {
                let answer = server.ask(tool, arguments);
                let text =
                    answer.text.lines().skip_while(|l| l.starts_with('[')).collect::<Vec<_>>();
                said.push(text.join("\n").replace(name, "NAME"));
            };
            for named in [path.as_str(), "./way"] {
                ask("exec", json!({"argv": [named]}));
                ask("shell", json!({"command": "true", "cwd": named}));
                ask("shell", json!({"command": "true", "writable": [named]}));
                for access in ["read", "write", "create", "execute"] {
                    ask("sandbox_explain", json!({"path": named, "access": access}));
                }
                ask("sandbox_explain", json!({"command": named}));
            }
            let env = json!({"PATH": site.text("home/.ssh")});
            ask("exec", json!({"argv": [name], "env": env}));
            said
        };
        let missing = answers("zz-none");
        for name in ["zz-key", "zz-prog", "zz-sub", "zz-link"] {
            for (there, missing) in answers(name).iter().zip(&missing) {
                assert_eq!(there, missing, "{name}");
                assert!(!there.contains("/usr/bin/env"), "{there}");
            }
        }
    });
}
