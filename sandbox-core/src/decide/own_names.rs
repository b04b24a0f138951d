//! Abstract names where the kernel has no scope for them: each run has its own, told by how they
//! begin. Nothing else can tell who made a name, for the time between the question and the call.

/// Longest abstract name, its leading NUL not counted (unix(7)).
const LONGEST: usize = 107;

/// How the abstract names of one run begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnNames(String);

impl OwnNames {
    /// The names of a run; nothing else gets the same number.
    #[must_use]
    pub fn new(random: u64) -> Self {
        Self(format!("nono/{random:016x}/"))
    }

    /// The address that a command means by an abstract `name`: that of the run's own socket of that
    /// name. A name that `getsockname` has given stays as it is. `None`: there is no room for it.
    #[must_use]
    pub fn address(&self, name: &[u8]) -> Option<Vec<u8>> {
        let own = self.0.as_bytes();
        let start = if name.starts_with(own) { &[] } else { own };
        let family = u16::try_from(libc::AF_UNIX).unwrap_or_default().to_ne_bytes();
        (start.len() + name.len() <= LONGEST).then(|| [&family[..], b"\0", start, name].concat())
    }

    /// An address for a socket that is to get any name: the kernel's choice has five digits too.
    #[must_use]
    pub fn unnamed(&self, number: u32) -> Option<Vec<u8>> {
        self.address(format!("{:05x}", number & 0xf_ffff).as_bytes())
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
        let (a, b) = (OwnNames::new(0xabab_abab_abab_abab), OwnNames::new(1));
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
        let names = OwnNames::new(0);
        assert_eq!(names.address(&[b'x'; 85]).unwrap().len(), 3 + LONGEST);
        assert_eq!(names.address(&[b'x'; 86]), None);
        let longest = name(&names, &[b'x'; 85]);
        assert_eq!(name(&names, &longest), longest);
    }
}
