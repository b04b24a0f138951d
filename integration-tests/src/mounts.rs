//! Mounts that a test has to itself. They take root.

/// What the calling thread mounts from now on is seen by this thread and what it starts alone.
///
/// # Panics
/// If that cannot be had.
pub fn have_own_mounts() {
    unshare(libc::CLONE_NEWNS);
    let flags = nix::mount::MsFlags::MS_REC | nix::mount::MsFlags::MS_PRIVATE;
    nix::mount::mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)
        .expect("private mounts");
}

/// Gives the calling thread namespaces of its own.
pub(crate) fn unshare(flags: libc::c_int) {
    // SAFETY: changes the calling thread alone.
    let result = unsafe { libc::unshare(flags) };
    assert_eq!(result, 0, "unshare: {} (this test needs root)", std::io::Error::last_os_error());
}
