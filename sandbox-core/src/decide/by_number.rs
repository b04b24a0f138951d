//! Whose limits, priority or processors a call is about, told from registers, and whether it may go on.
//!
//! The kernel performs these calls, so a verdict "go on" must still be true when it looks the number
//! up. A caller that waits keeps its own two numbers: its thread's and, even where the first thread
//! has ended, its process's. Any other number can be given to somebody else meanwhile. Where a run
//! has numbers of its own (a process namespace), that somebody is of the run or, at worst, a thread
//! of the run's own supervisor; where it has none, it may be anybody's.

use crate::register::int;

/// Whom a call names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A thread, or a process by its first one.
    Task(i32),
    /// A process group; 0 is the caller's own.
    Group(i32),
    /// All processes of a user.
    User,
    /// Nobody: the kernel says what is wrong.
    Nobody,
}

/// The numbers that are in use around a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    /// The caller's thread.
    pub thread: i32,
    /// Its process.
    pub process: i32,
    /// The supervisor, where the run has numbers of its own.
    pub own: Option<OwnNumbers>,
}

/// Who has a number among a run's own without being of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnNumbers {
    /// The supervisor's process.
    pub supervisor: i32,
    /// Its group; 0 if that has no number there.
    pub group: i32,
}

/// What becomes of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByNumber {
    /// The kernel goes on.
    GoOn,
    /// `ESRCH`: nobody has the number.
    NoSuch,
    /// `EPERM`.
    Refuse,
}

/// Whom the call `nr` names. For calls that name nobody: [`Subject::Nobody`].
#[must_use]
pub fn subject(nr: i64, args: &[u64; 6]) -> Subject {
    let [first, second, ..] = args.map(int);
    match (nr, first) {
        (libc::SYS_setpriority, 0) | (libc::SYS_ioprio_set, 1) => Subject::Task(second),
        (libc::SYS_setpriority, 1) | (libc::SYS_ioprio_set, 2) => Subject::Group(second),
        (libc::SYS_setpriority, 2) | (libc::SYS_ioprio_set, 3) => Subject::User,
        (libc::SYS_setpriority | libc::SYS_ioprio_set, _) => Subject::Nobody,
        (_, task) => Subject::Task(task),
    }
}

/// The verdict. `process_of`: the process that a thread is of; asked only where it matters.
///
/// The supervisor is of the run's user, so a call about that user's processes would reach it even
/// where nobody else outside has a number. The caller's own group is the run's: it lies in a session
/// that the run's first process began.
#[must_use]
pub fn by_number(
    subject: Subject,
    numbers: Numbers,
    process_of: impl FnOnce(i32) -> Option<i32>,
) -> ByNumber {
    match (subject, numbers.own) {
        (Subject::Nobody | Subject::Task(..=0) | Subject::Group(0), _) => ByNumber::GoOn,
        (Subject::Task(task), _) if [numbers.thread, numbers.process].contains(&task) => {
            ByNumber::GoOn
        }
        (Subject::Task(task), own) => match (process_of(task), own) {
            (None, _) => ByNumber::NoSuch,
            (Some(process), Some(own)) if process != own.supervisor => ByNumber::GoOn,
            (Some(_), _) => ByNumber::Refuse,
        },
        (Subject::Group(group), Some(own)) if group != own.group => ByNumber::GoOn,
        (Subject::Group(_) | Subject::User, _) => ByNumber::Refuse,
    }
}

/// The refused call in words: the call and whom it names.
#[must_use]
pub fn describe_by_number(name: &str, subject: Subject) -> String {
    match subject {
        Subject::Task(task) => format!("{name}(task {task})"),
        Subject::Group(group) => format!("{name}(process group {group})"),
        Subject::User => format!("{name}(all processes of a user)"),
        Subject::Nobody => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARED: Numbers = Numbers { thread: 11, process: 10, own: None };
    const OWN: Numbers = Numbers { own: Some(OwnNumbers { supervisor: 1, group: 1 }), ..SHARED };

    /// 10 with the threads 11 and 12; the supervisor 1 with the thread 2; somebody, 77.
    fn process_of(task: i32) -> Option<i32> {
        match task {
            10..=12 => Some(10),
            1 | 2 => Some(1),
            77 => Some(77),
            _ => None,
        }
    }

    #[test]
    fn whom_registers_name() {
        let named = |nr, args: [u64; 2]| subject(nr, &[args[0], args[1], 0, 0, 0, 0]);
        let upper = 0xdead_beef_0000_0000;
        assert_eq!(named(libc::SYS_sched_setaffinity, [77 | upper, 8]), Subject::Task(77));
        assert_eq!(named(libc::SYS_prlimit64, [77, 7]), Subject::Task(77));
        assert_eq!(named(libc::SYS_setpriority, [upper, 77]), Subject::Task(77));
        assert_eq!(named(libc::SYS_setpriority, [1, 77]), Subject::Group(77));
        assert_eq!(named(libc::SYS_setpriority, [2, 0]), Subject::User);
        assert_eq!(named(libc::SYS_setpriority, [3, 77]), Subject::Nobody);
        assert_eq!(named(libc::SYS_ioprio_set, [1, 77]), Subject::Task(77));
        assert_eq!(named(libc::SYS_ioprio_set, [2, 0]), Subject::Group(0));
        assert_eq!(named(libc::SYS_ioprio_set, [3, 0]), Subject::User);
        assert_eq!(named(libc::SYS_ioprio_set, [0, 77]), Subject::Nobody);
    }

    #[test]
    fn among_everybodys_numbers_a_caller_names_itself_alone() {
        let verdict = |subject| by_number(subject, SHARED, process_of);
        assert_eq!(verdict(Subject::Task(11)), ByNumber::GoOn);
        assert_eq!(verdict(Subject::Task(10)), ByNumber::GoOn);
        // It may end, and somebody else get its number before the kernel looks.
        assert_eq!(verdict(Subject::Task(12)), ByNumber::Refuse);
        assert_eq!(verdict(Subject::Task(77)), ByNumber::Refuse);
        assert_eq!(verdict(Subject::Task(78)), ByNumber::NoSuch);
        assert_eq!(verdict(Subject::Task(-1)), ByNumber::GoOn, "the kernel's own error");
        assert_eq!(verdict(Subject::Group(0)), ByNumber::GoOn);
        assert_eq!(verdict(Subject::Group(10)), ByNumber::Refuse);
        assert_eq!(verdict(Subject::User), ByNumber::Refuse);
    }

    #[test]
    fn among_a_runs_own_numbers_all_but_the_supervisor_may_be_named() {
        let verdict = |subject| by_number(subject, OWN, process_of);
        for task in [10, 11, 12, 77] {
            assert_eq!(verdict(Subject::Task(task)), ByNumber::GoOn, "{task}");
        }
        assert_eq!(verdict(Subject::Task(1)), ByNumber::Refuse);
        assert_eq!(verdict(Subject::Task(2)), ByNumber::Refuse, "a thread of the supervisor");
        assert_eq!(verdict(Subject::Task(78)), ByNumber::NoSuch);
        assert_eq!(verdict(Subject::Group(10)), ByNumber::GoOn);
        assert_eq!(verdict(Subject::Group(1)), ByNumber::Refuse);
        assert_eq!(verdict(Subject::User), ByNumber::Refuse);
    }

    #[test]
    fn in_words() {
        let said = |subject| describe_by_number("setpriority", subject);
        assert_eq!(said(Subject::Task(7)), "setpriority(task 7)");
        assert_eq!(said(Subject::Group(7)), "setpriority(process group 7)");
        assert_eq!(said(Subject::User), "setpriority(all processes of a user)");
    }
}
