//! `sandbox_explain` and `nono-mcp explain`: never another answer than the kernel's.

use crate::denials_exact::{Dice, user};
use nono_integration_tests::{Server, Site, User, as_each_user, wait};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn ask(server: &Server, question: Value) -> Value {
    let answer = server.ask("sandbox_explain", question);
    assert!(!answer.is_error, "{}", answer.text);
    answer.value
}

#[test]
fn thousands_of_questions_get_the_kernels_answer() {
    let site = Site::new(user());
    let mut dice = Dice::new(7);
    let mut lists = json!({});
    let fields = ["read", "write", "allow", "read_file", "write_file", "allow_file"];
    for outer in 0..6 {
        for inner in 0..6 {
            let folder = format!("outside/{outer}/{inner}");
            site.folder(&format!("outside/{outer}"));
            site.folder(&folder);
            site.file(&format!("{folder}/file"), "text\n");
            let field = *dice.pick(&fields);
            let path = match (field.ends_with("_file"), dice.roll(3)) {
                (true, _) => format!("{folder}/file"),
                (false, 0) => format!("outside/{outer}"),
                (false, _) => folder,
            };
            if dice.roll(3) == 0 {
                let list = &mut lists[field];
                if list.is_null() {
                    *list = json!([]);
                }
                list.as_array_mut().expect("a list").push(json!(site.text(&path)));
            }
        }
    }
    let server = site.serve_with(&json!({ "filesystem": lists }));
    let mut questions = Vec::new();
    for n in 0..3000 {
        let place = site.text(&format!("outside/{}/{}", dice.roll(6), dice.roll(6)));
        questions.push(match dice.roll(4) {
            0 => ("read", "read", format!("{place}/file")),
            1 => ("write", "write", format!("{place}/file")),
            2 => ("list", "read", place),
            _ => ("mkdir", "create", format!("{place}/new-{n}")),
        });
    }
    let list: Vec<String> = questions.iter().map(|(op, _, path)| format!("{op} {path}")).collect();
    site.file("ws/list", &list.join("\n"));
    let control = site.outside(&["files", "list"]);
    assert!(control.split(' ').skip(1).all(|word| word == "ok"), "control: {control}");
    for (_, _, made) in questions.iter().filter(|(operation, ..)| *operation == "mkdir") {
        std::fs::remove_dir(made).expect("the control made it");
    }
    let answer = server
        .ask("exec", json!({"argv": ["./probe", "files", "list"], "max_output_bytes": 262_144}));
    let words: Vec<String> =
        answer.stdout().split_whitespace().skip(1).map(str::to_owned).collect();
    assert_eq!(words.len(), questions.len(), "{}", answer.text);
    let mut wrong = Vec::new();
    let mut denied = 0;
    for ((_, access, path), kernel) in questions.iter().zip(&words) {
        let said = ask(&server, json!({"path": path, "access": access}));
        let agrees = match said["verdict"].as_str() {
            Some("allowed") => kernel == "ok",
            Some("denied") => kernel == "EACCES",
            _ => false,
        };
        denied += usize::from(kernel == "EACCES");
        if !agrees {
            wrong.push(format!("{access} {path}: kernel {kernel}, explained {said}"));
        }
    }
    assert!(denied > 500 && denied < 2500, "{denied} of 3000: this shows little");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn questions_of_every_kind() {
    let site = Site::new(User::Same);
    let server = site.serve();
    let summary = server.ask("sandbox_explain", json!({}));
    assert!(summary.text.contains("profile: coding"), "{}", summary.text);
    assert!(summary.text.contains(&site.text("ws")), "{}", summary.text);
    let key = site.text("home/.ssh/id_ed25519");
    let said = ask(&server, json!({"path": key}));
    assert_eq!((&said["verdict"], &said["grantable"]), (&json!("denied"), &json!("never")));
    assert_eq!(said["grant"], Value::Null);
    let said = ask(&server, json!({"path": "~/notes.txt", "access": "write"}));
    assert_eq!(said["verdict"], "denied", "{said}");
    assert_eq!(ask(&server, json!({"path": "new.txt", "access": "write"}))["verdict"], "allowed");
    let socket = site.text("outside/x.sock");
    let said = ask(&server, json!({"socket": socket}));
    assert_eq!(said["grant"]["filesystem"]["unix_socket"], json!([socket]), "{said}");
    for (host, port, verdict, grant) in [
        ("localhost", 80, "allowed", Value::Null),
        ("127.0.0.1", 8080, "allowed", Value::Null),
        ("github.com", 443, "allowed", Value::Null),
        ("127.0.0.53", 53, "denied", json!({"allow": ["127.0.0.53:53"]})),
        ("example.com", 443, "denied", json!({"allow": ["example.com"]})),
        ("github.com", 22, "denied", json!({"allow": ["github.com:22"]})),
        ("10.0.0.5", 5432, "denied", json!({"mode": "hosts", "allow": ["10.0.0.5:5432"]})),
        (
            "169.254.169.254",
            80,
            "denied",
            json!({"mode": "hosts", "allow": ["169.254.169.254:80"]}),
        ),
    ] {
        let said = ask(&server, json!({"host": host, "port": port}));
        assert_eq!(said["verdict"], verdict, "{host}:{port} {said}");
        assert_eq!(said["grant"]["network"], grant, "{host}:{port} {said}");
    }
    let started = ask(&server, json!({"command": "ls -l"}));
    assert_eq!(started["verdict"], "allowed");
    assert!(started["notes"].to_string().contains("about starting the program"), "{started}");
    let denied = server.shell(&format!("cat {key}"));
    let id = denied.denials()[0]["id"].as_str().expect("an id").to_owned();
    let said = ask(&server, json!({"denial_id": id}));
    assert_eq!(said["resolved_target"], key.as_str(), "{said}");
    let unknown = server.ask("sandbox_explain", json!({"denial_id": "d99"}));
    assert!(unknown.is_error && unknown.text.contains("d99"), "{}", unknown.text);
    assert_eq!(ask(&server, json!({"command": "A=1 B= ls -l"}))["verdict"], "allowed");
    for (question, word) in [
        (json!({"paht": "x"}), "paht"),
        (json!({"path": "/proc/1/root/etc/shadow"}), "another place for each process"),
        (json!({"path": "x", "host": "localhost"}), "`host`"),
        (json!({"port": 80}), "`host` is missing"),
        (json!({"access": "write"}), "`path` is missing"),
        (json!({"path": "x", "bind": true}), "`socket` is missing"),
    ] {
        let wrong = server.ask("sandbox_explain", question);
        assert!(wrong.is_error && wrong.text.contains(word), "{word}: {}", wrong.text);
    }
}

/// Of a run that goes on, and of one that is over and asked about again.
#[test]
fn a_denials_name_is_the_latest_answers() {
    as_each_user(|site| {
        let server = site.serve();
        let target = || ask(&server, json!({"denial_id": "d1"}))["resolved_target"].clone();
        site.folder("outside");
        let [first_file, second_file] = ["outside/first.txt", "outside/second.txt"]
            .map(|file| site.file(file, "").display().to_string());
        let first = server.shell(&format!("echo > {first_file}"));
        assert_eq!(target(), json!(first_file));
        let second = format!("echo > {second_file}; sleep 60");
        let second = json!({"command": second, "background": true});
        let id = server.ask("shell", second).str("run_id").to_owned();
        let look = || server.ask("run_read", json!({"run_id": id}));
        assert!(wait::until(|| !look().denials().is_empty()), "{}", look().text);
        let running = look();
        assert_eq!((running.status(), target()), ("running", json!(second_file)));
        let denial = &running.denials()[0];
        assert_eq!(denial["relevance"], "possible", "{denial}");
        let why = denial["why"].as_str().expect("text");
        assert!(why.starts_with("the command still runs"), "{why}");
        server.ask("run_read", json!({"run_id": first.str("run_id")}));
        assert_eq!(target(), json!(first_file));
        let named = ask(&server, json!({"denial_id": format!("{id}:d1")}));
        assert_eq!(named["resolved_target"], json!(second_file));
        server.ask("run_signal", json!({"run_id": id, "signal": "KILL"}));
    });
}

#[test]
fn links_in_folders_of_others_are_not_followed() {
    if !nix::unistd::geteuid().is_root() {
        return eprintln!("NOT TESTED: takes root, who can look into everybody's folders");
    }
    let site = Site::new(User::Same);
    let folder = site.folder("outside/theirs");
    let secret = site.file("outside/theirs/secret", "x");
    let link = folder.join("link");
    std::os::unix::fs::symlink(&secret, &link).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    let server = site.serve();
    let target = |path: &Path| ask(&server, json!({"path": path}))["resolved_target"].clone();
    assert_eq!(target(&link), json!(secret), "the control: of root's own folder all is known");
    std::os::unix::fs::chown(&folder, Some(User::Ordinary.uid()), None).unwrap();
    assert_eq!(target(&link), json!(link));
}

#[test]
fn the_tool_reads_only_and_is_small() {
    let server = Site::new(User::Same).serve();
    let tool = server.tools().into_iter().find(|t| t.name == "sandbox_explain").expect("listed");
    let tool = serde_json::to_value(&tool).expect("plain data");
    assert_eq!(tool["annotations"]["readOnlyHint"], true);
    assert!(tool["inputSchema"].to_string().len() < 1200, "{}", tool["inputSchema"]);
}

#[test]
fn people_can_ask_as_well() {
    let site = Site::new(User::Same);
    let ask = |args: &[&str]| {
        let workspace = site.text("ws");
        let mut words = vec!["explain", "--workspace", &workspace];
        words.extend(args);
        let output = site.nono_mcp(&words).output().expect("start nono-mcp");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let key = site.text("home/.ssh/id_ed25519");
    let (code, said) = ask(&[&key]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.starts_with("denied:") && said.contains("filesystem.deny"), "{said}");
    let (code, said) = ask(&["new", "--access", "write"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("allowed:"), "{said}");
    assert!(ask(&[]).1.contains("profile: coding"));
}

#[test]
fn learning_drafts_what_makes_the_command_pass() {
    let site = Site::new(User::Same);
    let data = site.file("outside/data.txt", "needed\n");
    let (data, key) = (data.to_string_lossy().into_owned(), site.text("home/.ssh/id_ed25519"));
    let workspace = site.text("ws");
    let script = format!("cat {key}; cat {data}");
    let words = ["run", "--learn", "--workspace", &workspace, "--", "sh", "-c", &script];
    let output = site.nono_mcp(&words).output().expect("start nono-mcp");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let draft = said.find("\n{\n").map(|at| &said[at..]).unwrap_or_default();
    let draft: Value = serde_json::from_str(draft).unwrap_or_else(|e| panic!("{e}: {said}"));
    assert_eq!(draft["filesystem"]["read_file"], json!([data]), "{said}");
    assert!(!draft.to_string().contains(".ssh"), "{said}");
    let server = site.serve_with(&json!({"filesystem": draft["filesystem"]}));
    assert_eq!(server.shell(&format!("cat {data}")).stdout(), "needed\n");
}
