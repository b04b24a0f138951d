//! What one principal's flood, or its slow reading, does to another's calls.

use nono_integration_tests::http::Request;
use nono_integration_tests::issuer::sha256;
use nono_integration_tests::{HttpServer, Site, User, wait};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const ANN: &str = "token-of-ann-0123456789abcdef";
const BOB: &str = "token-of-bob-0123456789abcdef";
/// Connections of a flood.
const CONNECTIONS: usize = 128;
/// Calls that each of them sends before it reads an answer.
const AHEAD: u64 = 16;
/// Calls in one measurement.
const CALLS: usize = 1000;

fn serve(site: &Site) -> HttpServer {
    ["ann", "bob"].iter().for_each(|name| drop(site.folder(name)));
    let principal = |name: &str, token: &str| json!({"name": name, "token_sha256": sha256(token), "workspaces": [name]});
    let file = json!({"principals": [principal("ann", ANN), principal("bob", BOB)]});
    let file = site.file("principals.json", &file.to_string());
    let mut command = site.nono_mcp(&["--http", "0", "--http-json", "--principals"]);
    command.arg(file);
    HttpServer::start_command(site, command, Some(ANN))
}

/// A call, over and over on one connection.
struct Caller {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
    bytes: Vec<u8>,
}

impl Caller {
    fn new(server: &HttpServer, token: &str, tool: &str, arguments: Value) -> Self {
        let call = Request::modern("tools/call", json!({"name": tool, "arguments": arguments}));
        let call = call.bearer(token).header("Connection", "keep-alive");
        let stream = server.connect();
        stream.set_nodelay(true).expect("no delay");
        let reader = BufReader::new(stream.try_clone().expect("a second handle"));
        Self { stream, reader, bytes: call.bytes(server.address()) }
    }

    fn send(&mut self) {
        self.stream.write_all(&self.bytes).expect("send");
    }

    /// Reads one answer with a length; its status.
    fn receive(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            self.reader.read_until(b'\n', &mut head).expect("an answer");
        }
        let head = String::from_utf8_lossy(&head).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.unwrap_or_else(|| panic!("no length: {head}")).trim();
        let mut body = vec![0; length.parse().expect("a length")];
        self.reader.read_exact(&mut body).expect("a body");
        head.split(' ').nth(1).unwrap_or_default().to_owned()
    }

    /// Sends so many calls before it reads an answer, so that the server always has a next one.
    fn many(&mut self, calls: u64) {
        for _ in 0..calls {
            self.send();
        }
        (0..calls).for_each(|_| assert_eq!(self.receive(), "200"));
    }

    fn time(&mut self) -> Duration {
        let start = Instant::now();
        self.send();
        assert_eq!(self.receive(), "200");
        start.elapsed()
    }
}

/// Median and 99th percentile of Ann's calls, the middle of five measurements.
fn measure(server: &HttpServer) -> (Duration, Duration) {
    let mut caller = Caller::new(server, ANN, "run_list", json!({}));
    (0..50).for_each(|_| assert!(caller.time() > Duration::ZERO));
    let mut rounds: Vec<(Duration, Duration)> = (0..5)
        .map(|_| {
            let mut all: Vec<Duration> = (0..CALLS).map(|_| caller.time()).collect();
            all.sort_unstable();
            (all[CALLS / 2], all[CALLS * 99 / 100])
        })
        .collect();
    rounds.sort_unstable_by_key(|(_, p99)| *p99);
    rounds[2]
}

/// The calling thread gives way to all others: what is measured is the server, not who floods it. At
/// the lowest priority alone, a hundred threads together would still have more of the processors
/// than the server.
fn give_way() {
    let none = libc::sched_param { sched_priority: 0 };
    // SAFETY: the parameters outlive the call.
    let set = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const none) };
    assert_eq!(set, 0, "a thread can always become an idle one");
}

/// Timed, so it needs a machine with nothing else to do: `cargo test -p nono-integration-tests
/// --test it -- --ignored --nocapture one_clients_flood`.
#[test]
#[ignore = "compares times, which needs a quiet machine"]
fn one_clients_flood_or_slow_reading_is_nothing_to_another() {
    let site = Site::new(User::Same);
    let server = serve(&site);
    let (over, flooded) = (AtomicBool::new(false), AtomicU64::new(0));
    let idle = measure(&server);
    let during_flood = std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                give_way();
                let mut caller = Caller::new(&server, BOB, "run_list", json!({}));
                while !over.load(Ordering::Acquire) {
                    caller.many(AHEAD);
                    flooded.fetch_add(AHEAD, Ordering::Relaxed);
                }
            });
        }
        let measured = measure(&server);
        over.store(true, Ordering::Release);
        measured
    });
    // Answers of 200 kB each that nobody reads.
    let call = |at: usize| {
        let command = format!("head -c 200000 /dev/zero | tr '\\0' x; touch done-{at}");
        json!({"command": command, "max_output_bytes": 200_000})
    };
    let mut deaf: Vec<Caller> =
        (0..32).map(|at| Caller::new(&server, BOB, "shell", call(at))).collect();
    deaf.iter_mut().for_each(Caller::send);
    // All of them have been run, and are being sent.
    let run = |at: usize| wait::until(|| site.path(&format!("bob/done-{at}")).exists());
    assert!((0..deaf.len()).all(run));
    let during_deafness = measure(&server);
    let again = measure(&server);
    drop(deaf);
    for (what, (median, p99)) in [
        ("idle", idle),
        ("another floods", during_flood),
        ("another does not read", during_deafness),
        ("the same again", again),
    ] {
        let ratio = p99.as_secs_f64() / idle.1.as_secs_f64();
        println!("{what:<24} median {median:>10.1?}   p99 {p99:>10.1?}   p99 / idle {ratio:.2}");
    }
    println!("calls of the flood: {}", flooded.load(Ordering::Relaxed));
    let most = idle.1 * 2;
    assert!(during_flood.1 <= most && during_deafness.1 <= most);
}
