//! Runs on a terminal: prompts, line editors, pagers, passwords.

use nono_integration_tests::{Answer, Server, as_each_user, processes, require, wait};
use serde_json::{Value, json};

fn open(server: &Server, argv: &[&str]) -> (String, Answer) {
    let call = json!({"argv": argv, "tty": true});
    let answer = server.ask("exec", call);
    (answer.str("run_id").to_owned(), answer)
}

fn write(server: &Server, id: &str, more: Value) -> Answer {
    let mut call = json!({"run_id": id, "yield_ms": 30_000});
    let (Value::Object(all), Value::Object(more)) = (&mut call, more) else { panic!("objects") };
    all.extend(more);
    server.ask("run_write", call)
}

#[track_caller]
fn waits(answer: &Answer) {
    assert_eq!(answer.status(), "running", "{}", answer.text);
    assert_eq!(answer.value["waiting"]["for"], "tty", "{}", answer.text);
    assert!(answer.text.contains("waits for input: run_write"), "{}", answer.text);
}

#[test]
fn a_python_prompt_is_answered() {
    as_each_user(|site| {
        let server = site.serve();
        let (id, started) = open(&server, &["python3", "-q"]);
        waits(&started);
        assert!(started.stdout().contains(">>>"), "{}", started.text);
        let sum = write(&server, &id, json!({"text": "print(6 * 7)", "keys": ["enter"]}));
        waits(&sum);
        assert!(sum.stdout().contains("\n42\n"), "{}", sum.text);
        let asks = write(&server, &id, json!({"text": "input('who? ')\r"}));
        assert!(asks.stdout().ends_with("who? "), "{}", asks.text);
        let answered = write(&server, &id, json!({"text": "me\r"}));
        assert!(answered.stdout().contains("'me'"), "{}", answered.text);
        let over = write(&server, &id, json!({"eof": true}));
        assert_eq!((over.status(), over.exit_code()), ("exited", Some(0)), "{}", over.text);
    });
}

#[test]
fn a_password_is_not_echoed() {
    as_each_user(|site| {
        let server = site.serve();
        let script = "import getpass; print(len(getpass.getpass()))";
        let (id, asks) = open(&server, &["python3", "-c", script]);
        waits(&asks);
        assert!(asks.stdout().contains("Password:"), "{}", asks.text);
        let over = write(&server, &id, json!({"text": "geheim", "keys": ["enter"]}));
        assert_eq!((over.status(), over.stdout().trim()), ("exited", "6"), "{}", over.text);
    });
}

#[test]
fn a_pager_and_its_keys() {
    as_each_user(|site| {
        let server = site.serve();
        require::program("less");
        let lines: String = (1..=500).map(|n| format!("line {n}\n")).collect();
        std::fs::write(site.path("ws/long.txt"), lines).unwrap();
        let (id, first) = open(&server, &["less", "long.txt"]);
        waits(&first);
        assert!(first.stdout().contains("line 39") && !first.stdout().contains("line 50"));
        let last = write(&server, &id, json!({"text": "G"}));
        assert!(last.stdout().contains("line 500"), "{}", last.text);
        assert_eq!(write(&server, &id, json!({"text": "q"})).exit_code(), Some(0));
    });
}

#[test]
fn a_full_screen_editor_writes_a_file() {
    as_each_user(|site| {
        require::program("vim");
        let server = site.serve();
        let (id, first) = open(&server, &["vim", "-u", "NONE", "-i", "NONE", "new.txt"]);
        waits(&first);
        assert!(first.stdout().contains("new.txt"), "{}", first.text);
        waits(&write(&server, &id, json!({"text": "ione\rtwo", "keys": ["esc"]})));
        let over = write(&server, &id, json!({"text": ":wq", "keys": ["enter"]}));
        assert_eq!((over.status(), over.exit_code()), ("exited", Some(0)), "{}", over.text);
        assert_eq!(std::fs::read_to_string(site.path("ws/new.txt")).unwrap(), "one\ntwo\n");
        assert_eq!(over.denials_total(), 0, "{}", over.text);
    });
}

#[test]
fn a_database_prompt_is_answered() {
    as_each_user(|site| {
        if site.user().is_root() {
            return eprintln!("NOT TESTED as root: PostgreSQL refuses to run as root");
        }
        let server = site.serve();
        let made = server.shell("command -v postgres && initdb -D db -U me -A trust --no-sync");
        if made.exit_code() != Some(0) {
            let why = format!("no PostgreSQL on the path: {}", made.text);
            return require::leave_out("postgres", &why);
        }
        let serve = "exec postgres -D db -k $PWD -c listen_addresses= -F 2>&1";
        let call = json!({"command": serve, "background": true, "yield_ms": 0});
        let database = server.ask("shell", call).str("run_id").to_owned();
        let socket = site.path("ws/.s.PGSQL.5432");
        assert!(wait::until(|| std::os::unix::net::UnixStream::connect(&socket).is_ok()));
        let folder = site.text("ws");
        let (id, first) = open(&server, &["psql", "-X", "-h", &folder, "-U", "me", "postgres"]);
        waits(&first);
        assert!(first.stdout().ends_with("postgres=# "), "{}", first.text);
        let sum = write(&server, &id, json!({"text": "select 6 * 7 as answer;\r"}));
        waits(&sum);
        assert!(sum.stdout().contains("answer") && sum.stdout().contains(" 42"), "{}", sum.text);
        let over = write(&server, &id, json!({"text": "\\q\r"}));
        assert_eq!((over.status(), over.exit_code()), ("exited", Some(0)), "{}", over.text);
        server.ask("run_signal", json!({"run_id": database, "signal": "INT", "scope": "leader"}));
    });
}

#[test]
fn control_c_interrupts_and_the_size_can_change() {
    as_each_user(|site| {
        let server = site.serve();
        let script = "import os, signal\n\
                      def show(*_): print(*os.get_terminal_size(), flush=True)\n\
                      signal.signal(signal.SIGWINCH, show)\n\
                      show()\n\
                      while True: signal.pause()";
        let call = json!({"argv": ["python3", "-c", script], "tty": true, "yield_ms": 0});
        let id = server.ask("exec", call).str("run_id").to_owned();
        let said = |line: &str| {
            let read = json!({"run_id": id, "after_seq": 0, "wait_ms": 100});
            server.ask("run_read", read).stdout().lines().any(|l| l == line)
        };
        assert!(wait::until(|| said("120 40")));
        write(&server, &id, json!({"rows": 24, "columns": 80, "yield_ms": 0}));
        assert!(wait::until(|| said("80 24")));
        let over = write(&server, &id, json!({"keys": ["ctrl-c"]}));
        assert!(over.stdout().contains("KeyboardInterrupt"), "{}", over.text);
        assert_eq!(over.str("signal"), "SIGINT", "{}", over.text);
    });
}

#[test]
fn the_terminal_is_a_controlling_one_and_takes_no_forged_input() {
    as_each_user(|site| {
        let server = site.serve();
        let (_, said) = open(
            &server,
            &[
                "bash",
                "-c",
                "tty < /dev/tty > /dev/null && echo has; test -t 0 -a -t 1 -a -t 2 && echo all",
            ],
        );
        assert_eq!(said.stdout(), "has\nall\n", "{}", said.text);
        let forge = "import fcntl, termios\n\
                     try: fcntl.ioctl(0, termios.TIOCSTI, b'x'); print('forged')\n\
                     except OSError as e: print(e.errno)";
        let (_, said) = open(&server, &["python3", "-c", forge]);
        assert_eq!(said.stdout().trim(), "1", "EPERM: {}", said.text);
        // Without a terminal there is none to open.
        let none = server.shell("exec 3<> /dev/tty");
        assert_ne!(none.exit_code(), Some(0), "{}", none.text);
    });
}

/// Supervisors that start while a terminal is open are other runs'.
#[test]
fn our_end_of_a_terminal_is_nobody_elses() {
    as_each_user(|site| {
        let server = site.serve();
        let holders = |pid: u32| {
            let links =
                std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
            links
                .filter_map(|link| std::fs::read_link(link.path()).ok())
                .filter(|target| target.ends_with("ptmx"))
                .count()
        };
        open(&server, &["cat"]);
        assert!(holders(server.pid()) > 0, "control: the server has it");
        for _ in 0..4 {
            // Uses up a supervisor, and another one starts.
            assert_eq!(server.shell("true").exit_code(), Some(0));
        }
        let others = processes::descendants(server.pid());
        assert!(!others.is_empty());
        // One that was forked just now has all that the server has, until its own exec.
        for (pid, _) in others {
            assert!(wait::until(|| holders(pid) == 0), "{pid}");
        }
    });
}

#[test]
fn its_own_terminal_can_be_opened_by_name_and_no_other() {
    as_each_user(|site| {
        let pair = nix::pty::openpty(None, None).expect("a terminal");
        let other = nix::unistd::ttyname(&pair.slave).expect("its name");
        let user = Some(site.user().uid());
        std::os::unix::fs::chown(&other, user, None).expect("the user's own");
        let open_it = format!("exec 3<> {}", other.display());
        let control = site.run_outside("/bin/bash", &["-c", &open_it]);
        assert!(control.status.success(), "{control:?}");
        let server = site.serve();
        let own = "echo hello > $(tty) && exec 4<> $(tty) && tty <&4 > /dev/null && echo by-name";
        let (_, said) = open(&server, &["bash", "-c", own]);
        assert_eq!(said.stdout(), "hello\nby-name\n", "{}", said.text);
        let (_, said) = open(&server, &["bash", "-c", &open_it]);
        assert_ne!(said.exit_code(), Some(0), "{}", said.text);
    });
}
