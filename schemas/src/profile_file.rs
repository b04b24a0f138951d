//! The profile file an operator writes: JSON with comments, closed objects.
//!
//! Field names follow nono's profiles wherever the meaning is the same. The schema made from these
//! types is also what the loader checks a file against, so an editor and `nono-mcp` cannot
//! disagree about what a profile may contain.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};

/// A profile: what commands run by `nono-mcp` may do. Everything that is not granted is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "nono-mcp profile")]
pub struct ProfileFile {
    /// Where an editor finds the schema of this file. Has no other effect.
    #[serde(rename = "$schema", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub schema: Option<String>,
    /// What the profile is called and who wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Meta")]
    pub meta: Option<Meta>,
    /// Profiles this one starts from: names of built-in profiles or of those in the user's profile
    /// folder, or paths of files (with a `/`, or ending in `.json` or `.jsonc`) relative to this
    /// file. Lists are appended to theirs without repetitions, single values replace theirs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Extends")]
    pub extends: Option<Extends>,
    /// Ready-made sets of entries that come with the program; `nono-mcp profile list` names them.
    #[serde(skip_serializing_if = "Groups::is_empty")]
    pub groups: Groups,
    /// Entries to take out of what the profiles this one starts from say. Applied before the
    /// profile's own entries are added.
    #[serde(skip_serializing_if = "Remove::is_empty")]
    pub remove: Remove,
    /// Files, folders and sockets.
    pub filesystem: Filesystem,
    /// Everything that is not an AF_UNIX socket.
    pub network: Network,
    /// Switches that exist on Linux only.
    pub linux: Linux,
    /// Whether runs have processes, `/proc`, `/dev/shm` and System V objects of their own; `auto`
    /// if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Isolation")]
    pub isolation: Option<Isolation>,
    /// Which environment variables commands see.
    pub environment: Environment,
    /// What is watched and what is reported.
    pub diagnostics: Diagnostics,
    /// How fast mediated AF_UNIX calls may come before they are slowed down. They are never
    /// refused for being many.
    pub rate: Rate,
    /// How much of the machine one run may use. A call can ask for less and never for more.
    pub limits: Limits,
    /// The workspace folders as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Workdir")]
    pub workdir: Option<Workdir>,
}

/// How much of the machine one run may use. A run that uses more is killed, and the result says so.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Processor time of the whole process tree, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "NonZeroU64")]
    pub cpu_ms: Option<NonZeroU64>,
    /// Memory of the whole process tree, in bytes. Three quarters of the machine's if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "NonZeroU64")]
    pub memory_bytes: Option<NonZeroU64>,
    /// Processes and threads that exist at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "NonZeroU32")]
    pub processes: Option<NonZeroU32>,
    /// Descriptors one process may have open.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "NonZeroU64")]
    pub open_files: Option<NonZeroU64>,
    /// Size a file may be written to, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "NonZeroU64")]
    pub file_size_bytes: Option<NonZeroU64>,
    /// Bytes written to standard output and error together.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "NonZeroU64")]
    pub output_bytes: Option<NonZeroU64>,
}

/// What a profile is called and who wrote it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Meta {
    /// The name results show; the file's name without its ending if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub name: Option<String>,
    /// The profile's own version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub version: Option<String>,
    /// What the profile is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub description: Option<String>,
    /// Who answers for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub author: Option<String>,
}

/// One base profile, or several, applied from left to right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Extends {
    /// One base.
    One(String),
    /// Several bases.
    Many(Vec<String>),
}

impl Extends {
    /// The bases in the order they apply.
    #[must_use]
    pub fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names,
        }
    }
}

/// Ready-made sets of entries, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Groups {
    /// Groups to add.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Groups to leave out although a profile this one starts from includes them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
}

impl Groups {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Entries to take out, each by its text as it is written in the profile that has it. An
/// alternative in braces can be taken out by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Remove {
    /// Entries of `filesystem`.
    pub filesystem: RemoveFilesystem,
    /// Entries of `network`.
    pub network: RemoveNetwork,
    /// Entries of `environment`.
    pub environment: RemoveEnvironment,
    /// Entries of `diagnostics`.
    pub diagnostics: RemoveDiagnostics,
}

impl Remove {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Paths to take out of the lists of `filesystem`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RemoveFilesystem {
    /// From `filesystem.read`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<String>,
    /// From `filesystem.write`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub write: Vec<String>,
    /// From `filesystem.allow`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// From `filesystem.read_file`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub read_file: Vec<String>,
    /// From `filesystem.write_file`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub write_file: Vec<String>,
    /// From `filesystem.allow_file`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_file: Vec<String>,
    /// From `filesystem.deny`. What is closed always cannot be taken out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
    /// From `filesystem.protect`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub protect: Vec<String>,
    /// From `filesystem.unix_socket`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unix_socket: Vec<String>,
    /// From `filesystem.unix_socket_bind`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unix_socket_bind: Vec<String>,
    /// From `filesystem.unix_socket_dir`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unix_socket_dir: Vec<String>,
    /// From `filesystem.unix_socket_dir_bind`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unix_socket_dir_bind: Vec<String>,
    /// From `filesystem.unix_socket_subtree`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unix_socket_subtree: Vec<String>,
    /// From `filesystem.unix_socket_subtree_bind`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unix_socket_subtree_bind: Vec<String>,
}

/// Hosts to take out of the lists of `network`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RemoveNetwork {
    /// From `network.allow`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// From `network.deny`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
}

/// Names to take out of the lists of `environment`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RemoveEnvironment {
    /// From `environment.allow_vars`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_vars: Vec<String>,
    /// From `environment.deny_vars`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny_vars: Vec<String>,
    /// From `environment.set_vars`, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub set_vars: Vec<String>,
    /// From `environment.credentials`, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<String>,
}

/// Globs to take out of the lists of `diagnostics`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RemoveDiagnostics {
    /// From `diagnostics.suppress_unix_sockets`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suppress_unix_sockets: Vec<String>,
    /// From `diagnostics.suppress_paths`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suppress_paths: Vec<String>,
}

/// When an entry counts: one condition, or several that must all hold.
///
/// `linux`, `linux:ubuntu`, `linux:ubuntu:>=24.04` (also `<`, `<=`, `>`, `=`), `arch:x86_64`,
/// `landlock:>=6`; a `!` in front turns a condition around.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum When {
    /// One condition.
    One(String),
    /// All of these.
    All(Vec<String>),
}

impl When {
    /// The conditions.
    #[must_use]
    pub fn conditions(&self) -> &[String] {
        match self {
            Self::One(condition) => std::slice::from_ref(condition),
            Self::All(conditions) => conditions,
        }
    }
}

/// Grants for files, folders and AF_UNIX sockets.
///
/// A path starts with `/`, `~` or a variable such as `$HOME`, `$WORKSPACE` or `$CARGO_HOME`. In
/// the grants for files and folders, and in `deny`, `*`, `?`, `[…]` and `{a,b}` stand for names in
/// one folder; `**` does not exist. What is missing is skipped and noted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Filesystem {
    /// Folders whose files may be read and executed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<Entry>,
    /// Folders in which files may be written, created, renamed and removed; not read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub write: Vec<Entry>,
    /// Folders with both.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Entry>,
    /// Single files that may be read and executed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub read_file: Vec<Entry>,
    /// Single existing files that may be written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub write_file: Vec<Entry>,
    /// Single existing files with both.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_file: Vec<Entry>,
    /// Whether every grant, the workspace's too, counts without its right to write, wherever it was
    /// written. The private `$TMPDIR` and devices stay writable; sockets can be made in `$TMPDIR`
    /// only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub read_only: Option<bool>,
    /// Whether the private `$TMPDIR` is at `/tmp` as well, so that programs that do not ask where
    /// temporary files go can run; `false` if left out, and `/tmp` is the machine's then. Needs
    /// `isolation`. Results name the folder `/tmp`, and nobody outside of runs sees it there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub private_tmp: Option<bool>,
    /// Whether what `deny` closes is covered by something empty, so that names, sizes and times
    /// of what is in it cannot be learnt; `false` if left out. Needs `isolation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub hide_denied: Option<bool>,
    /// Files and folders that stay closed whatever else is granted, present or not. A grant that
    /// would open one is narrowed around it where that can be enforced, and refused where not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<Entry>,
    /// Files and folders that stay as they are in trees that may be written, because something
    /// outside of the sandbox runs or obeys them: paths relative to each workspace and to each
    /// folder that the operator's own profiles let be written, such as `.envrc`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub protect: Vec<Entry>,
    /// Sockets that may be connected and sent to. The socket need not exist yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unix_socket: Vec<Entry>,
    /// Sockets that may also be bound.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unix_socket_bind: Vec<Entry>,
    /// Folders whose direct children may be connected and sent to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unix_socket_dir: Vec<Entry>,
    /// Folders whose direct children may also be bound.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unix_socket_dir_bind: Vec<Entry>,
    /// Folders below which every socket may be connected and sent to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unix_socket_subtree: Vec<Entry>,
    /// Folders below which every socket may also be bound.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unix_socket_subtree_bind: Vec<Entry>,
}

/// A path, plain or with remarks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Entry {
    /// The path alone.
    Path(String),
    /// The path and more about it.
    Detailed(DetailedEntry),
}

impl Entry {
    /// The path as written.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Path(path) => path,
            Self::Detailed(entry) => &entry.path,
        }
    }

    /// Why the entry is there, if it says so.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Path(_) => None,
            Self::Detailed(entry) => entry.why.as_deref(),
        }
    }
}

/// A path and more about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DetailedEntry {
    /// The path.
    pub path: String,
    /// What it is needed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub why: Option<String>,
    /// Whether to make the folder (mode 0700), or the empty file (mode 0600), if it is missing. Not
    /// for `read_file`, and only in a folder that belongs to the user the server runs as.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub create: bool,
    /// `false` takes the right to execute out of a grant that would include it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub execute: Option<bool>,
    /// For `protect` alone: whether the entry counts only where the first name of its path is there
    /// when the profile is resolved, so that commands can make and change one of their own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub existing: bool,
    /// When the entry counts; always if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "When")]
    pub when: Option<When>,
}

/// What commands may reach over IP.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// How much of the network is there; `proxy` if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "NetworkMode")]
    pub mode: Option<NetworkMode>,
    /// Hosts that may be reached: `example.com` (ports 80 and 443), `example.com:22`,
    /// `*.example.com` (every name below), `*`; addresses such as `10.0.0.5:5432`, `10.0.0.0/8`,
    /// `[2001:db8::1]:443`. `proxy` reaches all of them through the run's proxy, `hosts` the
    /// addresses directly as well. Metadata services, link-local addresses and the server's own
    /// endpoints have to be spelled out in every mode.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<HostEntry>,
    /// Hosts that are refused whatever `allow` says, written the same way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<HostEntry>,
    /// Ports that may be bound, such as `3000` or `"8000-8999"`; any if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<PortEntry>")]
    pub listen: Option<Vec<PortEntry>>,
    /// Ports on which other machines may reach what commands listen on. What listens on all
    /// addresses is reached from this machine alone otherwise, unless the mode is `open`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expose: Vec<PortEntry>,
    /// Whether runs are on a network of their own, with a loopback device and nothing else, on top
    /// of all that: `off` if left out. Needs `isolation`, and the mode `none`, `loopback` or
    /// `proxy`. Services of this machine are out of reach then, and what runs listen on is as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Isolation")]
    pub isolate: Option<Isolation>,
}

/// A host, or a host and more about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum HostEntry {
    /// The host.
    Host(String),
    /// The host and more.
    Detailed(DetailedHostEntry),
}

impl HostEntry {
    /// The host.
    #[must_use]
    pub fn host(&self) -> &str {
        match self {
            Self::Host(host) => host,
            Self::Detailed(entry) => &entry.host,
        }
    }

    /// When the entry counts.
    #[must_use]
    pub fn when(&self) -> Option<&When> {
        match self {
            Self::Host(_) => None,
            Self::Detailed(entry) => entry.when.as_ref(),
        }
    }
}

/// A host and more about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DetailedHostEntry {
    /// The host.
    pub host: String,
    /// What it is needed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub why: Option<String>,
    /// When the entry counts; always if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "When")]
    pub when: Option<When>,
}

/// A port, or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PortEntry {
    /// One port.
    One(u16),
    /// `FROM-TO`, both included, or one port as text.
    Range(String),
}

/// How much of the network a command has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NetworkMode {
    /// Nothing, not even this machine: sockets for IP cannot be made.
    None,
    /// This machine's loopback addresses.
    Loopback,
    /// Loopback, and the hosts in `allow` through the run's proxy.
    Proxy,
    /// The same, and the addresses in `allow` directly.
    Hosts,
    /// TCP and UDP to any address.
    Open,
}

/// Whether runs are in namespaces of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// Where the system allows it: for a server with `CAP_SYS_ADMIN`, else by a user namespace.
    /// Results and `nono-mcp doctor` say whether it does.
    Auto,
    /// Always; nothing runs where the system does not allow it.
    Required,
    /// Never.
    Off,
}

/// Switches that exist on Linux only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Linux {
    /// Whether pathname sockets need a grant; `pathname` if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "AfUnixMediation")]
    pub af_unix_mediation: Option<AfUnixMediation>,
    /// Whether AF_UNIX datagram sockets may be made; `false` if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub af_unix_datagram: Option<bool>,
}

/// Whether pathname sockets need a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AfUnixMediation {
    /// Connecting, sending to and binding a pathname socket needs one of the `unix_socket` grants.
    Pathname,
    /// AF_UNIX is not mediated.
    Off,
}

/// Which environment variables commands see. Without `allow_vars`, none of the server's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Environment {
    /// Names passed through from the server's environment; `*` and `?` stand for parts of a name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_vars: Vec<String>,
    /// Globs over names that are withheld even if `allow_vars` has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny_vars: Vec<String>,
    /// Variables set by the profile; variables such as `$TMPDIR` in their values are replaced.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub set_vars: BTreeMap<String, SetVar>,
    /// Variables that hold secrets, read once when the server starts. They come after all others,
    /// and wherever a secret appears in output it is replaced by the variable's name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub credentials: BTreeMap<String, Credential>,
}

/// Where a secret is: either `file` or `command`. A line end behind it is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Credential {
    /// The file that holds it. Commands can neither read nor write it, whatever else is granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub file: Option<String>,
    /// A program, by its absolute path, and its arguments. It runs as the server does, *outside*
    /// of the sandbox, and prints the secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    pub command: Option<Vec<String>>,
    /// When it counts; always if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "When")]
    pub when: Option<When>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub why: Option<String>,
}

/// A value, plain or with a condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SetVar {
    /// The value, in place of whatever the server has.
    Value(String),
    /// The value and more about it.
    Detailed(DetailedSetVar),
}

/// A value and when it applies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DetailedSetVar {
    /// The value.
    pub value: String,
    /// Whether to set it only if nothing was passed through under this name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub when_unset: bool,
    /// When the value counts; always if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "When")]
    pub when: Option<When>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub why: Option<String>,
}

/// What is watched and what is reported. Nothing here changes what is allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Diagnostics {
    /// Which file-system calls are watched for denials; `writes` if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "FilesystemDiagnostics")]
    pub filesystem: Option<FilesystemDiagnostics>,
    /// Globs of socket paths whose denials are left out of reports, matched against the path as
    /// the program gave it; `*` stays within a name, `**` crosses folders. The sockets stay denied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suppress_unix_sockets: Vec<String>,
    /// The same for files and folders.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suppress_paths: Vec<String>,
}

/// Which file-system calls are watched for denials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FilesystemDiagnostics {
    /// Calls that open, create, change or execute.
    Observe,
    /// The same without most opens that only read: of those, folders and what is opened without
    /// `O_CLOEXEC`, by name.
    Writes,
    /// None. What the kernel refuses is read from its audit log instead, which costs nothing until
    /// something is refused. Needs auditing switched on, a server that may read the log
    /// (`CAP_AUDIT_READ`), and Linux 6.15.
    Audit,
    /// None.
    Off,
}

/// Tokens for mediated AF_UNIX calls. An empty bucket makes the caller wait; it refuses nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rate {
    /// Tokens that come back each second; 20000 if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "NonZeroU32", range(min = 1, max = 4_294_967_295u32))]
    pub per_second: Option<NonZeroU32>,
    /// How many may be saved up; 5000 if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "NonZeroU32", range(min = 1, max = 4_294_967_295u32))]
    pub burst: Option<NonZeroU32>,
}

/// What commands may do in the workspace folders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Workdir {
    /// The access; the last profile that says something decides.
    pub access: WorkdirAccess,
    /// What it is needed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub why: Option<String>,
}

/// Access to the workspace folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WorkdirAccess {
    /// No access by this field.
    None,
    /// Read and execute.
    Read,
    /// Write, create, rename and remove; not read.
    Write,
    /// Both.
    ReadWrite,
}

/// The JSON Schema of a profile file.
#[must_use]
pub fn profile_schema() -> serde_json::Value {
    schemars::schema_for!(ProfileFile).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checked_in_schema_is_the_generated_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/json/profile.schema.json");
        let generated = serde_json::to_string_pretty(&profile_schema()).unwrap() + "\n";
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            std::fs::write(path, &generated).unwrap();
        }
        let checked_in = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            checked_in == generated,
            "{path} is out of date; run `UPDATE_SCHEMAS=1 cargo test -p nono-schemas`"
        );
    }

    #[test]
    fn reads_back_what_it_writes() {
        let text = r#"{
            "meta": {"name": "x"},
            "extends": ["coding"],
            "filesystem": {"read": ["/a", {"path": "/b", "why": "w", "execute": false}]},
            "environment": {"set_vars": {"A": "1", "B": {"value": "2", "when_unset": true}}},
            "rate": {"burst": 7},
            "workdir": {"access": "readwrite"}
        }"#;
        let file: ProfileFile = serde_json::from_str(text).unwrap();
        let again: ProfileFile =
            serde_json::from_value(serde_json::to_value(&file).unwrap()).unwrap();
        assert_eq!(again, file);
        assert_eq!(file.filesystem.read[1].path(), "/b");
        assert_eq!(file.filesystem.read[1].why(), Some("w"));
    }

    #[test]
    fn unknown_fields_are_errors() {
        for text in [
            r#"{"filesytem": {}}"#,
            r#"{"filesystem": {"reads": []}}"#,
            r#"{"rate": {"burst": 0}}"#,
            r#"{"network": {"mode": "closed"}}"#,
        ] {
            assert!(serde_json::from_str::<ProfileFile>(text).is_err(), "{text}");
        }
    }
}
