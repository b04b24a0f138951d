//! Policy and request, worked out to what will be done. Pure.

pub mod landlock;
mod proxy;

use crate::AbsPath;
use crate::namespaces::Namespaces;
use crate::policy::{Limits, Observe, Policy, SettledPolicy};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What a caller asks for, already validated as far as that needs the file system: the program
/// exists, the folder exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The executable, found on the path.
    pub program: AbsPath,
    /// Arguments, the zeroth included.
    pub argv: Vec<Vec<u8>>,
    /// Canonical working directory.
    pub cwd: AbsPath,
    /// Variables on top of the policy's.
    pub env: BTreeMap<String, Vec<u8>>,
    /// Wall-clock limit.
    pub timeout: Duration,
    /// Whether every file-system call is watched, whatever the policy says about that.
    pub diagnose: bool,
    /// What becomes of processes that outlive the first one.
    pub leftovers: Leftovers,
    /// Whether the standard streams are a terminal.
    pub terminal: bool,
}

/// What becomes of processes that outlive the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Leftovers {
    /// They are killed and counted.
    Kill,
    /// The run goes on until the last one has ended.
    Keep,
}

/// Everything a supervisor needs for one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What it rests on. Seldom another one than that of the run before.
    pub basis: Arc<Basis>,
    /// What is started there.
    pub launch: Launch,
}

/// What is started on a [`Basis`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// The executable.
    pub program: AbsPath,
    /// Arguments, the zeroth included; no NUL bytes.
    pub argv: Vec<Vec<u8>>,
    /// `NAME=value` strings; no NUL bytes.
    pub environ: Vec<Vec<u8>>,
    /// Working directory.
    pub cwd: AbsPath,
    /// Wall-clock limit for the whole tree.
    pub timeout: Duration,
    /// Time between SIGTERM and SIGKILL when a run is ended from outside.
    pub grace: Duration,
    /// How long what the command left behind may go on after its first process is gone.
    pub drain: Duration,
    /// What becomes of it then.
    pub leftovers: Leftovers,
    /// Whether the standard streams are a terminal, which becomes the controlling one; then see
    /// [`Plan::on_terminal`].
    pub terminal: bool,
    /// How much of the machine the run may use.
    pub limits: Limits,
    /// A random number that the command's first process shows to the kernel's audit log, so that
    /// who reads it knows whose domain is whose; `None` where nobody does.
    pub kernel_log_mark: Option<u64>,
}

/// What a sandbox is built from, before there is a request for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// What commands may do.
    pub policy: SettledPolicy,
    /// The operator's switch for trying the way older kernels take: pretend that this is the newest
    /// Landlock ABI there is.
    pub landlock_abi_limit: Option<u32>,
    /// Namespaces its runs have. Decided when the server starts; a run that cannot have them is
    /// refused.
    pub namespaces: Option<Namespaces>,
    /// Whether one of them is for the network.
    pub own_network: bool,
}

impl Basis {
    /// This one, or one where so much is watched.
    fn watching(self: &Arc<Self>, observe: Observe) -> Arc<Self> {
        if self.policy.observe == observe {
            return Arc::clone(self);
        }
        let policy = self.policy.clone().watching(observe);
        Arc::new(Self { policy, ..**self })
    }
}

impl Plan {
    /// This one, for a run whose terminal has this name on the machine.
    #[must_use]
    pub fn on_terminal(mut self, name: AbsPath) -> Self {
        let policy = self.basis.policy.clone().on_terminal(name);
        self.basis = Arc::new(Basis { policy, ..*self.basis });
        self
    }
}

/// Folders of control groups that groups for runs can be made in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cgroups {
    /// Version 2.
    pub unified: Option<PathBuf>,
    /// Version 1, memory controller.
    pub memory: Option<PathBuf>,
    /// Version 1, pids controller.
    pub pids: Option<PathBuf>,
}

impl Cgroups {
    /// Those there are.
    pub fn all(&self) -> impl Iterator<Item = &Path> {
        [&self.unified, &self.memory, &self.pids].into_iter().filter_map(|p| p.as_deref())
    }
}

/// Why a request cannot become a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// An argument cannot be passed to `execve`.
    #[error("argument {0} contains a NUL byte")]
    NulInArgument(usize),
    /// A variable's value cannot be passed to `execve`.
    #[error("environment variable {0} contains a NUL byte")]
    NulInVariable(String),
    /// A variable's name cannot be used.
    #[error("environment variable name {0:?} is empty or contains `=` or a NUL byte")]
    BadVariableName(String),
    /// The variable belongs to the sandbox.
    #[error("environment variable {0} is reserved for the sandbox")]
    ReservedVariable(String),
    /// There is no program to run.
    #[error("argv is empty")]
    NoArguments,
}

/// Makes a plan.
///
/// # Errors
/// [`PlanError`] names the argument or variable that cannot be used.
pub fn plan(basis: &Arc<Basis>, request: Request) -> Result<Plan, PlanError> {
    if request.argv.is_empty() {
        return Err(PlanError::NoArguments);
    }
    if let Some(at) = request.argv.iter().position(|a| a.contains(&0)) {
        return Err(PlanError::NulInArgument(at));
    }
    let policy = &basis.policy;
    let observe = if request.diagnose { Observe::All } else { policy.observe };
    let launch = Launch {
        environ: environ(policy, &request)?,
        program: request.program,
        argv: request.argv,
        cwd: request.cwd,
        limits: policy.limits,
        timeout: request.timeout,
        leftovers: request.leftovers,
        terminal: request.terminal,
        kernel_log_mark: None,
        grace: Duration::from_millis(1000),
        drain: Duration::from_millis(150),
    };
    Ok(Plan { basis: basis.watching(observe), launch })
}

/// The command's environment: the policy's variables, over them those of the proxy if there is one,
/// then the request's.
fn environ(policy: &Policy, request: &Request) -> Result<Vec<Vec<u8>>, PlanError> {
    for (name, value) in &request.env {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(PlanError::BadVariableName(name.clone()));
        }
        if name.starts_with("NONO_") {
            return Err(PlanError::ReservedVariable(name.clone()));
        }
        if value.contains(&0) {
            return Err(PlanError::NulInVariable(name.clone()));
        }
    }
    let mut variables = policy.environment.variables.clone();
    if let Some(at) = policy.network.proxy.filter(|_| policy.network.mode.has_proxy()) {
        variables.extend(proxy::variables(at, &policy.environment.variables));
    }
    variables.extend(request.env.iter().map(|(k, v)| (k.clone(), v.clone())));
    Ok(variables.into_iter().map(|(k, v)| [k.as_bytes(), b"=", &v].concat()).collect())
}
