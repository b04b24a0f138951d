//! What a command finds around itself.

use nono_integration_tests::{Site, User, as_each_user};
use serde_json::json;

#[test]
fn tokens_and_agents_of_the_host_do_not_come_along() {
    let site = Site::new(User::Same);
    let secrets = [
        "GITHUB_TOKEN",
        "GH_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "NPM_TOKEN",
        "OPENAI_API_KEY",
        "ANTHROPIC_API_KEY",
        "SSH_AUTH_SOCK",
        "GPG_AGENT_INFO",
        "DOCKER_HOST",
        "DBUS_SESSION_BUS_ADDRESS",
        "XAUTHORITY",
        "DISPLAY",
        "WAYLAND_DISPLAY",
        "TMUX",
        "LD_PRELOAD_X",
        "BASH_ENV_X",
        "SOMETHING_UNHEARD_OF",
        "NONO_MCP_TOKEN",
    ];
    let mut command = site.nono_mcp(&["--stdio", "--workspace", &site.text("ws")]);
    for name in secrets {
        command.env(name, "hunter2");
    }
    let server = nono_integration_tests::Server::start_command(&site, command);
    let answer = server.exec(&["/usr/bin/env"]);
    assert!(!answer.stdout().contains("hunter2"), "{}", answer.stdout());
    assert!(!server.log().contains("hunter2"), "{}", server.log());
}

#[test]
fn defaults_are_quiet_and_a_call_can_add() {
    let server = Site::new(User::Same).serve();
    let arguments = json!({"argv": ["/usr/bin/env"], "env": {"ADDED": "by call", "PAGER": "less"}});
    let answer = server.ask("exec", arguments);
    let lines: Vec<&str> = answer.stdout().lines().collect();
    for line in ["NO_COLOR=1", "TERM=dumb", "GIT_TERMINAL_PROMPT=0", "ADDED=by call", "PAGER=less"]
    {
        assert!(lines.contains(&line), "{line} is not in {lines:?}");
    }
    let plain = server.exec(&["/usr/bin/env"]);
    assert!(plain.stdout().lines().any(|l| l == "PAGER=cat"), "{}", plain.stdout());
    assert!(plain.stdout().lines().any(|l| l.starts_with("PATH=/")), "{}", plain.stdout());
}

#[test]
fn tmpdir_exists_is_private_and_works() {
    as_each_user(|site| {
        let server = site.serve();
        let made = server.shell("set -e; f=$(mktemp); echo x > $f; cat $f; stat -c %a $TMPDIR");
        assert_eq!(made.stdout(), "x\n700\n", "{}", made.text);
        let here = server.shell("cat <<< here-string; diff <(echo a) <(echo a) && echo same");
        assert_eq!(here.stdout(), "here-string\nsame\n", "{}", here.text);
        let place = server.shell("echo $TMPDIR").stdout().trim().to_owned();
        assert!(std::path::Path::new(&place).is_dir(), "{place}");
        assert_eq!(server.denials_of(&["mktemp"]), 0);
        drop(server);
        assert!(!std::path::Path::new(&place).exists(), "{place} outlived its server");
    });
}

/// A count that several tests here want.
trait DenialCount {
    fn denials_of(&self, argv: &[&str]) -> u64;
}

impl DenialCount for nono_integration_tests::Server {
    fn denials_of(&self, argv: &[&str]) -> u64 {
        self.exec(argv).denials_total()
    }
}

#[test]
fn two_servers_do_not_share_a_tmpdir() {
    let (one, two) = (Site::new(User::Same), Site::new(User::Same));
    let (first, second) = (one.serve(), two.serve());
    let place = first.shell("echo secret > $TMPDIR/f; echo $TMPDIR").stdout().trim().to_owned();
    let answer = second.shell(&format!("cat {place}/f; ls {place}; echo x > {place}/g"));
    assert!(!answer.text.contains("secret"), "{}", answer.text);
    assert!(!std::path::Path::new(&place).join("g").exists());
}

#[test]
fn a_program_starts_with_three_descriptors() {
    as_each_user(|site| {
        let server = site.serve();
        let found = server.probe(&["descriptors"]);
        let numbers: Vec<&str> =
            found.split(' ').skip(1).filter_map(|e| e.split_once('=').map(|x| x.0)).collect();
        assert_eq!(numbers, ["0", "1", "2"], "{found}");
        assert!(found.contains("0=/dev/null"), "{found}");
        assert!(found.contains("1=pipe:") && found.contains("2=pipe:"), "{found}");
        assert_eq!(server.probe(&["write-everywhere"]), "ok 0");
        // Pipelines and subshells inherit nothing either.
        let nested = server.shell("true | ./probe descriptors | cat").stdout().to_owned();
        assert!(!nested.contains(" 3="), "{nested}");
    });
}

#[test]
fn no_privileges_are_left() {
    as_each_user(|site| {
        let outside = site.outside(&["privileges"]);
        assert!(outside.contains("NoNewPrivs=0"), "control: {outside}");
        let inside = site.serve().probe(&["privileges"]);
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert!(inside.contains(&format!("{set}=0000000000000000")), "{inside}");
        }
        assert!(inside.contains("NoNewPrivs=1"), "{inside}");
    });
}
