//! Which denial made the command fail: an order and a judgement, each with what speaks for it.
//! Output is used to rank records and for nothing else.

use super::benign;
use super::group::Group;
use super::masked::Masked;
use super::{network, subject};
use nix::errno::Errno;
use nono_sandbox::record::{Confidence, Denial, Kind, Operation, Reason};
use nono_schemas::Relevance;

/// What was left of the run to judge by.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    /// The end of what the command said, as text.
    pub(super) said: String,
    /// Whether the run is over; before that nobody knows how it ends.
    pub(super) over: bool,
    /// Whether the command failed as a whole.
    pub(super) failed: bool,
    /// Why its status may hide a failure.
    pub(super) masked: Option<Masked>,
    /// How long it ran, in milliseconds.
    pub(super) took_ms: u64,
}

/// A denial within this many milliseconds before the end counts as near.
const NEAR_MS: u64 = 100;
/// Shorter names are words that output is full of.
const SHORTEST_NAME: usize = 3;

/// A group with its place.
#[derive(Debug, Clone)]
pub(super) struct Ranked<'d> {
    pub(super) group: Group<'d>,
    pub(super) relevance: Relevance,
    pub(super) why: String,
    score: u32,
}

/// What the command said about a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Quoted {
    Nothing,
    Errno,
    Target,
    Both,
}

/// Orders groups, the most telling first.
pub(super) fn rank<'d>(groups: Vec<Group<'d>>, evidence: &Evidence) -> Vec<Ranked<'d>> {
    let mut ranked: Vec<Ranked<'d>> =
        groups.into_iter().map(|group| judge(group, evidence)).collect();
    // Ties keep the order in which things happened.
    ranked.sort_by_key(|r| std::cmp::Reverse((r.relevance != Relevance::Benign, r.score)));
    let named = ranked.iter().any(|r| r.relevance == Relevance::LikelyCause);
    if let [only] = ranked.as_mut_slice()
        && !named
        && evidence.failed
        && only.relevance == Relevance::Possible
        // What is asked for to see whether it is there, others fail beside.
        && benign::probe(only.group.first).is_none()
        && near_end(&only.group, evidence) <= NEAR_MS
        && quoted(&only.group, &evidence.said) >= Quoted::Errno
    {
        only.relevance = Relevance::LikelyCause;
    }
    ranked
}

/// Why exit code 0 may not mean success, by what was refused and what the command says of it.
pub(super) fn complaint(groups: &[Group<'_>], said: &str) -> Option<Masked> {
    // What nobody saw refused is not said of a success.
    let seen = |g: &&Group<'_>| g.first.confidence != Confidence::Inferred;
    let serious = || groups.iter().filter(seen).filter(|g| benign::probe(g.first).is_none());
    let spoken = serious().any(|g| quoted(g, said) == Quoted::Both);
    let fetched = || serious().any(|g| g.first.kind == Kind::NetProxy);
    if spoken { Some(Masked::Complaint) } else { fetched().then_some(Masked::Proxy) }
}

/// How long before the end it was, in milliseconds. Nobody saw when an inferred one was.
fn near_end(group: &Group<'_>, evidence: &Evidence) -> u64 {
    match group.first.confidence {
        Confidence::Inferred => u64::MAX,
        _ => evidence.took_ms.saturating_sub(group.last_ms),
    }
}

fn judge<'d>(group: Group<'d>, evidence: &Evidence) -> Ranked<'d> {
    let quoted = quoted(&group, &evidence.said);
    let first = group.first;
    let near = near_end(&group, evidence);
    let complained = group.members.iter().any(|d| complains(&evidence.said, &d.exe));
    let score = 8 * quoted as u32
        + 4 * u32::from(near <= NEAR_MS)
        + 3 * u32::from(complained)
        + 2 * weight(first.operation)
        + u32::from(first.reason == Reason::Denied);
    let mut why: Vec<String> = Vec::new();
    match quoted {
        Quoted::Both => why.push("the output quotes the target and the error".into()),
        Quoted::Target => why.push("the output quotes the target".into()),
        Quoted::Errno => why.push("the output quotes the error".into()),
        Quoted::Nothing => {}
    }
    if complained && evidence.failed {
        why.push("its program is the one that complains".into());
    }
    if evidence.failed && near <= NEAR_MS {
        why.push(format!("{near} ms before the end"));
    }
    let open = evidence.failed || evidence.masked.is_some();
    let speaks = evidence.failed && is_named_by_errno(first) && quoted >= Quoted::Errno;
    let relevance = match (benign::probe(first), quoted) {
        // The program says that it could not do without.
        (Some(_), Quoted::Errno)
            if speaks && near <= NEAR_MS && !benign::is_said_in_passing(first) =>
        {
            Relevance::Possible
        }
        (Some(probe), Quoted::Nothing | Quoted::Errno) => {
            why = vec![probe.to_owned()];
            Relevance::Benign
        }
        (Some(probe), _) if !open => {
            why = vec![probe.to_owned()];
            Relevance::Benign
        }
        (_, Quoted::Both) if open => Relevance::LikelyCause,
        (_, Quoted::Target) if evidence.failed => Relevance::LikelyCause,
        (_, Quoted::Errno) if speaks => Relevance::LikelyCause,
        _ => Relevance::Possible,
    };
    if !open && relevance == Relevance::Possible {
        match evidence.over {
            true => why = vec!["the command succeeded".to_owned()],
            false => why.insert(0, "the command still runs".to_owned()),
        }
    }
    if why.is_empty() {
        why.push("the output does not mention it".to_owned());
    }
    Ranked { group, relevance, why: why.join("; "), score }
}

/// Refusals without a name to quote.
fn is_named_by_errno(denial: &Denial) -> bool {
    match denial.kind {
        Kind::Syscall | Kind::NestedSandbox | Kind::Socket | Kind::Signal => true,
        // Programs name the host, which is not what they connect to.
        Kind::NetConnect | Kind::NetBind | Kind::Dns | Kind::NetProxy => true,
        Kind::Fs | Kind::UnixSocket | Kind::Exec => false,
    }
}

/// What changes something or reaches somebody tells more than what only looks.
fn weight(operation: Operation) -> u32 {
    match operation {
        Operation::Write
        | Operation::Create
        | Operation::Delete
        | Operation::Rename
        | Operation::Link
        | Operation::Connect
        | Operation::Bind
        | Operation::Listen
        | Operation::Send
        | Operation::Signal
        | Operation::Socket
        | Operation::Call => 2,
        Operation::Execute => 1,
        Operation::Read => 0,
    }
}

/// What `said` quotes of a group.
pub(super) fn quoted(group: &Group<'_>, said: &str) -> Quoted {
    let error = mentions_error(said, group);
    let target = group.members.iter().any(|d| mentions_target(said, d))
        || group.folder.as_ref().is_some_and(|f| mentions(said, f.as_bytes()));
    match (target, error) {
        (true, true) => Quoted::Both,
        (true, false) => Quoted::Target,
        (false, true) => Quoted::Errno,
        (false, false) => Quoted::Nothing,
    }
}

/// Whether output names what the program got, an errno or the proxy's answer, and not only of
/// something else.
fn mentions_error(said: &str, group: &Group<'_>) -> bool {
    const PROXY: [&str; 2] = ["403", "Proxy Error"];
    /// What is said of a name for which no server was asked: getaddrinfo(3) has errors of its own.
    const NAMES: [&str; 6] = [
        "EAI_AGAIN",
        "ENOTFOUND",
        "ould not resolve",
        "failure in name resolution",
        "Name or service not known",
        "UnknownHost",
    ];
    match group.first.kind {
        Kind::NetProxy if group.first.reason == Reason::NoPlace => said.contains("503"),
        Kind::NetProxy => PROXY.iter().any(|words| said.contains(words)),
        Kind::Dns if NAMES.iter().any(|words| said.contains(words)) => true,
        _ => {
            let errno = Errno::from_raw(group.first.errno);
            let words = errno.desc().to_lowercase();
            let names = |line| group.members.iter().any(|d| mentions_target(line, d));
            said.lines()
                .filter(|line| mentions_errno(line, errno, &words))
                .any(|line| names(line) || !subject::is_another(line, &words, group))
        }
    }
}

fn mentions_target(said: &str, denial: &Denial) -> bool {
    if network::is_about(denial) {
        // Programs name the host, with its port or without.
        let host = denial.target.rsplitn(2, |b| *b == b':').last().unwrap_or_default();
        return mentions(said, host);
    }
    let name = denial.target.rsplit(|b| *b == b'/').next().unwrap_or_default();
    mentions(said, &denial.target)
        || denial.resolved.as_ref().is_some_and(|r| mentions(said, r))
        || (name.len() >= SHORTEST_NAME && name.contains(&b'.') && mentions(said, name))
}

fn mentions(said: &str, bytes: &[u8]) -> bool {
    bytes.len() >= SHORTEST_NAME && std::str::from_utf8(bytes).is_ok_and(|text| said.contains(text))
}

/// Whether a line of the output begins with the program's name and a colon, as complaints do: of
/// several processes that were refused something, this one failed over it.
fn complains(said: &str, exe: &[u8]) -> bool {
    let name = exe.rsplit(|b| *b == b'/').next().unwrap_or_default();
    let Ok(name) = std::str::from_utf8(name) else { return false };
    // Some write the path they were started by.
    let speaker = |line: &str| {
        let (speaker, _) = line.split_once(": ")?;
        Some(speaker.rsplit('/').next().unwrap_or(speaker) == name)
    };
    !name.is_empty() && said.lines().filter_map(speaker).any(|same| same)
}

/// Whether a line names an errno, by its name or by libc's `words` for it. Go writes those small.
fn mentions_errno(line: &str, errno: Errno, words: &str) -> bool {
    line.contains(&format!("{errno:?}")) || line.to_lowercase().contains(words)
}
