# What a build needs, each with a plain sentence where it is missing. Sourced, not run.
if [ "$(uname -s)" != Linux ]; then
    echo "nono-mcp runs on Linux only: it is built on Landlock and seccomp." >&2
    exit 1
fi
if ! command -v cargo >/dev/null 2>&1; then
    echo "cargo is missing: install Rust with rustup, then run this again." >&2
    exit 1
fi
if ! command -v cc >/dev/null 2>&1; then
    echo "a C compiler is missing (cc): install gcc or clang, then run this again." >&2
    exit 1
fi
