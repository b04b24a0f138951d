//! Which run a refusal belongs to. Pure but for the question who started a process.
//!
//! The log names a domain by a number of the kernel's, and processes by theirs. A domain belongs to
//! the run whose supervisor is an ancestor of one of its processes; once that is found out it holds
//! for the domain. What a program's own, nested domain refuses comes here as well and is told apart
//! by the supervisor, which knows the rules.

use super::message::{Call, Message, RefusedAccess};
use nix::errno::Errno;
use nono_sandbox::IpcScope;
use nono_sandbox::filter::{Trapped, trapped};
use nono_sandbox::record::KernelRefusal;
use std::collections::HashMap;
use std::time::Instant;

/// Refusals kept for one run; more are counted.
const MOST: usize = 4096;
/// Domains known at once. Others on this machine use Landlock too.
const MOST_DOMAINS: usize = 4096;
/// Refusals of a domain that wait for its run to be found out.
const MOST_WAITING: usize = 64;
/// Generations between a process and its supervisor that are looked at.
const GENERATIONS: usize = 64;

/// What was heard of one run.
#[derive(Debug)]
pub(super) struct Heard {
    started: Instant,
    pub(super) refusals: Vec<KernelRefusal>,
    /// Refusals that the kernel counted and that are not among them.
    pub(super) missed: u64,
    /// What its first process leaves in the log.
    mark: u64,
}

#[derive(Debug, Default)]
struct Domain {
    maker: Option<i32>,
    /// Host process id of the supervisor.
    owner: Option<i32>,
    heard: u64,
    waiting: Vec<(Instant, Option<RefusedAccess>, Option<Call>)>,
}

/// An event whose end has not come yet.
#[derive(Debug)]
struct Event {
    serial: u64,
    domain: u64,
    what: Option<RefusedAccess>,
    /// Not written where calls are not logged.
    call: Option<Call>,
}

/// Runs, domains, and what is known of them.
#[derive(Debug, Default)]
pub(super) struct Book {
    runs: HashMap<i32, Heard>,
    domains: HashMap<u64, Domain>,
    current: Option<Event>,
}

impl Book {
    /// From now on refusals to the run of `supervisor` are kept. Its first process makes its domain
    /// known with `mark`; where calls are not logged, descent has to do.
    pub(super) fn follow(&mut self, supervisor: i32, mark: u64, started: Instant) {
        let heard = Heard { started, refusals: Vec::new(), missed: 0, mark };
        self.runs.insert(supervisor, heard);
    }

    /// Whether all domains of a run that were heard of are gone, so that there is nothing more to
    /// come.
    pub(super) fn is_complete(&self, supervisor: i32) -> bool {
        self.domains.values().all(|domain| domain.owner != Some(supervisor))
    }

    /// No longer; what was heard.
    pub(super) fn forget(&mut self, supervisor: i32) -> Option<Heard> {
        self.domains.retain(|_, domain| domain.owner != Some(supervisor));
        self.runs.remove(&supervisor)
    }

    /// Takes note of a message. `parent_of`: asked for processes of unknown runs.
    pub(super) fn note(
        &mut self,
        serial: u64,
        message: Message,
        now: Instant,
        parent_of: &dyn Fn(i32) -> Option<i32>,
    ) {
        if self.runs.is_empty() {
            self.current = None;
            return;
        }
        // The end of an event is not written where calls are not: the next one ends it as well.
        if self.current.as_ref().is_some_and(|event| event.serial != serial) {
            self.settle(now, parent_of);
        }
        match message {
            Message::Refused { domain, what } => {
                self.settle(now, parent_of);
                self.current = Some(Event { serial, domain, what, call: None });
            }
            Message::Made { domain, pid } => {
                if self.domains.len() < MOST_DOMAINS || self.domains.contains_key(&domain) {
                    self.domains.entry(domain).or_default().maker = Some(pid);
                }
                self.claim(domain, pid, parent_of);
            }
            Message::Call(call) => {
                if let Some(event) = &mut self.current {
                    event.call = Some(call);
                }
            }
            Message::End => self.settle(now, parent_of),
            Message::Gone { domain, refusals } => {
                self.settle(now, parent_of);
                self.close(domain, refusals);
            }
        }
    }

    /// The current event is complete.
    fn settle(&mut self, now: Instant, parent_of: &dyn Fn(i32) -> Option<i32>) {
        let Some(Event { domain: name, what, call, .. }) = self.current.take() else { return };
        if self.domains.len() >= MOST_DOMAINS && !self.domains.contains_key(&name) {
            return;
        }
        let domain = self.domains.entry(name).or_default();
        domain.heard += 1;
        let callers = call.as_ref().map(|call| [call.pid, call.parent]);
        let candidates: Vec<i32> = callers.into_iter().flatten().chain(domain.maker).collect();
        let mark = call.as_ref().and_then(|call| call.mark);
        let marked = self.runs.iter().find(|(_, run)| mark == Some(run.mark));
        if let Some((&owner, _)) = marked {
            self.give(name, owner);
            return;
        }
        if domain.waiting.len() < MOST_WAITING || domain.owner.is_some() {
            domain.waiting.push((now, what, call));
        }
        for pid in candidates {
            self.claim(name, pid, parent_of);
        }
        self.deliver(name);
    }

    /// Finds out whose domain it is, from a process in it.
    fn claim(&mut self, name: u64, pid: i32, parent_of: &dyn Fn(i32) -> Option<i32>) {
        if self.domains.get(&name).is_none_or(|domain| domain.owner.is_some()) {
            return;
        }
        let mut line = std::iter::successors(Some(pid), |pid| parent_of(*pid)).take(GENERATIONS);
        let Some(owner) = line.find(|pid| self.runs.contains_key(pid)) else { return };
        self.give(name, owner);
    }

    fn give(&mut self, name: u64, owner: i32) {
        if let Some(domain) = self.domains.get_mut(&name) {
            domain.owner.get_or_insert(owner);
        }
    }

    fn deliver(&mut self, name: u64) {
        let Some(domain) = self.domains.get_mut(&name) else { return };
        let Some(heard) = domain.owner.and_then(|owner| self.runs.get_mut(&owner)) else { return };
        for (at, what, call) in domain.waiting.drain(..) {
            let Some(what) = what else { continue };
            if heard.refusals.len() == MOST {
                heard.missed += 1;
                continue;
            }
            heard.refusals.push(refusal(what, call, heard.started, at));
        }
    }

    /// A domain is gone: the kernel's own count says whether anything was missed.
    fn close(&mut self, name: u64, refusals: u64) {
        self.deliver(name);
        let Some(domain) = self.domains.remove(&name) else { return };
        let Some(heard) = domain.owner.and_then(|owner| self.runs.get_mut(&owner)) else { return };
        heard.missed += refusals.saturating_sub(domain.heard);
    }
}

/// In records: whose call it was is not known.
const UNKNOWN: i32 = 0;

fn refusal(
    what: RefusedAccess,
    call: Option<Call>,
    started: Instant,
    at: Instant,
) -> KernelRefusal {
    let RefusedAccess { operation, access, in_folder, path } = what;
    let at_ms = at.saturating_duration_since(started).as_millis();
    KernelRefusal {
        operation,
        access,
        path,
        in_folder,
        syscall: call.as_ref().map(name_of).unwrap_or_default(),
        // Where calls are not logged: what Landlock answers but for a few cases.
        errno: call.as_ref().and_then(|call| call.errno).unwrap_or(Errno::EACCES as i32),
        pid: call.as_ref().map_or(UNKNOWN, |call| call.pid),
        exe: call.map(|call| call.exe).unwrap_or_default(),
        at_ms: u64::try_from(at_ms).unwrap_or(u64::MAX),
    }
}

fn name_of(call: &Call) -> String {
    match trapped(call.number, IpcScope::Kernel) {
        Some(
            Trapped::Mediated(_, name)
            | Trapped::Observed(_, name)
            | Trapped::ByNumber(name)
            | Trapped::Refused(_, name),
        ) => name.to_owned(),
        None => format!("syscall {}", call.number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nono_sandbox::policy::Access;
    use nono_sandbox::record::Operation;

    const MARK: u64 = 0xf00d_feed_f00d_feed;

    fn refused(domain: u64, path: &str) -> Message {
        let what = RefusedAccess {
            operation: Operation::Read,
            access: Access::READ,
            in_folder: false,
            path: path.into(),
        };
        Message::Refused { domain, what: Some(what) }
    }

    fn call(pid: i32, parent: i32) -> Message {
        Message::Call(Call {
            number: 257,
            errno: Some(13),
            pid,
            parent,
            exe: b"/bin/cat".to_vec(),
            mark: None,
        })
    }

    /// Process 10 is a supervisor's child, 11 its child; 99 is somebody else's.
    fn parent_of(pid: i32) -> Option<i32> {
        [(11, 10), (10, 5), (5, 1), (99, 1)].iter().find(|(p, _)| *p == pid).map(|(_, p)| *p)
    }

    fn book(messages: Vec<(u64, Message)>, parent_of: &dyn Fn(i32) -> Option<i32>) -> Book {
        let mut book = Book::default();
        book.follow(5, MARK, Instant::now());
        for (serial, message) in messages {
            book.note(serial, message, Instant::now(), parent_of);
        }
        book
    }

    fn paths(book: &Book) -> Vec<&[u8]> {
        book.runs[&5].refusals.iter().map(|r| r.path.as_slice()).collect()
    }

    #[test]
    fn a_run_hears_of_its_own_processes_only() {
        let book = book(
            vec![
                (1, refused(0xa, "/one")),
                (1, Message::Made { domain: 0xa, pid: 10 }),
                (1, call(11, 10)),
                (1, Message::End),
                (2, refused(0xb, "/foreign")),
                (2, call(99, 1)),
                (2, Message::End),
                // Its process is gone already; the domain is known.
                (3, refused(0xa, "/two")),
                (3, call(77, 76)),
                (3, Message::End),
            ],
            &parent_of,
        );
        assert_eq!(paths(&book), [b"/one", b"/two"]);
        let first = &book.runs[&5].refusals[0];
        assert_eq!((first.syscall.as_str(), first.errno, first.pid), ("openat", 13, 11));
        assert!(!book.is_complete(5));
    }

    #[test]
    fn a_mark_needs_no_living_process() {
        let marked = |mark| Message::Call(Call { mark: Some(mark), ..Call::default() });
        let book = book(
            vec![
                (1, refused(0xa, "/tmp")),
                (1, marked(MARK)),
                (2, refused(0xa, "/one")),
                (2, call(77, 76)),
                (3, refused(0xb, "/tmp")),
                (3, marked(MARK + 1)),
                (4, refused(0xb, "/two")),
                (4, call(77, 76)),
                (5, Message::Gone { domain: 0xa, refusals: 2 }),
            ],
            &|_| None,
        );
        assert_eq!(paths(&book), [b"/one"]);
        assert_eq!(book.runs[&5].missed, 0);
    }

    #[test]
    fn what_came_before_the_run_was_found_out_is_not_lost() {
        let book = book(
            vec![
                (1, refused(0xa, "/one")),
                (1, call(77, 76)),
                (2, refused(0xa, "/two")),
                (2, call(11, 10)),
                (2, Message::End),
            ],
            &parent_of,
        );
        assert_eq!(paths(&book), [b"/one", b"/two"]);
    }

    #[test]
    fn without_records_of_calls_the_maker_tells() {
        let book = book(
            vec![
                (1, refused(0xa, "/one")),
                (1, Message::Made { domain: 0xa, pid: 10 }),
                (2, refused(0xa, "/two")),
                (3, refused(0xa, "/three")),
            ],
            &parent_of,
        );
        assert_eq!(paths(&book), [b"/one", b"/two"]);
        let first = &book.runs[&5].refusals[0];
        assert_eq!((first.syscall.as_str(), first.errno, first.pid), ("", 13, 0));
    }

    #[test]
    fn the_kernels_count_tells_what_was_missed() {
        let mut book = book(
            vec![
                (1, refused(0xa, "/one")),
                (1, call(10, 5)),
                (1, Message::End),
                (2, Message::Gone { domain: 0xa, refusals: 3 }),
            ],
            &parent_of,
        );
        assert!(book.is_complete(5));
        let heard = book.forget(5).unwrap();
        assert_eq!((heard.refusals.len(), heard.missed), (1, 2));
        assert!(book.domains.is_empty() && book.forget(5).is_none());
    }

    #[test]
    fn memory_is_bounded() {
        let flood = (0..3 * MOST as u64).flat_map(|n| {
            [(n, refused(0xa, "/x")), (n, call(10, 5)), (n, Message::End)].into_iter()
        });
        let ours = book(flood.collect(), &parent_of);
        let heard = &ours.runs[&5];
        assert_eq!((heard.refusals.len(), heard.missed), (MOST, 2 * MOST as u64));
        let foreign = (0..3 * MOST_DOMAINS as u64)
            .flat_map(|n| [(n, refused(n, "/x")), (n, call(99, 1)), (n, Message::End)].into_iter());
        let foreign = book(foreign.collect(), &parent_of);
        assert_eq!(foreign.domains.len(), MOST_DOMAINS);
        let same = (0..999).flat_map(|n| [(n, refused(7, "/x")), (n, Message::End)].into_iter());
        assert_eq!(book(same.collect(), &parent_of).domains[&7].waiting.len(), MOST_WAITING);
    }
}
