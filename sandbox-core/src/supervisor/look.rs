//! What the processes of a run are doing, from `/proc`: who they are, who waits for input, who
//! listens. Facts only; nothing here looks at output.

use super::tree;
use super::unix_table::UnixEntry;
use crate::control::{Listening, ListensAt, Seen, Sight, Waiting, WaitsFor};
use crate::decide::FileKind;
use crate::register::{int, unsigned};
use crate::sys;
use nix::sys::stat::{FileStat, fstat, major, minor, stat};
use nix::unistd::Pid;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;

/// Processes described; all are counted.
const MAX_DESCRIBED: usize = 32;
/// Processes looked into for sockets and waiting calls.
const MAX_LOOKED_INTO: usize = 256;
/// Descriptors looked at in one process.
const MAX_DESCRIPTORS: usize = 1024;
/// Listening sockets told; a run can have as many as descriptors.
const MAX_LISTENING: usize = 256;
/// Of a zeroth argument, in bytes; a program can write anything there, of any length.
const MAX_ARGUMENT: u64 = 4096;

/// The command's standard input, as far as somebody can write to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InputObject {
    device: u64,
    inode: u64,
    terminal: bool,
}

impl InputObject {
    /// `None` for files and devices, which never make a reader wait.
    pub(super) fn of(stdin: impl AsFd, terminal: bool) -> Option<Self> {
        let stat = fstat(stdin).ok()?;
        let pipe = FileKind::of(&stat) == FileKind::Pipe;
        (pipe || terminal).then_some(Self { device: stat.st_dev, inode: stat.st_ino, terminal })
    }

    fn is(&self, stat: &FileStat) -> bool {
        // `/dev/tty` is another file for the same terminal.
        let tty = FileKind::of(stat) == FileKind::CharacterDevice
            && (major(stat.st_rdev), minor(stat.st_rdev)) == (5, 0);
        (stat.st_dev, stat.st_ino) == (self.device, self.inode) || (self.terminal && tty)
    }
}

/// Looks at the tree.
pub(super) fn look(input: Option<InputObject>) -> Sight {
    let tree = tree::alive();
    let near = tree.get(..MAX_LOOKED_INTO).unwrap_or(&tree);
    Sight {
        processes: tree.iter().take(MAX_DESCRIBED).map(|pid| describe(*pid)).collect(),
        total: u32::try_from(tree.len()).unwrap_or(u32::MAX),
        waiting: input.and_then(|input| near.iter().find_map(|pid| waiting(*pid, &input))),
        listening: listening(near),
    }
}

fn describe(pid: Pid) -> Seen {
    let mut line = Vec::new();
    if let Ok(file) = fs::File::open(format!("/proc/{pid}/cmdline")) {
        // Whatever could be read.
        let _gone = file.take(MAX_ARGUMENT).read_to_end(&mut line);
    }
    let argv0 = line.split(|b| *b == 0).next().unwrap_or_default().to_vec();
    Seen { pid: pid.as_raw(), exe: executable(pid), argv0 }
}

fn executable(pid: Pid) -> Vec<u8> {
    let name = || fs::read(format!("/proc/{pid}/comm")).unwrap_or_default().trim_ascii().to_vec();
    fs::read_link(format!("/proc/{pid}/exe"))
        .map_or_else(|_| name(), |path| OsString::from(path).into_vec())
}

fn waiting(pid: Pid, input: &InputObject) -> Option<Waiting> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let blocked = tasks.flatten().take(MAX_LOOKED_INTO).any(|task| {
        let call = fs::read_to_string(task.path().join("syscall")).unwrap_or_default();
        let tid = task.file_name().to_str().and_then(|t| t.parse().ok());
        tid.is_some_and(|tid| awaited(pid, tid, &call).into_iter().any(|fd| reads(pid, fd, input)))
    });
    let on = if input.terminal { WaitsFor::Terminal } else { WaitsFor::Stdin };
    blocked.then(|| Waiting { on, pid: pid.as_raw(), exe: executable(pid) })
}

fn reads(pid: Pid, fd: i32, input: &InputObject) -> bool {
    stat(format!("/proc/{pid}/fd/{fd}").as_str()).is_ok_and(|s| input.is(&s))
}

/// The descriptors a blocked thread waits to read from. `call`: a line of proc_pid_syscall(5).
fn awaited(pid: Pid, tid: i32, call: &str) -> Vec<i32> {
    let mut words = call.split_whitespace();
    let number = words.next().and_then(|n| n.parse::<i64>().ok());
    let arguments: Vec<u64> =
        words.filter_map(|w| u64::from_str_radix(w.trim_start_matches("0x"), 16).ok()).collect();
    let (Some(number), Some(&first), Some(&second)) = (number, arguments.first(), arguments.get(1))
    else {
        return Vec::new();
    };
    match number {
        libc::SYS_read | libc::SYS_readv => vec![int(first)],
        libc::SYS_ppoll => polled(tid, first, second),
        libc::SYS_pselect6 => selected(tid, first, second),
        libc::SYS_epoll_pwait | libc::SYS_epoll_pwait2 => in_epoll(pid, int(first)),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll => polled(tid, first, second),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_select => selected(tid, first, second),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_epoll_wait => in_epoll(pid, int(first)),
        _ => Vec::new(),
    }
}

/// `struct pollfd` entries that ask for input (poll(2)).
fn polled(tid: i32, address: u64, count: u64) -> Vec<i32> {
    const ENTRY: usize = 8;
    let count = usize::try_from(unsigned(count)).unwrap_or(0).min(MAX_DESCRIPTORS);
    let mut bytes = vec![0u8; count * ENTRY];
    let read = sys::read_memory(tid, address, &mut bytes).unwrap_or(0);
    bytes[..read].chunks_exact(ENTRY).filter_map(wanted_input).collect()
}

fn wanted_input(entry: &[u8]) -> Option<i32> {
    let (fd, rest) = entry.split_first_chunk::<4>()?;
    let events = i16::from_ne_bytes(*rest.first_chunk::<2>()?);
    (events & libc::POLLIN != 0).then(|| i32::from_ne_bytes(*fd))
}

/// Members of the first `fd_set` of select(2): a bit for each descriptor.
fn selected(tid: i32, count: u64, address: u64) -> Vec<i32> {
    let count = usize::try_from(int(count)).unwrap_or(0).min(MAX_DESCRIPTORS);
    let mut bits = vec![0u8; count.div_ceil(8)];
    let read = sys::read_memory(tid, address, &mut bits).unwrap_or(0);
    let set = |fd: &usize| bits[..read].get(fd / 8).is_some_and(|byte| byte & (1 << (fd % 8)) != 0);
    (0..count).filter(set).filter_map(|fd| i32::try_from(fd).ok()).collect()
}

/// Members of an epoll instance that ask for input (proc_pid_fdinfo(5)).
fn in_epoll(pid: Pid, epoll: i32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/fdinfo/{epoll}")).unwrap_or_default();
    text.lines().take(MAX_DESCRIPTORS).filter_map(epoll_member).collect()
}

fn epoll_member(line: &str) -> Option<i32> {
    let mut words = line.strip_prefix("tfd:")?.split_whitespace();
    let fd = words.next()?.parse().ok()?;
    let events = words.find_map(|w| if w == "events:" { Some(()) } else { None });
    events?;
    let events = u32::from_str_radix(words.next()?, 16).ok()?;
    (events & libc::EPOLLIN.unsigned_abs() != 0).then_some(fd)
}

/// Sockets that a process of the tree has open and that accept connections: TCP ones in the state
/// LISTEN, and AF_UNIX ones that have a name.
fn listening(tree: &[Pid]) -> Vec<Listening> {
    let Some(any) = tree.first() else { return Vec::new() };
    let read = |table: &str| fs::read(format!("/proc/{any}/net/{table}")).unwrap_or_default();
    let mut table: HashMap<u64, ListensAt> = HashMap::new();
    for text in ["tcp", "tcp6"].map(read) {
        let text = String::from_utf8_lossy(&text);
        let inet = text.lines().filter_map(listener);
        table.extend(inet.map(|(inode, address)| (inode, ListensAt::Inet(address))));
    }
    let unix = read("unix");
    let unix = unix.split(|byte| *byte == b'\n').filter_map(unix_listener);
    table.extend(unix.map(|(inode, name)| (inode, ListensAt::Unix(name.to_vec()))));
    if table.is_empty() {
        return Vec::new();
    }
    let mut found: Vec<Listening> = Vec::new();
    for pid in tree {
        for inode in sockets(*pid) {
            let Some(address) = table.get(&inode) else { continue };
            if found.len() == MAX_LISTENING {
                return found;
            }
            if !found.iter().any(|known| known.address == *address) {
                found.push(Listening { address: address.clone(), pid: pid.as_raw() });
            }
        }
    }
    found
}

/// Inodes of the sockets a process has open.
fn sockets(pid: Pid) -> Vec<u64> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let links =
        entries.flatten().take(MAX_DESCRIPTORS).filter_map(|e| fs::read_link(e.path()).ok());
    let inode = |link: std::path::PathBuf| {
        link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    links.filter_map(inode).collect()
}

/// A line of `/proc/net/tcp` or `tcp6` (proc_pid_net(5)): inode and address, if it listens.
fn listener(line: &str) -> Option<(u64, SocketAddr)> {
    const LISTEN: &str = "0A";
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, local, _, LISTEN, .., _] = words.as_slice() else { return None };
    let (address, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    // The kernel prints 32-bit words in host order.
    let word = |at: usize| u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok();
    let octets = |at: usize| word(at).map(u32::to_ne_bytes);
    let ip = if address.len() == 8 {
        IpAddr::V4(Ipv4Addr::from(octets(0)?))
    } else {
        let words = [octets(0)?, octets(1)?, octets(2)?, octets(3)?];
        IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(words.concat()).ok()?))
    };
    Some((words.get(9)?.parse().ok()?, SocketAddr::new(ip, port)))
}

/// Inode and name of a socket that listens and has one.
fn unix_listener(line: &[u8]) -> Option<(u64, &[u8])> {
    let entry = UnixEntry::parse(line).filter(|entry| entry.accepts && !entry.name.is_empty())?;
    Some((entry.inode, entry.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_told_from_connections() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1 0000000000000000 100 0 0 10 0";
        assert_eq!(listener(line), Some((12345, "127.0.0.1:8080".parse().unwrap())));
        assert_eq!(listener(&line.replace(" 0A ", " 01 ")), None);
        let six = line.replace("0100007F", "00000000000000000000000001000000");
        assert_eq!(listener(&six), Some((12345, "[::1]:8080".parse().unwrap())));
        assert_eq!(listener("  sl  local_address rem_address   st"), None);
    }

    #[test]
    fn named_sockets_that_accept_are_told_from_others() {
        let line = |flags: &str, rest: &str| {
            let text = format!("00000000f64d2ea7: 00000002 00000000 {flags} 0001 01 {rest}");
            unix_listener(text.as_bytes()).map(|(inode, name)| (inode, name.to_vec()))
        };
        let found = |inode, name: &str| Some((inode, name.as_bytes().to_vec()));
        assert_eq!(line("00010000", "12345 /a b/c.sock"), found(12345, "/a b/c.sock"));
        assert_eq!(line("00010000", "   77 @name"), found(77, "@name"));
        assert_eq!(line("00000000", "12345 /c.sock"), None, "a connected one");
        assert_eq!(line("00010000", "12345"), None, "without a name");
        assert_eq!(line("00010000", "12345 "), None, "with an empty one");
        for text in ["Num       RefCount Protocol Flags    Type St Inode Path", "", "a b", " "] {
            assert_eq!(unix_listener(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(unix_listener(b"1 2 3 \xff 5 6 7 /x"), None);
    }

    #[test]
    fn members_of_an_epoll_instance_count_if_they_ask_for_input() {
        let member =
            |events| epoll_member(&format!("tfd:        0 events: {events:>8} data: 0  pos:0"));
        assert_eq!((member("19"), member("4")), (Some(0), None));
        assert_eq!(epoll_member("pos:	0"), None);
    }

    #[test]
    fn poll_entries_count_if_they_ask_for_input() {
        let entry = |fd: i32, events: i16| {
            let mut entry = fd.to_ne_bytes().to_vec();
            entry.extend(events.to_ne_bytes());
            entry.extend([0, 0]);
            wanted_input(&entry)
        };
        assert_eq!((entry(3, libc::POLLIN), entry(3, libc::POLLOUT)), (Some(3), None));
    }

    #[test]
    fn a_thread_blocked_in_read_is_seen() {
        let (read, write) = std::io::pipe().unwrap();
        let input = InputObject::of(&read, false).unwrap();
        let me = Pid::this();
        let reader = std::thread::spawn(move || { read }.read(&mut [0u8]));
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while waiting(me, &input).is_none() {
            assert!(std::time::Instant::now() < until, "never seen waiting");
            std::thread::yield_now();
        }
        drop(write);
        reader.join().unwrap().unwrap();
        assert_eq!(waiting(me, &input), None);
    }
}
