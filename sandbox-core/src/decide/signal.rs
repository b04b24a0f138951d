//! Who a signal is for, told from registers.

use crate::filter::SignalCall;
use crate::register::int;

/// The receivers of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receivers {
    /// A process.
    Process(i32),
    /// A thread; with its process where the call names it.
    Thread {
        /// The process, if named.
        process: Option<i32>,
        /// The thread.
        thread: i32,
    },
    /// A process group; 0 is the caller's own.
    Group(i32),
    /// Everyone the sender may signal, without itself.
    Everyone,
    /// The process behind a descriptor of the caller.
    Pidfd(u64),
}

/// A signal about to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signalling {
    /// To whom.
    pub receivers: Receivers,
    /// Which; 0 only asks whether it could be sent.
    pub signal: i32,
    /// Where the caller's `siginfo_t` is, if it passes one.
    pub info: Option<u64>,
}

/// What a mediated signal call asks for.
#[must_use]
pub fn signalling(call: SignalCall, args: &[u64; 6]) -> Signalling {
    let [a, b, c, d, ..] = *args;
    let plain = |receivers, signal| Signalling { receivers, signal: int(signal), info: None };
    let with = |receivers, signal, info| Signalling {
        receivers,
        signal: int(signal),
        info: (info != 0).then_some(info),
    };
    let thread = |process, thread| Receivers::Thread { process, thread: int(thread) };
    match call {
        SignalCall::Kill => {
            let receivers = match int(a) {
                -1 => Receivers::Everyone,
                // `i32::MIN` has no positive counterpart and is no group; nobody has this id.
                group @ ..=0 => Receivers::Group(group.checked_neg().unwrap_or(i32::MAX)),
                process => Receivers::Process(process),
            };
            plain(receivers, b)
        }
        SignalCall::Tkill => plain(thread(None, a), b),
        SignalCall::Tgkill => plain(thread(Some(int(a)), b), c),
        SignalCall::Queue => with(Receivers::Process(int(a)), b, c),
        SignalCall::ThreadQueue => with(thread(Some(int(a)), b), c, d),
        SignalCall::Pidfd => with(Receivers::Pidfd(a), b, c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receivers() {
        let kill = |pid: i32| {
            let args = [u64::from(pid.cast_unsigned()), 15, 0, 0, 0, 0];
            signalling(SignalCall::Kill, &args).receivers
        };
        assert_eq!(kill(42), Receivers::Process(42));
        assert_eq!(kill(0), Receivers::Group(0));
        assert_eq!(kill(-7), Receivers::Group(7));
        assert_eq!(kill(-1), Receivers::Everyone);
        assert_eq!(kill(i32::MIN), Receivers::Group(i32::MAX));
        let thread = signalling(SignalCall::Tgkill, &[5, 6, 15, 0, 0, 0]);
        assert_eq!(thread.receivers, Receivers::Thread { process: Some(5), thread: 6 });
        assert_eq!(thread.signal, 15);
        let queued = signalling(SignalCall::Queue, &[5, 10, 0x1000, 0, 0, 0]);
        assert_eq!((queued.signal, queued.info), (10, Some(0x1000)));
    }
}
