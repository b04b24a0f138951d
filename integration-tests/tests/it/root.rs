//! Started as root: commands are root's, without root's capabilities. What counts on those works by
//! a remedy, or the result says what to do.

use nono_integration_tests::require::has_program;
use nono_integration_tests::{Server, Site, User};
use serde_json::json;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::Path;

/// Somebody who is not root.
const OTHER: u32 = 12345;

/// A site of root's; `None` where the tests do not run as root.
fn site() -> Option<Site> {
    User::Same.is_root().then(|| Site::new(User::Same))
}

fn give(path: &Path) {
    lchown(path, Some(OTHER), Some(OTHER)).expect("give it away");
    if path.is_dir() && !path.is_symlink() {
        for entry in std::fs::read_dir(path).expect("list") {
            give(&entry.expect("an entry").path());
        }
    }
}

#[test]
fn git_reads_repositories_of_others() {
    let Some(site) = site().filter(|_| has_program("git")) else { return };
    let git = |words: &[&str]| {
        let mut command = site.command(Path::new("git"));
        command.args(["-c", "user.name=A", "-c", "user.email=a@example.invalid"]).args(words);
        command.output().expect("git")
    };
    assert!(git(&["init", "-q", "theirs"]).status.success());
    site.file("ws/theirs/text", "1\n");
    assert!(git(&["-C", "theirs", "add", "text"]).status.success());
    assert!(git(&["-C", "theirs", "commit", "-qm", "first"]).status.success());
    give(&site.path("ws/theirs"));
    let refused = git(&["-C", "theirs", "log"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("dubious ownership"), "the control: {said}");
    for isolation in ["required", "off"] {
        let server = site.serve_with(&json!({ "isolation": isolation }));
        let answer = server.shell(
            "git -C theirs log --format=%s && git -C theirs status --short &&
             git clone -q --upload-pack='git -c safe.directory=* upload-pack' theirs mine &&
             git -C mine log --format=%s && rm -rf mine",
        );
        assert_eq!(answer.stdout(), "first\nfirst\n", "{isolation}: {}", answer.text);
        let answer = server.shell("git clone -q theirs mine");
        assert!(answer.text.contains("--upload-pack="), "{isolation}: {}", answer.text);
    }
}

#[test]
fn archives_and_packages_are_made_and_unpacked() {
    let Some(site) = site() else { return };
    site.file("ws/plain", "x");
    give(&site.path("ws/plain"));
    let server = site.serve();
    let answer = server.shell(
        "tar -cf a.tar plain && mkdir t && tar -xpf a.tar -C t && cat t/plain &&
         python3 -c 'import tarfile; tarfile.open(\"a.tar\").extractall(\"p\")' &&
         install -o root -g root -m 755 t/plain installed && chown root:root installed",
    );
    assert_eq!(answer.stdout(), "x", "{}", answer.text);
    if has_program("dpkg-deb") {
        let answer = server.shell(
            "mkdir -p d/DEBIAN && printf 'Package: x\\nVersion: 1\\nArchitecture: all\\n\
             Maintainer: a <a@example.invalid>\\nDescription: x\\n' > d/DEBIAN/control &&
             dpkg-deb --root-owner-group --build d x.deb && dpkg-deb -x x.deb out",
        );
        assert_eq!(answer.exit_code(), Some(0), "{}", answer.text);
    }
}

#[test]
fn what_has_no_remedy_is_explained() {
    let Some(site) = site() else { return };
    site.file("ws/theirs", "x");
    give(&site.path("ws/theirs"));
    site.file("ws/own", "x");
    let server = site.serve();
    let cases = [
        ("cp -a theirs copy", "--no-preserve=ownership"),
        ("install -o 12345 own installed", "leave the owner out"),
        ("chown 12345 own", "no file can be given to another owner"),
        ("cp own theirs", "--run-as"),
        ("su -s /bin/sh -c true nobody", "becomes another user"),
    ];
    for (command, expected) in cases {
        let outside = site.command(Path::new("/bin/sh")).args(["-c", command]).output();
        assert!(outside.expect("sh").status.success(), "the control: {command}");
        give(&site.path("ws/theirs"));
        lchown(site.path("ws/own"), Some(0), Some(0)).expect("take it back");
        for made in ["copy", "installed"] {
            let _absent = std::fs::remove_file(site.path("ws").join(made));
        }
        let answer = server.shell(command);
        assert_ne!(answer.exit_code(), Some(0), "{command}: {}", answer.text);
        assert!(answer.text.contains(expected), "{command}: {}", answer.text);
    }
    let answer = server.shell("cp -a --no-preserve=ownership theirs copy && cat copy");
    assert_eq!(answer.stdout(), "x", "{}", answer.text);
}

/// Without root's capabilities the way to it is closed, and the workspace is not.
#[test]
fn a_workspace_below_a_folder_of_somebody_else() {
    let Some(site) = site() else { return };
    site.folder("closed/ws");
    site.file("closed/ws/file", "inside\n");
    lchown(site.path("closed"), Some(OTHER), Some(OTHER)).expect("give it away");
    let closed = Permissions::from_mode(0o700);
    std::fs::set_permissions(site.path("closed"), closed).expect("close it");
    for isolation in ["required", "off"] {
        let profile = site.profile(&json!({ "isolation": isolation }));
        let (workspace, profile) = (site.text("closed/ws"), profile.to_string_lossy().into_owned());
        let args = ["--stdio", "--workspace", &workspace, "--profile", &profile];
        let server = Server::start_command(&site, site.nono_mcp(&args));
        for _ in 0..3 {
            let answer = server.exec(&["cat", "file"]);
            assert_eq!(answer.stdout(), "inside\n", "{isolation}: {}", answer.text);
            let answer = server.exec(&["chmod", "600", "file"]);
            assert_eq!(answer.exit_code(), Some(0), "{isolation}: {}", answer.text);
            for control in [&["cat"][..], &["chmod", "600"]] {
                let absolute = format!("{workspace}/file");
                let answer = server.exec(&[control, &[&absolute]].concat());
                assert_eq!(answer.exit_code(), Some(1), "{isolation}, control: {}", answer.text);
            }
        }
    }
}

/// What the permissions of a folder keep from commands, no argument of a call finds out either.
#[test]
fn calls_find_out_nothing_about_closed_folders() {
    let Some(site) = site() else { return };
    site.folder("ws/closed/x");
    site.file("ws/closed/x/file", "#!/bin/sh\n");
    let (closed, file) = (site.path("ws/closed"), site.path("ws/closed/x/file"));
    let mode = |path: &Path, mode: u32| {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("set its mode");
    };
    mode(&file, 0o755);
    give(&closed);
    let server = site.serve();
    let calls = |name: &str| {
        [
            json!({ "argv": [name] }),
            json!({ "argv": ["/bin/true"], "cwd": name }),
            json!({ "argv": ["/bin/true"], "writable": [name] }),
        ]
    };
    let answers = |name: &str| {
        calls(name).map(|call| {
            let answer = server.call("exec", call).expect("an answer");
            (answer.exit_code(), answer.text.replace(name, "NAME"))
        })
    };
    let [there, missing, folder] = ["closed/x/file", "closed/x/gone", "closed/x"];
    for (file, (gone, folder)) in
        answers(there).iter().zip(answers(missing).iter().zip(&answers(folder)))
    {
        assert!(file != gone && gone != folder, "the control: {file:?} {gone:?} {folder:?}");
    }
    mode(&closed, 0o700);
    let told = answers(there);
    assert!(told.iter().all(|(code, _)| code.is_none()), "{told:?}");
    assert_eq!((&told, &told), (&answers(missing), &answers(folder)));
}

/// A folder of somebody else's that may be renamed can come to be in `$TMPDIR`, whatever is in it.
#[test]
fn what_others_have_is_not_removed_with_the_private_folder() {
    let Some(site) = site() else { return };
    for name in ["ws/control", "ws/shared"] {
        site.folder(&format!("{name}/private"));
        site.file(&format!("{name}/private/file"), "precious");
        give(&site.path(name));
        std::fs::set_permissions(site.path(name), Permissions::from_mode(0o777)).expect("chmod");
    }
    let outside = site.run_outside_shell("rm -r control && ls -d control");
    assert!(!outside.status.success() && !site.path("ws/control").exists(), "the control");
    let mut server = site.serve();
    let inside = server.shell(
        "rm -rf shared/private; mkdir -p $TMPDIR/own/deep && chmod 0 $TMPDIR/own/deep $TMPDIR/own
         mv shared $TMPDIR/ && cat $TMPDIR/shared/private/file && echo $TMPDIR",
    );
    let (text, folder) = inside.stdout().split_once("precious").expect(&inside.text);
    assert_eq!(text, "");
    server.close();
    let folder = Path::new(folder.trim());
    let kept = std::fs::read_to_string(folder.join("shared/private/file"));
    assert_eq!(kept.expect("it is there"), "precious");
    let names = std::fs::read_dir(folder).expect("list").map(|entry| entry.expect("an entry"));
    let names: Vec<_> = names.map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["shared"], "what was the run's own is gone");
    assert!(server.log().contains("cannot remove the private folder"), "{}", server.log());
    assert!(server.log().contains("shared"), "{}", server.log());
}
