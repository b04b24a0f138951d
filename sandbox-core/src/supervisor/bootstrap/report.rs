//! The messages of the hand-over, and which may come when. Pure.

use crate::supervisor::{SetupFailed, Stage};
use nix::errno::Errno;

/// Comes with the listener.
pub(super) const LISTENER: u8 = b'L';
/// Followed by stage and errno.
const FAILED: u8 = b'E';
/// The supervisor's answer: execute this.
pub(super) const GO: u8 = b'G';
/// Travels, as 0, where a failure has no errno.
pub(super) const NO_ERRNO: Errno = Errno::UnknownErrno;
/// The longest message.
pub(super) const MAX_MESSAGE: usize = 6;

/// A failure as it travels: fixed size, no allocation.
pub(super) fn encode_failure(stage: Stage, errno: i32) -> [u8; MAX_MESSAGE] {
    let [a, b, c, d] = errno.to_le_bytes();
    [FAILED, stage as u8, a, b, c, d]
}

/// Decodes a message that arrived, with this many descriptors, while the listener was awaited: it is
/// the one that comes with the listener, which is to be checked.
pub(super) fn decode(bytes: &[u8], descriptors: usize) -> Result<(), SetupFailed> {
    let odd = |what: &str| SetupFailed::new(Stage::Handover, Errno::EPROTO, what);
    match (bytes, descriptors) {
        ([LISTENER], 1) => Ok(()),
        ([LISTENER], n) => Err(odd(&format!("{n} descriptors instead of one"))),
        ([], _) => Err(odd("the child ended before it was confined")),
        (bytes, 0) => Err(decode_failure(bytes).unwrap_or_else(|| odd("not a known message"))),
        _ => Err(odd("not a known message")),
    }
}

/// Decodes a failure; `None` if it is none.
pub(super) fn decode_failure(bytes: &[u8]) -> Option<SetupFailed> {
    let [FAILED, stage, a, b, c, d] = *bytes else { return None };
    let stage = Stage::from_number(stage)?;
    Some(match Errno::from_raw(i32::from_le_bytes([a, b, c, d])) {
        NO_ERRNO => SetupFailed::in_words(stage, ""),
        errno => SetupFailed::new(stage, errno, ""),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_message_hands_a_listener_over() {
        assert_eq!(decode(b"L", 1), Ok(()));
        for (bytes, descriptors) in [
            (&b"L"[..], 0),
            (b"L", 2),
            (b"N", 1),
            (b"", 0),
            (b"", 1),
            (b"LL", 1),
            (b"E", 0),
            (b"G", 0),
        ] {
            let failed = decode(bytes, descriptors).unwrap_err();
            assert_eq!((failed.stage, failed.errno()), (Stage::Handover, Some(Errno::EPROTO)));
        }
    }

    #[test]
    fn failures_carry_stage_and_errno() {
        for stage in Stage::ALL {
            let message = encode_failure(stage, 13);
            assert_eq!(decode(&message, 0), Err(SetupFailed::new(stage, Errno::EACCES, "")));
        }
        let mut unknown = encode_failure(Stage::Exec, 13);
        unknown[1] = 200;
        assert_eq!(decode(&unknown, 0).unwrap_err().stage, Stage::Handover);
    }
}
