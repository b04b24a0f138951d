//! The verdict and the act are about the same bytes and the same objects: 0 reach.
//!
//! Each race first reaches the forbidden socket where nothing refuses it. `cargo test -p
//! nono-integration-tests --test it -- --ignored races` runs a million tries of each.

use nono_integration_tests::host_unix::HostSocket;
use nono_integration_tests::{Site, as_each_user, wait};
use serde_json::json;
use std::time::{Duration, Instant};

/// Tries of one race in an ordinary run, and in a long one.
const TRIES: u64 = 20_000;
const MANY: u64 = 1_000_000;

/// The three numbers a race prints: reached, granted, refused.
fn numbers(line: &str) -> (u64, u64, u64) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = |n: usize| words.get(n).and_then(|w| w.parse().ok());
    match (words.first(), at(1), at(5), at(7)) {
        (Some(&"reached"), Some(reached), Some(granted), Some(refused)) => {
            (reached, granted, refused)
        }
        _ => panic!("a race that did not run: {line:?}"),
    }
}

fn race(mode: &str, tries: u64) {
    as_each_user(|site| race_as(&site, mode, tries));
}

fn race_as(site: &Site, mode: &str, tries: u64) {
    // One name, and folders that differ in one byte: a single store makes one path the other.
    site.folder("outside/f");
    site.folder("outside/g");
    let forbidden = HostSocket::stream(&site.path("outside/f/socket"), "SECRET");
    let _granted = HostSocket::stream(&site.path("outside/g/socket"), "granted");
    let (bad, good) = (site.text("outside/f/socket"), site.text("outside/g/socket"));
    let args = |tries: &'static str| [mode, tries, &bad, &good, "."].map(str::to_owned);

    let control = args("4000");
    let control: Vec<&str> = control.iter().map(String::as_str).collect();
    let reaches = || {
        let output = site.run_outside("race", &control);
        numbers(&String::from_utf8_lossy(&output.stdout)).0 > 0
    };
    assert!(wait::until(reaches), "{mode}: the control reached nothing, so it would show nothing");
    // Connections wait in the socket's queue when the control is over.
    assert!(settled(&forbidden), "{mode}: the control never ends");
    let from_control = forbidden.reached();

    let extra = json!({
        "filesystem": {"unix_socket": [good]},
        "rate": {"per_second": 1_000_000, "burst": 1_000_000},
    });
    let server = site.serve_with(&extra);
    let tries = tries.to_string();
    let answer = server.run("race", &[mode, &tries, &bad, &good, "."]);
    let (reached, granted, refused) = numbers(answer.stdout());
    eprintln!("{mode}: {} in {:?}", answer.stdout().trim(), answer.took);
    assert_eq!(reached, 0, "{mode}: {}", answer.stdout());
    assert_eq!(forbidden.reached(), from_control, "{mode}: the forbidden socket had visitors");
    assert!(refused > 0, "{mode}: nothing was refused: {}", answer.stdout());
    if ["path", "memory", "sharer", "symlink", "folder"].contains(&mode) {
        assert!(granted > 0, "{mode}: the granted socket was never reached: {}", answer.stdout());
    }
}

/// Datagrams bring no greeting: only who received them tells.
fn mail_race(mode: &str, tries: u64) {
    as_each_user(|site| {
        site.folder("outside/f");
        site.folder("outside/g");
        let (bad, good) = (site.text("outside/f/socket"), site.text("outside/g/socket"));
        let (forbidden, granted) = (HostSocket::datagram(&bad), HostSocket::datagram(&good));
        let reaches = || {
            site.run_outside("race", &[mode, "4000", &bad, &good, "."]);
            forbidden.reached() > 0
        };
        assert!(wait::until(reaches), "{mode}: the control reached nothing");
        assert!(settled(&forbidden), "{mode}: the control never ends");
        let (from_control, before) = (forbidden.reached(), granted.reached());
        let server = site.serve_with(&json!({
            "filesystem": {"unix_socket": [good]},
            "linux": {"af_unix_datagram": true},
            "rate": {"per_second": 1_000_000, "burst": 1_000_000},
        }));
        let answer = server.run("race", &[mode, &tries.to_string(), &bad, &good, "."]);
        let (_, sent, refused) = numbers(answer.stdout());
        eprintln!("{mode}: {} in {:?}", answer.stdout().trim(), answer.took);
        assert!(sent > 0 && refused > 0, "{mode}: {}", answer.stdout());
        assert!(wait::until(|| granted.reached() > before), "{mode}: nothing arrived");
        assert!(settled(&forbidden), "{mode}: still coming in");
        assert_eq!(forbidden.reached(), from_control, "{mode}: the forbidden socket had mail");
    });
}

/// Waits until nothing has come for a while.
fn settled(socket: &HostSocket) -> bool {
    let (mut last, mut since) = (socket.reached(), Instant::now());
    wait::until(|| {
        if socket.reached() != last {
            (last, since) = (socket.reached(), Instant::now());
        }
        since.elapsed() > Duration::from_millis(200)
    })
}

/// A grant for the direct children of a folder says nothing about the folder below it.
fn bind_race(tries: u64) {
    as_each_user(|site| {
        site.folder("outside/g/below");
        site.user().own(&site.path("outside/g"));
        let (bad, good) = (site.text("outside/g/below/x"), site.text("outside/g/x"));
        let made = || std::fs::read_dir(site.path("outside/g/below")).expect("a folder").count();
        let clear = || {
            for folder in ["outside/g/below", "outside/g"] {
                for entry in std::fs::read_dir(site.path(folder)).expect("a folder").flatten() {
                    let _ = std::fs::remove_file(entry.path());
                }
            }
        };
        let reaches = || {
            clear();
            site.run_outside("race", &["bind", "2000", &bad, &good, "."]);
            made() > 0
        };
        assert!(wait::until(reaches), "the control made nothing");
        clear();
        let grant = json!({"filesystem": {"unix_socket_dir_bind": [site.text("outside/g")]}});
        let server = site.serve_with(&grant);
        let answer = server.run("race", &["bind", &tries.to_string(), &bad, &good, "."]);
        let (_, bound, refused) = numbers(answer.stdout());
        assert!(bound > 0 && refused > 0, "{}", answer.stdout());
        assert_eq!(made(), 0, "sockets where none may be made; {}", answer.stdout());
    });
}

/// Two files that differ in one byte of their path; one of them may be changed.
fn mode_race(tries: u64) {
    use std::os::unix::fs::PermissionsExt;
    as_each_user(|site| {
        for folder in ["outside/f", "outside/g"] {
            site.folder(folder);
            site.file(&format!("{folder}/file"), "");
        }
        let (bad, good) = (site.text("outside/f/file"), site.text("outside/g/file"));
        let mode = |path: &str| {
            let modes = std::fs::metadata(path).expect("a file").permissions();
            modes.mode() & 0o7777
        };
        let shut = || {
            for path in [&bad, &good] {
                let shut = std::fs::Permissions::from_mode(0o600);
                std::fs::set_permissions(path, shut).expect("chmod");
            }
        };
        shut();
        let reaches = || {
            site.run_outside("race", &["chmod", "4000", &bad, &good, "."]);
            mode(&bad) == 0o751 && mode(&good) == 0o751
        };
        assert!(wait::until(reaches), "the control reached nothing");
        shut();
        let server = site.serve_with(&json!({"filesystem": {"allow": [site.text("outside/g")]}}));
        let answer = server.run("race", &["chmod", &tries.to_string(), &bad, &good, "."]);
        let (_, changed, refused) = numbers(answer.stdout());
        eprintln!("chmod: {} in {:?}", answer.stdout().trim(), answer.took);
        assert!(changed > 0 && refused > 0, "{}", answer.stdout());
        assert_eq!((mode(&bad), mode(&good)), (0o600, 0o751), "{}", answer.stdout());
    });
}

#[test]
fn mode_of_another_file() {
    mode_race(TRIES);
}

#[test]
#[ignore = "a million tries take minutes"]
fn a_million_modes_of_another_file() {
    mode_race(MANY);
}

#[test]
fn datagram_name_flip() {
    mail_race("sendto", TRIES);
}

#[test]
fn message_name_flip() {
    mail_race("sendmsg", TRIES);
}

/// Some of the sends are left to the kernel, which goes by the address on a datagram socket.
#[test]
fn a_socket_swapped_by_a_thread_that_ends() {
    mail_race("passing", TRIES);
}

#[test]
#[ignore = "a million tries take minutes"]
fn a_million_sockets_swapped_by_threads_that_end() {
    mail_race("passing", MANY);
}

#[test]
#[ignore = "a million tries take minutes"]
fn a_million_datagram_name_flips() {
    mail_race("sendto", MANY);
    mail_race("sendmsg", MANY);
}

#[test]
fn bind_folder_swap() {
    bind_race(5000);
}

macro_rules! races {
    ($($name:ident $long:ident $mode:literal;)*) => {$(
        #[test]
        fn $name() {
            race($mode, TRIES);
        }

        #[test]
        #[ignore = "a million tries take minutes"]
        fn $long() {
            race($mode, MANY);
        }
    )*};
}

races! {
    family_flip a_million_family_flips "family";
    path_flip a_million_path_flips "path";
    descriptor_swap a_million_descriptor_swaps "dup2";
    symlink_swap a_million_symlink_swaps "symlink";
    folder_swap a_million_folder_swaps "folder";
    own_socket_swap a_million_own_socket_swaps "own";
    working_folder_swap a_million_working_folder_swaps "chdir";
    another_process_rewrites_memory a_million_rewrites_by_another_process "memory";
    a_process_with_the_same_memory a_million_rewrites_by_a_process_with_the_same_memory "sharer";
}
