//! What the sandbox costs, beside what it is compared with, measured in turn in one run:
//! `cargo bench -p nono-integration-tests`.
//!
//! Ratios are what to read; absolute times belong to the machine. Compare only on a quiet one. As a
//! test (`cargo test`) each part runs once, in few rounds, and nothing it prints means anything.
#![allow(clippy::expect_used, reason = "a measurement that cannot be made ends the program")]

use nono_integration_tests::host_net::Echo;
use nono_integration_tests::host_unix::HostSocket;
use nono_integration_tests::{Server, Site, User};
use serde_json::json;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How much is measured.
#[derive(Clone, Copy)]
struct Rounds {
    /// Starts of each kind, and how many of the first do not count: they warm caches up.
    spawns: usize,
    warm_up: usize,
    /// Rounds of each call, and how many calls are in one.
    calls: usize,
    in_one: &'static str,
}

const MEASURED: Rounds = Rounds { spawns: 200, warm_up: 10, calls: 9, in_one: "3000" };
const TRIED: Rounds = Rounds { spawns: 1, warm_up: 0, calls: 1, in_one: "10" };

/// One thing measured, by name.
struct Series {
    name: &'static str,
    nanos: Vec<u64>,
}

impl Series {
    fn new(name: &'static str) -> Self {
        Self { name, nanos: Vec::new() }
    }

    fn add(&mut self, took: Duration) {
        self.nanos.push(u64::try_from(took.as_nanos()).expect("less than centuries"));
    }

    fn at(&self, quantile: f64) -> f64 {
        let mut sorted = self.nanos.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1) as f64;
        sorted.get((last * quantile).round() as usize).map_or(f64::NAN, |n| *n as f64)
    }

    /// `name  median  p95  ratio to the base's median  difference`, times in microseconds.
    fn print(&self, base: &Series) {
        let (median, beside) = (self.at(0.5), base.at(0.5));
        println!(
            "{:<28} {:>10.1} {:>10.1} {:>8.2} {:>+10.1}",
            self.name,
            median / 1e3,
            self.at(0.95) / 1e3,
            median / beside,
            (median - beside) / 1e3
        );
    }
}

fn head(what: &str) {
    println!(
        "\n{what}\n{:<28} {:>10} {:>10} {:>8} {:>10}",
        "", "median us", "p95 us", "ratio", "diff us"
    );
}

fn timed(command: &mut Command) -> Duration {
    let start = Instant::now();
    let status = command.stdout(Stdio::null()).status().expect("start");
    let took = start.elapsed();
    assert!(status.success(), "{command:?} ended with {status}");
    took
}

/// Bubblewrap, as it is commonly used or with the one option it cannot do without.
fn bwrap(isolated: bool) -> Command {
    let mut command = Command::new("bwrap");
    command.args(["--ro-bind", "/", "/"]);
    if isolated {
        command.args(["--dev", "/dev", "--proc", "/proc", "--unshare-all"]);
    }
    command.arg("true").stdin(Stdio::null());
    command
}

/// A supervisor that starts and ends without a run: its control socket is closed at once.
fn supervisor(site: &Site) -> Command {
    let (near, far) = UnixStream::pair().expect("a socket pair");
    drop(near);
    let mut command = site.nono_mcp(&["__supervise", "none"]);
    command.stdin(OwnedFd::from(far));
    command
}

/// How long a call that runs nothing takes.
fn empty_call(server: &Server) -> Duration {
    let start = Instant::now();
    server.ask("run_list", json!({}));
    start.elapsed()
}

fn run(server: &Server) -> Duration {
    let answer = server.exec(&["/bin/true"]);
    assert_eq!(answer.exit_code(), Some(0), "{}", answer.text);
    answer.took
}

/// From a plain spawn to a whole call, rung by rung, and bubblewrap beside it.
fn spawns(site: &Site, server: &Server, rounds: Rounds) {
    let has_bwrap = bwrap(true).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    // Landlock and the fixed filters, without a listener for anything but attributes.
    let unwatched = site.serve_with(&json!({
        "linux": {"af_unix_mediation": "off"}, "diagnostics": {"filesystem": "off"},
    }));
    let mut plain = Series::new("plain spawn");
    let mut alone = Series::new("a supervisor without a run");
    let mut nothing = Series::new("a call that runs nothing");
    let mut rules = Series::new("exec, nothing watched");
    let mut ours = Series::new("exec, default profile");
    let mut boxed = Series::new("bwrap --unshare-all");
    let mut bare = Series::new("bwrap --ro-bind / /");
    for round in 0..rounds.spawns + rounds.warm_up {
        let took = [
            (&mut plain, Some(timed(&mut site.command("/bin/true".as_ref())))),
            (&mut alone, Some(timed(&mut supervisor(site)))),
            (&mut nothing, Some(empty_call(server))),
            (&mut rules, Some(run(&unwatched))),
            (&mut ours, Some(run(server))),
            (&mut boxed, has_bwrap.then(|| timed(&mut bwrap(true)))),
            (&mut bare, has_bwrap.then(|| timed(&mut bwrap(false)))),
        ];
        for (series, took) in took.into_iter().filter(|_| round >= rounds.warm_up) {
            took.into_iter().for_each(|took| series.add(took));
        }
    }
    head("/bin/true");
    for series in [&plain, &alone, &nothing, &rules, &ours] {
        series.print(&plain);
    }
    if has_bwrap {
        boxed.print(&plain);
        bare.print(&plain);
        println!("exec / bwrap --unshare-all: {:.2}", ours.at(0.5) / boxed.at(0.5));
        println!("exec / bwrap --ro-bind / /: {:.2}", ours.at(0.5) / bare.at(0.5));
    } else {
        println!("bwrap is not here or cannot run");
    }
}

/// One kind of call, natively, with a supervisor that judges nothing, and in the sandbox.
struct Calls<'s> {
    site: &'s Site,
    server: &'s Server,
    rounds: Rounds,
}

impl Calls<'_> {
    /// Medians, taken in turn. `what`: a probe that takes the number of calls last.
    fn time(&self, name: &'static str, what: &[&str]) {
        let args = [what, &[self.rounds.in_one]].concat();
        let mut native = Series::new("native");
        let mut least = Series::new("a supervisor and no more");
        let mut ours = Series::new("in the sandbox");
        let nanos = |said: &str| {
            let number = said.strip_prefix("ok ").and_then(|n| n.parse().ok());
            Duration::from_nanos(number.unwrap_or_else(|| panic!("{args:?}: {said}")))
        };
        for _ in 0..self.rounds.calls {
            native.add(nanos(&self.site.outside(&args)));
            least.add(nanos(&self.site.unjudged(&args)));
            ours.add(nanos(&self.server.probe(&args)));
        }
        head(name);
        for series in [&native, &least, &ours] {
            series.print(&native);
        }
        println!("{:<28} {:>+40.1}", "beyond the supervisor", (ours.at(0.5) - least.at(0.5)) / 1e3);
    }
}

fn main() {
    // What `cargo bench` passes and `cargo test` does not.
    let measured = std::env::args().any(|argument| argument == "--bench");
    let rounds = if measured { MEASURED } else { TRIED };
    let site = Site::new(User::Same);
    let path = site.text("outside/granted.sock");
    let _socket = HostSocket::stream(&site.path("outside/granted.sock"), "");
    let echo = Echo::tcp();
    site.file("ws/file", "");
    let server = site.serve_with(&json!({
        "filesystem": {"unix_socket": [path]},
        "rate": {"per_second": 1_000_000, "burst": 1_000_000},
    }));
    spawns(&site, &server, rounds);
    let calls = Calls { site: &site, server: &server, rounds };
    calls.time("connect, loopback TCP", &["time-tcp", &echo.port()]);
    calls.time("connect, granted UNIX socket", &["time-unix", &path]);
    calls.time("send", &["time-send"]);
    calls.time("sendmsg", &["time-sendmsg"]);
    calls.time("change of a mode", &["time-chmod", "file"]);
    calls.time("open for reading", &["time-open", "file"]);
}
