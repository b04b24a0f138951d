//! The command line.

mod attack;
mod audit;
mod client;
mod demo;
mod doctor;
mod exit;
mod explain;
mod http;
mod learn;
mod place;
mod print;
mod profile;
mod run;
mod run_as;
mod scenes;

use crate::audit::AuditSetup;
use crate::error::ServerError;
use crate::runs::DEFAULT_LIVE;
use crate::safe_text::clean;
use crate::session::{Session, Setup};
use crate::transport::Listen;
use clap::{Args, CommandFactory, Parser, Subcommand};
use exit::UNUSABLE;
use nono_profiles::MissingFolders;
use place::Place;
use print::show;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// MCP tool server whose shell and exec tools run every command in a kernel sandbox.
#[derive(Debug, Parser)]
#[command(name = "nono-mcp", version, args_conflicts_with_subcommands = true)]
#[command(after_help = "NONO_LOG=info (or debug) in the environment: say more on standard error")]
struct Cli {
    /// Serve MCP on standard input and output.
    #[arg(long, conflicts_with = "http")]
    stdio: bool,
    #[command(flatten)]
    http: http::Http,
    /// Commands that may run at once.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LIVE, value_parser = clap::value_parser!(u32).range(1..=4096))]
    max_runs: u32,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    audit: Recorded,
    /// Send a span for each call to the collector at this address, such as http://127.0.0.1:4318.
    /// Needs a build with the feature `otlp`.
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
    #[command(subcommand)]
    mode: Option<Mode>,
}

/// What is written down.
#[derive(Debug, Args)]
struct Recorded {
    /// Write down who runs what, what was refused and how it ended: one JSON object a line, chained
    /// by hashes, never arguments or output. `nono-mcp audit` reads and checks it.
    #[arg(long, value_name = "FILE")]
    audit_log: Option<PathBuf>,
    /// Run nothing that cannot be written to the audit log.
    #[arg(long, requires = "audit_log")]
    audit_required: bool,
    /// Write command lines and working directories to the audit log too.
    #[arg(long, requires = "audit_log")]
    audit_arguments: bool,
}

impl Recorded {
    fn setup(self) -> Option<AuditSetup> {
        let (required, arguments) = (self.audit_required, self.audit_arguments);
        self.audit_log.map(|file| AuditSetup { file, required, arguments })
    }
}

impl Cli {
    /// Where the mode that was named works.
    fn place_of_mode(&self) -> &Place {
        match &self.mode {
            Some(
                Mode::Run { place, .. } | Mode::Doctor { place, .. } | Mode::Explain { place, .. },
            ) => place,
            _ => &self.place,
        }
    }
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// Run one command in the sandbox, as the tools do, and report on standard error.
    Run {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        audit: Recorded,
        /// Afterwards, draft on standard error what the profile would need for it.
        #[arg(long)]
        learn: bool,
        /// Wall-clock limit, such as 500ms, 30s, 2m or 1h; a plain number means seconds.
        #[arg(long, value_parser = run::duration, default_value = "1h")]
        timeout: Duration,
        /// The command and its arguments.
        #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
        command: Vec<OsString>,
    },
    /// Say what this kernel offers, what will be enforced, and what to do about the rest.
    Doctor {
        #[command(flatten)]
        place: Place,
        /// Try every known way out of the sandbox, in a workspace made for it, and say which are
        /// closed. Takes some seconds and changes nothing. --profile and --network say what is
        /// tried.
        #[arg(long)]
        attack: bool,
    },
    /// Say whether the sandbox would allow something, by which rule, and what to do if not.
    Explain {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        asked: explain::Asked,
    },
    /// Look at profiles, check them, start one.
    Profile {
        #[command(subcommand)]
        command: profile::Command,
    },
    /// Read and check an audit log.
    Audit {
        #[command(subcommand)]
        command: audit::Command,
    },
    /// Make a profile from one of nono, and say what carried over and what did not.
    ImportNono {
        /// The profile, JSON with or without comments.
        file: PathBuf,
        /// Print one JSON object with the profile and both lists.
        #[arg(long)]
        json: bool,
    },
    /// Show an allowed command and two denied ones, through the MCP server itself.
    Demo,
    /// Try one way out; a step of `doctor --attack`.
    #[command(name = "__probe", hide = true)]
    Probe {
        /// Its name.
        name: String,
        /// More for the process that is attacked.
        more: Option<String>,
    },
    /// Connect to a UNIX socket and say what happened; a step of `demo`.
    #[command(name = "__connect", hide = true)]
    Connect {
        /// The socket.
        socket: PathBuf,
    },
}

/// The whole program, except for supervisors.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(Err(error)) = cli.place_of_mode().run_as.as_deref().map(run_as::run_as) {
        complain(&error);
        return ExitCode::from(UNUSABLE);
    }
    let done = match crate::telemetry::install(cli.otlp.as_deref()) {
        Ok(telemetry) => {
            let done = dispatch(cli);
            telemetry.flush();
            done
        }
        Err(error) => Err(error),
    };
    done.unwrap_or_else(|error| {
        complain(&error);
        ExitCode::from(match error {
            ServerError::Demo(_) | ServerError::System { .. } | ServerError::Serve(_) => 1,
            _ => UNUSABLE,
        })
    })
}

/// Does what the command line says.
fn dispatch(cli: Cli) -> Result<ExitCode, ServerError> {
    match cli.mode {
        None => {
            let setup = cli.place.setup(MissingFolders::Create);
            let (max_runs, audit) = (cli.max_runs, cli.audit.setup());
            let setup = Setup { max_runs, audit, ..setup };
            match (cli.http.listen(), cli.stdio) {
                (Some(listen), _) => serve_http(setup, listen),
                (None, true) => serve_stdio(&setup),
                (None, false) => Ok(usage()),
            }
        }
        Some(Mode::Run { place, audit, learn, timeout, command }) => {
            let profile = place.profile.clone();
            let setup = place.setup(MissingFolders::Create);
            let setup = Setup { audit: audit.setup(), ..setup };
            let learn = learn.then_some(profile);
            block_on(run::run(setup, timeout, command, learn))
        }
        Some(Mode::Doctor { place, attack: true }) => attack::attack(place),
        Some(Mode::Doctor { place, attack: false }) => {
            doctor::doctor(&place.setup(MissingFolders::Leave))
        }
        Some(Mode::Explain { place, asked }) => {
            explain::explain(&place.setup(MissingFolders::Leave), asked)
        }
        Some(Mode::Profile { command }) => profile::run(command),
        Some(Mode::Audit { command }) => audit::run(command),
        Some(Mode::ImportNono { file, json }) => profile::import_nono(&file, json),
        Some(Mode::Probe { name, more: _ }) => Ok(attack::probe(&name)),
        Some(Mode::Demo) => demo::demo(),
        Some(Mode::Connect { socket }) => Ok(scenes::connect(&socket)),
    }
}

fn serve_stdio(setup: &Setup) -> Result<ExitCode, ServerError> {
    block_on(async {
        crate::transport::serve_stdio(Session::open(setup)?).await?;
        Ok(ExitCode::SUCCESS)
    })
}

fn serve_http(setup: Setup, listen: Listen) -> Result<ExitCode, ServerError> {
    block_on(async {
        crate::transport::serve_http(setup, listen).await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Between two looks at what other threads have to do, in polls of tasks.
const POLLS: u32 = 7;

/// Runs `future` on a runtime that does not wait for a blocked read of standard input at its end.
fn block_on(
    future: impl Future<Output = Result<ExitCode, ServerError>>,
) -> Result<ExitCode, ServerError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Who has just asked must not wait until 61 other tasks have been polled, the usual number:
        // of those, one client can have as many as it likes. So descriptors are looked at each time.
        .event_interval(1)
        .global_queue_interval(POLLS)
        .build()
        .map_err(ServerError::doing("start the runtime"))?;
    let done = runtime.block_on(future);
    runtime.shutdown_background();
    done
}

/// No mode was named.
fn usage() -> ExitCode {
    let error = Cli::command().error(
        clap::error::ErrorKind::MissingRequiredArgument,
        "say what to do: --stdio or --http serves MCP, `run` runs one command, `doctor` looks at \
         this machine, `demo` shows the sandbox at work",
    );
    show(std::io::stderr(), &error.to_string());
    ExitCode::from(UNUSABLE)
}

/// One line on standard error. What it quotes may come from a cloned repository.
fn complain(error: &ServerError) {
    let line = clean::line(error.to_string().trim_end());
    show(std::io::stderr(), &format!("nono-mcp: {line}\n"));
}
