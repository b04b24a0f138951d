//! Protected files by ways that are hard to follow, none of them a race: other processes' eyes in
//! `/proc`, long chains of links, folders that nobody may enter, paths that are too long to be told.
//! What is not protected can be reached by all of them.

use nono_integration_tests::{Answer, Site, as_each_user};
use serde_json::json;
use std::path::Path;

/// Where there are namespaces, and without.
const TIERS: [&str; 2] = ["auto", "off"];

/// What the ways are written in. The errno is the exit code.
const WORDS: &str = r"
import ctypes, os, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
W = os.getcwd()
NEW, ADD = os.O_CREAT | os.O_WRONLY, os.O_APPEND | os.O_WRONLY
FOLLOW = 0x400
def check(result):
    if result < 0: raise OSError(ctypes.get_errno(), '')
    return result
def put(path, flags, **at):
    os.write(os.open(path, flags, 0o755, **at), b'# x\n')
def linkat(old, new, flags):
    check(libc.linkat(-100, old.encode(), -100, new.encode(), flags))
def link(old, new, **at):
    # By its name alone: Python would have links followed.
    os.link(old, new, follow_symlinks=False, **at)
def held(path, number=200):
    # A number that no supervisor has.
    os.dup2(os.open(path, os.O_RDONLY), number); return number
def chain(links, end):
    os.mkdir('chain')
    for i in range(links - 1): os.symlink(str(i + 1), f'chain/{i}')
    os.symlink(end, f'chain/{links - 1}')
def deep():
    # Longer than a path may be.
    os.makedirs('deep', exist_ok=True); os.chdir('deep')
    for _ in range(18):
        os.makedirs('d' * 250, exist_ok=True); os.chdir('d' * 250)
    folder = os.open('.', os.O_RDONLY); os.chdir(W); return folder
def shut():
    # A folder below one that nobody may enter.
    os.makedirs('shut/in', exist_ok=True)
    folder = os.open('shut/in', os.O_RDONLY); os.chmod('shut', 0); return folder
def closing(path, act):
    os.chmod(path, 0)
    try: act()
    finally: os.chmod(path, 0o755)
try: exec(sys.argv[1])
except OSError as e: raise SystemExit(e.errno or 99)
finally:
    os.chdir('/')
    if os.path.lexists(W + '/shut'): os.chmod(W + '/shut', 0o755)
";

/// Ways to change what is protected.
const WAYS: [&str; 26] = [
    "held('.'); put('/proc/self/fd/200/.envrc', NEW)",
    "held('.'); put('/dev/fd/200/.envrc', NEW)",
    "held('.'); put(f'/proc/{os.getpid()}/fd/200/.git/config', ADD)",
    "held('.git'); put('/proc/self/fd/200/commondir', NEW)",
    "put(f'/proc/self/task/{os.getpid()}/cwd/.envrc', NEW)",
    "put('/proc/thread-self/cwd/.git/hooks/post-merge', NEW)",
    "held('.'); os.symlink('/proc/self/fd/200', 'here'); put('here/.envrc', NEW)",
    "held('.'); os.rename('new', '/proc/self/fd/200/.envrc')",
    "held('.'); os.rename('/proc/self/fd/200/.git', '/proc/self/fd/200/git')",
    "held('.'); os.mkdir('/proc/self/fd/200/.git/hooks/folder')",
    "held('.'); linkat('/proc/self/fd/200/.git/config', 'second', FOLLOW); put('second', ADD)",
    "chain(12, '../.envrc'); put('chain/0', NEW)",
    "chain(40, '../.envrc'); put('chain/0', NEW)",
    "chain(12, '../.git/config'); put('chain/0', ADD)",
    "f = shut(); os.symlink(W + '/.envrc', 'l', dir_fd=f); put('l', NEW, dir_fd=f)",
    "f = shut(); os.symlink(W + '/.git/config', 'l', dir_fd=f); put('l', ADD, dir_fd=f)",
    "f = shut(); os.symlink(W + '/.envrc', 'l', dir_fd=f); os.fchdir(f); put('l', NEW)",
    "f = held('.vscode'); closing(W, lambda: put('tasks.json', ADD, dir_fd=f))",
    "f = held('.git'); closing(W, lambda: os.unlink('config', dir_fd=f))",
    "f = shut(); put('s', NEW, dir_fd=f); os.rename('s', '.envrc', src_dir_fd=f)",
    "f = shut(); put('s', NEW, dir_fd=f); link('s', '.git/hooks/post-merge', src_dir_fd=f)",
    "f = shut(); link('.git/config', 'c', dst_dir_fd=f); put('c', ADD, dir_fd=f)",
    "f = deep(); put('s', NEW, dir_fd=f); os.rename('s', '.envrc', src_dir_fd=f)",
    "f = deep(); put('s', NEW, dir_fd=f); link('s', '.git/hooks/post-merge', src_dir_fd=f)",
    "f = deep(); link('.git/config', 'c', dst_dir_fd=f); put('c', ADD, dir_fd=f)",
    "f = deep(); os.rename('.git', 'git', dst_dir_fd=f)",
];

/// The same ways to what is not protected, and what programs do of all this every day.
const ORDINARY: [&str; 20] = [
    "held('.'); put('/proc/self/fd/200/text', NEW); put('/proc/self/fd/200/text', ADD)",
    "held('.'); put('/dev/fd/200/text', NEW); os.mkdir('/proc/self/fd/200/folder')",
    "held('.'); os.rename('/proc/self/fd/200/new', '/proc/self/fd/200/old')",
    "held('new'); put('/proc/self/fd/200', ADD); put('/dev/fd/200', NEW | os.O_TRUNC)",
    "held('new'); linkat('/proc/self/fd/200', 'second', FOLLOW); put('second', ADD)",
    "f = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o600); linkat(f'/proc/self/fd/{f}', 't', FOLLOW)",
    // Pipes of one's own: outside, those of the tests may be another user's.
    "r, w = os.pipe(); os.dup2(w, 1); os.dup2(w, 2)\n\
     put('/dev/stdout', os.O_WRONLY); put('/dev/stderr', NEW); put('/proc/self/fd/1', ADD)",
    "r, w = os.pipe(); os.dup2(w, 7); put('/dev/fd/7', NEW | os.O_TRUNC)",
    "held('new'); os.chmod('/proc/self/fd/200', 0o600); os.utime('/proc/self/fd/200')",
    "held('new'); os.setxattr('/proc/self/fd/200', 'user.a', b'1')",
    "held('.'); s = socket.socket(socket.AF_UNIX); s.bind('/proc/self/fd/200/s'); s.listen()\n\
     socket.socket(socket.AF_UNIX).connect('/proc/self/fd/200/s')",
    "chain(40, '../text'); put('chain/0', NEW); os.stat('text')",
    "f = shut(); put('text', NEW, dir_fd=f); os.fchdir(f); put('text', ADD); os.unlink('text')",
    "f = shut(); os.symlink(W + '/text', 'l', dir_fd=f); put('l', NEW, dir_fd=f); os.stat('text')",
    "f = shut(); os.rename('new', 'new', dst_dir_fd=f); link('new', 'old', src_dir_fd=f)",
    "f = deep(); put('s', NEW, dir_fd=f); put('s', ADD, dir_fd=f); os.unlink('s', dir_fd=f)",
    "f = deep(); os.rename('new', 'new', dst_dir_fd=f); os.rename('new', 'old', src_dir_fd=f)",
    "f = deep(); os.fchdir(f); os.mkdir('a'); put('a/s', NEW); os.rename('a/s', 'b')",
    "import shutil; f = deep(); put('s', NEW, dir_fd=f); shutil.rmtree('deep')",
    "os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone'); os.chdir('..'); put('text', NEW)",
];

/// What the kernel refuses whoever asks, and the errno.
const FAILING: [(&str, i32); 11] = [
    ("put('missing/x', NEW)", libc::ENOENT),
    ("put('new/x', NEW)", libc::ENOTDIR),
    ("os.rename('missing', '.envrc')", libc::ENOENT),
    ("os.rename('new', 'missing/x')", libc::ENOENT),
    ("put('/proc/self/fd/200/x', NEW)", libc::ENOENT),
    ("put('x', NEW, dir_fd=200)", libc::EBADF),
    ("chain(41, '../text'); put('chain/0', NEW)", libc::ELOOP),
    ("os.mkdir('.')", libc::EEXIST),
    ("os.rmdir('.')", libc::EINVAL),
    ("os.unlink('missing/../x')", libc::ENOENT),
    ("put('n' * 300 + '/x', NEW)", libc::ENAMETOOLONG),
];

/// A site with a repository, settings of an editor, and nothing for direnv.
fn furnished(site: &Site) -> Site {
    let site = Site::new(site.user());
    for folder in [".git", ".git/hooks", ".vscode"] {
        site.folder(&format!("ws/{folder}"));
    }
    site.file("ws/.git/HEAD", "ref: refs/heads/main\n");
    site.file("ws/.git/config", "[core]\n");
    site.file("ws/.git/hooks/pre-commit", "#!/bin/sh\n");
    site.file("ws/.vscode/tasks.json", "{}");
    site.file("ws/new", "x");
    site
}

/// What is protected, as it is now.
fn protected(site: &Site) -> Vec<Option<String>> {
    let files = [
        ".git/config",
        ".git/commondir",
        ".git/hooks/pre-commit",
        ".git/hooks/post-merge",
        ".vscode/tasks.json",
        ".envrc",
    ];
    let mut all: Vec<_> = files
        .iter()
        .map(|file| std::fs::read_to_string(site.path(&format!("ws/{file}"))).ok())
        .collect();
    let folder = site.path("ws/.git/hooks/folder").exists();
    all.push(folder.then(|| "a folder".to_owned()));
    all
}

fn outside(site: &Site, way: &str) -> Option<i32> {
    let mut command = site.command(Path::new("/usr/bin/python3"));
    command.args(["-c", WORDS, way]).output().expect("run").status.code()
}

fn inside(site: &Site, isolation: &str, way: &str) -> Answer {
    let server = site.serve_with(&json!({"isolation": isolation}));
    server.exec(&["/usr/bin/python3", "-c", WORDS, way])
}

#[test]
fn no_way_leads_to_what_is_protected() {
    as_each_user(|site| {
        for way in WAYS {
            for isolation in TIERS {
                let site = furnished(&site);
                let before = protected(&site);
                let answer = inside(&site, isolation, way);
                let code = answer.exit_code();
                assert_eq!(code, Some(libc::EACCES.into()), "{isolation} {way}: {}", answer.text);
                let kept = answer.denials().into_iter().any(|denial| denial["reason"] == "kept");
                assert!(kept, "{isolation} {way}: {}", answer.text);
                assert_eq!(protected(&site), before, "{isolation} {way}");
                assert!(!answer.text.contains("protected files changed"), "{way}: {}", answer.text);
            }
        }
    });
}

#[test]
fn every_way_leads_there_where_nothing_protects() {
    as_each_user(|site| {
        for way in WAYS {
            let site = furnished(&site);
            let before = protected(&site);
            assert_eq!(outside(&site, way), Some(0), "{way}");
            assert_ne!(protected(&site), before, "{way}");
        }
    });
}

#[test]
fn the_same_ways_lead_to_everything_else() {
    as_each_user(|site| {
        for way in ORDINARY {
            assert_eq!(outside(&furnished(&site), way), Some(0), "control {way}");
            for isolation in TIERS {
                let answer = inside(&furnished(&site), isolation, way);
                assert_eq!(answer.exit_code(), Some(0), "{isolation} {way}: {}", answer.text);
                assert_eq!(answer.denials_total(), 0, "{isolation} {way}: {}", answer.text);
            }
        }
    });
}

#[test]
fn what_fails_by_itself_fails_as_it_does_outside() {
    as_each_user(|site| {
        for (way, errno) in FAILING {
            assert_eq!(outside(&furnished(&site), way), Some(errno), "control {way}");
            for isolation in TIERS {
                let answer = inside(&furnished(&site), isolation, way);
                let code = answer.exit_code();
                assert_eq!(code, Some(errno.into()), "{isolation} {way}: {}", answer.text);
                assert_eq!(answer.denials_total(), 0, "{isolation} {way}: {}", answer.text);
            }
        }
    });
}
