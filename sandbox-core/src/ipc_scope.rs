//! Who keeps signals and abstract sockets inside of a run.

/// Who keeps signals and abstract names of sockets inside of a run: told once, by the kernel's
/// Landlock ABI, and the same for everything that is built on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpcScope {
    /// The kernel: Landlock's scopes (ABI 6, Linux 6.12), which bind the supervisor too.
    Kernel,
    /// The supervisor, which performs such calls (ADR 0015).
    Mediated,
}

impl IpcScope {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Mediated, Self::Kernel];
}
