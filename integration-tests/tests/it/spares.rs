//! What a spare supervisor has built is never older than the call that gets it.
//!
//! Each call here takes a supervisor that got ready while the file system looked otherwise.

use nono_integration_tests::{Server, Site, as_each_user, processes, wait};
use serde_json::json;

const ROUNDS: usize = 4;

/// What a call reads at `path`; `None` if it cannot.
fn reads(server: &Server, path: &str) -> Option<String> {
    let answer = server.exec(&["cat", path]);
    (answer.exit_code() == Some(0)).then(|| answer.stdout().to_owned())
}

/// Lets two spare supervisors get ready for what there is now, as far as that can be seen.
fn settle(server: &Server) {
    let waits = |(pid, _): &(u32, String)| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|b| *b == 0).any(|word| word == b"__supervise")
            && processes::state(*pid) == Some('S')
    };
    let ready = || processes::descendants(server.pid()).iter().filter(|p| waits(p)).count() >= 2;
    // The calls use up those that were there before.
    for _ in 0..2 {
        assert!(wait::until(ready), "spare supervisors");
        assert_eq!(reads(server, "/dev/null").as_deref(), Some(""));
    }
    assert!(wait::until(ready), "spare supervisors");
}

/// A server that may read a folder, which is there when its profile is resolved.
fn granted(site: &Site) -> (Server, String) {
    let folder = site.text("outside/later");
    site.folder("outside/later");
    site.file("outside/later/file", "first");
    let server = site.serve_with(&json!({"filesystem": {"read": [folder]}}));
    assert_eq!(reads(&server, &format!("{folder}/file")).as_deref(), Some("first"));
    (server, folder)
}

#[test]
fn a_granted_path_that_goes_and_comes_back_counts_at_once() {
    as_each_user(|site| {
        let (server, folder) = granted(&site);
        let file = format!("{folder}/file");
        for round in 0..ROUNDS {
            std::fs::remove_dir_all(&folder).expect("remove");
            settle(&server);
            assert_eq!(reads(&server, &file), None);
            site.folder("outside/later");
            site.file("outside/later/file", &round.to_string());
            assert_eq!(reads(&server, &file), Some(round.to_string()));
            settle(&server);
        }
    });
}

#[test]
fn a_granted_path_means_what_is_there_now() {
    as_each_user(|site| {
        let (server, folder) = granted(&site);
        for round in 0..ROUNDS {
            settle(&server);
            let gone = site.text(&format!("outside/gone-{round}"));
            std::fs::rename(&folder, &gone).expect("rename");
            site.folder("outside/later");
            site.file("outside/later/file", &round.to_string());
            assert_eq!(reads(&server, &format!("{gone}/file")), None);
            assert_eq!(reads(&server, &format!("{folder}/file")), Some(round.to_string()));
        }
    });
}
