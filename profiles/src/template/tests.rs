//! Tables of what the tokenizer accepts and refuses.

use super::*;
use nono_sandbox::AbsPath;
use std::collections::BTreeMap;

fn context(environment: &[(&str, &str)]) -> Context {
    let environment: BTreeMap<_, _> =
        environment.iter().map(|(k, v)| (k.into(), v.into())).collect();
    let path = |s: &str| AbsPath::new(s).unwrap();
    Context::new(vec![path("/w/a"), path("/w/b")], path("/t"), environment, 1000)
}

/// Base and components of each expansion, joined.
fn paths(text: &str, context: &Context) -> Result<Vec<String>, String> {
    let templates = PathTemplate::parse(text)?;
    let expanded = templates.iter().map(|t| t.expand(context)).collect::<Result<Vec<_>, _>>()?;
    Ok(expanded
        .into_iter()
        .flatten()
        .map(|e| e.base.join(e.components.join("/")).display().to_string())
        .collect())
}

#[test]
fn paths_expand() {
    let context = context(&[
        ("HOME", "/h"),
        ("CARGO_HOME", "/c"),
        ("XDG_CACHE_HOME", "relative"),
        ("PATH", "/bin::rel:/h/bin"),
        ("NVM_DIR", ""),
    ]);
    let table: &[(&str, &[&str])] = &[
        ("/usr//./lib/", &["/usr/lib"]),
        ("/", &["/"]),
        ("~", &["/h/"]),
        ("~/.x", &["/h/.x"]),
        ("$HOME/.x", &["/h/.x"]),
        ("${HOME}/.x", &["/h/.x"]),
        ("$CARGO_HOME/bin", &["/c/bin"]),
        ("$NVM_DIR/v", &["/h/.nvm/v"]),
        ("$XDG_DATA_HOME/x", &["/h/.local/share/x"]),
        ("$WORKSPACE/x", &["/w/a/x", "/w/b/x"]),
        ("$PATH_DIRS", &["/bin/", "/h/bin/"]),
        ("/run/user/$UID/x", &["/run/user/1000/x"]),
        ("/run/user/${UID}x", &["/run/user/1000x"]),
        ("/a$$b", &["/a$b"]),
        ("$TMPDIR", &["/t/"]),
        ("/e/{a,b/c}/d", &["/e/a/d", "/e/b/c/d"]),
        ("~/{a,b}{,.x}", &["/h/a", "/h/a.x", "/h/b", "/h/b.x"]),
        ("$WORKSPACE/{a,b}", &["/w/a/a", "/w/b/a", "/w/a/b", "/w/b/b"]),
    ];
    for (text, expected) in table {
        assert_eq!(paths(text, &context).unwrap(), *expected, "{text}");
    }
    assert!(paths("$XDG_CACHE_HOME/x", &context).unwrap_err().contains("XDG_CACHE_HOME"));
}

#[test]
fn bad_paths_are_named() {
    let context = context(&[]);
    for (text, part) in [
        ("", "starts with"),
        ("usr", "starts with"),
        ("$UID/x", "starts with"),
        ("~bob/x", "`HOME` must be followed by `/`"),
        ("${HOME}x", "must be followed by `/`"),
        ("$HOMES/x", "unknown variable `$HOMES`; did you mean `$HOME`?"),
        ("$WHATEVER_THIS_IS/x", "unknown variable `$WHATEVER_THIS_IS`; known: HOME"),
        ("/a/$HOME", "only stand at the start"),
        ("/a/../b", "`..`"),
        ("/a/**/b", "`**`"),
        ("/a$", "`$$`"),
        ("/a$/b", "`$$`"),
        ("/a${HOME", "without `}`"),
        ("/a/{b", "`{` without `}`"),
        ("/a/b}", "`}` without `{`"),
        ("/a/{b,{c}}", "nested"),
        ("/a/{b,../c}", "`..`"),
        ("/a\0", "NUL"),
        ("~/x", "there is no home"),
        ("$SSL_CERT_FILE", "`$SSL_CERT_FILE` is not set"),
    ] {
        let message = paths(text, &context).unwrap_err();
        assert!(message.contains(part), "{text}: {message}");
    }
}

#[test]
fn origin_follows_the_value() {
    let context = context(&[("HOME", "/h"), ("CARGO_HOME", "/c"), ("XDG_CACHE_HOME", "/x")]);
    for (text, origin) in [
        ("/usr", Origin::Written),
        ("~/x", Origin::Written),
        ("$RUSTUP_HOME", Origin::Written),
        ("$WORKSPACE", Origin::Workspace),
        ("$CARGO_HOME", Origin::Environment),
        ("$UV_CACHE_DIR", Origin::Environment),
    ] {
        let expanded = PathTemplate::parse(text).unwrap()[0].expand(&context).unwrap();
        assert!(expanded.iter().all(|e| e.origin == origin), "{text}");
    }
}

#[test]
fn values_expand() {
    let context = context(&[("HOME", "/h")]);
    let value = |text: &str| {
        ValueTemplate::parse(text)
            .and_then(|t| t.expand(&context))
            .map(|v| v.into_string().unwrap())
    };
    for (text, expected) in [
        ("", ""),
        ("plain text, ~ stays", "plain text, ~ stays"),
        ("$TMPDIR", "/t"),
        ("a:$HOME/b:$UID", "a:/h/b:1000"),
        ("5$$", "5$"),
    ] {
        assert_eq!(value(text).unwrap(), expected, "{text}");
    }
    assert!(value("$WORKSPACE").unwrap_err().contains("several"));
    assert!(value("$NO").unwrap_err().contains("unknown variable"));
    assert!(value("$JAVA_HOME").unwrap_err().contains("not set"));
}
