//! Namespaces of a run: what `isolation` asks for is what there is, and results say so.

use nono_integration_tests::processes::Victim;
use nono_integration_tests::{Server, Site, as_each_user, processes, wait};
use serde_json::json;

fn serve(site: &Site, isolation: &str) -> Server {
    site.serve_with(&json!({ "isolation": isolation }))
}

/// What a command sees of a process outside.
fn sees(server: &Server, victim: &Victim) -> bool {
    server.shell(&format!("test -d /proc/{}", victim.pid())).value["exit_code"] == 0
}

#[test]
fn each_value_does_what_it_says() {
    as_each_user(|site| {
        let victim = Victim::start(&site);
        for (isolation, isolated) in [("auto", true), ("required", true), ("off", false)] {
            let server = serve(&site, isolation);
            let answer = server.shell("echo $PPID; cat /proc/self/cmdline | wc -c");
            let shown = answer.layer("isolation");
            assert_eq!(shown["active"], isolated, "{isolation} as {:?}: {shown}", site.user());
            assert_eq!(answer.stdout().starts_with("1\n"), isolated, "{isolation}: the parent");
            assert_eq!(sees(&server, &victim), !isolated, "{isolation}: processes outside");
            let tree = if isolated { "namespace" } else { "domain" };
            assert_eq!(answer.value["processes"]["tree"], tree, "{isolation}");
        }
    });
}

#[test]
fn shared_memory_ends_with_its_run() {
    as_each_user(|site| {
        for (isolation, kept) in [("auto", false), ("off", true)] {
            let server = serve(&site, isolation);
            let name = format!("/dev/shm/{}", processes::new_tag());
            let answer = server.shell(&format!("echo x > {name} && cat {name}"));
            assert_eq!(answer.stdout(), "x\n", "{isolation}: {}", answer.text);
            assert_eq!(std::fs::remove_file(&name).is_ok(), kept, "{isolation}");
        }
    });
}

/// A workspace that runs would not find is no riddle for whoever calls.
#[test]
fn a_workspace_in_shared_memory_is_refused_by_name() {
    as_each_user(|site| {
        let folder = tempfile::tempdir_in("/dev/shm").expect("a folder");
        site.user().own(folder.path());
        let named = folder.path().display().to_string();
        for (isolation, runs) in [("off", true), ("auto", false)] {
            let profile = site.profile(&json!({ "isolation": isolation }));
            let profile = profile.display().to_string();
            let args = ["--stdio", "--workspace", &named, "--profile", &profile];
            let answer = Server::start_command(&site, site.nono_mcp(&args)).shell("pwd");
            assert_eq!(answer.stdout() == format!("{named}\n"), runs, "{}", answer.text);
            for told in [named.as_str(), "`isolation: off`", "--workspace"] {
                assert!(runs || answer.text.contains(told), "{told}: {}", answer.text);
            }
        }
    });
}

/// Whatever ends the supervisor or its guard ends the run.
#[test]
fn a_run_ends_with_either_of_its_two_outside() {
    as_each_user(|site| {
        let server = serve(&site, "required");
        let tag = processes::new_tag();
        std::thread::scope(|scope| {
            let run = scope.spawn(|| {
                server.shell(&format!("setsid ./probe idle {tag} & exec ./probe idle {tag}"))
            });
            assert!(wait::until(|| processes::with_tag(&tag).len() == 2));
            let inside = processes::with_tag(&tag)[0];
            let guard = processes::branch(server.pid(), inside).expect("below the server");
            let id = nix::unistd::Pid::from_raw(i32::try_from(guard).expect("a pid"));
            nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGKILL).expect("kill the guard");
            assert!(wait::until(|| processes::with_tag(&tag).is_empty()), "something lives on");
            run.join().expect("an answer");
        });
        assert_eq!(server.shell("echo alive").stdout(), "alive\n");
    });
}

/// A project file can ask for more and never for less.
#[test]
fn a_project_file_cannot_take_it_away() {
    as_each_user(|site| {
        site.folder("ws/.nono");
        site.file("ws/.nono/profile.json", r#"{"isolation": "off"}"#);
        let answer = serve(&site, "auto").shell("true");
        assert_eq!(answer.layer("isolation")["active"], true, "{}", answer.text);
        site.file("ws/.nono/profile.json", r#"{"isolation": "required"}"#);
        let answer = serve(&site, "off").shell("true");
        assert_eq!(answer.layer("isolation")["active"], true, "{}", answer.text);
    });
}

/// A server that root starts can go on as somebody else, with all that this means.
#[test]
fn root_can_hand_over_to_an_ordinary_user() {
    as_each_user(|site| {
        let run = |name: &str| {
            let mut command = site.nono_mcp(&["run", "--run-as", name, "--", "id", "-un"]);
            command.env("TMPDIR", "/tmp").output().expect("run it")
        };
        let output = run("nobody");
        let (said, errors) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        // The ordinary user of the tests is nobody already.
        let own = nix::unistd::User::from_uid(site.user().uid().into()).expect("users");
        if site.user().is_root() || own.is_some_and(|own| own.name == "nobody") {
            assert_eq!(said, "nobody\n", "as {:?}: {errors}", site.user());
        } else {
            assert!(errors.contains("cannot run as nobody"), "{errors}");
        }
        let output = run("no-such-user");
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("no such user"));
    });
}
