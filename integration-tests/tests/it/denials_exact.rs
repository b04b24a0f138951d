//! Denials are exact: what is reported is what failed only because of the sandbox, operation by
//! operation, beside the same program outside.

use nono_integration_tests::{Server, Site, User, as_each_user};
use serde_json::{Value, json};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// Numbers that look random and are the same every time.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % sides
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.roll(from.len())]
    }
}

/// The user whose rights are the same outside and inside: root has none of its own here.
pub fn user() -> User {
    *User::all().last().expect("at least one")
}

/// Folders with different grants, twice: where the sandboxed program works and where the control
/// does.
const FOLDERS: [&str; 6] = ["g0", "g1", "g2", "g3", "g4", "g5"];
const OPERATIONS: [&str; 19] = [
    "read",
    "list",
    "write",
    "both",
    "append",
    "truncate",
    "create",
    "create-new",
    "unnamed",
    "no-follow",
    "folder",
    "mkdir",
    "rmdir",
    "unlink",
    "symlink",
    "fifo",
    "rename",
    "link",
    "execute",
];
/// What an operation works on; each is made anew for each operation.
const OBJECTS: [&str; 10] = [
    "file",
    "file",
    "file",
    "folder",
    "folder",
    "script",
    "missing",
    "shut",
    "to-file",
    "to-nothing",
];

/// Makes the objects of operation `n` in `folder`. Links lead into `other`.
fn make(site: &Site, folder: &str, other: &str, n: usize) {
    let at = |name: &str| format!("{folder}/{name}-{n}");
    let mode = |below: &str, mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(site.path(below), mode).expect("chmod");
    };
    for name in ["file", "shut", "aim"] {
        site.file(&at(name), "text\n");
    }
    mode(&at("shut"), 0o000);
    site.folder(&at("folder"));
    site.file(&at("script"), "#!/bin/sh\nexit 0\n");
    mode(&at("script"), 0o755);
    for (name, to) in [("to-file", "aim"), ("to-nothing", "nowhere")] {
        let link = site.path(&at(name));
        symlink(Path::new("..").join(format!("{other}/{to}-{n}")), &link).expect("link");
        site.user().own(&link);
    }
}

fn grants(dice: &mut Dice, site: &Site) -> Value {
    let mut lists = json!({"read": [], "write": [], "allow": []});
    for folder in FOLDERS {
        let path = site.text(&format!("outside/in/{folder}"));
        let field = *dice.pick(&["none", "none", "read", "write", "allow", "data"]);
        match field {
            "none" => {}
            "data" => {
                let entry = json!({"path": path, "execute": false});
                lists["allow"].as_array_mut().expect("a list").push(entry);
            }
            _ => lists[field].as_array_mut().expect("a list").push(json!(path)),
        }
    }
    json!({ "filesystem": lists, "diagnostics": {"filesystem": "observe"} })
}

/// Performs operation `n` in both places; what is not as it should be, if anything.
fn compare(site: &Site, server: &Server, dice: &mut Dice, n: usize) -> (bool, Option<String>) {
    let (folder, other) = (*dice.pick(&FOLDERS), *dice.pick(&FOLDERS));
    let (operation, object) = (*dice.pick(&OPERATIONS), *dice.pick(&OBJECTS));
    for place in ["in", "out"] {
        make(site, &format!("outside/{place}/{folder}"), other, n);
        // Links lead from a folder into its neighbours, which must have their aims.
        site.file(&format!("outside/{place}/{other}/aim-{n}"), "text\n");
    }
    let words = |place: &str| {
        let path = site.text(&format!("outside/{place}/{folder}/{object}-{n}"));
        let target = site.text(&format!("outside/{place}/{other}/new-{n}"));
        let mut words = vec!["file".to_owned(), operation.to_owned(), path];
        if ["rename", "link"].contains(&operation) {
            words.push(target);
        }
        words
    };
    let outside: Vec<String> = words("out");
    let outside = site.outside(&outside.iter().map(String::as_str).collect::<Vec<_>>());
    let inside = words("in");
    let answer = server.run("probe", &inside.iter().map(String::as_str).collect::<Vec<_>>());
    let expected = u64::from(outside == "ok" && answer.said() != "ok");
    let denials = answer.denials();
    let errno = denials.first().map_or("none", |d| d["errno"].as_str().unwrap_or(""));
    let exact = answer.denials_total() == expected && (expected == 0 || errno == answer.said());
    let wrong = (!exact).then(|| {
        format!("{inside:?}: outside {outside}, inside {}, reported {denials:?}", answer.said())
    });
    (expected == 1, wrong)
}

#[test]
fn five_hundred_operations_under_random_grants() {
    let mut dice = Dice::new(0x6e6f_6e6f);
    let (mut wrong, mut refused) = (Vec::new(), 0);
    for round in 0..5 {
        let site = Site::new(user());
        for place in ["outside/in", "outside/out"] {
            site.folder(place);
            FOLDERS.iter().for_each(|f| drop(site.folder(&format!("{place}/{f}"))));
        }
        let grants = grants(&mut dice, &site);
        let server = site.serve_with(&grants);
        for n in 0..100 {
            let (denied, mistake) = compare(&site, &server, &mut dice, n);
            refused += u32::from(denied);
            wrong.extend(mistake.map(|m| format!("round {round}, {grants}: {m}")));
        }
    }
    assert!(wrong.is_empty(), "{} of 500:\n{}", wrong.len(), wrong.join("\n"));
    assert!(refused > 80, "only {refused} of 500 were refused: this shows little");
}

/// `mv` into a folder asks first whether the folder's own name is free. What no rule lets be written
/// is not sealed, whatever is kept below it: the kernel's answer is the file system's.
#[test]
fn a_name_that_is_taken_is_no_refusal() {
    as_each_user(|site| {
        let server = site.serve();
        let answer = server.shell("mkdir sub && touch sub/z && mv sub/z \"$PWD/\" && ls z");
        assert_eq!((answer.stdout(), answer.denials_total()), ("z\n", 0), "{}", answer.text);
    });
}
