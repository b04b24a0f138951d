//! The arguments all tools that start runs share, checked.

use super::bad_input::{BadInput, MAX_KEY, MAX_STDIN};
use super::narrow::{self, Less};
use super::place::working_directory;
use crate::runs::{Input, Key, Size};
use crate::sandbox::Sandbox;
use crate::session::{Ground, Wanted};
use nono_sandbox::AbsPath;
use nono_sandbox::plan::{Leftovers, Request};
use nono_sandbox::policy::Limits;
use nono_schemas::{
    DEFAULT_BACKGROUND_TIMEOUT_MS, DEFAULT_OUTPUT_BYTES, DEFAULT_TIMEOUT_MS, LimitParams,
    MAX_OUTPUT_BYTES, MAX_TIMEOUT_MS, MIN_OUTPUT_BYTES, MIN_TIMEOUT_MS, RunOptions,
};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

/// What programs on a terminal may expect of it.
const TERMINAL: &str = "xterm-256color";

/// The shared arguments, checked.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) cwd: AbsPath,
    less: Less,
    limits: Limits,
    env: BTreeMap<String, Vec<u8>>,
    input: Input,
    timeout: Duration,
    yield_after: Option<Duration>,
    background: bool,
    max_output: usize,
    diagnose: bool,
    key: Option<String>,
}

/// Checks everything that does not depend on the program.
///
/// # Errors
/// [`BadInput`] says what to change.
pub(super) fn check(options: RunOptions, ground: &Ground) -> Result<Checked, BadInput> {
    let background = options.background.unwrap_or(false);
    let usual = if background { DEFAULT_BACKGROUND_TIMEOUT_MS } else { DEFAULT_TIMEOUT_MS };
    let timeout_ms = options.timeout_ms.unwrap_or(usual);
    if !(MIN_TIMEOUT_MS..=MAX_TIMEOUT_MS).contains(&timeout_ms) {
        return Err(BadInput::Timeout(timeout_ms));
    }
    if let Some(stdin) = options.stdin.as_ref().filter(|s| s.len() > MAX_STDIN) {
        return Err(BadInput::LongStdin(stdin.len()));
    }
    if let Some(key) = options.request_key.as_ref().filter(|k| k.len() > MAX_KEY) {
        return Err(BadInput::LongKey(key.len()));
    }
    let tty = options.tty.unwrap_or(false);
    let max_output = output_bytes(options.max_output_bytes);
    let mut env: BTreeMap<String, Vec<u8>> = options
        .env
        .unwrap_or_default()
        .into_iter()
        .map(|(name, value)| (name, value.into_bytes()))
        .collect();
    if tty {
        env.entry("TERM".to_owned()).or_insert_with(|| TERMINAL.into());
    }
    let stdin = options.stdin.map(String::into_bytes);
    let less =
        Less { profile: options.profile, network: options.network, writable: options.writable };
    let limits = limits(options.limits.unwrap_or_default());
    let sandbox = narrow::sandbox(ground, &less, limits)?;
    Ok(Checked {
        cwd: working_directory(&sandbox, options.cwd.as_deref())?,
        sandbox,
        less,
        limits,
        env,
        input: input(tty, options.keep_stdin.unwrap_or(false), stdin),
        timeout: Duration::from_millis(timeout_ms),
        yield_after: options.yield_ms.map(Duration::from_millis),
        background,
        max_output,
        diagnose: options.diagnose.unwrap_or(false),
        key: options.request_key,
    })
}

fn input(tty: bool, keep: bool, stdin: Option<Vec<u8>>) -> Input {
    match (tty, keep, stdin) {
        (true, _, typed) => Input::Terminal(Size::default(), typed.unwrap_or_default()),
        (false, true, bytes) => Input::Open(bytes.unwrap_or_default()),
        (false, false, Some(bytes)) => Input::Bytes(bytes),
        (false, false, None) => Input::Empty,
    }
}

fn limits(params: LimitParams) -> Limits {
    Limits {
        cpu: params.cpu_ms.map(Duration::from_millis),
        memory_bytes: params.memory_bytes,
        tasks: params.processes.map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
        open_files: params.open_files,
        file_size_bytes: params.file_size_bytes,
        output_bytes: params.output_bytes,
        user_tasks: None,
        soft_open_files: None,
    }
}

/// How many output bytes an answer may have.
pub(super) fn output_bytes(wanted: Option<u64>) -> usize {
    let bytes = wanted.unwrap_or(DEFAULT_OUTPUT_BYTES).clamp(MIN_OUTPUT_BYTES, MAX_OUTPUT_BYTES);
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

impl Checked {
    /// The folders programs are looked up in: the call's PATH, or else the profile's.
    pub(crate) fn search_path(&self) -> Vec<u8> {
        let profile = &self.sandbox.policy.environment.variables;
        self.env.get("PATH").or_else(|| profile.get("PATH")).cloned().unwrap_or_default()
    }

    /// The call, with its program found. `command`: what people call it.
    pub(crate) fn with_program(
        self,
        program: AbsPath,
        argv: Vec<String>,
        command: String,
    ) -> Wanted {
        let leftovers = if self.background { Leftovers::Keep } else { Leftovers::Kill };
        let terminal = matches!(self.input, Input::Terminal(..));
        let mut digest = DefaultHasher::new();
        let Self { cwd, less, limits, env, input, timeout, background, diagnose, .. } = &self;
        (&program, &argv, cwd, less, limits, env).hash(&mut digest);
        (input, timeout, background, diagnose).hash(&mut digest);
        let request = digest.finish();
        Wanted {
            key: self.key.map(|name| Key { name, request }),
            sandbox: self.sandbox,
            request: Request {
                program,
                argv: argv.into_iter().map(String::into_bytes).collect(),
                cwd: self.cwd,
                env: self.env,
                timeout: self.timeout,
                diagnose: self.diagnose,
                leftovers,
                terminal,
            },
            input: self.input,
            max_output: self.max_output,
            yield_after: self.yield_after.or(self.background.then_some(BACKGROUND_YIELD)),
            command,
        }
    }
}

/// How long a command in the background is watched before it is left alone: what crashes at once is
/// reported at once.
const BACKGROUND_YIELD: Duration = Duration::from_millis(500);
