//! The battery that ships with the program, as each user and in each tier.

use nono_integration_tests::{Site, as_each_user};
use serde_json::json;

/// Runs `doctor --attack` under a profile; its table.
fn table(site: &Site, extra: &serde_json::Value) -> String {
    let profile = site.profile(extra);
    let profile = profile.to_str().expect("a path in UTF-8");
    let output = site
        .nono_mcp(&["doctor", "--attack", "--profile", profile])
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
            let most = if isolation == "auto" { 6 } else { 15 };
            assert!(open.len() <= most, "as {:?}, {isolation}: {open:#?}", site.user());
            assert!(closed.len() >= 110, "too few have a control here: {table}");
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
