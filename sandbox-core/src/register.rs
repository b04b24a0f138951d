//! Registers as the kernel takes them: where an argument is an `int` or an `unsigned`, it looks at
//! the lower half alone.

/// The register as an `unsigned`.
pub(crate) fn unsigned(register: u64) -> u32 {
    let [a, b, c, d, ..] = register.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// The register as an `int`.
pub(crate) fn int(register: u64) -> i32 {
    unsigned(register).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_half_does_not_count() {
        assert_eq!((int(0xdead_beef_ffff_ff9c), unsigned(0xdead_beef_8000_0000)), (-100, 1 << 31));
    }
}
