//! Exit codes that several subcommands have.

/// The setup cannot be used.
pub(super) const UNUSABLE: u8 = 2;
