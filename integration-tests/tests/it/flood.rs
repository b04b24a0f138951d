//! A program that calls without end slows itself down and nobody else, and every call is counted.

use nono_integration_tests::host_unix::HostSocket;
use nono_integration_tests::{Server, Site, User, as_each_user, processes, wait};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};

/// Threads of a flood.
const THREADS: &str = "64";

/// A forbidden socket, a granted one, and a server with a rate.
struct Place {
    server: Server,
    good: String,
    bad: String,
    forbidden: HostSocket,
    _granted: HostSocket,
}

fn place(site: &Site, rate: &Value) -> Place {
    let (good, bad) = (site.text("outside/granted.sock"), site.text("outside/forbidden.sock"));
    let forbidden = HostSocket::stream(&site.path("outside/forbidden.sock"), "forbidden");
    let granted = HostSocket::stream(&site.path("outside/granted.sock"), "granted");
    let extra = json!({"filesystem": {"unix_socket": [good]}, "rate": rate});
    Place { server: site.serve_with(&extra), good, bad, forbidden, _granted: granted }
}

/// Resident memory of the server and of the supervisor `branch` of a run, in KiB. Supervisors of
/// other runs, and spare ones, come and go.
fn resident(server: &Server, branch: u32) -> u64 {
    let ours = |pid: u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|b| *b == 0).any(|word| word == b"__supervise")
    };
    let below = processes::descendants(branch).into_iter().map(|(pid, _)| pid);
    let all = below.filter(|pid| ours(*pid)).chain([server.pid(), branch]);
    all.filter_map(processes::resident).sum()
}

#[test]
fn sixty_four_threads_that_knock_in_vain() {
    const EACH: u64 = 100;
    as_each_user(|site| {
        let here = place(&site, &json!({"per_second": 2000, "burst": 100}));
        let over = AtomicBool::new(false);
        let (answer, memory) = std::thread::scope(|scope| {
            let flood = scope.spawn(|| {
                let each = EACH.to_string();
                let args = ["connect-flood", &here.bad, THREADS, &each];
                let answer = here.server.run("probe", &args);
                over.store(true, Ordering::SeqCst);
                answer
            });
            let mut memory = Vec::new();
            let mut other = 0;
            let branch = || {
                let flooding = processes::with_tag("connect-flood");
                flooding.iter().find_map(|pid| processes::branch(here.server.pid(), *pid))
            };
            assert!(wait::until(|| branch().is_some()));
            let branch = branch().expect("the flood goes on");
            while !over.load(Ordering::SeqCst) {
                memory.push(resident(&here.server, branch));
                // Another run goes on meanwhile.
                let said = here.server.probe(&["connect-many", &here.good, "50"]);
                assert_eq!(said, "ok 50");
                other += 1;
            }
            assert!(other > 0);
            (flood.join().expect("an answer"), memory)
        });
        let all = 64 * EACH;
        assert_eq!(answer.said(), format!("ok refused {all} of {all}"), "{}", answer.text);
        assert_eq!(answer.denials_total(), all, "{}", answer.value["denials"]);
        assert_eq!(answer.value["denials"]["distinct"], 1, "{}", answer.value["denials"]);
        assert_eq!(answer.denial("unix_socket", &here.bad).expect("a record")["count"], all);
        assert_eq!(here.forbidden.reached(), 0);
        // 6400 calls at 2000 a second; how many have waited depends on how fast they came.
        assert!(answer.took.as_millis() >= 2500, "{:?}", answer.took);
        if let Some(slowed) = answer.value["rate_limited"].as_u64() {
            assert!(slowed <= all, "{slowed} of {all}");
        }
        let (first, most) = (memory[0], memory.iter().max().copied().unwrap_or(0));
        assert!(most < first + 24 * 1024, "from {first} to {most} KiB: {memory:?}");
    });
}

/// Names without end: the log keeps a bounded number of records and the whole count.
#[test]
fn thousands_of_different_refusals_are_counted_and_bounded() {
    let site = Site::new(User::Same);
    let here = place(&site, &json!({"per_second": 1_000_000, "burst": 1_000_000}));
    site.folder("outside/many");
    let answer = here.server.run("probe", &["bind-flood", &site.text("outside/many"), "3000"]);
    assert_eq!(answer.said(), "ok refused 3000", "{}", answer.text);
    assert_eq!(answer.denials_total(), 3000, "{}", answer.value["denials"]["total"]);
    assert!(answer.text.len() < 64 << 10, "{} bytes", answer.text.len());
    let failed = format!("./probe bind-flood {} 3000; exit 1", site.text("outside/many"));
    let failed = here.server.shell(&failed);
    assert!(failed.text.contains(", 3000 refusals in all"), "{}", failed.text);
    let kept: u64 = failed.denials().iter().filter_map(|d| d["count"].as_u64()).sum();
    let told = kept + failed.value["denials"]["dropped"].as_u64().expect("a number");
    assert_eq!((failed.denials_total(), told), (3000, 3000), "{}", failed.value["denials"]);
    assert_eq!(std::fs::read_dir(site.path("outside/many")).expect("a folder").count(), 0);
}

/// Timed, so it needs a machine with nothing else to do: `cargo test -p nono-integration-tests
/// --test it -- --ignored a_flood_is_nothing`.
#[test]
#[ignore = "compares times, which needs a quiet machine"]
fn a_flood_is_nothing_to_another_run() {
    let site = Site::new(User::Same);
    // The default rate, and fewer connects in a run than its burst: what is measured here is the
    // way, not the bucket.
    let here = place(&site, &json!({}));
    let p99 = || -> u64 {
        let said = here.server.probe(&["time-unix", &here.good, "3000", "0.99"]);
        said.strip_prefix("ok ").and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{said}"))
    };
    let median = |mut all: Vec<u64>| {
        all.sort_unstable();
        all[all.len() / 2]
    };
    let idle = median((0..5).map(|_| p99()).collect());
    let (flood, while_flooded) = std::thread::scope(|scope| {
        let flood = scope
            .spawn(|| here.server.run("probe", &["connect-flood", &here.bad, THREADS, "3000"]));
        assert!(wait::until(|| !processes::with_tag("connect-flood").is_empty()));
        let flooded = median((0..5).map(|_| p99()).collect());
        assert!(!flood.is_finished(), "the flood was over too soon to say anything");
        (flood.join().expect("an answer"), flooded)
    });
    assert_eq!(flood.said(), "ok refused 192000 of 192000", "{}", flood.text);
    eprintln!("p99 of a granted connect: idle {idle} ns, beside the flood {while_flooded} ns");
    assert_eq!(flood.denials_total(), 192_000, "{}", flood.value["denials"]);
    assert!(while_flooded <= 3 * idle, "idle {idle} ns, beside the flood {while_flooded} ns");
}
