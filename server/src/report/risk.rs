//! What a grant puts at stake.

use super::view::View;
use super::wish::{GrantList, Wish};
use nono_sandbox::AbsPath;
use nono_sandbox::policy::Access;
use nono_schemas::Risk;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Folders below home that hold what can be fetched or made again.
const CACHES: &[&str] =
    &[".cache", ".cargo/registry", ".cargo/git", ".npm", ".m2", ".gradle/caches"];
/// Files in home, or beside a project, that run something later, outside of the sandbox.
const RUN_LATER: &[&str] = &[
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".profile",
    ".zshrc",
    ".zshenv",
    ".zprofile",
    ".gitconfig",
    ".vimrc",
    ".npmrc",
    ".envrc",
];
const RUN_LATER_BELOW: &[&str] =
    &[".git/hooks", ".config/autostart", ".config/systemd", ".local/bin", ".cargo/bin", "bin"];
/// Sockets whose owners do anything they are asked, with more rights than the sandbox has.
const POWERFUL: &[&str] = &[
    "docker",
    "podman",
    "containerd",
    "dbus",
    "bus",
    "systemd",
    "libvirt",
    "agent",
    "X11",
    "wayland",
    "tmux",
];
/// Trees of the system.
const SYSTEM: &[&str] =
    &["/etc", "/boot", "/usr", "/var/lib", "/var/spool", "/root", "/bin", "/sbin", "/lib"];

/// What programs and the kernel say about everything that happens.
const LOGS: &[&str] =
    &["/var/log", "/run/log", "/var/spool", "/var/crash", "/dev/kmsg", "/proc/kmsg"];

fn below(tree: &str, path: &AbsPath) -> bool {
    AbsPath::new(tree).is_ok_and(|tree| path.is_within(&tree))
}

/// The command's home folder.
fn home(view: View<'_>) -> Option<AbsPath> {
    let value = view.policy.environment.variables.get("HOME")?;
    AbsPath::new(OsStr::from_bytes(value)).ok()
}

/// Whether an entry would open a home folder, the root or a folder right below it as a whole.
pub(super) fn is_too_wide(view: View<'_>, wish: &Wish) -> bool {
    let tree = wish.list.takes_trees();
    let depth = wish.path.as_path().components().count();
    let homes = home(view).is_some_and(|home| home.is_within(&wish.path));
    let any_home = below("/home", &wish.path) && depth <= 3;
    tree && (depth <= 2 || homes || any_home)
}

/// The risk of the riskiest entry, and why. `beside`: that of what comes with the entries.
pub(super) fn of(view: View<'_>, wishes: &[Wish], beside: Option<(Risk, &str)>) -> (Risk, String) {
    let beside = beside.map(|(risk, why)| (risk, why.to_owned()));
    let all = wishes.iter().map(|wish| one(view, wish)).chain(beside);
    let riskiest = all.max_by_key(|(risk, _)| *risk);
    riskiest.unwrap_or((Risk::Medium, String::new()))
}

fn one(view: View<'_>, wish: &Wish) -> (Risk, String) {
    let (risk, why) = match wish.list {
        GrantList::Bind if is_own(view, &wish.path) => {
            (Risk::Low, "programs outside of the sandbox can talk to what commands bind there")
        }
        GrantList::Connect | GrantList::Bind => socket(&wish.path),
        _ if wish.list.access().contains(Access::WRITE) => write(view, &wish.path),
        _ => read(view, &wish.path),
    };
    let tree = wish.list.takes_trees();
    let more = if tree { "; opens everything below the folder" } else { "" };
    (risk, format!("{why}{more}"))
}

fn socket(path: &AbsPath) -> (Risk, &'static str) {
    let text = path.to_string();
    if POWERFUL.iter().any(|word| text.contains(word)) {
        (Risk::High, "whoever listens there acts with the user's full rights")
    } else {
        (Risk::Medium, "whoever listens there acts outside of the sandbox")
    }
}

fn write(view: View<'_>, path: &AbsPath) -> (Risk, &'static str) {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let inner = format!("{path}/");
    let later = RUN_LATER.contains(&name.as_str())
        || RUN_LATER_BELOW.iter().any(|b| inner.contains(&format!("/{b}/")));
    if later {
        return (Risk::High, "what is written there runs later, outside of the sandbox");
    }
    if SYSTEM.iter().any(|tree| below(tree, path)) && !is_cache(view, path) {
        return (Risk::High, "part of the system");
    }
    match is_cache(view, path) {
        true => (Risk::Low, "a cache that can be made again"),
        false if is_own(view, path) => (Risk::Medium, "files of the project could be changed"),
        false => (Risk::Medium, "files outside of the workspace could be changed"),
    }
}

fn read(view: View<'_>, path: &AbsPath) -> (Risk, &'static str) {
    if LOGS.iter().any(|tree| below(tree, path)) {
        return (Risk::Medium, "logs of the whole machine, which may have secrets in them");
    }
    if below("/dev", path) {
        return (Risk::Medium, "a device, which no grant for files keeps in bounds");
    }
    let at_home = home(view).is_some_and(|home| path.is_within(&home)) || below("/home", path);
    if at_home && !is_cache(view, path) {
        (Risk::Medium, "the user's own files could be read and sent on")
    } else {
        (Risk::Low, "files to read")
    }
}

/// Whether it lies where commands work anyway.
fn is_own(view: View<'_>, path: &AbsPath) -> bool {
    let fs = &view.policy.fs;
    fs.workspaces.iter().chain([&fs.tmpdir]).any(|folder| path.is_within(folder))
}

fn is_cache(view: View<'_>, path: &AbsPath) -> bool {
    let Some(home) = home(view) else { return false };
    CACHES.iter().any(|cache| home.join(cache).is_ok_and(|cache| path.is_within(&cache)))
}
