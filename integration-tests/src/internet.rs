//! A network of the test's own: this machine in one namespace, "the internet" in another, a cable
//! between them, and names for what is there. Takes root.
//!
//! ```text
//! machine: 10.77.0.1, fd77::1          internet: 10.77.0.2, fd77::2, 93.184.216.34, 169.254.169.254
//!          /etc/hosts of its own           with a name server
//! ```

mod dns;

use crate::mounts::{have_own_mounts, unshare};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

/// A private address of the internet side.
pub const FAR: &str = "10.77.0.2";
/// The same for IPv6.
pub const FAR6: &str = "fd77::2";
/// A public address of the internet side.
pub const PUBLIC: &str = "93.184.216.34";
/// Where clouds keep credentials.
pub const METADATA: &str = "169.254.169.254";
/// Where everything listens on the internet side, TCP and UDP.
pub const PORT: u16 = 4477;
/// Sends as many bytes as the first line it is sent says.
pub const SOURCE: u16 = 4478;
/// Says `bye` and that this was all, then adds up what it still hears.
pub const LEAVER: u16 = 4479;
/// Its web server, which answers every request with what was asked of whom.
pub const WEB: u16 = 80;

/// Names both sides know.
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost\n93.184.216.34 allowed.test other.test \
    sub.allowed.test\n10.77.0.2 inner.test\n127.0.0.1 loop.test\n169.254.169.254 meta.test\n";

/// What arrived on the internet side.
#[derive(Debug, Clone, Default)]
pub struct Arrived(Arc<Mutex<Vec<String>>>);

impl Arrived {
    /// Everything so far, in order.
    ///
    /// # Panics
    /// If a server of the internet side broke.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        self.0.lock().expect("servers do not panic").clone()
    }

    /// Whether something that starts like this arrived.
    #[must_use]
    pub fn has(&self, start: &str) -> bool {
        self.all().iter().any(|line| line.starts_with(start))
    }

    /// Forgets everything.
    ///
    /// # Panics
    /// As [`Arrived::all`].
    pub fn clear(&self) {
        self.0.lock().expect("servers do not panic").clear();
    }

    fn add(&self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes).trim().to_owned();
        self.0.lock().expect("servers do not panic").push(text);
    }
}

/// The internet side, as a test sees it.
#[derive(Debug)]
pub struct Internet {
    /// What arrived there.
    pub arrived: Arrived,
    asks: mpsc::Sender<Ask>,
}

/// What the internet side is asked to try.
enum Ask {
    /// To connect to a port.
    Connect(u16, mpsc::Sender<bool>),
    /// To send a datagram to a port.
    Datagram(u16, mpsc::Sender<()>),
}

impl Internet {
    /// Whether the internet side reaches a port of the machine.
    ///
    /// # Panics
    /// If the internet side broke.
    #[must_use]
    pub fn reaches(&self, port: u16) -> bool {
        let (tell, told) = mpsc::channel();
        self.asks.send(Ask::Connect(port, tell)).expect("the internet side answers");
        told.recv().expect("the internet side answers")
    }

    /// Sends a datagram from the internet side to a port of the machine.
    ///
    /// # Panics
    /// If the internet side broke.
    pub fn send_datagram(&self, port: u16) {
        let (tell, told) = mpsc::channel();
        self.asks.send(Ask::Datagram(port, tell)).expect("the internet side answers");
        told.recv().expect("the internet side answers");
    }
}

/// Runs a test on the machine's side. Sockets and children of the calling closure are there.
///
/// # Panics
/// If the network cannot be made, or the test fails.
pub fn with_internet(test: impl FnOnce(&Internet) + Send) {
    crate::require::program("ip");
    std::thread::scope(|scope| {
        let (tell, told) = mpsc::channel::<i32>();
        let (ready_tell, ready) = mpsc::channel::<Arrived>();
        let (asks, asked) = mpsc::channel::<Ask>();
        let far = scope.spawn(move || {
            unshare(libc::CLONE_NEWNET);
            tell.send(thread_id()).expect("the machine waits");
            plug_in_far();
            let arrived = Arrived::default();
            serve(&arrived);
            ready_tell.send(arrived).expect("the machine waits");
            // Until the test is over.
            asked.into_iter().for_each(do_from_afar);
        });
        let near = scope.spawn(move || {
            unshare(libc::CLONE_NEWNET);
            plug_in_near(told.recv().expect("the internet says who it is"));
            have_own_mounts();
            let resolver = format!("nameserver {FAR}\noptions timeout:2 attempts:2\n");
            let _kept: Vec<_> = [("/etc/hosts", HOSTS), ("/etc/resolv.conf", &resolver)]
                .into_iter()
                .map(|(place, text)| {
                    let file = tempfile::NamedTempFile::new().expect("temp file");
                    crate::user::readable_by_all(file.path());
                    std::fs::write(file.path(), text).expect("write names");
                    bind_mount(file.path(), place);
                    file
                })
                .collect();
            let arrived = ready.recv().expect("the internet comes up");
            test(&Internet { arrived, asks });
        });
        let result = near.join();
        far.join().expect("the internet side");
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
}

/// The machine's end of a cable to the network of the thread `other`.
fn plug_in_near(other: i32) {
    let other = other.to_string();
    ip(&["link", "set", "lo", "up"]);
    ip(&["link", "add", "near", "type", "veth", "peer", "name", "far", "netns", &other]);
    ip(&["link", "set", "near", "up"]);
    ip(&["addr", "add", "10.77.0.1/24", "dev", "near"]);
    ip(&["addr", "add", "fd77::1/64", "dev", "near", "nodad"]);
    ip(&["route", "add", "default", "via", FAR]);
}

/// The other end, once it is there.
fn plug_in_far() {
    let wait = || Path::new("/proc/thread-self/net/dev_snmp6/far").exists();
    assert!(crate::wait::until(wait), "the cable never came");
    ip(&["link", "set", "lo", "up"]);
    ip(&["link", "set", "far", "up"]);
    for address in ["10.77.0.2/24", "93.184.216.34/32", "169.254.169.254/32"] {
        ip(&["addr", "add", address, "dev", "far"]);
    }
    ip(&["addr", "add", "fd77::2/64", "dev", "far", "nodad"]);
}

fn do_from_afar(ask: Ask) {
    let at = |port| SocketAddr::from(([10, 77, 0, 1], port));
    match ask {
        Ask::Connect(port, tell) => {
            let patience = Duration::from_secs(1);
            let reached = TcpStream::connect_timeout(&at(port), patience).is_ok();
            tell.send(reached).expect("somebody asked");
        }
        Ask::Datagram(port, tell) => {
            let socket = UdpSocket::bind("10.77.0.2:0").expect("a socket");
            socket.send_to(b"from afar", at(port)).expect("send");
            tell.send(()).expect("somebody asked");
        }
    }
}

fn thread_id() -> i32 {
    // SAFETY: takes no arguments.
    unsafe { libc::gettid() }
}

fn ip(args: &[&str]) {
    let output = Command::new("ip").args(args).output().expect("run ip");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {args:?}: {said}");
}

fn bind_mount(from: &Path, to: &str) {
    let flags = nix::mount::MsFlags::MS_BIND;
    nix::mount::mount(Some(from), to, None::<&str>, flags, None::<&str>)
        .unwrap_or_else(|e| panic!("mount over {to}: {e}"));
}

/// The servers of the internet side; they end with the test's process.
fn serve(arrived: &Arrived) {
    let four = UdpSocket::bind(("0.0.0.0", PORT)).expect("free ports");
    for udp in [four, udp6_alone(PORT)] {
        let arrived = arrived.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            while let Ok((length, from)) = udp.recv_from(&mut buffer) {
                arrived.add(&buffer[..length]);
                let _ = udp.send_to(&buffer[..length], from);
            }
        });
    }
    listen(PORT, arrived, |mut visitor, arrived| {
        let mut buffer = [0; 2048];
        let _ = visitor.set_read_timeout(Some(Duration::from_secs(20)));
        while let Ok(length @ 1..) = visitor.read(&mut buffer) {
            arrived.add(&buffer[..length]);
            let _ = visitor.write_all(&buffer[..length]);
        }
    });
    dns::serve(arrived);
    listen(SOURCE, arrived, |visitor, arrived| source(visitor, &arrived));
    listen(LEAVER, arrived, |mut visitor, arrived| {
        let _ = visitor.write_all(b"bye");
        let _ = visitor.shutdown(Shutdown::Write);
        let heard = std::io::copy(&mut visitor, &mut std::io::sink());
        arrived.add(format!("heard {} after bye", heard.unwrap_or(0)).as_bytes());
    });
    listen(WEB, arrived, |visitor, arrived| web(visitor, &arrived));
    listen(53, arrived, |mut visitor, arrived| {
        let mut buffer = [0; 2048];
        if let Ok(length @ 1..) = visitor.read(&mut buffer) {
            arrived.add(&[b"dns ", &buffer[..length]].concat());
        }
    });
}

/// A socket for IPv6 that leaves IPv4 to another one.
fn udp6_alone(port: u16) -> UdpSocket {
    use nix::sys::socket as sys;
    let (family, kind) = (sys::AddressFamily::Inet6, sys::SockType::Datagram);
    let socket = sys::socket(family, kind, sys::SockFlag::SOCK_CLOEXEC, None).expect("a socket");
    sys::setsockopt(&socket, sys::sockopt::Ipv6V6Only, &true).expect("an option");
    let at = std::net::SocketAddrV6::new(std::net::Ipv6Addr::UNSPECIFIED, port, 0, 0);
    sys::bind(socket.as_raw_fd(), &sys::SockaddrIn6::from(at)).expect("free ports");
    socket.into()
}

fn listen(
    port: u16,
    arrived: &Arrived,
    serve: impl Fn(TcpStream, Arrived) + Send + Copy + 'static,
) {
    let listener = TcpListener::bind(("::", port)).expect("a namespace of our own has free ports");
    let arrived = arrived.clone();
    std::thread::spawn(move || {
        for visitor in listener.incoming().flatten() {
            let arrived = arrived.clone();
            std::thread::spawn(move || serve(visitor, arrived));
        }
    });
}

/// Sends what it is asked for, and says how much of it went.
fn source(mut visitor: TcpStream, arrived: &Arrived) {
    let mut line = String::new();
    let _ = BufReader::new(&visitor).read_line(&mut line);
    let asked: usize = line.trim().parse().unwrap_or(0);
    let block = [7; 1 << 16];
    let mut left = asked;
    while left > 0 {
        match visitor.write(&block[..left.min(block.len())]) {
            Ok(sent @ 1..) => left -= sent,
            _ => break,
        }
    }
    arrived.add(format!("sent {} of {asked}", asked - left).as_bytes());
}

/// Answers with the first line and the host it was asked for.
fn web(mut visitor: TcpStream, arrived: &Arrived) {
    let mut head = Vec::new();
    let mut byte = [0; 1];
    while !head.ends_with(b"\r\n\r\n") && head.len() < 8192 {
        match visitor.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => break,
        }
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let line = text.lines().next().unwrap_or_default().to_owned();
    let host = text.lines().find_map(|l| l.strip_prefix("Host: ")).unwrap_or_default();
    let said = format!("{line} for {host}");
    arrived.add(said.as_bytes());
    let body =
        if line.contains("/big") { "x".repeat(1 << 20) } else { format!("web says: {said}\n") };
    let _ = write!(
        visitor,
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
}
