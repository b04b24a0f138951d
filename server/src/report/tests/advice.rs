//! What would allow it, and what to do instead.

use super::*;
use crate::report::known::Known;
use crate::report::translate::{notes, unlooked_for_leaks};
use nono_sandbox::policy::NetworkMode;
use nono_schemas::Grantable;
use serde_json::json;

#[test]
fn grants_are_narrow_and_absent_where_none_can_help() {
    let grant = |denial: Denial| {
        let items = answer(&finished(End::Exited(1), vec![denial], "", "")).result.denials.items;
        items[0].grant.as_ref().map(|g| serde_json::to_value(&g.filesystem).unwrap())
    };
    for (operation, target, expected) in [
        (Operation::Read, "/d/a/x.txt", json!({"read_file": ["/d/a/x.txt"]})),
        (Operation::Read, "/d/a/folder", json!({"read": ["/d/a/folder"]})),
        (Operation::Execute, "/d/a/x.bin", json!({"read_file": ["/d/a/x.bin"]})),
        (Operation::Write, "/d/a/x.txt", json!({"write_file": ["/d/a/x.txt"]})),
        (Operation::Create, "/d/a/x.txt", json!({"write": ["/d/a"]})),
        (Operation::Delete, "/d/a/x.txt", json!({"write": ["/d/a"]})),
        (Operation::Bind, "/d/a/s", json!({"unix_socket_bind": ["/d/a/s"]})),
        (Operation::Send, "/d/a/s", json!({"unix_socket": ["/d/a/s"]})),
    ] {
        assert_eq!(grant(denial(operation, target)), Some(expected), "{operation:?} {target}");
    }
    assert_eq!(grant(denial(Operation::Create, "/d/x.txt")), None, "a folder of the root is wide");
    let mut both = denial(Operation::Write, "/d/a/x.txt");
    both.access = Access::READ | Access::WRITE;
    assert_eq!(grant(both), Some(json!({"allow_file": ["/d/a/x.txt"]})));
    let mut half = denial(Operation::Write, "/usr/x.txt");
    half.access = Access::READ | Access::WRITE;
    assert_eq!(grant(half), Some(json!({"write_file": ["/usr/x.txt"]})), "reading is granted");
    let mut moved = denial(Operation::Rename, "/d/a/x.txt");
    moved.errno = 18;
    assert_eq!(grant(moved), None, "one name of two");
    let mut denied = denial(Operation::Read, "/home/u/.ssh/id.key");
    denied.reason = Reason::Denied;
    assert_eq!(grant(denied), None);
    assert_eq!(grant(denial(Operation::Read, "/home/u/.ssh/id.key")), None);
    assert_eq!(grant(denial(Operation::Read, "/home")), None, "would open a protected path");
    assert_eq!(grant(denial(Operation::Create, "/home/x.txt")), None);
    assert_eq!(grant(denial(Operation::Connect, "@abstract")), None);
    assert_eq!(grant(denial(Operation::Read, "/d/a/*.txt")), None, "means more than one file");
}

#[test]
fn a_datagram_socket_comes_with_the_switch_that_allows_it() {
    let mut refused = denial(Operation::Socket, "AF_UNIX datagram socket");
    (refused.kind, refused.resolved, refused.syscall) =
        (Kind::Socket, None, "socketpair".to_owned());
    let run = |refused: Denial| answer(&finished(End::Exited(1), vec![refused], "", ""));
    let result = run(refused.clone()).result;
    let item = &result.denials.items[0];
    let grant = json!({"linux": {"af_unix_datagram": true}});
    assert_eq!(serde_json::to_value(&item.grant).unwrap(), grant);
    assert_eq!(item.grantable, nono_schemas::Grantable::OperatorOnly);
    assert!(item.decided_by.rule.contains("linux.af_unix_datagram"), "{:?}", item.decided_by);
    assert!(addition("coding", &result.denials).contains("\"af_unix_datagram\": true"));
    let mut packet = refused;
    (packet.target, packet.reason) = (b"AF_PACKET socket".to_vec(), Reason::NotSupported);
    let item = run(packet).result.denials.items.remove(0);
    assert_eq!((item.grant, item.grantable), (None, nono_schemas::Grantable::NotByGrant));
}

#[test]
fn what_is_granted_and_was_not_there_yet_is_no_gap_in_the_profile() {
    let policy = policy();
    let source =
        || Source { profile: "mine".into(), rule: "filesystem.allow: ~/x".into(), line: Some(3) };
    let absent = |path_of: &str, access| {
        [FsRule { path: path(path_of), scope: Scope::Tree, access, source: source() }]
    };
    let item = |absent: &[FsRule], operation, target: &str| {
        let refused = [denial(operation, target)];
        let log = log(refused.to_vec());
        let view = View {
            wider: None,
            operators: None,
            narrowed: &[],
            policy: &policy,
            suppress: &Suppressed::default(),
            absent,
            layers: &[],
            is_folder: &|_| false,
            is_own_address: &|_| false,
        };
        let kept = crate::report::denials::kept(view, &log);
        let groups = crate::report::group::group(view, &kept);
        let none = crate::report::rank::Evidence {
            said: String::new(),
            over: true,
            failed: true,
            masked: None,
            took_ms: 5,
        };
        crate::report::denials::report(view, &log, (&kept, groups), &none).items.remove(0)
    };
    let later = absent("/home/u/.cache/x", Access::READ | Access::WRITE);
    for target in ["/home/u/.cache/x", "/home/u/.cache/x/a/b"] {
        let item = item(&later, Operation::Create, target);
        let rule = "filesystem.allow: ~/x grants it, but /home/u/.cache/x did not exist when the \
                    server started";
        assert_eq!(item.decided_by.rule, rule);
        assert_eq!(item.decided_by.source, "profile mine:3");
        assert_eq!(item.grant, None);
        assert!(item.alternatives[0].contains("starts the server anew"), "{item:?}");
    }
    let told = |item: &nono_schemas::DenialItem| item.decided_by.rule.contains("did not exist");
    assert!(!told(&item(&later, Operation::Create, "/home/u/.cache/xy/a")), "beside it");
    assert!(!told(&item(&later, Operation::Execute, "/home/u/.cache/x/a")), "another right");
    let read = absent("/home/u/.cache/x", Access::READ);
    assert!(!told(&item(&read, Operation::Create, "/home/u/.cache/x/a")));
}

#[test]
fn a_refused_temporary_file_points_to_tmpdir() {
    let denied = vec![denial(Operation::Create, "/tmp/x.lock")];
    let answer = answer(&finished(End::Exited(1), denied, "", ""));
    assert!(answer.result.denials.items[0].alternatives[0].contains("$TMPDIR"));
    assert_eq!(answer.result.denials.items[0].grant, None);
    assert!(answer.result.summary.contains("$TMPDIR"), "{}", answer.result.summary);
    assert!(answer.text.contains("$TMPDIR"), "{}", answer.text);
}

#[test]
fn a_server_on_this_machine_is_reached_past_the_proxy() {
    let asked = |target: &str| {
        let mut refused = denial(Operation::Connect, target);
        (refused.kind, refused.resolved) = (Kind::NetProxy, None);
        answer(&finished(End::Exited(1), vec![refused], "", "")).result.denials.items.remove(0)
    };
    for here in ["build-box:9000", "0.0.0.0:9000"] {
        let denial = asked(here);
        assert!(denial.alternatives[0].contains("127.0.0.1"), "{here}: {denial:?}");
    }
    assert!(asked("example.com:443").alternatives.is_empty());
}

#[test]
fn an_address_of_this_machine_is_told_as_one() {
    let item = |kind, operation, target: &str| {
        let mut refused = denial(operation, target);
        (refused.kind, refused.resolved) = (kind, None);
        answer(&finished(End::Exited(1), vec![refused], "", "")).result.denials.items.remove(0)
    };
    let connect = |target| item(Kind::NetConnect, Operation::Connect, target).alternatives;
    for own in ["192.0.2.7:8000", "[::ffff:192.0.2.7]:8000"] {
        let way = &connect(own)[0];
        assert!(way.contains("127.0.0.1") && way.contains("network.allow"), "{own}: {way}");
    }
    assert!(connect("192.0.2.8:8000").is_empty());
    let bind = &item(Kind::NetBind, Operation::Bind, "192.0.2.7:8000").alternatives[0];
    assert!(bind.contains("127.0.0.1") && bind.contains("network.expose"), "{bind}");
    let asked = &item(Kind::NetProxy, Operation::Connect, "192.0.2.7:8000").alternatives[0];
    assert!(asked.contains("127.0.0.1"), "{asked}");
}

/// The number of a terminal is another one in the next run.
#[test]
fn a_terminal_that_has_no_name_is_no_file_to_grant() {
    let denied = |target: &str| {
        let ran = finished(End::Exited(1), vec![denial(Operation::Write, target)], "", "");
        answer(&ran).result.denials.items.remove(0)
    };
    let terminal = denied("/dev/pts/7");
    assert_eq!(terminal.grant, None);
    assert!(terminal.alternatives[0].contains("tty: true"), "{:?}", terminal.alternatives);
    assert!(denied("/dev/pts7/a").grant.is_some() && denied("/d/pts/7").grant.is_some());
}

/// Profiles leave such grants out.
#[test]
fn what_is_one_processs_is_no_file_to_grant() {
    let denied = |operation, target: &str| {
        let ran = finished(End::Exited(1), vec![denial(operation, target)], "", target);
        answer(&ran).result.denials.items.remove(0)
    };
    for target in ["/proc/2/oom_score_adj", "/proc/self/mem", "/proc/71/task/72/comm"] {
        let write = denied(Operation::Write, target);
        assert_eq!((write.grant, write.grantable), (None, Grantable::NotByGrant), "{target}");
        assert!(write.decided_by.rule.contains("another number in each run"), "{target}");
        let read = denied(Operation::Read, target);
        assert_eq!((read.grant, read.grantable), (None, Grantable::OperatorOnly), "{target}");
        assert!(read.alternatives[0].contains("`/proc` for reading"), "{target}");
    }
    assert!(denied(Operation::Write, "/proc/sys/vm.x").grant.is_some());
}

/// All that is known of a run of which nothing is on record but that it failed.
fn failed(policy: &Policy) -> Known<'_> {
    Known {
        policy,
        denials: &[],
        exit_code: Some(1),
        signal: None,
        limit_ran_out: false,
        as_root: false,
    }
}

#[test]
fn misleading_messages_are_explained_only_with_proof() {
    let history = History::default();
    let note = |denied: Vec<Denial>, said: &str| {
        let run = finished(End::Exited(1), denied, "", said);
        shell_answer(6, "x", &run, &history).result.denials.notes.join("\n")
    };
    let git = "fatal: not a git repository (or any of the parent directories): .git";
    assert_eq!(note(vec![denial(Operation::Read, "/main/readme")], git), "");
    let outside = denial(Operation::Read, "/main/.git/worktrees/x/HEAD");
    assert!(note(vec![outside], git).contains("second --workspace"));
    let docker = "Cannot connect to the Docker daemon. Is the docker daemon running?";
    assert_eq!(note(vec![], docker), "");
    let socket = denial(Operation::Connect, "/var/run/docker.sock");
    assert!(note(vec![socket], docker).contains("socket is denied by the sandbox"));
    let exdev = "mv: Invalid cross-device link";
    assert_eq!(note(vec![denial(Operation::Rename, "/ws/a")], exdev), "");
    let mut moved = denial(Operation::Rename, "/ws/a");
    moved.errno = 18;
    assert!(note(vec![moved], exdev).contains("does not mean two devices"));
    let leaks = "==1==LeakSanitizer has encountered a fatal error.";
    assert_eq!(note(vec![], leaks), "");
    let mut trace = denial(Operation::Call, "ptrace");
    trace.kind = Kind::Syscall;
    assert!(note(vec![trace], leaks).contains("detect_leaks=0"));
    let login = "bash: line 1: cargo: command not found";
    assert_eq!(note(vec![], login), "");
    assert!(
        note(vec![denial(Operation::Read, "/home/u/.profile")], login).contains("leave `-l` out")
    );
    let document = "sh: cannot create temp file for here-document: Permission denied";
    assert_eq!(note(vec![denial(Operation::Read, "/etc/x")], document), "");
    let refused = denial(Operation::Create, "/tmp/sh-thd.7");
    assert!(note(vec![refused], document).contains("TMPDIR"));
    for said in ["getaddrinfo EAI_AGAIN example.test", "(from versions: none)"] {
        assert_eq!(note(vec![], said), "", "the profile has a network");
        let mut policy = policy();
        policy.network.mode = NetworkMode::None;
        assert!(notes(failed(&policy), said)[0].contains("the profile has no network"), "{said}");
    }
    type Limited = fn(&mut Policy);
    let limits: [(&str, Limited); 2] = [
        ("bash: cannot make pipe: Too many open files", |p| p.limits.open_files = Some(64)),
        ("dd: error writing 'x': File too large", |p| p.limits.file_size_bytes = Some(1 << 20)),
    ];
    for (said, limit) in limits {
        assert_eq!(note(vec![], said), "", "nothing is limited");
        let mut policy = policy();
        limit(&mut policy);
        assert!(notes(failed(&policy), said)[0].contains("is limited here"), "{said}");
    }
    let run = finished(End::Signaled(31), vec![], "", "");
    let notes = shell_answer(7, "x", &run, &history).result.denials.notes;
    assert!(notes[0].contains("another architecture"), "{notes:?}");
}

#[test]
fn leaks_that_are_not_looked_for_are_told_whoever_counts_on_it() {
    let argv = |command: &str| ["bash", "-c", command].map(|s| s.as_bytes().to_vec());
    let asked = |policy: &Policy, command: &str, said: &str| {
        unlooked_for_leaks(policy, &argv(command), said).is_some()
    };
    let mut policy = policy();
    assert!(!asked(&policy, "gcc -fsanitize=address a.c && ./a.out", ""), "they are looked for");
    let options = b"detect_leaks=0".to_vec();
    policy.environment.variables.insert("LSAN_OPTIONS".into(), options);
    assert!(asked(&policy, "gcc -fsanitize=address a.c && ./a.out", ""));
    assert!(asked(&policy, "ASAN_OPTIONS=detect_leaks=1 ./a.out", ""));
    assert!(asked(&policy, "make check", "env ASAN_OPTIONS=detect_leaks=1 ./test"));
    assert!(!asked(&policy, "gcc -fsanitize=undefined a.c", "done"));
    assert!(!asked(&policy, "make", "gcc -fsanitize=address -c a.c"), "nobody speaks of leaks");
    let on_again = "LSAN_OPTIONS= ASAN_OPTIONS=detect_leaks=1 ./a.out";
    assert!(!asked(&policy, on_again, "==1==LeakSanitizer has encountered a fatal error."));
}

#[test]
fn what_counts_on_roots_rights_is_explained_to_root() {
    let policy = policy();
    let note = |as_root, denied: &[&Denial], said: &str| {
        let (exit_code, signal, limit_ran_out) = (Some(1), None, false);
        let policy = &policy;
        let known = Known { policy, denials: denied, exit_code, signal, limit_ran_out, as_root };
        notes(known, said).join("\n")
    };
    let cp = "cp: failed to preserve ownership for 'a': Operation not permitted";
    assert!(note(true, &[], cp).contains("--no-preserve=ownership"));
    assert_eq!(note(false, &[], cp), "");
    let npm = "npm error code EACCES";
    assert!(note(true, &[], npm).contains("--run-as"));
    assert_eq!(note(true, &[&denial(Operation::Create, "/ws/x")], npm), "");
    let su = "su: Critical error - immediate abort";
    assert!(note(false, &[], su).contains("becomes another user"));
    let fakeroot = "fakeroot, while creating message channels: Operation not permitted";
    assert_eq!(note(true, &[], fakeroot), "");
    let mut refused = denial(Operation::Call, "msgget");
    refused.kind = Kind::Syscall;
    assert!(note(false, &[&refused], fakeroot).contains("fakeroot-tcp"));
}

#[test]
fn protected_files_are_named_with_the_way_out() {
    let mut protected = denial(Operation::Rename, "/ws/.git/config");
    protected.reason = Reason::Protected;
    protected.layer = Layer::Mediation;
    protected.rule = Some(Source {
        profile: "p".into(),
        rule: "filesystem.protect: .git/config".into(),
        line: Some(9),
    });
    let answer = answer_with(&[], &finished(End::Exited(1), vec![protected], "", ""));
    let item = &answer.result.denials.items[0];
    assert_eq!(item.grantable, nono_schemas::Grantable::OperatorOnly);
    assert_eq!(item.decided_by.source, "profile p:9");
    assert!(item.decided_by.rule.contains("protected"), "{:?}", item.decided_by);
    assert!(item.grant.is_none());
    let way = r#""remove": {"filesystem": {"protect": [".git/config"]}}"#;
    assert!(item.alternatives[0].contains(way), "{:?}", item.alternatives);
}

#[test]
fn changed_files_are_told_whatever_the_exit_code() {
    for code in [0, 1] {
        let mut run = finished(End::Exited(code), vec![], "", "");
        if let Ended::Outcome(outcome) = &mut run.ended {
            outcome.changed = vec![path("/ws/.envrc"), path("/ws/a\u{202e}b")];
        }
        let answer = answer_with(&[], &run);
        assert!(answer.text.contains("protected files changed while this ran"), "{}", answer.text);
        assert!(answer.text.contains("/ws/.envrc"), "{}", answer.text);
        assert!(!answer.text.contains('\u{202e}'), "{}", answer.text);
    }
}

#[test]
fn a_folder_that_was_closed_is_not_told_as_changed_files() {
    let mut run = finished(End::Exited(0), vec![], "", "");
    if let Ended::Outcome(outcome) = &mut run.ended {
        outcome.veiled = vec![path("/ws/.vscode")];
    }
    let answer = answer_with(&[], &run);
    assert!(answer.text.contains("permissions changed while this ran"), "{}", answer.text);
    assert!(answer.text.contains("/ws/.vscode"), "{}", answer.text);
    assert!(!answer.text.contains("protected files changed"), "{}", answer.text);
}

#[test]
fn a_learned_addition_is_small_and_never_opens_what_is_denied() {
    let mut key = denial(Operation::Read, "/home/u/.ssh/id.key");
    key.reason = Reason::Denied;
    let denied = vec![
        key,
        denial(Operation::Read, "/d/a/x.txt"),
        denial(Operation::Write, "/home/u/.bashrc"),
        denial(Operation::Create, "/home/u/.cache/tool/x.txt"),
    ];
    let result = answer(&finished(End::Exited(1), denied, "", "")).result;
    let text = addition("coding", &result.denials);
    let start = text.find("{").unwrap();
    let draft: serde_json::Value = serde_json::from_str(&text[start..]).unwrap();
    assert_eq!(draft["extends"], "coding");
    assert_eq!(draft["filesystem"]["read_file"], json!(["/d/a/x.txt"]));
    assert_eq!(draft["filesystem"]["write"], json!(["/home/u/.cache/tool"]));
    assert!(!text[start..].contains(".ssh") && !text[start..].contains(".bashrc"), "{text}");
    assert!(text.contains("id.key\": protected"), "{text}");
    assert!(text.contains("high risk"), "{text}");
}

#[test]
fn what_lies_in_the_private_folder_is_spelled_as_the_next_server_knows_it() {
    let mut policy = policy();
    policy.unix.grants.clear();
    let item = |policy: &Policy| told(policy, None, None, denial(Operation::Bind, "/tmp/nono-1/s"));
    let grant = json!({"filesystem": {"unix_socket_bind": ["$TMPDIR/s"]}});
    assert_eq!(serde_json::to_value(item(&policy).grant).unwrap(), grant);
    let ways = item(&policy).alternatives.join("; ");
    assert!(ways.contains("abstract") && !ways.contains("below"), "nothing can be bound: {ways}");
    let tree = nono_sandbox::policy::UnixGrant {
        path: path("/ws"),
        reach: nono_sandbox::policy::Reach::Subtree,
        bind: true,
        source: policy.fs.rules[0].source.clone(),
    };
    let makes = FsRule { access: Access::MAKE_SOCKET, ..policy.fs.rules[0].clone() };
    policy.unix.grants.push(tree);
    policy.fs.rules.push(makes);
    assert_eq!(item(&policy).alternatives, ["bind it below the workspace"]);
}

#[test]
fn what_tells_of_the_whole_machine_is_no_low_risk() {
    let policy = policy();
    let risk = |target: &str| told(&policy, None, None, denial(Operation::Read, target)).risk;
    for target in ["/var/log/journal", "/dev/kmsg", "/dev/sda1"] {
        assert_eq!(risk(target), Some(nono_schemas::Risk::Medium), "{target}");
    }
    assert_eq!(risk("/opt/data/x"), Some(nono_schemas::Risk::Low));
}

#[test]
fn a_number_in_proc_is_told_to_be_another_inside() {
    let mut policy = policy();
    let proc = FsRule { path: path("/proc"), ..policy.fs.rules[2].clone() };
    policy.fs.rules.push(proc);
    let notes = |target: &str| {
        let asked =
            crate::report::Question::Path { path: path(target), operation: Operation::Read };
        with_view(&policy, |view| crate::report::explain(view, &asked)).notes.join("; ")
    };
    assert!(notes("/proc/1/environ").contains("another process"), "{}", notes("/proc/1/environ"));
    assert_eq!(notes("/proc/meminfo"), "");
}

/// They work by a set-group-id bit, which has no effect here.
#[test]
fn what_leaves_commands_to_a_service_is_offered_no_grant() {
    let item = |exe: &str, operation, target: &str, said: &str| {
        let mut refused = denial(operation, target);
        refused.exe = exe.as_bytes().to_vec();
        let run = finished(End::Exited(1), vec![refused], "", said);
        let answer = answer(&run);
        (
            answer.result.denials.items[0].grant.is_some(),
            answer.text.contains("schedule it outside"),
        )
    };
    let said = "/var/spool/cron/: mkstemp: Permission denied\n";
    let spool = "/var/spool/cron/crontabs/tmp.x";
    assert_eq!(item("/usr/bin/crontab", Operation::Create, spool, said), (false, true));
    let (at, said) =
        ("/var/spool/cron/atjobs/.SEQ", "Cannot open lockfile /var/spool/cron/atjobs/.SEQ\n");
    assert_eq!(item("/usr/bin/at", Operation::Write, at, said), (false, true));
    assert_eq!(item("/usr/bin/cp", Operation::Create, spool, ""), (false, false));
    assert_eq!(item("/usr/bin/at", Operation::Read, "/var/lib/at/x.y", ""), (false, false));
    assert_eq!(item("/usr/bin/cat", Operation::Read, "/var/lib/at/x.y", ""), (true, false));
}

#[test]
fn what_traces_or_counts_is_told_what_does_so_from_inside() {
    let item = |denied: Denial| {
        answer(&finished(End::Exited(1), vec![denied], "", "")).result.denials.items.remove(0)
    };
    for (call, way) in [
        ("ptrace", "valgrind, or a debugger"),
        ("process_vm_readv", "valgrind, or a debugger"),
        ("perf_event_open", "a profiler"),
    ] {
        let mut refused = denial(Operation::Call, call);
        (refused.kind, refused.reason, refused.resolved) =
            (Kind::Syscall, Reason::NotSupported, None);
        let item = item(refused);
        assert!(item.alternatives.iter().any(|told| told.contains(way)), "{call}: {item:?}");
    }
    let events = "/sys/bus/event_source/devices";
    assert_eq!(item(denial(Operation::Read, events)).grant, None, "of no use without the call");
}

#[test]
fn a_look_at_the_shared_folder_points_to_tmpdir() {
    let told = |target: &str| {
        let denied = vec![denial(Operation::Read, target)];
        let items = answer(&finished(End::Exited(1), denied, "", "")).result.denials.items;
        items[0].alternatives.iter().any(|way| way.contains("private_tmp"))
    };
    for target in ["/tmp", "/tmp/hsperfdata_u", "/tmp/hsperfdata_u/7", "/tmp/.X11-unix/X0"] {
        assert!(told(target), "{target}");
    }
    for target in ["/tmp/somebody/file", "/d/a/x.txt", "/tmpx"] {
        assert!(!told(target), "{target}");
    }
}

#[test]
fn what_programs_keep_in_a_home_can_be_elsewhere() {
    let first = |target: &str| {
        let denied = vec![denial(Operation::Create, target)];
        let items = answer(&finished(End::Exited(1), denied, "", "")).result.denials.items;
        items[0].alternatives.first().cloned().unwrap_or_default()
    };
    for (target, way) in [
        ("/home/u/.erlang.cookie", "--cookie"),
        ("/home/u/.ansible/tmp/x", "ANSIBLE_HOME"),
        ("/home/u/.distcc/lock", "DISTCC_DIR"),
        ("/home/u/.some-tool/state", "HOME=$TMPDIR"),
        ("/home/u/.somerc", "HOME=$TMPDIR"),
        ("/home/u/visible/x", "write below"),
        ("/home/v/.some-tool/state", "write below"),
        ("/home/u/.ssh/known", "write below"),
    ] {
        assert!(first(target).contains(way), "{target}: {}", first(target));
    }
}

#[test]
fn ssh_is_told_apart_from_what_has_a_setting_for_the_proxy() {
    let mut policy = policy();
    policy.network = nono_sandbox::policy::NetworkPolicy::of_mode(NetworkMode::Proxy);
    let mut refused = denial(Operation::Connect, "192.0.2.1:53");
    refused.kind = Kind::Dns;
    let told = |said: &str| {
        let known = Known {
            policy: &policy,
            denials: &[&refused],
            exit_code: Some(128),
            signal: None,
            limit_ran_out: false,
            as_root: false,
        };
        notes(known, said)
    };
    let [note] = told("ssh: Could not resolve hostname github.com: Name or service not known\n")
        .try_into()
        .unwrap();
    assert!(note.contains("https://"), "{note}");
    let [note] = told("getaddrinfo ENOTFOUND example.com\n").try_into().unwrap();
    assert!(note.contains("NODE_USE_ENV_PROXY"), "{note}");
    assert!(told("bash: line 1: /dev/tty: No such device or address\n")[0].contains("tty: true"));
}
