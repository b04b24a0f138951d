//! Modes, owners, times and extended attributes: whoever may write may change them, and nobody
//! else. Landlock has no right for these, so they are mediated.

use nono_integration_tests::{Server, Site, as_each_user};
use serde_json::json;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// Every call, by the probe's name for it, and the system call's.
const CALLS: [(&str, &str); 23] = [
    ("chmod", "chmod"),
    ("fchmod", "fchmod"),
    ("fchmodat", "fchmodat"),
    ("fchmodat2", "fchmodat2"),
    ("fchmodat2-empty", "fchmodat2"),
    ("chown", "chown"),
    ("lchown", "lchown"),
    ("fchown", "fchown"),
    ("fchownat", "fchownat"),
    ("fchownat-empty", "fchownat"),
    ("utime", "utime"),
    ("utimes", "utimes"),
    ("futimesat", "futimesat"),
    ("utimensat", "utimensat"),
    ("utimensat-now", "utimensat"),
    ("utimensat-empty", "utimensat"),
    ("futimens", "utimensat"),
    ("setxattr", "setxattr"),
    ("lsetxattr", "lsetxattr"),
    ("fsetxattr", "fsetxattr"),
    ("removexattr", "removexattr"),
    ("lremovexattr", "lremovexattr"),
    ("fremovexattr", "fremovexattr"),
];

/// Everything these calls can change leaves a new time of change, to the nanosecond.
fn changed(path: &Path) -> (i64, i64) {
    let meta = path.symlink_metadata().expect("still there");
    (meta.ctime(), meta.ctime_nsec())
}

/// A new file that one may look at, in a folder that the sandbox can read.
fn fresh(site: &Site, below: &str, probe: &str) -> std::path::PathBuf {
    let _ = std::fs::remove_file(site.path(below));
    let path = site.file(below, "");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("chmod");
    let text = site.text(below);
    if probe.contains("removexattr") {
        let said = site.outside(&["attribute", "setxattr", &text]);
        assert_eq!(said, "ok", "what is to be removed has to be there");
    }
    path
}

/// Readable, so that descriptors can be had; not writable.
fn serve(site: &Site) -> Server {
    // Without namespaces: in one of its user's own, nobody's files and those of everybody else look
    // the same, and nobody is who these tests run as.
    let read = json!({"read": [site.text("outside")]});
    site.serve_with(&json!({"isolation": "off", "filesystem": read}))
}

#[test]
fn nothing_outside_can_be_changed_by_any_call() {
    as_each_user(|site| {
        let server = serve(&site);
        for (probe, syscall) in CALLS {
            let path = fresh(&site, "outside/file", probe);
            let text = site.text("outside/file");
            let before = changed(&path);
            let answer = server.run("probe", &["attribute", probe, &text]);
            assert_eq!(answer.said(), "EACCES", "{probe}: {}", answer.text);
            assert_eq!(changed(&path), before, "{probe}");
            let denial = answer.denial("fs", &text).unwrap_or_else(|| panic!("{}", answer.text));
            assert_eq!(denial["syscall"], syscall, "{denial}");
            assert_eq!(denial["operation"], "write", "{denial}");
            assert_eq!(denial["confidence"], "enforced", "{denial}");
            assert_eq!(denial["decided_by"]["layer"], "mediation", "{denial}");
            assert_eq!(site.outside(&["attribute", probe, &text]), "ok", "control {probe}");
            assert_ne!(changed(&path), before, "control {probe}");
        }
        // Newer forms and file flags do not exist inside.
        let text = site.text("outside/file");
        for (probe, inside) in
            [("setxattrat", "ENOSYS"), ("removexattrat", "ENOSYS"), ("flags", "EOPNOTSUPP")]
        {
            fresh(&site, "outside/file", probe);
            let outside = site.outside(&["attribute", probe, &text]);
            let absent = ["ENOSYS", "ENOTTY", "EOPNOTSUPP"].contains(&outside.as_str());
            assert!(outside == "ok" || absent, "control {probe}: {outside}");
            let said = server.probe(&["attribute", probe, &text]);
            assert!(said == inside || (absent && said == outside), "{probe}: {said}");
        }
    });
}

#[test]
fn in_the_workspace_everything_can() {
    as_each_user(|site| {
        let server = serve(&site);
        for (probe, _) in CALLS {
            let path = fresh(&site, "ws/file", probe);
            let before = changed(&path);
            let answer = server.run("probe", &["attribute", probe, "file"]);
            assert_eq!(answer.said(), "ok", "{probe}: {}", answer.text);
            assert_ne!(changed(&path), before, "{probe}");
            assert_eq!(answer.denials_total(), 0, "{probe}: {}", answer.text);
        }
        assert_eq!(server.probe(&["attribute-unnamed"]), "ok");
        let own = server.shell(
            "set -e; echo x > f; chmod 4751 f; touch -d 2001-01-01 f; stat -c '%a %Y' f; \
             mkdir -m 700 d; chmod g+s d; cp -a f d/g; stat -c '%a %Y' d/g; tar cf t.tar f d; \
             mkdir e; tar xpf t.tar -C e; stat -c '%a %Y' e/f; ln -s f l; touch -h -d 2001-01-01 l; \
             stat -c %Y l; install -m 640 f i; stat -c %a i; rm -r d e f i l t.tar",
        );
        let lines: Vec<&str> = own.stdout().lines().collect();
        let year = "978307200";
        let kept = format!("4751 {year}");
        assert_eq!(lines, [&kept, &kept, &kept, year, "640"], "{}", own.text);
        assert_eq!(own.denials_total(), 0, "{}", own.text);
    });
}

#[test]
fn other_names_of_a_file_outside() {
    as_each_user(|site| {
        let path = fresh(&site, "outside/file", "");
        let name = site.text("outside/file");
        std::os::unix::fs::symlink(&name, site.path("ws/link")).expect("link");
        std::os::unix::fs::symlink(site.path("outside"), site.path("ws/folder")).expect("link");
        site.user().own(&site.path("ws/link"));
        let server = serve(&site);
        let before = changed(&path);
        for name in [
            "link".to_owned(),
            "folder/file".to_owned(),
            "../outside/file".to_owned(),
            format!("/proc/self/root{name}"),
            "/proc/self/cwd/../outside/file".to_owned(),
        ] {
            let said = server.probe(&["attribute", "fchmodat", &name]);
            assert_eq!(said, "EACCES", "{name}");
        }
        let by_descriptor = server.shell("exec 3< ../outside/file; chmod 777 /proc/self/fd/3");
        assert_ne!(by_descriptor.exit_code(), Some(0), "{}", by_descriptor.text);
        assert_eq!(changed(&path), before);
        assert_eq!(site.outside(&["attribute", "fchmodat", "link"]), "ok", "control");
        assert_ne!(changed(&path), before, "control");
        // The link itself is the workspace's.
        assert_eq!(server.probe(&["attribute", "fchownat", "link"]), "ok");
        // A device that everybody may write stays as it is: an owner set to what it is.
        let device = server.run("probe", &["attribute", "fchownat", "/dev/null"]);
        let refused = if site.user().is_root() { "EACCES" } else { "EPERM" };
        assert_eq!(device.said(), refused, "{}", device.text);
    });
}

#[test]
fn errors_are_the_kernels() {
    as_each_user(|site| {
        std::os::unix::fs::symlink("file", site.path("ws/link")).expect("link");
        fresh(&site, "ws/file", "");
        let server = serve(&site);
        for (probe, path) in [
            ("fchmod-path", "file"),
            ("futimens-path", "file"),
            ("fchmod-none", "file"),
            ("utimes-bad", "file"),
            ("utimensat-bad", "file"),
            ("utimensat-omit", "file"),
            ("utimensat-omit", "no-such-file"),
            ("chmod-null", "file"),
            ("chmod-flags", "file"),
            ("chmod-link", "link"),
            ("lsetxattr", "link"),
            ("setxattr-name", "file"),
            ("setxattr-size", "file"),
            ("setxattr-flags", "file"),
            ("fchmodat", "no-such-file"),
            ("fchmodat", "no/such/file"),
            ("fchmodat", "file/below"),
            ("fchmodat", ""),
            ("fchmodat", "/no/such/file"),
            ("fchmodat", "/proc/self/status"),
        ] {
            let words = ["attribute", probe, path];
            let outside = site.outside(&words);
            let answer = server.run("probe", &words);
            if path.starts_with("/proc/self") {
                assert!(["EPERM", "EACCES"].contains(&answer.said().as_str()), "{}", answer.text);
                continue;
            }
            assert_eq!(answer.said(), outside, "{probe} {path:?}");
            assert_eq!(answer.denials_total(), 0, "{probe} {path:?}: {}", answer.text);
        }
    });
}

/// What its owner alone may do is no denial of the sandbox for anybody else.
#[test]
fn files_of_others_are_no_denials() {
    let site = Site::new(nono_integration_tests::User::all().pop().expect("a user"));
    if site.user().uid() == nix::unistd::getuid().as_raw() {
        // Without root there is one user only, and then everything of the system is another's.
        let said = site.serve().run("probe", &["attribute", "fchmodat", "/etc/passwd"]);
        assert_eq!((said.said().as_str(), said.denials_total()), ("EPERM", 0), "{}", said.text);
        return;
    }
    let path = site.path("outside/roots");
    std::fs::write(&path, "").expect("a file of root");
    let answer = serve(&site).run("probe", &["attribute", "fchmodat", &path.to_string_lossy()]);
    assert_eq!((answer.said().as_str(), answer.denials_total()), ("EPERM", 0), "{}", answer.text);
}
