use super::*;
use crate::policy::{
    Denied, Environment, FsPolicy, Isolation, Limits, Mediation, NetworkMode, NetworkPolicy,
    Observe, Origins, UnixPolicy,
};
use crate::rate::Quota;
use std::num::NonZeroU32;

fn path(text: &str) -> AbsPath {
    AbsPath::new(text).unwrap()
}

fn source() -> Source {
    Source { profile: "t".into(), rule: "filesystem.private_tmp".into(), line: None }
}

const ALL: Access = Access::all();

/// Everything is asked for; sockets may be bound in the private folder and the workspaces.
fn policy(workspaces: &[&str], rules: &[(&str, Access)]) -> Policy {
    let tmpdir = path("/tmp/nono-mcp-1");
    let whole: Vec<AbsPath> = workspaces.iter().map(|w| path(w)).collect();
    let trees = whole.iter().chain([&tmpdir]).map(|folder| (folder.clone(), ALL));
    let rules = trees.chain(rules.iter().map(|(p, access)| (path(p), *access)));
    let rule = |(path, access)| FsRule { path, scope: Scope::Tree, access, source: source() };
    let bind = |path: &AbsPath| UnixGrant {
        path: path.clone(),
        reach: Reach::Subtree,
        bind: true,
        source: source(),
    };
    Policy {
        name: "t".into(),
        fs: FsPolicy {
            denied: ["/home/u/.ssh", "/home/u/.ssh/id", "/home/u/.netrc"]
                .map(|closed| Denied { path: path(closed), source: None })
                .into(),
            workspaces: whole.clone(),
            tmpdir: tmpdir.clone(),
            tmp: Tmp::Wanted(source()),
            hiding: Hiding::Wanted,
            ..FsPolicy::of_rules(rules.map(rule).collect())
        },
        unix: UnixPolicy {
            mediation: Mediation::Pathname,
            grants: whole.iter().chain([&tmpdir]).map(bind).collect(),
            datagrams: false,
        },
        network: NetworkPolicy::of_mode(NetworkMode::None),
        environment: Environment::default(),
        rate: Quota { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN },
        observe: Observe::Writes,
        limits: Limits::default(),
        isolation: Isolation::Auto,
        origins: Origins::default(),
    }
}

fn settled(policy: Policy) -> SettledPolicy {
    policy.settled(true, |path| !path.as_bytes().ends_with(b".sock"))
}

fn paths(texts: &[&str]) -> Vec<AbsPath> {
    texts.iter().map(|text| path(text)).collect()
}

#[test]
fn without_mounts_everything_is_as_it_was() {
    let before = policy(&["/ws"], &[]);
    let after = before.clone().settled(false, |_| true);
    // Other runs of the server may have some.
    assert_eq!(places(&after), ["/tmp/nono-mcp-1/nono-mcp-1"]);
    let after = after.with_protected(vec![]);
    assert_eq!(*after, before);
    assert_eq!(after.own_view(), OwnView::default());
    assert_eq!(after.fs.rights(&path("/tmp/x")), Access::empty());
}

#[test]
fn tmp_is_what_the_private_folder_is() {
    let policy = settled(policy(&["/ws", "/tmp/site/ws"], &[("/usr", Access::READ)]));
    let stays = paths(&["/tmp/site/ws", "/tmp/nono-mcp-1"]);
    assert_eq!(policy.own_view().tmp.unwrap().folder, policy.fs.tmpdir);
    assert_eq!(policy.fs.tmp, Tmp::Private { stays });
    assert_eq!(policy.fs.rights(&path("/tmp/x")), ALL);
    assert!(policy.unix.bind_grant(&path("/tmp/x/y.sock")).is_some());
}

fn places(policy: &Policy) -> Vec<String> {
    policy.fs.protected.iter().map(|protected| protected.path.to_string()).collect()
}

/// Whatever a run sees at `/tmp`: all of a server have one private folder.
#[test]
fn what_stays_keeps_its_place_in_the_private_folder() {
    let policy = policy(&["/ws", "/tmp/site/ws", "/tmp/site/b"], &[("/usr", Access::READ)]);
    let expected = ["/tmp/nono-mcp-1/nono-mcp-1", "/tmp/nono-mcp-1/site"];
    let views = [policy.clone().settled(true, |_| true), policy.clone().settled(true, |_| false)];
    assert_ne!(views[0].fs.tmp, views[1].fs.tmp);
    for view in views {
        let mut places = places(&view);
        places.sort_unstable();
        assert_eq!(places, expected);
    }
    let unasked = Policy { fs: FsPolicy { tmp: Tmp::Machine, ..policy.fs.clone() }, ..policy };
    assert_eq!(places(&unasked.settled(true, |_| true)), Vec::<String>::new());
}

/// For the kernel a folder mounted in another one lies in it, and has its rights.
#[test]
fn what_may_be_less_is_in_the_way() {
    let impossible = |policy: Policy, part: &str| {
        let policy = settled(policy);
        let Tmp::Impossible(why) = &policy.fs.tmp else { panic!("{:?}", policy.fs.tmp) };
        assert!(why.contains(part), "{why}");
        assert_eq!(policy.own_view().tmp, None);
    };
    let read = Access::READ | Access::EXECUTE;
    impossible(policy(&["/ws"], &[("/tmp/shared", read)]), "grants /tmp/shared");
    impossible(policy(&["/ws"], &[("/tmp/shared", ALL)]), "grants /tmp/shared");
    impossible(policy(&["/tmp"], &[]), "/tmp itself");
    impossible(policy(&["/"], &[]), "/tmp itself");
    let mut socket = policy(&["/ws"], &[]);
    let (reach, bind) = (Reach::Exact, false);
    let grant = UnixGrant { path: path("/tmp/db.sock"), reach, bind, source: source() };
    socket.unix.grants.push(grant);
    impossible(socket, "grants /tmp/db.sock");
    let nowhere = policy(&["/ws"], &[]).settled(true, |_| false);
    assert_eq!(nowhere.fs.tmp, Tmp::Impossible("/tmp is not a folder here".into()));
}

#[test]
fn what_lies_in_a_folder_that_stays_is_there() {
    let read = Access::READ | Access::EXECUTE;
    let policy = settled(policy(&["/tmp/ws"], &[("/tmp/ws/data", read), ("/", Access::READ)]));
    assert_eq!(policy.fs.tmp, Tmp::Private { stays: paths(&["/tmp/ws", "/tmp/nono-mcp-1"]) });
}

#[test]
fn the_outermost_of_what_is_closed_is_hidden_unless_something_in_it_is_open() {
    let hidden = |policy: Policy| settled(policy).own_view().hidden;
    let both = paths(&["/home/u/.ssh", "/home/u/.netrc"]);
    assert_eq!(hidden(policy(&["/ws"], &[])), both);
    assert_eq!(
        hidden(policy(&["/home/u/.ssh/ws"], &[])),
        paths(&["/home/u/.netrc", "/home/u/.ssh/id"])
    );
    let settled = settled(policy(&["/ws"], &[]));
    assert!(settled.fs.hides(&path("/home/u/.ssh/known_hosts")));
    assert!(!settled.fs.hides(&path("/home/u/x")));
}

#[test]
fn terminals_are_the_runs_own_unless_the_machines_are_granted() {
    let ptmx = |extra: &[&str]| {
        let mut policy = policy(&["/ws"], &[]);
        for device in ["/dev/ptmx"].iter().chain(extra) {
            let access = Access::READ | Access::WRITE;
            let path = path(device);
            policy.fs.rules.push(FsRule { path, scope: Scope::File, access, source: source() });
        }
        settled(policy)
    };
    let own = ptmx(&[]);
    let terminal = path("/dev/pts/0");
    assert!(own.fs.are_own_terminals(&path("/dev/pts")) && own.own_view().terminals.is_some());
    assert_eq!(own.fs.rights(&terminal), Access::READ | Access::WRITE);
    let machines = own.clone().on_terminal(terminal.clone());
    assert_eq!(machines.fs.rights(&terminal), Access::empty(), "without /dev/tty");
    let machines = ptmx(&["/dev/tty"]).on_terminal(terminal.clone());
    assert_eq!(machines.fs.rights(&terminal), Access::READ | Access::WRITE);
    assert_eq!(machines.fs.rights(&path("/dev/pts/1")), Access::empty());
    assert_eq!(machines.own_view(), OwnView { terminals: None, ..own.own_view() });
    assert_eq!(ptmx(&["/dev/pts/7"]).fs.rights(&terminal), Access::empty());
    assert_eq!(settled(policy(&["/ws"], &[])).own_view().terminals, None);
}
