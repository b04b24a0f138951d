//! What programs do by habit and do well without: no cause of anything, and told where it misleads.

use super::{has, passes};
use nono_integration_tests::{Answer, as_each_user};
use serde_json::{Value, json};

/// Nothing that was refused counts, although the command failed.
fn nothing_counts(answer: &Answer) {
    assert_ne!(answer.exit_code(), Some(0), "{}", answer.text);
    assert_eq!(answer.denials_total(), 0, "{}", answer.value["denials"]);
    assert_eq!(answer.value["denials"]["likely_cause"], Value::Null, "{}", answer.text);
}

#[test]
fn pagers_editors_and_shells_look_for_their_histories() {
    as_each_user(|site| {
        site.file("ws/text", "words\n");
        for name in [".lesshst", ".viminfo", ".bash_history"] {
            site.file(&format!("home/{name}"), "");
        }
        let server = site.serve();
        for (program, script) in [
            ("less", "TERM=xterm less -E text; exit 3"),
            ("vim", "TERM=xterm vim -N -c 'set viminfo=!,h' -c q text; exit 3"),
            ("bash", "printf 'echo hello\nexit 3\n' | bash --norc -i"),
        ] {
            if !has(&site, &[program]) {
                continue;
            }
            let tty = program != "bash";
            let answer = server.ask("shell", json!({"command": script, "tty": tty}));
            nothing_counts(&answer);
            let benign = answer.value["denials"]["benign"].as_u64();
            assert!(benign > Some(0), "{program} has no history: {}", answer.value["denials"]);
        }
        let read = server.shell("cat ~/.bash_history");
        assert!(read.denials_total() > 0, "somebody else's: {}", read.text);
    });
}

#[test]
fn ss_goes_on_without_netlink() {
    as_each_user(|site| {
        if !has(&site, &["ss"]) {
            return;
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let server = site.serve();
        let answer = server.shell("ss -tln; exit 3");
        assert!(answer.stdout().contains(&format!("127.0.0.1:{port} ")), "{}", answer.text);
        nothing_counts(&answer);
        assert!(!answer.text.contains("the kernel does support"), "{}", answer.text);
    });
}

const SET_NAME: &str = r#"
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
static void *wait_a_while(void *unused) { pause(); return unused; }
int main(void) {
    pthread_t other;
    if (pthread_create(&other, NULL, wait_a_while, NULL)) return 9;
    printf("%d %d\n", pthread_setname_np(pthread_self(), "me"), pthread_setname_np(other, "it"));
    return 3;
}
"#;

/// The name of another thread is a file in `/proc`, which nobody may write.
#[test]
fn another_threads_name_is_no_trouble() {
    as_each_user(|site| {
        if !has(&site, &["gcc"]) {
            return;
        }
        site.file("ws/name.c", SET_NAME);
        let server = site.serve();
        passes(&server, "gcc -o name name.c -pthread");
        let outside = site.run_outside("name", &[]);
        assert_eq!(String::from_utf8_lossy(&outside.stdout), "0 0\n", "control");
        let answer = server.exec(&["./name"]);
        assert_eq!(answer.stdout(), "0 13\n", "{}", answer.text);
        nothing_counts(&answer);
    });
}

const LEAK: &str = "#include <stdlib.h>\nint main(void) { return malloc(100) == NULL; }\n";

#[test]
fn leaks_that_are_not_looked_for_are_told() {
    as_each_user(|site| {
        let script = "gcc -fsanitize=address -O0 -o leak leak.c && ./leak";
        site.file("ws/leak.c", LEAK);
        const SANITIZER: &str = "gcc -fsanitize=address -x c -E - < /dev/null";
        if !has(&site, &["gcc"]) || !super::provides(&site, "libasan", SANITIZER) {
            return;
        }
        let server = site.serve();
        let answer = passes(&server, script);
        assert!(answer.text.contains("leaks are not looked for here"), "{}", answer.text);
        let tried = server.shell("LSAN_OPTIONS=detect_leaks=1 ./leak");
        assert_ne!(tried.exit_code(), Some(0), "{}", tried.text);
        assert!(!tried.text.contains("are not looked for here"), "{}", tried.text);
        assert!(tried.text.contains("looking for leaks takes tracing"), "{}", tried.text);
        assert!(!passes(&server, "gcc -o leak leak.c && ./leak").text.contains("leaks"));
    });
}
