//! The built-in `coding` profile.

use super::World;
use crate::{Context, NoteKind, ProfileError, ProfileRef, Relation, resolve};
use nono_sandbox::AbsPath;
use nono_sandbox::policy::{Access, FsPolicy, Lookup, Mediation, Policy, Scope};
use std::time::{Duration, Instant};

const READ: Access = Access::READ.union(Access::EXECUTE);

fn coding() -> ProfileRef {
    ProfileRef::default()
}

/// Files of a home in which everything the profile protects exists.
const SECRETS: &[&str] = &[
    ".ssh/id_ed25519",
    ".gnupg/x",
    ".aws/credentials",
    ".kube/config",
    ".docker/config.json",
    ".netrc",
    ".git-credentials",
    ".config/git/credentials",
    ".config/gh/hosts.yml",
    ".config/gcloud/x",
    ".npmrc",
    ".pypirc",
    ".cargo/credentials.toml",
    ".cargo/credentials",
    ".bash_history",
    ".zsh_history",
    ".claude/x",
    ".claude.json",
    ".claude.json.backup",
    ".codex/auth.json",
    ".gemini/x",
    ".mozilla/x",
    ".config/google-chrome/x",
    ".local/share/keyrings/x",
    ".local/share/uv/credentials/x",
    ".bashrc",
    ".gem/credentials",
    ".gradle/gradle.properties",
    ".m2/settings.xml",
    "Documents/letter",
];

const USED: &[&str] = &[
    ".gitconfig",
    ".config/git/config",
    ".cargo/bin/cargo",
    ".cargo/config.toml",
    ".rustup/toolchains/x",
    ".pyenv/versions/x",
    ".nvm/x",
    ".local/bin/tool",
    "go/bin/tool",
    ".local/share/uv/python/x",
    ".gem/ruby/x",
    "sdk/go1.22/bin/go",
    // Programs that tools fetched and run outside too.
    ".cache/node/corepack/v1/pnpm/9/bin",
    ".cache/bazelisk/downloads/x",
    ".m2/wrapper/dists/x",
    ".gradle/wrapper/dists/gradle-8-bin/hash/gradle-8/bin/gradle",
    ".gradle/jdks/x",
];

const CACHES: &[&str] = &[
    ".cargo/registry/x",
    ".cargo/git/x",
    ".cargo/.package-cache",
    ".npm/x",
    ".npm/_npx/x",
    ".cache/pre-commit/x",
    ".m2/repository/x",
    ".gradle/caches/x",
    ".gradle/wrapper/dists/gradle-8-bin/hash/gradle-8-bin.zip.lck",
    ".cache/pip/x",
    ".cache/uv/x",
    "go/pkg/x",
    ".m2/repository/x",
    ".gradle/caches/x",
    ".cache/go-build/x",
];

fn furnished() -> World {
    let world = World::new();
    for list in [SECRETS, USED, CACHES] {
        let paths: Vec<String> = list.iter().map(|file| format!("home/{file}")).collect();
        world.make(&paths.iter().map(String::as_str).collect::<Vec<_>>());
    }
    world
}

/// The promise of every resolved policy.
fn assert_nothing_denied_is_open(fs: &FsPolicy) {
    for rule in fs.rules.iter().filter(|r| r.access != Access::MAKE_SOCKET) {
        for closed in fs.denied.iter().map(|denied| &denied.path) {
            assert!(!rule.covers(closed), "{rule:?} opens {closed}");
            assert!(!rule.path.is_within(closed), "{rule:?} lies in {closed}");
        }
    }
}

#[test]
fn a_furnished_home_resolves() {
    let world = furnished();
    let resolved = world.resolve(&coding()).unwrap();
    let warnings: Vec<_> = resolved.notes.iter().filter(|n| n.is_warning()).collect();
    assert!(warnings.is_empty(), "{warnings:?}");
    let fs = &resolved.policy.fs;
    assert_nothing_denied_is_open(fs);
    let lookup = |file: &str, access| fs.lookup(&world.path(&format!("home/{file}")), access);
    for file in SECRETS {
        assert_ne!(lookup(file, Access::READ), Lookup::Allowed, "{file}");
        assert_ne!(lookup(file, Access::WRITE), Lookup::Allowed, "{file}");
    }
    assert!(matches!(lookup(".ssh/id_ed25519", Access::READ), Lookup::Denied(_)));
    assert_eq!(lookup("Documents/letter", Access::READ), Lookup::NoGrant);
    for file in USED {
        assert_eq!(lookup(file, Access::READ), Lookup::Allowed, "{file}");
        assert_ne!(lookup(file, Access::WRITE), Lookup::Allowed, "{file}");
    }
    for file in CACHES {
        assert_eq!(lookup(file, Access::READ | Access::WRITE), Lookup::Allowed, "{file}");
    }
}

#[test]
fn workspace_and_tmpdir_are_open_and_bindable() {
    let world = World::new();
    let policy = world.resolve(&coding()).unwrap().policy;
    for folder in ["work", "tmp"] {
        let inside = world.path(folder).join("x/y").unwrap();
        let all = READ | Access::WRITE | Access::MAKE_SOCKET;
        assert_eq!(policy.fs.lookup(&inside, all), Lookup::Allowed, "{folder}");
        assert!(policy.unix.bind_grant(&inside).is_some(), "{folder}");
    }
    assert_eq!(policy.fs.writable_roots()[..2], [&world.path("work"), &world.path("tmp")]);
    assert_eq!(policy.unix.grants.len(), 2);
    assert_eq!(policy.unix.mediation, Mediation::Pathname);
    assert!(!policy.unix.datagrams);
}

#[test]
fn the_system_can_be_used_and_not_changed() {
    let world = World::new();
    let policy = world.resolve(&coding()).unwrap().policy;
    let lookup = |path: &str, access| {
        policy.fs.lookup(&AbsPath::new(path).unwrap(), access) == Lookup::Allowed
    };
    for path in ["/usr/bin/env", "/usr/lib/x"] {
        assert!(lookup(path, READ), "{path}");
        assert!(!lookup(path, Access::WRITE), "{path}");
    }
    for path in ["/etc/passwd", "/proc/self/status", "/sys/fs/cgroup/x"] {
        assert!(lookup(path, Access::READ), "{path}");
        assert!(!lookup(path, Access::WRITE), "{path}");
    }
    assert!(lookup("/dev/null", Access::READ | Access::WRITE));
    for path in [
        "/etc/shadow",
        "/etc/ssh/ssh_host_rsa_key",
        "/etc/ssl/private/x",
        "/etc/machine-id",
        "/dev/pts/0",
        "/dev/kmsg",
        "/run/docker.sock",
        "/run/user/0/bus",
        "/tmp/x",
        "/var/log/x",
        "/home/other/x",
        "/",
        "/etc",
    ] {
        assert!(!lookup(path, Access::READ), "{path}");
    }
    for socket in ["/run/docker.sock", "/run/user/1000/bus", "/tmp/ssh-x/agent.1", "/dev/log"] {
        assert!(policy.unix.connect_grant(&AbsPath::new(socket).unwrap()).is_none(), "{socket}");
    }
    let exists = |rule: &&nono_sandbox::policy::FsRule| {
        let real = std::fs::canonicalize(&rule.path).unwrap();
        real == rule.path.as_path() && real.is_dir() == (rule.scope == Scope::Tree)
    };
    assert!(policy.fs.rules.iter().all(|rule| exists(&rule)));
}

#[test]
fn homes_that_open_too_much_are_refused() {
    let world = furnished();
    let refuse = |workspace: AbsPath| {
        let context = Context { workspaces: vec![workspace], ..world.context() };
        resolve(&coding(), &context).unwrap_err()
    };
    for (workspace, expected) in [
        (world.path("home"), Relation::Contains),
        (world.path(""), Relation::Contains),
        (AbsPath::root(), Relation::Contains),
        (world.path("home/.ssh"), Relation::Is),
    ] {
        let error = refuse(workspace.clone());
        let ProfileError::WorkspaceOpensDenied { opening, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!((opening.relation, &opening.path), (expected, &workspace), "{error}");
        assert!(error.to_string().contains("choose a project folder"), "{error}");
    }
    let project = world.path("home/project");
    std::fs::create_dir(&project).unwrap();
    let context = Context { workspaces: vec![project], ..world.context() };
    assert_nothing_denied_is_open(&resolve(&coding(), &context).unwrap().policy.fs);
}

#[test]
fn the_home_of_the_account_is_as_closed_as_the_one_of_the_environment() {
    let mut world = World::new();
    world.make(&["account/.ssh/id_ed25519", "account/project/x"]);
    let account = |world: &World| Some(world.path("account").as_path().to_path_buf());
    let key = world.path("account/.ssh/id_ed25519");
    let closed = |context: &Context| {
        resolve(&coding(), context)
            .map(|r| matches!(r.policy.fs.lookup(&key, READ), Lookup::Denied(_)))
    };
    assert!(!closed(&world.context()).unwrap(), "of an account nobody knows of");
    for home in [Some(world.path("home")), None] {
        match home {
            Some(home) => world.set("HOME", home.as_path()),
            None => drop(world.environment.remove(std::ffi::OsStr::new("HOME"))),
        }
        let mut context = world.context().with_account(account(&world));
        context.workspaces = vec![world.path("account/project")];
        assert!(closed(&context).unwrap());
        context.workspaces = vec![world.path("account")];
        let error = closed(&context).unwrap_err().to_string();
        assert!(error.contains("choose a project folder"), "{error}");
    }
    // Nothing to close: a folder like any other.
    world.set("HOME", world.path("home").as_path());
    let other = Some(world.path("work").as_path().to_path_buf());
    assert!(resolve(&coding(), &world.context().with_account(other)).is_ok());
}

#[test]
fn strange_homes_break_nothing() {
    let mut world = World::new();
    let home_in_opt = world.root.join("usr");
    for home in
        [None, Some("/"), Some(""), Some("relative"), Some("/nonexistent"), Some("/opt/app")]
    {
        match home {
            Some(home) => world.set("HOME", home),
            None => drop(world.environment.remove(std::ffi::OsStr::new("HOME"))),
        }
        let context = Context { uid: u32::MAX, ..world.context() };
        let policy = resolve(&coding(), &context).unwrap().policy;
        assert_nothing_denied_is_open(&policy.fs);
        let env = AbsPath::new("/usr/bin/env").unwrap();
        assert_eq!(policy.fs.lookup(&env, READ), Lookup::Allowed, "{home:?}");
    }
    assert!(!std::path::Path::new("/nonexistent").exists() && !home_in_opt.exists());
}

#[test]
fn caches_are_made_in_an_own_home_only() {
    let world = World::new();
    let other = Context { uid: u32::MAX, ..world.context() };
    let resolved = resolve(&coding(), &other).unwrap();
    assert!(resolved.notes.iter().all(|n| n.kind != NoteKind::Created));
    assert_eq!(std::fs::read_dir(world.path("home")).unwrap().count(), 0);
    let nowhere = world.path("nowhere");
    let homeless = Context { home: Some(nowhere.as_path().into()), ..world.context() };
    resolve(&coding(), &homeless).unwrap();
    assert!(!nowhere.as_path().exists(), "nobody lives there");
    let resolved = world.resolve(&coding()).unwrap();
    assert!(resolved.notes.iter().any(|n| n.kind == NoteKind::Created));
    for cache in [".npm", ".cache/uv", ".cargo/registry"] {
        let path = world.path(&format!("home/{cache}"));
        assert_eq!(resolved.policy.fs.lookup(&path, Access::WRITE), Lookup::Allowed, "{cache}");
    }
}

#[test]
fn places_named_by_the_environment_are_followed_with_care() {
    let mut world = furnished();
    world.make(&["cargo/registry/x", "cargo/credentials.toml", "ca/corp.pem", "bin/tool"]);
    world.set("CARGO_HOME", world.path("cargo").as_path());
    world.set("SSL_CERT_FILE", world.path("ca/corp.pem").as_path());
    world.set("NODE_EXTRA_CA_CERTS", world.path("home/.ssh/id_ed25519").as_path());
    world.set("JAVA_HOME", world.path("home").as_path());
    let path = format!("{}:{}:.:/usr/bin", world.path("bin"), world.path("home"));
    world.set("PATH", path);
    let resolved = world.resolve(&coding()).unwrap();
    let lookup = |file: &str| resolved.policy.fs.lookup(&world.path(file), Access::READ);
    for file in ["cargo/registry/x", "ca/corp.pem", "bin/tool"] {
        assert_eq!(lookup(file), Lookup::Allowed, "{file}");
    }
    for file in ["cargo/credentials.toml", "home/.cargo/credentials.toml", "home/.ssh/id_ed25519"] {
        assert!(matches!(lookup(file), Lookup::Denied(_)), "{file}");
    }
    assert_eq!(lookup("home/Documents/letter"), Lookup::NoGrant);
    let left_out = resolved.notes.iter().filter(|n| n.kind == NoteKind::WouldOpenDenied);
    assert_eq!(left_out.count(), 3);
    assert_nothing_denied_is_open(&resolved.policy.fs);
}

fn environment(policy: &Policy, name: &str) -> Option<String> {
    let value = policy.environment.variables.get(name)?;
    Some(String::from_utf8(value.clone()).unwrap())
}

const PASSED: &[(&str, &str)] = &[
    ("USER", "u"),
    ("LC_ALL", "C"),
    ("CARGO_TARGET_DIR", "/t"),
    ("RUST_LOG", "debug"),
    ("PIP_INDEX_URL", "https://example.invalid"),
    ("UV_INDEX_URL", "https://example.invalid"),
    ("npm_config_registry", "https://example.invalid"),
    ("REQUESTS_CA_BUNDLE", "/ca"),
    ("https_proxy", "http://127.0.0.1:1"),
    ("GOPROXY", "off"),
    ("CC", "clang"),
    ("LD", "lld"),
];

const WITHHELD: &[&str] = &[
    "GITHUB_TOKEN",
    "CARGO_REGISTRY_TOKEN",
    "CARGO_REGISTRIES_X_TOKEN",
    "UV_INDEX_X_PASSWORD",
    "npm_config__auth",
    "npm_config_//host/:_authToken",
    "NPM_CONFIG_TOKEN",
    "YARN_NPM_AUTH_TOKEN",
    "PIP_PASSWORD",
    "AWS_SECRET_ACCESS_KEY",
    "OPENAI_API_KEY",
    "SSH_AUTH_SOCK",
    "DBUS_SESSION_BUS_ADDRESS",
    "DOCKER_HOST",
    "LD_PRELOAD",
    "BASH_ENV",
    "ENV",
    "NODE_OPTIONS",
    "PYTHONSTARTUP",
    "CARGO_MAKEFLAGS",
    "DENO_AUTH_TOKENS",
    "YARN_NPM_AUTH_IDENT",
    "RUSTUP_AUTHORIZATION_HEADER",
    "NVM_AUTH_HEADER",
    "npm_config_otp",
    "NPM_CONFIG_OTP",
    "SOMETHING_ELSE",
];

/// Passed, unless the address they hold has a password in it.
const ADDRESSES: &[&str] = &[
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "UV_INDEX",
    "UV_INDEX_URL",
    "npm_config_registry",
    "https_proxy",
    "GOPROXY",
    "CCACHE_REMOTE_STORAGE",
];

#[test]
fn addresses_pass_without_their_passwords_only() {
    for (value, passes) in [("https://a.example/", true), ("https://me:secret@a.example/", false)] {
        let mut world = World::new();
        ADDRESSES.iter().for_each(|name| world.set(name, value));
        let policy = world.resolve(&coding()).unwrap().policy;
        for name in ADDRESSES {
            assert_eq!(environment(&policy, name).is_some(), passes, "{name} {value}");
            assert_ne!(policy.environment.withheld.iter().any(|n| n == name), passes, "{name}");
        }
    }
}

#[test]
fn the_environment_is_quiet_and_holds_no_secrets() {
    let mut world = World::new();
    PASSED.iter().for_each(|(name, value)| world.set(name, *value));
    WITHHELD.iter().for_each(|name| world.set(name, "secret"));
    world.set("TERM", "xterm");
    world.set("XDG_RUNTIME_DIR", "/run/user/7");
    let policy = world.resolve(&coding()).unwrap().policy;
    for (name, value) in PASSED {
        assert_eq!(environment(&policy, name).as_deref(), Some(*value), "{name}");
    }
    for name in WITHHELD {
        assert_eq!(environment(&policy, name), None, "{name}");
        assert!(policy.environment.withheld.iter().any(|n| n == name), "{name}");
    }
    let tmp = world.path("tmp").to_string();
    for (name, value) in [
        ("NO_COLOR", "1"),
        ("TERM", "dumb"),
        ("PAGER", "cat"),
        ("GIT_PAGER", "cat"),
        ("GH_PAGER", "cat"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("DEBIAN_FRONTEND", "noninteractive"),
        ("PIP_PROGRESS_BAR", "off"),
        ("PIP_NO_INPUT", "1"),
        ("npm_config_progress", "false"),
        ("TMPDIR", tmp.as_str()),
        // Not the one of the user, where sockets of the session are.
        ("XDG_RUNTIME_DIR", tmp.as_str()),
        ("NONO_SANDBOX", "1"),
        ("LANG", "C.UTF-8"),
    ] {
        assert_eq!(environment(&policy, name).as_deref(), Some(value), "{name}");
    }
    world.set("LANG", "de_DE.UTF-8");
    let policy = world.resolve(&coding()).unwrap().policy;
    assert_eq!(environment(&policy, "LANG").as_deref(), Some("de_DE.UTF-8"));
}

#[test]
fn resolution_is_fast() {
    let world = furnished();
    world.resolve(&coding()).unwrap();
    let context = world.context();
    let best = (0..20).map(|_| {
        let start = Instant::now();
        resolve(&coding(), &context).unwrap();
        start.elapsed()
    });
    let best = best.min().unwrap();
    // The promise of 5 ms is for an optimised build on an idle machine; this catches tree walks.
    assert!(best < Duration::from_millis(50), "{best:?}");
}
