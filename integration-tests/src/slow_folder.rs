//! A folder whose file system takes as long as a test wants, as one behind a network may. Takes root
//! and `/dev/fuse`.
//!
//! Names that begin with `slow` are looked up until the folder is dropped; no other name is there.

use nix::mount::{MntFlags, umount2};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// What the kernel asks, by its numbers (linux/fuse.h).
const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const INIT: u32 = 26;
const INTERRUPT: u32 = 36;
const BATCH_FORGET: u32 = 42;
/// `struct fuse_in_header`: length, operation, request, node, user, group, process.
const HEADER: usize = 40;
/// Several names of a folder may be looked up at a time (`FUSE_PARALLEL_DIROPS`).
const PARALLEL: u32 = 1 << 18;

/// See the module's description.
#[derive(Debug)]
pub struct SlowFolder {
    at: PathBuf,
    device: Arc<File>,
    held: Held,
}

/// Requests that wait; `None` once nobody waits any more.
type Held = Arc<Mutex<Option<Vec<u64>>>>;

impl SlowFolder {
    /// Mounts it over a folder, for the calling thread, which has mounts of its own, and what it
    /// starts.
    ///
    /// # Panics
    /// If it cannot be mounted.
    #[must_use]
    pub fn mount(at: &Path) -> Self {
        let device = OpenOptions::new().read(true).write(true).open("/dev/fuse");
        let device = Arc::new(device.expect("this test needs /dev/fuse"));
        let fd = device.as_raw_fd();
        let options = format!("fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other");
        let flags = nix::mount::MsFlags::empty();
        nix::mount::mount(Some("slow"), at, Some("fuse"), flags, Some(options.as_str()))
            .unwrap_or_else(|e| panic!("mount a file system on {}: {e}", at.display()));
        let held: Held = Arc::new(Mutex::new(Some(Vec::new())));
        let (kernel, waiting) = (Arc::clone(&device), Arc::clone(&held));
        std::thread::spawn(move || serve(&kernel, &waiting));
        Self { at: at.to_path_buf(), device, held }
    }

    /// How many look-ups wait.
    ///
    /// # Panics
    /// If its server broke.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.held.lock().expect("its server lives").as_ref().map_or(0, Vec::len)
    }
}

impl Drop for SlowFolder {
    fn drop(&mut self) {
        let held = self.held.lock().map(|mut held| held.take());
        for request in held.ok().flatten().unwrap_or_default() {
            answer(&self.device, request, Err(libc::ENOENT));
        }
        // Else the folder it is over could not be removed.
        let _gone_with_its_thread = umount2(&self.at, MntFlags::MNT_DETACH);
    }
}

/// Answers the kernel until the file system is gone.
fn serve(mut device: &File, held: &Held) {
    let mut buffer = vec![0; 256 << 10];
    while let Ok(length @ HEADER..) = device.read(&mut buffer) {
        let (header, rest) = buffer[..length].split_at(HEADER);
        let request = u64::from_ne_bytes(header[8..16].try_into().expect("eight bytes"));
        match u32::from_ne_bytes(header[4..8].try_into().expect("four bytes")) {
            INIT => answer(device, request, Ok(&terms())),
            GETATTR => answer(device, request, Ok(&root())),
            LOOKUP if rest.starts_with(b"slow") => {
                match held.lock().expect("nobody panics with it").as_mut() {
                    Some(held) => held.push(request),
                    None => answer(device, request, Err(libc::ENOENT)),
                }
            }
            LOOKUP => answer(device, request, Err(libc::ENOENT)),
            // Nobody waits for an answer to these.
            FORGET | BATCH_FORGET | INTERRUPT => {}
            _ => answer(device, request, Err(libc::ENOSYS)),
        }
    }
}

/// `struct fuse_out_header` and what follows.
fn answer(mut device: &File, request: u64, result: Result<&[u8], i32>) {
    let (error, body) = match result {
        Ok(body) => (0, body),
        Err(errno) => (-errno, &[][..]),
    };
    let length = u32::try_from(16 + body.len()).expect("short");
    let header = [&length.to_ne_bytes()[..], &error.to_ne_bytes(), &request.to_ne_bytes()];
    // Whoever asked may be gone.
    let _ = device.write_all(&[&header.concat()[..], body].concat());
}

/// `struct fuse_init_out`, version 7.31.
fn terms() -> Vec<u8> {
    let words = [7, 31, 1 << 16, PARALLEL, 64 | 64 << 16, 1 << 16];
    let mut body: Vec<u8> = words.into_iter().flat_map(u32::to_ne_bytes).collect();
    body.resize(64, 0);
    body
}

/// `struct fuse_attr_out` of an empty folder that anybody may use.
fn root() -> Vec<u8> {
    const MODE: usize = 16 + 60;
    let mut body = vec![0; 16 + 88];
    // For how long the kernel may go by it, in seconds; the inode; mode and links.
    body[..8].copy_from_slice(&3600_u64.to_ne_bytes());
    body[16..24].copy_from_slice(&1_u64.to_ne_bytes());
    body[MODE..MODE + 4].copy_from_slice(&(libc::S_IFDIR | 0o777).to_ne_bytes());
    body[MODE + 4..MODE + 8].copy_from_slice(&2_u32.to_ne_bytes());
    body
}
