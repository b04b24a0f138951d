//! Abstract names where the kernel has no scope for them: each run has its own, told by how they
//! begin. Nothing else can tell who made a name, for the time between the question and the call.

use std::fmt::Write;

/// Longest abstract name, its leading NUL not counted (unix(7)).
const LONGEST: usize = 107;
/// Random bytes behind the word; two digits each.
const RANDOM: usize = 8;
const LENGTH: usize = b"nono/".len() + 2 * RANDOM + b"/".len();

/// How the abstract names of one run begin.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnNames([u8; LENGTH]);

impl OwnNames {
    /// The names of a run that nothing else will get the same bytes for.
    #[must_use]
    pub fn new(random: [u8; RANDOM]) -> Self {
        let mut text = String::from("nono/");
        for byte in random {
            // Writing to a `String` does not fail.
            let _written = write!(text, "{byte:02x}");
        }
        text.push('/');
        let mut start = [0; LENGTH];
        for (to, from) in start.iter_mut().zip(text.bytes()) {
            *to = from;
        }
        Self(start)
    }

    /// The address that a command means by an abstract `name`: that of the run's own socket of that
    /// name. A name that `getsockname` has given stays as it is. `None`: there is no room for it.
    #[must_use]
    pub fn address(&self, name: &[u8]) -> Option<Vec<u8>> {
        let start = if name.starts_with(&self.0) { &[][..] } else { &self.0 };
        let family = u16::try_from(libc::AF_UNIX).unwrap_or_default().to_ne_bytes();
        (start.len() + name.len() <= LONGEST).then(|| [&family[..], b"\0", start, name].concat())
    }

    /// An address for a socket that is to get any name: the kernel's choice has five digits too.
    #[must_use]
    pub fn unnamed(&self, number: u32) -> Option<Vec<u8>> {
        self.address(format!("{:05x}", number & 0xf_ffff).as_bytes())
    }
}

impl std::fmt::Debug for OwnNames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OwnNames({})", String::from_utf8_lossy(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::Address;

    fn name(names: &OwnNames, asked: &[u8]) -> Vec<u8> {
        match Address::parse(&names.address(asked).unwrap()) {
            Address::UnixAbstract(name) => name,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn runs_have_names_of_their_own() {
        let (a, b) = (OwnNames::new([0xab; 8]), OwnNames::new([1; 8]));
        assert_eq!(name(&a, b"x"), b"nono/abababababababab/x");
        assert_eq!(name(&a, b""), b"nono/abababababababab/");
        // What `getsockname` says can be used, by the run itself.
        assert_eq!(name(&a, &name(&a, b"x")), name(&a, b"x"));
        assert_ne!(name(&b, &name(&a, b"x")), name(&a, b"x"));
        assert_ne!(name(&a, &name(&b, b"x")), name(&b, b"x"));
        assert_eq!(name(&a, &a.unnamed(0x12).unwrap()[3..]), b"nono/abababababababab/00012");
    }

    #[test]
    fn what_is_too_long_has_no_address() {
        let names = OwnNames::new([0; 8]);
        assert_eq!(names.address(&[b'x'; LONGEST - LENGTH]).unwrap().len(), 3 + LONGEST);
        assert_eq!(names.address(&[b'x'; LONGEST - LENGTH + 1]), None);
        let longest = name(&names, &[b'x'; LONGEST - LENGTH]);
        assert_eq!(name(&names, &longest), longest);
    }
}
