//! Profiles for people: which there are, what they say, what they come to.

use crate::context::Context;
use crate::error::ProfileError;
use crate::extends::Library;
use crate::layer::{Layer, List};
use crate::load::{Document, Links};
use crate::part::Part;
use crate::place::Places;
use crate::reference::ProfileRef;
use crate::variables::Variable;
use crate::{builtin, deny};
use nono_sandbox::policy::{
    Access, FsRule, Hiding, HostGrant, Limit, Lookup, Mediation, Observe, Origin, Policy,
    PortRange, Reach, Scope, Source, Tmp, UnixGrant,
};
use std::path::PathBuf;

/// A profile or group that can be named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Available {
    /// Its name.
    pub name: String,
    /// Where it comes from.
    pub kind: Kind,
    /// What it says it is for.
    pub description: Option<String>,
    /// Why it cannot be used, if so.
    pub problem: Option<String>,
}

/// Where a profile comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// It came with the program.
    BuiltIn,
    /// A file in the user's profile folder.
    User(PathBuf),
    /// A group, for `groups.include`.
    Group,
}

/// All profiles and groups that can be named.
#[must_use]
pub fn available(context: &Context) -> Vec<Available> {
    let of = |name: &str, kind: Kind, part: Result<_, ProfileError>| {
        let part: Result<std::sync::Arc<Part>, ProfileError> = part;
        let (description, problem) = match part {
            Ok(part) => (part.description.clone(), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Available { name: name.to_owned(), kind, description, problem }
    };
    let library = Library::of(context);
    let built_in = builtin::builtin_names().filter_map(builtin::profile);
    let mut all: Vec<Available> =
        built_in.map(|profile| of(profile.name, Kind::BuiltIn, profile.part())).collect();
    for name in library.user_names() {
        let Some(file) = library.user_file(&name) else { continue };
        let part = Document::read(&file, Links::Followed).and_then(|d| Part::of(&d));
        let mut entry = of(&name, Kind::User(file), part.map(std::sync::Arc::new));
        if builtin::profile(&name).is_some() {
            entry.problem = Some("not used: a built-in profile has this name".to_owned());
        }
        all.push(entry);
    }
    let groups = builtin::group_names().filter_map(builtin::group);
    all.extend(groups.map(|group| of(group.name, Kind::Group, group.part())));
    all
}

/// The text of a profile or group as it was written.
///
/// # Errors
/// [`ProfileError`] if there is no such profile or its file cannot be read.
pub fn text_of(reference: &ProfileRef, context: &Context) -> Result<String, ProfileError> {
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path)
            .map_err(|source| ProfileError::Read { file: path.clone(), source })
    };
    match reference {
        ProfileRef::File(path) => read(path),
        ProfileRef::Name(name) => {
            let library = Library::of(context);
            let built_in = builtin::profile(name).or_else(|| builtin::group(name));
            match (built_in, library.user_file(name)) {
                (Some(built_in), _) => Ok(built_in.text.to_owned()),
                (None, Some(file)) => read(&file),
                // The error that names what there is.
                (None, None) => library.load(reference).map(|_| String::new()),
            }
        }
    }
}

/// The variables a path in a profile may start with.
pub fn variable_names() -> impl Iterator<Item = &'static str> {
    Variable::names()
}

/// Where the project file of a workspace lies, below the workspace.
#[must_use]
pub fn project_file() -> &'static str {
    crate::project::NAME
}

/// One thing a policy says, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What it is about: `network`, `files`, `sockets`, `closed`, `protected`, `environment`, …
    pub about: &'static str,
    /// The thing.
    pub text: String,
    /// Where it was written, if a single line says it.
    pub source: Option<Source>,
}

/// Everything a policy says. Names of variables are there; values are not, because some are
/// secrets.
#[must_use]
pub fn facts(policy: &Policy) -> Vec<Fact> {
    let plain = |about, text: String| Fact { about, text, source: None };
    let mut facts = single_facts(policy);
    facts.extend(ports("listen", policy.network.listen.as_deref().unwrap_or_default()));
    facts.extend(ports("expose", &policy.network.expose));
    facts.extend(policy.network.allow.iter().map(|entry| host_fact("allow", entry)));
    facts.extend(policy.network.deny.iter().map(|entry| host_fact("deny", entry)));
    facts.extend(policy.fs.rules.iter().map(file_fact));
    facts.extend(policy.unix.grants.iter().map(socket_fact));
    let mut closed: Vec<String> =
        policy.fs.denied.iter().map(|closed| closed.path.to_string()).collect();
    closed.sort_unstable();
    closed.dedup();
    facts.extend(closed.into_iter().map(|path| plain("closed", path)));
    facts.extend(policy.fs.protected.iter().map(|protected| Fact {
        about: "protected",
        text: protected.path.to_string(),
        source: Some(protected.source.clone()),
    }));
    let names = policy.environment.variables.keys();
    facts.extend(names.map(|name| plain("environment", name.clone())));
    facts.extend(policy.environment.credentials.iter().map(|(name, source)| Fact {
        about: "credentials",
        text: name.clone(),
        source: Some(source.clone()),
    }));
    facts
}

/// What has one value each, limits among them.
fn single_facts(policy: &Policy) -> Vec<Fact> {
    let single = |about, text: String, field: &str| {
        let source = match policy.origins.of(field) {
            Origin::Written(source) => Some(source.clone()),
            Origin::Call | Origin::Default => None,
        };
        Fact { about, text, source }
    };
    let mediation = match policy.unix.mediation {
        Mediation::Pathname => "sockets by path need a grant",
        Mediation::Off => "sockets are not mediated",
    };
    let datagrams = if policy.unix.datagrams { "allowed" } else { "refused" };
    let tmp = match policy.fs.tmp {
        Tmp::Machine | Tmp::Impossible(_) => "the machine's",
        Tmp::Wanted(_) | Tmp::Private { .. } => "$TMPDIR, where it can be mounted",
    };
    let hiding = match policy.fs.hiding {
        Hiding::Off => "can be seen to be there",
        Hiding::Wanted | Hiding::On => "hidden, where they can be covered",
    };
    let watched = match policy.observe {
        Observe::All => "observe",
        Observe::Writes => "writes",
        Observe::Audit => "audit",
        Observe::Off => "off",
    };
    let mut facts = vec![
        single("network", policy.network.mode.name().to_owned(), "network.mode"),
        single("unix sockets", mediation.to_owned(), "linux.af_unix_mediation"),
        single("unix datagrams", datagrams.to_owned(), "linux.af_unix_datagram"),
        single("/tmp", tmp.to_owned(), "filesystem.private_tmp"),
        single("closed files", hiding.to_owned(), "filesystem.hide_denied"),
        single("isolation", policy.isolation.name().to_owned(), "isolation"),
        single("network isolation", policy.network.isolate.name().to_owned(), "network.isolate"),
        single("file diagnostics", watched.to_owned(), "diagnostics.filesystem"),
        single("rate", format!("{} a second", policy.rate.per_second), "rate.per_second"),
        single("rate", format!("{} at once", policy.rate.burst), "rate.burst"),
    ];
    facts.extend(Limit::ALL.into_iter().filter_map(|limit| {
        let most = policy.limits.get(limit)?;
        let name = limit.field().trim_start_matches("limits.");
        Some(single("limit", format!("{name} {most}"), limit.field()))
    }));
    facts
}

fn host_fact(list: &str, entry: &HostGrant) -> Fact {
    let text = format!("{list} {}", entry.rule);
    Fact { about: "hosts", text, source: Some(entry.source.clone()) }
}

fn ports(list: &'static str, ports: &[PortRange]) -> impl Iterator<Item = Fact> {
    ports.iter().map(move |port| Fact {
        about: "ports",
        text: format!("{list} {port}"),
        source: None,
    })
}

fn file_fact(rule: &FsRule) -> Fact {
    let rights = [
        (Access::READ, 'r'),
        (Access::WRITE, 'w'),
        (Access::EXECUTE, 'x'),
        (Access::MAKE_SOCKET, 's'),
    ];
    let rights: String =
        rights.iter().map(|(a, c)| if rule.access.contains(*a) { *c } else { '-' }).collect();
    let below = if rule.scope == Scope::Tree { "/**" } else { "" };
    let path = rule.path.to_string();
    let text = format!("{rights} {}{below}", path.trim_end_matches('/'));
    Fact { about: "files", text, source: Some(rule.source.clone()) }
}

fn socket_fact(grant: &UnixGrant) -> Fact {
    let what = if grant.bind { "connect, bind" } else { "connect" };
    let below = match grant.reach {
        Reach::Exact => "",
        Reach::Children => "/*",
        Reach::Subtree => "/**",
    };
    let text = format!("{what} {}{below}", grant.path.to_string().trim_end_matches('/'));
    Fact { about: "sockets", text, source: Some(grant.source.clone()) }
}

/// Stores of credentials that a policy opens although the group `credentials_denied` closes them,
/// each with the entry of the group.
///
/// # Errors
/// [`ProfileError`] if such a place cannot be looked at.
pub fn opened_credentials(
    policy: &Policy,
    context: &Context,
) -> Result<Vec<(nono_sandbox::AbsPath, Source)>, ProfileError> {
    let Some(group) = builtin::group("credentials_denied") else { return Ok(Vec::new()) };
    let denies = List::adding(group.part()?.layer.denies.added.clone());
    let layer = Layer { denies, ..Layer::default() };
    let closed = deny::denied(&layer, context, &mut Places::default(), &mut Vec::new())?;
    let open = closed.into_iter().filter(|closed| {
        let may = |access| policy.fs.lookup(&closed.path, access) == Lookup::Allowed;
        closed.path.as_path().exists() && (may(Access::READ) || may(Access::WRITE))
    });
    Ok(open.map(|closed| (closed.path, closed.source)).collect())
}
