//! The arguments all run tools share, checked.

use super::BadInput;
use super::bad_input::MAX_STDIN;
use super::place::working_directory;
use crate::session::Ground;
use nono_sandbox::AbsPath;
use nono_sandbox::plan::Request;
use nono_schemas::{
    DEFAULT_OUTPUT_BYTES, DEFAULT_TIMEOUT_MS, MAX_OUTPUT_BYTES, MAX_TIMEOUT_MS, MIN_OUTPUT_BYTES,
    MIN_TIMEOUT_MS,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// A call that can be run.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// For the core.
    pub(crate) request: Request,
    /// Bytes for standard input.
    pub(crate) stdin: Option<Vec<u8>>,
    /// Output bytes in the answer.
    pub(crate) max_output: usize,
}

/// The shared arguments as they came.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) cwd: Option<String>,
    pub(crate) env: Option<BTreeMap<String, String>>,
    pub(crate) stdin: Option<String>,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) max_output_bytes: Option<u64>,
}

/// The shared arguments, checked.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) cwd: AbsPath,
    env: BTreeMap<String, Vec<u8>>,
    stdin: Option<Vec<u8>>,
    timeout: Duration,
    max_output: usize,
}

impl Shared {
    /// Checks everything that does not depend on the program.
    pub(crate) fn check(self, ground: &Ground) -> Result<Checked, BadInput> {
        let timeout_ms = self.timeout_ms.unwrap_or(DEFAULT_TIMEOUT_MS);
        if !(MIN_TIMEOUT_MS..=MAX_TIMEOUT_MS).contains(&timeout_ms) {
            return Err(BadInput::Timeout(timeout_ms));
        }
        if let Some(stdin) = self.stdin.as_ref().filter(|s| s.len() > MAX_STDIN) {
            return Err(BadInput::LongStdin(stdin.len()));
        }
        let max_output = self
            .max_output_bytes
            .unwrap_or(DEFAULT_OUTPUT_BYTES)
            .clamp(MIN_OUTPUT_BYTES, MAX_OUTPUT_BYTES);
        let env = self.env.unwrap_or_default().into_iter();
        Ok(Checked {
            cwd: working_directory(ground, self.cwd.as_deref())?,
            env: env.map(|(name, value)| (name, value.into_bytes())).collect(),
            stdin: self.stdin.map(String::into_bytes),
            timeout: Duration::from_millis(timeout_ms),
            max_output: usize::try_from(max_output).unwrap_or(usize::MAX),
        })
    }
}

impl Checked {
    /// The folders programs are looked up in: the call's PATH, or else the profile's.
    pub(crate) fn search_path(&self, ground: &Ground) -> Vec<u8> {
        let profile = &ground.policy.environment.variables;
        self.env.get("PATH").or_else(|| profile.get("PATH")).cloned().unwrap_or_default()
    }

    /// The call, with its program found.
    pub(crate) fn with_program(self, program: AbsPath, argv: Vec<String>) -> Wanted {
        Wanted {
            request: Request {
                program,
                argv: argv.into_iter().map(String::into_bytes).collect(),
                cwd: self.cwd,
                env: self.env,
                timeout: self.timeout,
            },
            stdin: self.stdin,
            max_output: self.max_output,
        }
    }
}

/// Refuses text that no system call can take.
pub(crate) fn without_nul(what: impl FnOnce() -> String, text: &str) -> Result<(), BadInput> {
    if text.contains('\0') { Err(BadInput::Nul(what())) } else { Ok(()) }
}
