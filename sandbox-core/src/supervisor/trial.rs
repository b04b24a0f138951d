//! Whether runs can have namespaces here, tried in a process of its own: nothing else tells for sure.

use super::isolate::{Entered, enter};
use super::mounts;
use crate::namespaces::Namespaces;
use nix::unistd::write as say_to;
use std::process::ExitCode;

/// A trial: whether the namespaces can be made here. Prints their name, or why not.
#[must_use]
pub fn attempt() -> ExitCode {
    let namespaces = Namespaces::for_this_process(crate::host::may_administer());
    let say = |text: &str| say_to(std::io::stdout(), text.as_bytes());
    let said = match enter(namespaces) {
        Ok(Entered::Guard(guard)) => return guard.wait(),
        Ok(Entered::Supervisor(first)) => match mounts::attempt() {
            Ok(()) => say(first.namespaces.name()),
            Err(failed) => say(&format!("{REASON}{failed}")),
        },
        Err(failed) => say(&format!("{REASON}{failed}")),
    };
    if said.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What the answer of [`attempt`] starts with where there are none.
const REASON: &str = "no: ";

/// What the answer of [`attempt`] means.
///
/// # Errors
/// Why there can be no namespaces.
pub fn read_attempt(answer: &str) -> Result<Namespaces, String> {
    match answer.strip_prefix(REASON) {
        Some(reason) => Err(reason.to_owned()),
        None => Namespaces::named(answer).ok_or_else(|| "the trial was cut short".to_owned()),
    }
}
