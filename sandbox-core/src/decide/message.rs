//! Message headers and control messages (sendmsg(2), cmsg(3)), parsed from copied bytes.

/// `struct msghdr` on a 64-bit kernel, without its result field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Where the address is; 0 for none.
    pub name: u64,
    /// Its length.
    pub name_length: u32,
    /// Where the pieces are described.
    pub pieces: u64,
    /// How many.
    pub piece_count: u64,
    /// Where the control messages are; 0 for none.
    pub control: u64,
    /// Their length.
    pub control_length: u64,
}

impl Header {
    /// Bytes of the structure.
    pub const SIZE: usize = 56;

    /// Parses a copied header.
    #[must_use]
    pub fn parse(bytes: &[u8; Self::SIZE]) -> Header {
        let word = |at: usize| {
            let piece = bytes.get(at..at + 8).and_then(|b| <[u8; 8]>::try_from(b).ok());
            u64::from_ne_bytes(piece.unwrap_or_default())
        };
        let [a, b, c, d, ..] = word(8).to_ne_bytes();
        Header {
            name: word(0),
            name_length: u32::from_ne_bytes([a, b, c, d]),
            pieces: word(16),
            piece_count: word(24),
            control: word(32),
            control_length: word(40),
        }
    }
}

/// Pieces of a copied `struct iovec` array: address and length.
#[must_use]
pub fn pieces(bytes: &[u8]) -> Vec<(u64, u64)> {
    let word = |b: &[u8]| b.try_into().map(u64::from_ne_bytes).unwrap_or_default();
    bytes
        .chunks_exact(16)
        .map(|piece| {
            let (base, length) = piece.split_at(8);
            (word(base), word(length))
        })
        .collect()
}

/// One control message: where its data is in the copied bytes, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// `SOL_…`
    pub level: i32,
    /// `SCM_…`
    pub kind: i32,
    /// Position of its data.
    pub data: std::ops::Range<usize>,
}

/// `sizeof(struct cmsghdr)` on a 64-bit kernel; also its alignment's multiple.
const CONTROL_HEADER: usize = 16;

/// All control messages of a buffer. `None` if a length does not fit, which the kernel answers
/// with `EINVAL`.
#[must_use]
pub fn controls(bytes: &[u8]) -> Option<Vec<Control>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at + CONTROL_HEADER <= bytes.len() {
        let field = |range: std::ops::Range<usize>| bytes.get(at + range.start..at + range.end);
        let length = field(0..8)?.try_into().map(usize::from_ne_bytes).ok()?;
        let level = field(8..12)?.try_into().map(i32::from_ne_bytes).ok()?;
        let kind = field(12..16)?.try_into().map(i32::from_ne_bytes).ok()?;
        if length < CONTROL_HEADER || length > bytes.len() - at {
            return None;
        }
        found.push(Control { level, kind, data: at + CONTROL_HEADER..at + length });
        at += length.checked_next_multiple_of(8)?;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(length: usize, kind: i32, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(length.to_ne_bytes());
        bytes.extend(libc::SOL_SOCKET.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    #[test]
    fn the_layout_is_the_kernels() {
        assert_eq!(Header::SIZE, size_of::<libc::msghdr>());
        assert_eq!(CONTROL_HEADER, size_of::<libc::cmsghdr>());
        let mut bytes = [0u8; Header::SIZE];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::try_from(at).unwrap();
        }
        let header = Header::parse(&bytes);
        assert_eq!(header.name.to_ne_bytes()[0], 0);
        assert_eq!(header.name_length.to_ne_bytes()[0], 8);
        assert_eq!(header.pieces.to_ne_bytes()[0], 16);
        assert_eq!(header.piece_count.to_ne_bytes()[0], 24);
        assert_eq!(header.control.to_ne_bytes()[0], 32);
        assert_eq!(header.control_length.to_ne_bytes()[0], 40);
    }

    #[test]
    fn control_messages() {
        let two = [control(20, libc::SCM_RIGHTS, &[1, 0, 0, 0]), control(16, 99, &[])].concat();
        let found = controls(&two).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].kind, found[0].data.clone()), (libc::SCM_RIGHTS, 16..20));
        assert_eq!((found[1].kind, found[1].data.clone()), (99, 40..40));
        assert_eq!(controls(&[]), Some(vec![]));
        assert_eq!(controls(&[0; 15]), Some(vec![]));
    }

    #[test]
    fn lengths_that_do_not_fit() {
        for length in [0, 15, 25, usize::MAX, usize::MAX - 7] {
            assert_eq!(controls(&control(length, 1, &[0; 4])), None, "{length}");
        }
    }
}
