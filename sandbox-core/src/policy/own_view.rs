//! What a run sees differently from the machine, where it has a mount namespace of its own and its
//! profile asks for that.

use super::{
    Access, FsPolicy, FsRule, Hiding, Policy, Protected, Reach, Scope, SettledPolicy, Source, Tmp,
    UnixGrant,
};
use crate::{AbsPath, StaticPath};
use std::path::Path;

/// Where terminals have names (pts(4)).
const PTS: StaticPath = StaticPath::new("/dev/pts");
/// The terminal of whoever asks.
const TTY: StaticPath = StaticPath::new("/dev/tty");
/// What makes one: a device, or a link to the second path (devpts is mounted that way in containers).
const PTMX: [StaticPath; 2] = [StaticPath::new("/dev/ptmx"), StaticPath::new("/dev/pts/ptmx")];

/// What has to be mounted for a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnView {
    /// What to see at `/tmp`, if not the machine's.
    pub tmp: Option<PrivateTmp>,
    /// What is to be hidden where it exists, none inside another.
    pub hidden: Vec<AbsPath>,
    /// Where the run's own terminals have names, if they do.
    pub terminals: Option<AbsPath>,
}

/// A folder to be seen at `/tmp`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivateTmp {
    /// The folder.
    pub folder: AbsPath,
    /// Folders below `/tmp` that stay what they are.
    pub stays: Vec<AbsPath>,
}

impl OwnView {
    /// Where terminals have names.
    #[must_use]
    pub fn place_of_terminals() -> AbsPath {
        PTS.to_path()
    }

    /// Whether this is the name of a terminal. Which one it is changes from run to run.
    #[must_use]
    pub fn names_terminal(path: &AbsPath) -> bool {
        let number =
            |name: &std::ffi::OsStr| name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
        path.parent().is_some_and(|folder| folder == PTS)
            && path.as_path().file_name().is_some_and(number)
    }
}

impl Policy {
    /// This policy on a machine where its runs have a mount namespace, or have none. `is_folder`:
    /// whether a path is a folder and no link.
    #[must_use]
    pub fn settled(mut self, mounts: bool, is_folder: impl Fn(&AbsPath) -> bool) -> SettledPolicy {
        if let Tmp::Wanted(source) = self.fs.tmp.clone() {
            let places = self.places(&source);
            self.fs.protected.extend(places);
        }
        if !mounts {
            return SettledPolicy(self);
        }
        if self.fs.hiding == Hiding::Wanted {
            self.fs.hiding = Hiding::On;
        }
        if let Some(rule) = own_terminals(&self).filter(|rule| is_folder(&rule.path)) {
            self.fs.rules.push(rule);
            self.fs.own_terminals = true;
        }
        if let Tmp::Wanted(source) = self.fs.tmp.clone() {
            self.fs.tmp = match stays(&self, is_folder) {
                Err(why) => Tmp::Impossible(why),
                Ok(stays) => {
                    self.grant_tmp(source);
                    Tmp::Private { stays }
                }
            };
        }
        SettledPolicy(self)
    }

    /// Folders in the private folder that commands must not move.
    ///
    /// A folder of the machine's `/tmp` that is granted, say `/tmp/site/ws`, is mounted at the same
    /// place in the private folder, which is `$TMPDIR/site/ws`. A command that renamed `$TMPDIR/site`
    /// would take that mount along, to a path that no rule is about: in the other runs of the server,
    /// which share the private folder, and in its own, where it has another name for the mount than
    /// the path in `/tmp` that the kernel tells. So the first folder on the way, `$TMPDIR/site`, is
    /// protected, whatever a run sees at `/tmp`.
    fn places(&self, source: &Source) -> Vec<Protected> {
        let (tmp, fs) = (Tmp::path(), &self.fs);
        let mut places: Vec<Protected> = Vec::new();
        for folder in granted(self).chain(&fs.workspaces).chain([&fs.tmpdir]) {
            let below = folder.as_path().strip_prefix(tmp.as_path()).ok();
            let first = below.and_then(|below| below.components().next());
            let place = first.and_then(|name| fs.tmpdir.join(name.as_os_str()).ok());
            if let Some(path) =
                place.filter(|path| !places.iter().any(|protected| protected.path == *path))
            {
                places.push(Protected { path, source: source.clone(), any_case: false });
            }
        }
        places
    }

    /// Gives `/tmp` what the private folder has.
    fn grant_tmp(&mut self, source: Source) {
        let path = Tmp::path();
        if let Some(bind) = sockets_below(self, &self.fs.tmpdir) {
            let (path, source) = (path.clone(), source.clone());
            self.unix.grants.push(UnixGrant { path, reach: Reach::Subtree, bind, source });
        }
        let access = self.fs.rights(&self.fs.tmpdir);
        self.fs.rules.push(FsRule { path, scope: Scope::Tree, access, source });
    }

    /// Whether anything inside is granted.
    fn opens_in(&self, path: &AbsPath) -> bool {
        let mut granted = granted(self).chain(&self.fs.workspaces).chain([&self.fs.tmpdir]);
        granted.any(|granted| granted.is_within(path))
    }
}

impl SettledPolicy {
    /// This policy for a run whose standard streams are a terminal of the machine, which has this
    /// name among the machine's. What may be done with `/dev/tty` may be done with it by name, and
    /// with no other.
    #[must_use]
    pub fn on_terminal(mut self, name: AbsPath) -> Self {
        let mut rules = std::mem::take(&mut self.0.fs.rules);
        rules.retain(|rule| !self.0.fs.are_own_terminals(&rule.path));
        let same = rules.iter().find(|rule| rule.path == TTY).cloned();
        rules.extend(same.map(|rule| FsRule { path: name, ..rule }));
        self.0.fs = FsPolicy { rules, own_terminals: false, ..self.0.fs };
        self
    }

    /// What has to be mounted for a run of this policy.
    #[must_use]
    pub fn own_view(&self) -> OwnView {
        let tmp = match &self.fs.tmp {
            Tmp::Private { stays } => {
                Some(PrivateTmp { folder: self.fs.tmpdir.clone(), stays: stays.clone() })
            }
            Tmp::Machine | Tmp::Wanted(_) | Tmp::Impossible(_) => None,
        };
        let hidden = match self.fs.hiding {
            Hiding::On => {
                let closed = self.fs.denied.iter().map(|denied| &denied.path);
                outermost(closed.filter(|path| !self.opens_in(path)))
            }
            Hiding::Off | Hiding::Wanted => Vec::new(),
        };
        let terminals = self.fs.own_terminals.then(|| PTS.to_path());
        OwnView { tmp, hidden, terminals }
    }

    /// The paths a sandbox is built on: of what is granted to be opened, stays as it is or is mounted.
    #[must_use]
    pub fn paths(&self) -> Vec<AbsPath> {
        let OwnView { tmp, hidden, .. } = self.own_view();
        let mounted = tmp.into_iter().flat_map(|tmp| tmp.stays.into_iter().chain([tmp.folder]));
        let named = self.fs.rules.iter().map(|rule| &rule.path);
        let named = named.chain(self.fs.protected.iter().map(|protected| &protected.path)).cloned();
        named.chain(mounted).chain(hidden).collect()
    }
}

impl FsPolicy {
    /// What holds a folder in its place in the private folder, if `path` is on the way to one: a run
    /// that has the private folder at `/tmp` has a second name for each that stays there.
    #[must_use]
    pub fn holds_place(&self, path: &AbsPath) -> Option<&Protected> {
        let Tmp::Private { stays } = &self.tmp else { return None };
        let below = path.as_path().strip_prefix(Tmp::path().as_path()).ok()?;
        stays.iter().find(|folder| folder.is_below(path))?;
        let place = self.tmpdir.join(below.as_os_str()).ok()?;
        self.protected.iter().find(|protected| protected.holds(&place))
    }

    /// Whether this is where the run's own terminals have names.
    #[must_use]
    pub fn are_own_terminals(&self, path: &AbsPath) -> bool {
        self.own_terminals && *path == PTS
    }
}

/// The right to open the run's own terminals by name, where it may make some and is granted none of
/// the machine's.
fn own_terminals(policy: &Policy) -> Option<FsRule> {
    let makes = |rule: &&FsRule| PTMX.iter().any(|ptmx| rule.path == *ptmx);
    let rule = policy.fs.rules.iter().find(makes)?;
    let terminals = PTS.to_path();
    let machines = |rule: &FsRule| rule.path.is_within(&terminals) && !makes(&rule);
    let none = !policy.fs.rules.iter().any(machines);
    let access = rule.access & (Access::READ | Access::WRITE);
    let source = rule.source.clone();
    none.then_some(FsRule { path: terminals, scope: Scope::Tree, access, source })
}

/// The paths that grants name.
fn granted(policy: &Policy) -> impl Iterator<Item = &AbsPath> {
    let files = policy.fs.rules.iter().map(|rule| &rule.path);
    files.chain(policy.unix.grants.iter().map(|grant| &grant.path))
}

/// Those that do not lie in another one.
fn outermost<'p>(paths: impl Iterator<Item = &'p AbsPath>) -> Vec<AbsPath> {
    let mut paths: Vec<&AbsPath> = paths.collect();
    paths.sort_unstable_by_key(|path| path.as_bytes().len());
    let mut outer: Vec<AbsPath> = Vec::new();
    for path in paths {
        if !outer.iter().any(|folder| path.is_within(folder)) {
            outer.push(path.clone());
        }
    }
    outer
}

/// Whether sockets anywhere below a folder may be connected to, and if so, whether bound as well.
fn sockets_below(policy: &Policy, folder: &AbsPath) -> Option<bool> {
    let deep = folder.join(Path::new("any").join("socket")).ok()?;
    let connect = policy.unix.connect_grant(&deep).is_some();
    connect.then(|| policy.unix.bind_grant(&deep).is_some())
}

/// What stays of the machine's `/tmp`, or what is in the way.
fn stays(policy: &Policy, is_folder: impl Fn(&AbsPath) -> bool) -> Result<Vec<AbsPath>, String> {
    let (tmp, fs) = (Tmp::path(), &policy.fs);
    if !is_folder(&tmp) {
        return Err("/tmp is not a folder here".to_owned());
    }
    let whole = fs.workspaces.iter().any(|workspace| tmp.is_within(workspace));
    if whole || fs.rights(&tmp).contains(Access::WRITE) {
        return Err("the profile lets the machine's /tmp itself be written".to_owned());
    }
    let like_ours = |folder: &&AbsPath| {
        folder.is_below(&tmp)
            && fs.rights(folder).contains(fs.rights(&fs.tmpdir))
            && sockets_below(policy, folder) >= sockets_below(policy, &fs.tmpdir)
            && is_folder(folder)
    };
    let trees = fs.rules.iter().filter(|rule| rule.scope == Scope::Tree).map(|rule| &rule.path);
    let folders = trees.chain(&fs.workspaces).chain([&fs.tmpdir]);
    let stays = outermost(folders.filter(like_ours));
    let lost = granted(policy)
        .find(|path| path.is_below(&tmp) && !stays.iter().any(|folder| path.is_within(folder)));
    match lost {
        None => Ok(stays),
        Some(path) => Err(format!(
            "the profile grants {path} in the machine's /tmp, and not as a folder that may be \
             written like $TMPDIR"
        )),
    }
}

#[cfg(test)]
mod tests;
