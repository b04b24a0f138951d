//! Which variables of the server's environment a command sees.

use crate::context::Context;
use crate::error::ProfileError;
use crate::layer::{Layer, SetVar, Sourced};
use crate::note::{Note, NoteKind};
use globset::{Glob, GlobSet, GlobSetBuilder};
use nono_sandbox::policy::Environment;
use std::collections::{BTreeMap, HashSet};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Applies `allow_vars`, then `deny_vars` (which wins), then `set_vars`.
pub(crate) fn resolve(
    layer: &Layer,
    context: &Context,
    notes: &mut Vec<Note>,
) -> Result<Environment, ProfileError> {
    let allow = Names::of(&layer.allow_vars.added)?;
    let deny = Names::of(&layer.deny_vars.added)?;
    // Names that the operator spelled out.
    let written = layer.allow_vars.added.iter().filter(|glob| !glob.built_in);
    let meant: HashSet<&str> = written.map(|glob| glob.value.glob()).collect();
    let mut variables = BTreeMap::new();
    let mut withheld = Vec::new();
    for (name, value) in &context.environment {
        // A name that is not text cannot have been meant by a pattern.
        let passed = name.to_str().filter(|n| allow.contains(n) && !deny.contains(n));
        let passed = passed.filter(|n| !loads_code(n) || allow.plain.contains(n));
        let passed = passed.filter(|n| meant.contains(n) || !holds_password(value.as_bytes()));
        match passed {
            Some(name) => {
                variables.insert(name.to_owned(), value.as_bytes().to_vec());
            }
            None => withheld.push(name.to_string_lossy().into_owned()),
        }
    }
    for set in last_of_each_name(layer) {
        let SetVar { name, value, when_unset, .. } = &set.value;
        if *when_unset && variables.contains_key(name) {
            continue;
        }
        match value.expand(context) {
            Ok(value) => {
                variables.insert(name.clone(), value.into_vec());
            }
            Err(message) => notes.push(Note {
                kind: NoteKind::Unset,
                source: set.source.clone(),
                message,
                built_in: set.built_in,
            }),
        }
    }
    withheld.retain(|name| !variables.contains_key(name));
    Ok(Environment { variables, withheld, credentials: BTreeMap::new() })
}

/// Where a variable is set more than once, the last profile decides.
fn last_of_each_name(layer: &Layer) -> impl Iterator<Item = &Sourced<SetVar>> {
    let last: BTreeMap<&str, &Sourced<SetVar>> =
        layer.set_vars.added.iter().map(|set| (set.value.name.as_str(), set)).collect();
    last.into_values()
}

/// Variables that make programs load code or run commands of the variable's choice before their
/// own. A pattern such as `*` does not mean them: they pass only where `allow_vars` spells the
/// name out or `set_vars` sets it.
const LOADERS: &[&str] = &[
    "GCONV_PATH",
    "BASH_ENV",
    "ENV",
    "SHELLOPTS",
    "BASHOPTS",
    "PROMPT_COMMAND",
    "IFS",
    "NODE_OPTIONS",
    "PYTHONSTARTUP",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONINSPECT",
    "PYTHONBREAKPOINT",
    "PERL5OPT",
    "PERL5DB",
    "RUBYOPT",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "_JAVA_OPTIONS",
    "DOTNET_STARTUP_HOOKS",
    "CORECLR_PROFILER",
    "CORECLR_PROFILER_PATH",
    "R_PROFILE_USER",
    "LUA_INIT",
];

/// Whether a variable is one of those; the dynamic loader's and the C library's by their prefixes.
pub(crate) fn loads_code(name: &str) -> bool {
    LOADERS.contains(&name)
        || ["LD_", "BASH_FUNC_", "LUA_INIT_", "CORECLR_"].iter().any(|p| name.starts_with(p))
}

/// Whether a value has an address with a user and password in it (`https://me:secret@host/`), or, of
/// a web address, with a user alone: tokens stand there. Package indexes, caches and proxies are
/// named so.
pub(crate) fn holds_password(value: &[u8]) -> bool {
    const MARK: &[u8] = b"://";
    let mut rest = value;
    while let Some(at) = rest.windows(MARK.len()).position(|part| part == MARK) {
        let (before, behind) = (&rest[..at], &rest[at + MARK.len()..]);
        let end = behind.iter().position(|b| b"/?#".contains(b) || b.is_ascii_whitespace());
        let authority = &behind[..end.unwrap_or(behind.len())];
        if let Some(at) = authority.iter().rposition(|b| *b == b'@') {
            let user = &authority[..at];
            let password = user.iter().position(|b| *b == b':').map(|at| &user[at + 1..]);
            let before = before.to_ascii_lowercase();
            let is_web = before.ends_with(b"http") || before.ends_with(b"https");
            if password.is_some_and(|p| !p.is_empty()) || is_web && user.iter().any(|b| *b != b':')
            {
                return true;
            }
        }
        rest = behind;
    }
    false
}

/// Names, most of them spelled out. Those need no automaton, whose building is most of the cost of
/// matching a few dozen variables.
struct Names<'l> {
    plain: HashSet<&'l str>,
    globs: GlobSet,
}

impl<'l> Names<'l> {
    fn of(list: &'l [Sourced<Glob>]) -> Result<Self, ProfileError> {
        let is_plain = |text: &str| !text.contains(['*', '?', '[', ']', '{', '}', '\\']);
        let mut plain = HashSet::new();
        let mut builder = GlobSetBuilder::new();
        for glob in list {
            let text = glob.value.glob();
            if is_plain(text) {
                plain.insert(text);
            } else {
                builder.add(glob.value.clone());
            }
        }
        // Each glob was valid by itself; together they can only be too many.
        let globs = builder.build().or_else(|error| match list.last() {
            Some(last) => {
                Err(ProfileError::entry(&last.source, format!("too many globs: {}", error.kind())))
            }
            None => Ok(GlobSet::empty()),
        })?;
        Ok(Self { plain, globs })
    }

    fn contains(&self, name: &str) -> bool {
        self.plain.contains(name) || self.globs.is_match(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::List;
    use crate::template::ValueTemplate;
    use nono_sandbox::AbsPath;
    use nono_sandbox::policy::Source;
    use std::ffi::OsString;

    fn sourced<T>(value: T) -> Sourced<T> {
        let source = Source { profile: "t".into(), rule: "r".into(), line: None };
        Sourced { value, source, built_in: false }
    }

    fn globs(list: &[&str]) -> List<Glob> {
        List::adding(list.iter().map(|text| sourced(Glob::new(text).unwrap())).collect())
    }

    fn set(name: &str, value: &str, when_unset: bool) -> Sourced<SetVar> {
        let value = ValueTemplate::parse(value).unwrap();
        sourced(SetVar { name: name.to_owned(), value, when_unset, when: Vec::new() })
    }

    #[test]
    fn deny_wins_and_set_comes_last() {
        let environment = [
            ("PATH", "/bin"),
            ("LC_ALL", "C"),
            ("LC_SECRET", "x"),
            ("API_TOKEN", "x"),
            ("PAGER", "less"),
            ("LANG", "de_DE"),
            ("PATHS", "x"),
        ];
        let mut environment: BTreeMap<OsString, OsString> =
            environment.iter().map(|(k, v)| (k.into(), v.into())).collect();
        environment.insert(OsString::from_vec(b"LC_\xff".to_vec()), "x".into());
        environment.insert("LC_BYTES".into(), OsString::from_vec(b"\xfe".to_vec()));
        let path = |s: &str| AbsPath::new(s).unwrap();
        let context = Context::new(vec![path("/w")], path("/t"), environment, 0);
        let layer = Layer {
            allow_vars: globs(&["PATH", "LC_*", "LANG", "API_*"]),
            deny_vars: globs(&["*SECRET*", "*_TOKEN"]),
            set_vars: List::adding(vec![
                set("PAGER", "more", false),
                set("LANG", "C.UTF-8", true),
                set("PAGER", "cat", false),
                set("TMPDIR", "$TMPDIR/x", false),
                set("GONE", "$HOME", false),
            ]),
            ..Layer::default()
        };
        let mut notes = Vec::new();
        let resolved = resolve(&layer, &context, &mut notes).unwrap();
        let expected: &[(&str, &[u8])] = &[
            ("LANG", b"de_DE"),
            ("LC_ALL", b"C"),
            ("LC_BYTES", b"\xfe"),
            ("PAGER", b"cat"),
            ("PATH", b"/bin"),
            ("TMPDIR", b"/t/x"),
        ];
        let expected = expected.iter().map(|(k, v)| ((*k).to_owned(), v.to_vec())).collect();
        assert_eq!(resolved.variables, expected);
        assert_eq!(resolved.withheld, ["API_TOKEN", "LC_SECRET", "LC_\u{fffd}", "PATHS"]);
        assert_eq!(notes.len(), 1);
        assert_eq!(notes[0].kind, NoteKind::Unset);
    }

    #[test]
    fn what_loads_code_must_be_named() {
        let path = |s: &str| AbsPath::new(s).unwrap();
        let names =
            ["LD_PRELOAD", "LD_LIBRARY_PATH", "BASH_ENV", "NODE_OPTIONS", "LDFLAGS", "ENVY"];
        let environment = names.iter().map(|name| (name.into(), "x".into())).collect();
        let context = Context::new(vec![path("/w")], path("/t"), environment, 0);
        let passed = |allow: &[&str]| {
            let layer = Layer { allow_vars: globs(allow), ..Layer::default() };
            let resolved = resolve(&layer, &context, &mut Vec::new()).unwrap();
            resolved.variables.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(passed(&["*"]), ["ENVY", "LDFLAGS"]);
        assert_eq!(passed(&["LD_*", "BASH_EN?", "NODE_*"]), Vec::<String>::new());
        assert_eq!(passed(&["LD_LIBRARY_PATH", "BASH_ENV"]), ["BASH_ENV", "LD_LIBRARY_PATH"]);
    }

    #[test]
    fn an_address_with_a_password_must_be_named_by_the_operator() {
        for secret in [
            "https://me:secret@index.example/simple",
            "https://token@index.example",
            "extra=https://me:p%40ss@a.example https://b.example",
            "https://b.example,HTTP://:secret@c.example:80",
            "redis://me:secret@cache.example:6379|ttl=1",
            "git+https://ghp@example.org/x",
            "https://me:se@cret@index.example",
        ] {
            assert!(holds_password(secret.as_bytes()), "{secret}");
        }
        for plain in [
            "",
            "https://index.example/simple",
            "ssh://git@github.com/x",
            "https://example.org/@scope/name:1",
            "http://proxy.example:3128",
            "redis://me:@cache.example",
            "a@b.example",
            "https://b.example me:secret@c",
            "://",
        ] {
            assert!(!holds_password(plain.as_bytes()), "{plain}");
        }
        let path = |s: &str| AbsPath::new(s).unwrap();
        let value = "https://me:secret@index.example/";
        let environment = BTreeMap::from([("PIP_INDEX_URL".into(), value.into())]);
        let context = Context::new(vec![path("/w")], path("/t"), environment, 0);
        let built_in = |text| Sourced { built_in: true, ..sourced(Glob::new(text).unwrap()) };
        let passed = |allow| {
            let layer = Layer { allow_vars: List::adding(vec![allow]), ..Layer::default() };
            resolve(&layer, &context, &mut Vec::new()).unwrap().variables.len()
        };
        assert_eq!(passed(sourced(Glob::new("PIP_*").unwrap())), 0);
        assert_eq!(passed(built_in("PIP_INDEX_URL")), 0);
        assert_eq!(passed(sourced(Glob::new("PIP_INDEX_URL").unwrap())), 1);
    }

    #[test]
    fn nothing_passes_without_an_allow_list() {
        let path = |s: &str| AbsPath::new(s).unwrap();
        let environment = BTreeMap::from([("PATH".into(), "/bin".into())]);
        let context = Context::new(vec![path("/w")], path("/t"), environment, 0);
        let resolved = resolve(&Layer::default(), &context, &mut Vec::new()).unwrap();
        assert!(resolved.variables.is_empty());
        assert_eq!(resolved.withheld, ["PATH"]);
    }
}
