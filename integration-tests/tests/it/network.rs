//! TCP, UDP and name resolution work as if nobody were there.

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, setsockopt, socket, sockopt,
};
use nono_integration_tests::host_net::Echo;
use nono_integration_tests::host_unix::HostSocket;
use nono_integration_tests::{as_each_user, require};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[test]
fn loopback_connects_in_any_number() {
    as_each_user(|site| {
        let echo = Echo::tcp();
        let server = site.serve();
        assert_eq!(server.probe(&["tcp", &echo.port(), "40"]), "ok 40");
        assert_eq!(server.probe(&["tcp", &echo.port(), "10000"]), "ok 10000");
        assert!(nono_integration_tests::wait::until(|| echo.served() == 10_040));
    });
}

#[test]
fn every_kind_of_client_and_server() {
    as_each_user(|site| {
        let (tcp, udp) = (Echo::tcp(), Echo::udp());
        let server = site.serve();
        let cases: [(&[&str], &str); 9] = [
            (&["tcp-nonblocking", &tcp.port()], "ok echo"),
            (&["tcp-v6", &tcp.port()], "ok"),
            (&["tcp-serve-self"], "ok hello"),
            (&["tcp-refused"], "ECONNREFUSED"),
            (&["tcp-protocol", "6"], "ok"),
            (&["udp", &udp.port()], "ok echo"),
            (&["udp-connected", &udp.port()], "ok echo"),
            (&["resolve", "localhost", "12"], "ok 12"),
            (&["family", "16", "3"], "ok"),
        ];
        for (case, expected) in cases {
            assert_eq!(site.outside(case), expected, "control {case:?}");
            let answer = server.run("probe", case);
            assert_eq!(answer.said(), expected, "{case:?}");
            assert_eq!(answer.denials_total(), 0, "{case:?}: {}", answer.text);
        }
    });
}

#[test]
fn ten_thousand_granted_unix_connects() {
    as_each_user(|site| {
        let path = site.text("outside/granted.sock");
        let _socket = HostSocket::stream(&site.path("outside/granted.sock"), "granted");
        let server = site.serve_with(&json!({"filesystem": {"unix_socket": [path]}}));
        assert_eq!(server.probe(&["connect-many", &path, "10000"]), "ok 10000");
        assert_eq!(server.probe(&["connect-threads", &path, "8", "500"]), "ok 4000");
    });
}

#[test]
fn an_empty_bucket_slows_down_and_refuses_nothing() {
    as_each_user(|site| {
        let path = site.text("outside/granted.sock");
        let _socket = HostSocket::stream(&site.path("outside/granted.sock"), "granted");
        let echo = Echo::tcp();
        let serve = |mode: &str| {
            site.serve_with(&json!({
                "filesystem": {"unix_socket": [path]},
                "network": {"mode": mode},
                "rate": {"per_second": 100, "burst": 5},
            }))
        };
        let server = serve("open");
        let slow = server.run("probe", &["connect-many", &path, "200"]);
        assert_eq!(slow.said(), "ok 200");
        assert!(slow.took.as_millis() >= 1500, "200 at 100 a second took {:?}", slow.took);
        let free = server.run("probe", &["tcp", &echo.port(), "2000"]);
        assert_eq!(free.said(), "ok 2000");
        assert!(free.took.as_secs() < 10, "TCP is not charged: {:?}", free.took);
        let charged = serve("proxy").run("probe", &["tcp", &echo.port(), "200"]);
        assert_eq!(charged.said(), "ok 200");
        assert!(charged.took.as_millis() >= 1500, "with a proxy it is: {:?}", charged.took);
    });
}

#[test]
fn a_flood_of_refusals_is_counted_to_the_last() {
    as_each_user(|site| {
        let socket = HostSocket::stream(&site.path("outside/f.sock"), "forbidden");
        let path = site.text("outside/f.sock");
        let server = site.serve();
        let command =
            format!("for i in $(seq 300); do ./probe connect stream {path}; done | sort | uniq -c");
        let answer = server.shell(&command);
        assert_eq!(answer.stdout().trim(), "300 EACCES", "{}", answer.text);
        assert_eq!(answer.denials_total(), 300, "{}", answer.value["denials"]);
        assert_eq!(answer.value["denials"]["distinct"], 1, "{}", answer.value["denials"]);
        assert_eq!(answer.denial("unix_socket", &path).expect("a record")["count"], 300);
        assert_eq!(socket.reached(), 0);
        let mut variety = String::from("for i in $(seq 60); do ");
        variety.push_str("cat ../outside/none$i ../home/.netrc /etc/shadow-$i; done; true");
        let many = server.shell(&variety);
        assert!(many.text.len() < 64 * 1024, "{} bytes", many.text.len());
    });
}

/// An address of this machine that other machines know it by.
fn address_of_this_machine() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // Sends nothing.
    socket.connect("192.0.2.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

#[test]
fn a_server_at_this_machines_own_address_is_told_to_be_reached_by_loopback() {
    as_each_user(|site| {
        let Some(ip) = address_of_this_machine() else {
            eprintln!("NOT TESTED: this machine has no address but loopback");
            return;
        };
        let listener = std::net::TcpListener::bind((ip, 0)).expect("a port");
        let at = listener.local_addr().expect("bound");
        assert!(std::net::TcpStream::connect(at).is_ok(), "control");
        let script = format!("exec 3<> /dev/tcp/{}/{}", at.ip(), at.port());
        let answer = site.serve_with(&json!({"network": {"mode": "proxy"}})).shell(&script);
        assert_ne!(answer.exit_code(), Some(0), "{}", answer.text);
        let denial = answer.denial("net_connect", &at.to_string()).expect("a record");
        let way = denial["alternatives"][0].to_string();
        assert!(way.contains("127.0.0.1") && way.contains("network.allow"), "{denial}");
    });
}

/// Binds a socket that shares its port, and says how that went. `twice`: a second one beside it.
const SHARING: &str = r#"
import socket, sys
kind, port, twice = sys.argv[1], int(sys.argv[2]), len(sys.argv) > 3
def one():
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.bind(("127.0.0.1", port))
    if kind == "tcp":
        s.listen()
    return s
try:
    all = [one() for _ in range(2 if twice else 1)]
    print("bound", len(all), flush=True)
    if port and not twice and sys.stdin.readline():
        pass
except OSError as error:
    print(error.errno, flush=True)
"#;

/// What comes to a service of this machine comes to nobody else, even if it would share its port.
#[test]
fn ports_are_shared_with_ones_own_run_and_nobody_else() {
    require::program("python3");
    let free = || {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
        socket.local_addr().expect("an address").port().to_string()
    };
    as_each_user(|site| {
        for kind in ["tcp", "udp"] {
            let port = free();
            let mut service = site.command("/usr/bin/env".as_ref());
            let service = service
                .args(["python3", "-c", SHARING, kind, &port])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped());
            let mut service = service.spawn().expect("python3");
            let mut said = String::new();
            let out = service.stdout.take().expect("a pipe");
            BufReader::new(out).read_line(&mut said).expect("read");
            assert_eq!(said, "bound 1\n");
            let mut outside = site.command("/usr/bin/env".as_ref());
            let outside = outside.args(["python3", "-c", SHARING, kind, &port, "twice"]).output();
            assert_eq!(outside.expect("python3").stdout, b"bound 2\n", "the control");
            let server = site.serve();
            let inside = server.exec(&["python3", "-c", SHARING, kind, &port, "twice"]);
            let in_use = format!("{}\n", Errno::EADDRINUSE as i32);
            assert_eq!(inside.stdout(), in_use, "{kind}: {}", inside.text);
            let own = server.exec(&["python3", "-c", SHARING, kind, &free(), "twice"]);
            assert_eq!(own.stdout(), "bound 2\n", "{kind}: {}", own.text);
            drop(service.stdin.take());
            service.wait().expect("wait");
        }
    });
}

/// Binds a socket that shares its port and connects it; the first answer that comes to it.
const TAKING_ANSWERS: &str = r#"
import socket, sys
port, peer = int(sys.argv[1]), int(sys.argv[2])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.settimeout(2)
try:
    s.bind(("127.0.0.1", port))
    s.connect(("127.0.0.1", peer))
    print("bound", flush=True)
    print(s.recv(99), flush=True)
except OSError as error:
    print(error.errno, flush=True)
"#;

/// A client is at its port like a service: who shares it and connects to the same peer gets the
/// answers.
#[test]
fn answers_to_a_connected_client_come_to_nobody_else() {
    require::program("python3");
    as_each_user(|site| {
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        let to = peer.local_addr().expect("bound");
        let client = Shared::bind();
        client.0.connect(to).expect("connect");
        let port = client.0.local_addr().expect("bound");
        let args = [port.port().to_string(), to.port().to_string()];
        let stop = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                peer.send_to(b"answer", port).expect("send");
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let all = ["python3", "-c", TAKING_ANSWERS, &args[0], &args[1]];
        let outside = site.command("/usr/bin/env".as_ref()).args(all).output().expect("python3");
        let inside = site.serve().exec(&all);
        stop.store(true, Ordering::Relaxed);
        thread.join().expect("the peer");
        assert_eq!(String::from_utf8_lossy(&outside.stdout), "bound\nb'answer'\n", "the control");
        let in_use = format!("{}\n", Errno::EADDRINUSE as i32);
        assert_eq!(inside.stdout(), in_use, "{}", inside.text);
    });
}

/// A UDP socket of somebody outside who would share its port.
struct Shared(std::net::UdpSocket);

impl Shared {
    fn bind() -> Self {
        Self::bind_at("127.0.0.1:0")
    }

    fn bind_at(address: &str) -> Self {
        let at: std::net::SocketAddr = address.parse().expect("an address");
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Inet, SockType::Datagram, flags, None).expect("socket");
        setsockopt(&socket, sockopt::ReuseAddr, &true).expect("share");
        bind(socket.as_raw_fd(), &SockaddrStorage::from(at)).expect("bind");
        Self(socket.into())
    }
}

/// A socket that would share its port and gets one of the kernel's choice; whether another one can
/// share that.
const CHOSEN: &str = r#"
import socket, sys
def sharing():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, getattr(socket, sys.argv[2]), 1)
    return s
def get_a_port(s, way):
    nowhere = ("127.0.0.1", 9)
    if way == "connect":
        s.connect(nowhere)
    elif way == "sendto":
        s.sendto(b"x", nowhere)
    elif way == "sendmsg":
        s.sendmsg([b"x"], [], 0, nowhere)
    elif way == "write":
        s.send(b"x")
first, second = sharing(), sharing()
try:
    get_a_port(first, sys.argv[1])
except OSError:
    pass
port = first.getsockname()[1]
try:
    second.bind(("0.0.0.0", port))
    print("shared" if port else "no port")
except OSError as error:
    print(error.errno)
"#;

/// The kernel gives ports by itself, to sockets that send: where these would share, one that is
/// somebody else's.
#[test]
fn a_port_that_a_send_gets_is_shared_with_nobody() {
    require::program("python3");
    as_each_user(|site| {
        let in_use = format!("{}\n", Errno::EADDRINUSE as i32);
        for mode in ["proxy", "loopback", "open"] {
            let server = site.serve_with(&json!({"network": {"mode": mode}}));
            for option in ["SO_REUSEADDR", "SO_REUSEPORT"] {
                for way in ["connect", "sendto", "sendmsg", "write"] {
                    let all = ["python3", "-c", CHOSEN, way, option];
                    let outside = site.command("/usr/bin/env".as_ref()).args(all).output();
                    assert_eq!(outside.expect("python3").stdout, b"shared\n", "the control: {way}");
                    let inside = server.exec(&all);
                    assert_eq!(inside.stdout(), in_use, "{mode} {option} {way}: {}", inside.text);
                }
            }
        }
    });
}

/// Binds all addresses of IPv6 while a thread says that IPv4 belongs to that, and that it does not.
const FLIPPING: &str = r#"
import socket, sys, threading
kind, port, tries = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
kind = socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM
now = None
def flip():
    while True:
        s = now
        try:
            for only in (1, 0):
                s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
        except (OSError, AttributeError):
            pass
if tries > 1:
    sys.setswitchinterval(1e-5)
    threading.Thread(target=flip, daemon=True).start()
both = 0
for _ in range(tries):
    s = socket.socket(socket.AF_INET6, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    now = s
    try:
        s.bind(("::", port))
        both += not s.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    except OSError as error:
        assert error.errno == 98, error
    now = None
    s.close()
print("shared", both)
"#;

/// Whether a socket of IPv6 takes what comes by IPv4 is asked of nobody but the kernel.
#[test]
fn a_port_of_ipv4_is_not_shared_by_a_socket_of_ipv6() {
    require::program("python3");
    as_each_user(|site| {
        let server = site.serve();
        for (kind, tries) in [("tcp", "300"), ("udp", "1000")] {
            let mut service = site.command("/usr/bin/env".as_ref());
            let service = service.args(["python3", "-c", SERVING, kind]).stdin(Stdio::piped());
            let mut service = service.stdout(Stdio::piped()).spawn().expect("python3");
            let mut port = String::new();
            let out = service.stdout.take().expect("a pipe");
            BufReader::new(out).read_line(&mut port).expect("read");
            let all = |tries| ["python3", "-c", FLIPPING, kind, port.trim(), tries];
            let outside = site.command("/usr/bin/env".as_ref()).args(all("1")).output();
            assert_eq!(outside.expect("python3").stdout, b"shared 1\n", "the control");
            let inside = server.exec(&all(tries));
            assert_eq!(inside.stdout(), "shared 0\n", "{kind}: {}", inside.text);
            // What takes nothing that comes by IPv4 is in nobody's way.
            let six = "import socket, sys\ns = socket.socket(socket.AF_INET6, \
                       getattr(socket, sys.argv[1]))\n\
                       s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n\
                       s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)\n\
                       s.bind(('::', int(sys.argv[2])))\nprint('bound')";
            let name = if kind == "tcp" { "SOCK_STREAM" } else { "SOCK_DGRAM" };
            let only = server.exec(&["python3", "-c", six, name, port.trim()]);
            assert_eq!(only.stdout(), "bound\n", "{kind}: {}", only.text);
            drop(service.stdin.take());
            service.wait().expect("wait");
        }
    });
}

/// A service of IPv4 at all addresses that would share its port, which it says.
const SERVING: &str = r#"
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
s.bind(("0.0.0.0", 0))
if sys.argv[1] == "tcp":
    s.listen()
print(s.getsockname()[1], flush=True)
sys.stdin.readline()
"#;
