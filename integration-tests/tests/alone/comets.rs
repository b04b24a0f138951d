//! Processes that fork and exit as fast as they can end faster than a supervisor can reap them. It
//! looks at everything else all the same.

use nono_integration_tests::raw::RawServer;
use nono_integration_tests::{Server, Site, User, as_each_user, processes, wait};
use serde_json::{Value, json};
use std::fs::{File, TryLockError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long comets fly by themselves. Whoever waits for them to end is found out.
const LIFE: Duration = Duration::from_secs(25);
/// In which time they are ended at the latest, on a machine that has much else to do.
const SOON: Duration = Duration::from_secs(12);

fn comets() -> String {
    format!("./probe comets 60 {} < /dev/null > /dev/null 2>&1", LIFE.as_secs())
}

/// Whether comets fly: they hold a lock.
fn fly(site: &Site) -> bool {
    let Ok(file) = File::open(site.path("ws/comets")) else { return false };
    matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

/// Waits until so many of them have come and gone that whoever tries to reap them all does nothing
/// else.
#[track_caller]
fn rise(site: &Site, how: &str) {
    assert!(wait::until(|| fly(site)), "{how}: they do not fly");
    let before = processes::made();
    assert!(wait::until(|| processes::made() > before + 30_000), "{how}: they do not rise");
}

#[track_caller]
fn are_gone(site: &Site, since: Instant, how: &str) {
    assert!(wait::until(|| !fly(site)), "{how}: they fly");
    let took = since.elapsed();
    println!("{how}: ended after {took:.1?}");
    assert!(took < SOON, "{how}: they flew for {took:?}");
}

/// So that what ends them is not how many they are.
fn roomy(isolation: &str) -> Value {
    json!({"isolation": isolation, "limits": {"processes": 20_000}})
}

/// One sky at a time: the time that comets take is to be theirs.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Of each user, with namespaces and without.
fn everywhere(test: impl Fn(&Site, &str)) {
    let _turn = turn();
    as_each_user(|site| ["auto", "off"].into_iter().for_each(|isolation| test(&site, isolation)));
}

/// A run full of comets has no more time than any other, and what it did before is told.
#[test]
fn time_runs_out_and_denials_are_told() {
    everywhere(|site, isolation| {
        site.file("home/.netrc", "password");
        let server = site.serve_with(&roomy(isolation));
        let command = format!("cat ../home/.netrc; {}; sleep 60", comets());
        let over = server.ask("shell", json!({"command": command, "timeout_ms": 2000}));
        assert_eq!(over.status(), "timed_out", "{isolation}: {}", over.text);
        assert!(over.took < SOON, "{isolation}: {:?}", over.took);
        let told = over.denials().iter().any(|d| d["target"].to_string().contains(".netrc"));
        assert!(told, "{isolation}: {}", over.text);
        assert!(!fly(site), "{isolation}: they outlived their run");
        assert_eq!(server.shell("echo well").stdout(), "well\n", "{isolation}");
    });
}

/// An end that was asked for is not lost on a supervisor that has so much to reap.
#[test]
fn they_end_when_asked_to() {
    everywhere(|site, isolation| {
        end_when_asked_to(site, &site.serve_with(&roomy(isolation)), isolation);
    });
}

/// Where no signal reaches everybody at once, comets that are reaped take their group with them.
#[test]
fn they_end_on_older_kernels_too() {
    let _turn = turn();
    let site = Site::new(User::Same);
    end_when_asked_to(&site, &site.serve_pretending_with(5, &roomy("off")), "ABI 5");
}

#[track_caller]
fn end_when_asked_to(site: &Site, server: &Server, how: &str) {
    let call = json!({"command": comets(), "yield_ms": 0});
    let id = server.ask("shell", call).str("run_id").to_owned();
    rise(site, how);
    let since = Instant::now();
    let over = server.ask("run_signal", json!({"run_id": id, "signal": "KILL"}));
    assert!(!over.is_error, "{how}: {}", over.text);
    are_gone(site, since, how);
}

/// A server with comets in the air.
fn with_comets(site: &Site, isolation: &str) -> RawServer {
    let profile = site.profile(&roomy(isolation));
    let mut server = RawServer::start_with(site, &["--profile", &profile.to_string_lossy()]);
    server.initialize("2025-06-18");
    let call: Value = json!({"name": "shell", "arguments": {"command": comets()}});
    server.send(&json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": call}));
    rise(site, isolation);
    server
}

#[test]
fn closing_stdin_ends_them() {
    everywhere(|site, isolation| {
        let server = with_comets(site, isolation);
        let since = Instant::now();
        let (_, ended) = server.finish();
        assert!(ended, "{isolation}: the server outlived its client");
        are_gone(site, since, isolation);
    });
}

#[test]
fn killing_the_server_ends_them() {
    everywhere(|site, isolation| {
        let mut server = with_comets(site, isolation);
        let since = Instant::now();
        server.kill();
        are_gone(site, since, isolation);
    });
}
