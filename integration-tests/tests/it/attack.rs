//! The battery that ships with the program, as each user and in each tier.

use nono_integration_tests::{Site, as_each_user};
use serde_json::json;

/// Runs `doctor --attack` under a profile; its table.
fn table(site: &Site, extra: &serde_json::Value) -> String {
    table_with(site, extra, &[])
}

/// The same with more on the command line.
fn table_with(site: &Site, extra: &serde_json::Value, more: &[&str]) -> String {
    let profile = site.profile(extra);
    let profile = profile.to_str().expect("a path in UTF-8");
    let output = site
        .nono_mcp(&[&["doctor", "--attack", "--profile", profile][..], more].concat())
        .output()
        .expect("run the battery");
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "as {:?}: {table}\n{errors}", site.user());
    table
}

/// Rows whose verdict is this word.
fn rows<'t>(table: &'t str, verdict: &str) -> Vec<&'t str> {
    table.lines().filter(|line| line.split_whitespace().nth(1) == Some(verdict)).collect()
}

#[test]
fn nothing_gets_out_that_should_not() {
    as_each_user(|site| {
        for isolation in ["auto", "off"] {
            let table =
                table(&site, &json!({ "isolation": isolation, "network": {"mode": "none"} }));
            let (open, closed) = (rows(&table, "open"), rows(&table, "closed"));
            // Without namespaces what they would close is open as well.
            let most = if isolation == "auto" { 6 } else { 17 };
            assert!(open.len() <= most, "as {:?}, {isolation}: {open:#?}", site.user());
            assert!(closed.len() >= 180, "too few have a control here: {table}");
            assert!(table.ends_with("as promised\n"), "{table}");
        }
    });
}

#[test]
fn the_default_profile_is_as_promised() {
    as_each_user(|site| {
        let table = table(&site, &json!({}));
        assert_eq!(rows(&table, "ESCAPED"), Vec::<&str>::new());
        let unix = table.split("\nAF_UNIX\n").nth(1).and_then(|rest| rest.split("\n\n").next());
        assert_eq!(rows(unix.expect("the area"), "open"), Vec::<&str>::new());
    });
}

/// Each of these shows that the control is one: nothing refuses it there.
#[test]
fn an_open_network_opens_what_only_the_network_closes() {
    as_each_user(|site| {
        let open = table_with(&site, &json!({}), &["--network", "open"]);
        assert!(open.starts_with("attack as user"), "{open}");
        assert!(open.lines().next().is_some_and(|line| line.ends_with("network open")), "{open}");
        let opened = rows(&open, "open");
        for probe in ["zero-copy", "bind-device", "udp-sends"] {
            let named = |row: &&&str| row.split_whitespace().next() == Some(probe);
            assert!(opened.iter().any(|row| named(&row)), "{probe}: {open}");
        }
    });
}

#[test]
fn an_older_kernel_can_be_pretended() {
    as_each_user(|site| {
        let of_network = json!({ "network": {"mode": "none"} });
        let enforced = |more: &[&str]| {
            let table = table_with(&site, &of_network, more);
            assert_eq!(rows(&table, "ESCAPED"), Vec::<&str>::new());
            table.lines().nth(1).expect("what is enforced").to_owned()
        };
        if enforced(&[]).contains("landlock_scopes") {
            assert!(!enforced(&["--pretend-landlock-abi", "5"]).contains("landlock_scopes"));
        }
    });
}

#[test]
fn a_workspace_cannot_be_attacked() {
    as_each_user(|site| {
        let workspace = site.text("ws");
        let mut command = site.nono_mcp(&["doctor", "--attack", "--workspace", &workspace]);
        let output = command.output().expect("run the battery");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("--workspace cannot be used with --attack"), "{said}");
        assert!(output.stdout.is_empty(), "nothing is tried");
    });
}
