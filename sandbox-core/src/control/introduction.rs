//! What a supervisor says on a connection to the runs' proxy before the program has it: whose it
//! is. The program never sees the secret, so no other program can pass for one of this run.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Names a run to the proxy.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RunSecret(pub [u8; 32]);

impl fmt::Debug for RunSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RunSecret(…)")
    }
}

/// The first bytes of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    /// The run.
    pub secret: RunSecret,
    /// The process that connects.
    pub pid: i32,
    /// Its executable; empty if it could not be read.
    pub exe: Vec<u8>,
}

/// First bytes of all: what they are and in which version.
const MAGIC: &[u8; 8] = b"nonopxy1";
/// Longer names of executables are cut.
const MAX_EXE: usize = 512;

impl Introduction {
    /// Length of what comes before the executable's name.
    pub const HEAD: usize = 8 + 32 + 4 + 2;

    /// The bytes to send.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let exe = self.exe.get(..MAX_EXE).unwrap_or(&self.exe);
        let length = u16::try_from(exe.len()).unwrap_or_default();
        [&MAGIC[..], &self.secret.0, &self.pid.to_le_bytes(), &length.to_le_bytes(), exe].concat()
    }

    /// The run, the process, and how many bytes of its executable's name follow; `None` if this is
    /// no introduction.
    #[must_use]
    pub fn decode_head(head: &[u8; Self::HEAD]) -> Option<(RunSecret, i32, usize)> {
        let rest = head.strip_prefix(MAGIC)?;
        let (secret, rest) = rest.split_first_chunk::<32>()?;
        let (pid, rest) = rest.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_le_bytes(*rest.first_chunk::<2>()?));
        (length <= MAX_EXE).then_some((RunSecret(*secret), i32::from_le_bytes(*pid), length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        let said = Introduction { secret: RunSecret([7; 32]), pid: 42, exe: vec![b'x'; 600] };
        let bytes = said.encode();
        let (head, exe) = bytes.split_first_chunk::<{ Introduction::HEAD }>().unwrap();
        let found = Introduction::decode_head(head);
        assert_eq!(found, Some((RunSecret([7; 32]), 42, exe.len())));
        assert_eq!(exe, &said.exe[..512]);
        let mut other = *head;
        other[0] = b'C';
        assert_eq!(Introduction::decode_head(&other), None);
        let mut long = *head;
        long[Introduction::HEAD - 1] = 0xff;
        assert_eq!(Introduction::decode_head(&long), None);
    }
}
