//! Names nobody can guess.

use nono_sandbox::sys;
use std::io;

/// `N` random bytes from the kernel, in hexadecimal.
///
/// # Errors
/// As getrandom(2).
pub(crate) fn hex<const N: usize>() -> io::Result<String> {
    Ok(crate::hex::encode(&bytes::<N>()?))
}

/// `N` random bytes from the kernel.
///
/// # Errors
/// As getrandom(2).
pub(crate) fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    Ok(sys::random_bytes()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_and_have_the_length_asked_for() {
        let (a, b) = (hex::<16>().unwrap(), hex::<16>().unwrap());
        assert_eq!((a.len(), b.len()), (32, 32));
        assert_ne!(a, b);
    }
}
