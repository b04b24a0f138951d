//! Denials from the kernel's audit log, `diagnostics.filesystem: "audit"`.

use nono_integration_tests::{Site, User, as_each_user, require};
use serde_json::{Value, json};

fn audit() -> Value {
    json!({"diagnostics": {"filesystem": "audit"}})
}

/// Whether this machine writes an audit log is its owner's choice, and no test changes that.
#[test]
fn a_log_that_cannot_be_read_is_said_before_anything_runs() {
    as_each_user(|site| {
        let profile = site.profile(&audit());
        let run = |profile: &str| {
            let args = ["run", "--profile", profile, "--", "/bin/echo", "ran"];
            let output = site.nono_mcp(&args).output().expect("start nono-mcp");
            (output.status, String::from_utf8_lossy(&output.stdout).into_owned(), output.stderr)
        };
        let (control, said, _) = run("coding");
        assert!(control.success() && said == "ran\n", "control: {control} {said}");
        let (status, said, errors) = run(&profile.to_string_lossy());
        let errors = String::from_utf8_lossy(&errors);
        if site.user().is_root() && status.success() {
            // It can be read here, by root.
            assert_eq!(said, "ran\n", "{errors}");
            return;
        }
        assert_eq!((status.code(), said.as_str()), (Some(2), ""), "{errors}");
        let step = if errors.contains("switched off") { "auditctl -e 1" } else { "CAP_AUDIT_READ" };
        for part in ["diagnostics.filesystem", "audit log", step, "`writes`"] {
            assert!(errors.contains(part), "{part}: {errors}");
        }
    });
}

/// `cargo test -p nono-integration-tests --test it -- --ignored kernel_log`, as root.
#[test]
#[ignore = "needs root, and auditing switched on: auditctl -e 1"]
fn what_the_kernel_refuses_is_told_exactly_and_nothing_is_watched() {
    require!(landlock 7);
    let site = Site::new(User::Same);
    let secret = site.file("outside/a secret", "x").to_string_lossy().into_owned();
    let folder = site.text("outside");
    let open = site.serve();
    assert!(open.shell("echo x > in-the-workspace").denials().is_empty(), "control");
    let server = site.serve_with(&audit());
    // One process alone, one below a shell, one that is orphaned before it is refused.
    for (argv, exe) in [
        (json!(["grep", "-c", "", secret]), "grep"),
        (json!(["sh", "-c", format!("cat '{secret}'; true")]), "cat"),
        (json!(["sh", "-c", format!("(sleep 0.2; cat '{secret}') & sleep 0.5")]), "cat"),
    ] {
        let answer = server.ask("exec", json!({"argv": argv}));
        let denial = answer.denial("fs", &secret).unwrap_or_else(|| panic!("{}", answer.text));
        assert_eq!(
            (denial["confidence"].as_str(), denial["errno"].as_str()),
            (Some("audit"), Some("EACCES")),
            "{denial}"
        );
        assert!(denial["exe"].as_str().is_some_and(|e| e.ends_with(exe)), "{denial}");
        assert_eq!(answer.denials_total(), 1, "{}", answer.text);
        assert_eq!(denial["grant"]["filesystem"]["read_file"], json!([secret]), "{denial}");
    }
    // A name is refused by its folder.
    let answer = server.shell(&format!("touch {folder}/new {folder}/other; true"));
    let target = format!("{folder}/?");
    let denial = answer.denial("fs", &target).unwrap_or_else(|| panic!("{}", answer.text));
    assert_eq!((&denial["operation"], &denial["count"]), (&json!("create"), &json!(2)), "{denial}");
    assert_eq!(denial["grant"]["filesystem"]["write"], json!([folder]), "{denial}");
    // Two runs at once hear of their own only, and every refusal is counted.
    std::thread::scope(|scope| {
        let runs: Vec<_> = (1..=4)
            .map(|n: u64| {
                let (server, secret) = (&server, &secret);
                scope.spawn(move || {
                    let times = n * 100;
                    let command = format!(
                        "i=0; while [ $i -lt {times} ]; do read l < '{secret}'; i=$((i+1)); done"
                    );
                    (times, server.ask("shell", json!({"command": command})).denials_total())
                })
            })
            .collect();
        for run in runs {
            let (times, total) = run.join().expect("a run");
            assert_eq!(total, times);
        }
    });
    // What is missing, or closed by its mode, is no denial of the sandbox's.
    let quiet = server.shell("cat /no/such/file; touch x; chmod 0 x; true");
    assert_eq!(quiet.denials_total(), 0, "{}", quiet.text);
}
