//! The variables a profile may use, and where their values come from.

use crate::context::Context;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// A variable a profile may use.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    /// Its name, without `$`.
    pub(crate) name: &'static str,
    kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Home,
    Workspace,
    Tmpdir,
    Uid,
    /// An environment variable of the server with the same name.
    Environment {
        default: Default,
    },
    /// A list of folders in the environment variable `from`, separated by colons.
    List {
        from: &'static str,
        default: Default,
    },
}

/// What an unset environment variable means to the tool it belongs to.
#[derive(Debug, PartialEq, Eq)]
enum Default {
    /// Nothing.
    None,
    /// A folder below that of another variable.
    Below(&'static str, &'static str),
}

/// Where a value came from: decides what happens if it turns out to open too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The profile's own text, the home or a tool's default place.
    Written,
    /// A workspace.
    Workspace,
    /// The server's environment.
    Environment,
}

/// The values of a path variable.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Values {
    /// Absolute paths, not canonical.
    pub(crate) paths: Vec<PathBuf>,
    /// Where they came from.
    pub(crate) origin: Origin,
}

const fn environment(name: &'static str, default: Default) -> Variable {
    Variable { name, kind: Kind::Environment { default } }
}

const fn below(name: &'static str, base: &'static str, tail: &'static str) -> Variable {
    environment(name, Default::Below(base, tail))
}

const fn unset(name: &'static str) -> Variable {
    environment(name, Default::None)
}

const fn list(name: &'static str, from: &'static str, default: Default) -> Variable {
    Variable { name, kind: Kind::List { from, default } }
}

/// Every variable there is. Defaults are those of the tools that read the environment variable.
static VARIABLES: &[Variable] = &[
    Variable { name: "HOME", kind: Kind::Home },
    Variable { name: "WORKSPACE", kind: Kind::Workspace },
    Variable { name: "TMPDIR", kind: Kind::Tmpdir },
    Variable { name: "UID", kind: Kind::Uid },
    list("PATH_DIRS", "PATH", Default::None),
    below("XDG_CONFIG_HOME", "HOME", ".config"),
    below("XDG_DATA_HOME", "HOME", ".local/share"),
    below("XDG_CACHE_HOME", "HOME", ".cache"),
    below("XDG_STATE_HOME", "HOME", ".local/state"),
    unset("XDG_RUNTIME_DIR"),
    // Rust
    below("CARGO_HOME", "HOME", ".cargo"),
    below("RUSTUP_HOME", "HOME", ".rustup"),
    unset("CARGO_TARGET_DIR"),
    // Python
    below("PYENV_ROOT", "HOME", ".pyenv"),
    below("PIP_CACHE_DIR", "XDG_CACHE_HOME", "pip"),
    below("UV_CACHE_DIR", "XDG_CACHE_HOME", "uv"),
    below("POETRY_CACHE_DIR", "XDG_CACHE_HOME", "pypoetry"),
    unset("VIRTUAL_ENV"),
    unset("CONDA_PREFIX"),
    // JavaScript
    below("NVM_DIR", "HOME", ".nvm"),
    below("VOLTA_HOME", "HOME", ".volta"),
    below("FNM_DIR", "XDG_DATA_HOME", "fnm"),
    below("PNPM_HOME", "XDG_DATA_HOME", "pnpm"),
    below("BUN_INSTALL", "HOME", ".bun"),
    below("DENO_DIR", "XDG_CACHE_HOME", "deno"),
    below("COREPACK_HOME", "XDG_CACHE_HOME", "node/corepack"),
    below("npm_config_cache", "HOME", ".npm"),
    below("PLAYWRIGHT_BROWSERS_PATH", "XDG_CACHE_HOME", "ms-playwright"),
    // Go
    list("GOPATH", "GOPATH", Default::Below("HOME", "go")),
    unset("GOROOT"),
    below("GOCACHE", "XDG_CACHE_HOME", "go-build"),
    unset("GOMODCACHE"),
    // Java
    unset("JAVA_HOME"),
    unset("MAVEN_HOME"),
    below("GRADLE_USER_HOME", "HOME", ".gradle"),
    below("SDKMAN_DIR", "HOME", ".sdkman"),
    unset("ANDROID_HOME"),
    // C and C++
    below("CCACHE_DIR", "XDG_CACHE_HOME", "ccache"),
    // .NET
    below("NUGET_PACKAGES", "HOME", ".nuget/packages"),
    unset("DOTNET_ROOT"),
    // Version managers for several languages
    below("ASDF_DATA_DIR", "HOME", ".asdf"),
    below("MISE_DATA_DIR", "XDG_DATA_HOME", "mise"),
    // Certificates
    unset("SSL_CERT_FILE"),
    list("SSL_CERT_DIR", "SSL_CERT_DIR", Default::None),
    unset("NIX_SSL_CERT_FILE"),
    unset("NODE_EXTRA_CA_CERTS"),
    unset("REQUESTS_CA_BUNDLE"),
    unset("CURL_CA_BUNDLE"),
    unset("GIT_SSL_CAINFO"),
    unset("PIP_CERT"),
    unset("CARGO_HTTP_CAINFO"),
    unset("DENO_CERT"),
];

impl Variable {
    /// The variable called `name`.
    pub(crate) fn named(name: &str) -> Option<&'static Variable> {
        VARIABLES.iter().find(|variable| variable.name == name)
    }

    /// All names.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        VARIABLES.iter().map(|variable| variable.name)
    }

    /// Whether the value is a path (or several), not a piece of text.
    pub(crate) fn is_path(&self) -> bool {
        self.kind != Kind::Uid
    }

    /// Whether there may be several values.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.kind, Kind::Workspace | Kind::List { .. })
    }

    /// The value of a variable that is text.
    pub(crate) fn text(&self, context: &Context) -> Option<String> {
        (self.kind == Kind::Uid).then(|| context.uid.to_string())
    }

    /// The values of a path variable; the error is a sentence saying why there are none.
    pub(crate) fn paths(&self, context: &Context) -> Result<Values, String> {
        let written = |path| Values { paths: vec![path], origin: Origin::Written };
        match &self.kind {
            Kind::Home => {
                context.home.clone().map(written).ok_or_else(|| "there is no home".into())
            }
            Kind::Workspace => Ok(Values {
                paths: context.workspaces.iter().map(|w| w.as_path().to_path_buf()).collect(),
                origin: Origin::Workspace,
            }),
            Kind::Tmpdir => Ok(written(context.tmpdir.as_path().to_path_buf())),
            Kind::Uid => Err("`$UID` is not a path".into()),
            Kind::Environment { default } => match value(context, self.name) {
                Some(value) => from_environment(self.name, vec![value.clone()]),
                None => default.paths(self.name, context),
            },
            Kind::List { from, default } => match value(context, from) {
                Some(value) => {
                    let items = value.as_bytes().split(|b| *b == b':');
                    from_environment(from, items.map(|i| OsString::from_vec(i.into())).collect())
                }
                None => default.paths(self.name, context),
            },
        }
    }
}

impl Default {
    fn paths(&self, name: &str, context: &Context) -> Result<Values, String> {
        let unset = || format!("`${name}` is not set");
        match self {
            Self::None => Err(unset()),
            Self::Below(base, tail) => {
                let mut values = Variable::named(base).ok_or_else(unset)?.paths(context)?;
                values.paths.iter_mut().for_each(|path| path.push(tail));
                Ok(values)
            }
        }
    }
}

/// An environment variable; an empty one counts as unset, as tools see it.
fn value<'c>(context: &'c Context, name: &str) -> Option<&'c OsString> {
    context.environment.get(OsStr::new(name)).filter(|value| !value.is_empty())
}

/// The absolute ones among `items`; relative ones would mean another folder in each run.
fn from_environment(name: &str, items: Vec<OsString>) -> Result<Values, String> {
    let paths: Vec<PathBuf> =
        items.into_iter().map(PathBuf::from).filter(|path| path.is_absolute()).collect();
    if paths.is_empty() {
        return Err(format!("environment variable {name} is not an absolute path"));
    }
    Ok(Values { paths, origin: Origin::Environment })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_defaults_exist() {
        let mut names: Vec<_> = Variable::names().collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
        for variable in VARIABLES {
            if let Kind::Environment { default: Default::Below(base, _) }
            | Kind::List { default: Default::Below(base, _), .. } = &variable.kind
            {
                assert!(Variable::named(base).is_some_and(Variable::is_path), "{base}");
            }
        }
    }
}
