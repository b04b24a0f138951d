//! One system call or trick per subcommand. Prints `ok`, with a detail where there is one, or the
//! errno's name; exits 0 or 1 accordingly, and 2 when it was called wrongly.
//!
//! The same probe runs outside and inside of the sandbox: a test that says "refused" first shows
//! that the probe works where nothing refuses it.

mod address;
mod attribute;
mod files;
mod inet;
mod kernel;
mod lives;
mod process;
mod send;
mod signal;
mod sys;
mod timing;
mod unix;

use nix::errno::Errno;
use std::process::ExitCode;
use sys::Outcome;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let Some(outcome) = dispatch(&words) else {
        eprintln!("unknown probe or wrong arguments: {words:?}");
        return ExitCode::from(2);
    };
    match outcome {
        Ok(detail) if detail.is_empty() => println!("ok"),
        Ok(detail) => println!("ok {detail}"),
        Err(errno) => {
            println!("{errno:?}");
            return ExitCode::from(1);
        }
    }
    ExitCode::SUCCESS
}

fn dispatch(words: &[&str]) -> Option<Outcome> {
    let (&name, rest) = words.split_first()?;
    unix::run(name, rest)
        .or_else(|| send::run(name, rest))
        .or_else(|| address::run(name, rest))
        .or_else(|| attribute::run(name, rest))
        .or_else(|| inet::run(name, rest))
        .or_else(|| signal::run(name, rest))
        .or_else(|| process::run(name, rest))
        .or_else(|| lives::run(name, rest))
        .or_else(|| kernel::run(name, rest))
        .or_else(|| timing::run(name, rest))
        .or_else(|| files::run(name, rest))
}

/// Parses a number given on the command line; a bad one is the probe's `EINVAL`.
fn number<T: std::str::FromStr>(word: &str) -> Result<T, Errno> {
    word.parse().map_err(|_| Errno::EINVAL)
}
