//! `nono-mcp doctor --attack`: every way out, tried through the server's own tools, and again
//! without a sandbox.

use super::client::{Client, ToolAnswer};
use super::place::Place;
use crate::error::ServerError;
use crate::session::{Ground, Setup};
use nono_attack::{AREAS, Layers, Probe, Said, Scene, Targets, Verdict, judge};
use nono_profiles::MissingFolders;
use nono_sandbox::policy::{NetworkMode, NetworkPolicy};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The hidden mode that runs one probe.
pub(super) const PROBE: &str = "__probe";
/// How long what outlives a run could take to show itself, at most.
const SURVIVAL: Duration = Duration::from_secs(1);

/// Runs the battery as `place` says; fails if anything got out that should not have.
///
/// # Errors
/// [`ServerError::OwnWorkspace`] if a workspace is named, since probes make and remove files;
/// [`ServerError::Demo`] if the battery cannot be run.
pub(super) fn attack(place: Place) -> Result<ExitCode, ServerError> {
    if !place.workspace.is_empty() {
        return Err(ServerError::OwnWorkspace);
    }
    let program = std::env::current_exe().map_err(ServerError::doing("find this program"))?;
    let scene = Scene::set(&program, &[PROBE]).map_err(broken)?;
    let inside = inside(&scene, &program, place)?;
    let mut text = header(&inside);
    let mut tally = BTreeMap::new();
    for (area, probes) in AREAS {
        let _infallible = writeln!(text, "\n{area}");
        for probe in *probes {
            let outside = scene.outside(&[PROBE], probe).map_err(broken)?;
            let nothing = Said::Nothing("not tried".to_owned());
            let said = inside.said.get(probe.name).unwrap_or(&nothing);
            let verdict = judge(probe, said, &outside, inside.layers);
            *tally.entry(word(verdict)).or_insert(0_u32) += 1;
            text.push_str(&row(probe, said, &outside, verdict));
        }
    }
    let bad = [Verdict::Escaped, Verdict::Broken].iter().any(|v| tally.contains_key(word(*v)));
    text.push_str(&summary(&tally, bad));
    super::print::show(std::io::stdout(), &text);
    Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn broken(error: nono_attack::SceneError) -> ServerError {
    let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    ServerError::Demo(format!("{error}: {source}"))
}

/// What happened in the sandbox.
struct Inside {
    said: BTreeMap<&'static str, Said>,
    layers: Layers,
    /// What enforces it, as a result says.
    enforced: String,
    network: &'static str,
}

/// The arguments of a server that works on this scene.
fn arguments(scene: &Scene, place: &Place) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["--stdio".into()];
    let mut say = |flag: &str, value: OsString| arguments.extend([flag.into(), value]);
    say("--workspace", scene.workspace().into());
    say("--profile", (&place.profile).into());
    for profile in &place.allow_profile {
        say("--allow-profile", profile.into());
    }
    if let Some(mode) = place.network {
        say("--network", mode.name().into());
    }
    if let Some(abi) = place.pretend_landlock_abi {
        say("--pretend-landlock-abi", abi.to_string().into());
    }
    arguments
}

/// What the profile says about the network, which results say in one word.
fn network_policy(scene: &Scene, place: Place) -> Result<NetworkPolicy, ServerError> {
    let workspaces = vec![scene.workspace()];
    let setup = Setup { workspaces, ..place.setup(MissingFolders::Leave) };
    Ok(Ground::prepare(&setup)?.sandbox.policy.network.clone())
}

fn inside(scene: &Scene, program: &Path, place: Place) -> Result<Inside, ServerError> {
    let arguments = arguments(scene, &place);
    let network = network_policy(scene, place)?;
    let mut client = Client::start(program, &arguments, &scene.environment())?;
    let mut said = BTreeMap::new();
    let mut sandbox = Value::Null;
    for probe in nono_attack::all() {
        let argv = json!({"argv": [Scene::program(), PROBE, probe.name]});
        let answer = client.call("exec", &argv)?;
        // The first answer of a session has all of it.
        if sandbox.is_null() {
            sandbox = answer.structured["sandbox"].clone();
        }
        said.insert(probe.name, heard(probe, &answer)?);
    }
    // In the end, when whatever outlived its run has had its time.
    let until = Instant::now() + SURVIVAL;
    for probe in nono_attack::all() {
        if let Some(entry) = said.get_mut(probe.name) {
            *entry = scene.with_evidence(probe, entry.clone(), until).map_err(broken)?;
        }
    }
    client.close()?;
    let layers = sandbox["layers"].as_array().cloned().unwrap_or_default();
    let active: Vec<&str> = layers
        .iter()
        .filter(|layer| layer["active"] == true)
        .filter_map(|layer| layer["name"].as_str())
        .collect();
    let layers = in_force(&network, active.contains(&"isolation"));
    let network = network.mode.name();
    Ok(Inside { said, layers, enforced: active.join(", "), network })
}

/// What probes are expected to meet.
fn in_force(network: &NetworkPolicy, namespaces: bool) -> Layers {
    let loopback = network.mode != NetworkMode::None;
    let open_network = network.mode == NetworkMode::Open;
    Layers {
        namespaces,
        loopback,
        open_network,
        datagrams: loopback && !network.ties_datagrams(),
        exposed: open_network || (loopback && !network.expose.is_empty()),
    }
}

/// What a probe said in the sandbox. What did not run at all shows nothing, so it is an error.
fn heard(probe: &Probe, answer: &ToolAnswer) -> Result<Said, ServerError> {
    let result = &answer.structured;
    let ended = match result["status"].as_str() {
        Some("exited") => "silent".to_owned(),
        Some("killed") => result["signal"].as_str().unwrap_or("killed").to_owned(),
        _ => {
            let what = format!("the probe {} did not run: {}", probe.name, answer.text);
            return Err(ServerError::Demo(what));
        }
    };
    Ok(Said::parse(result["stdout"].as_str().unwrap_or_default(), &ended))
}

fn header(inside: &Inside) -> String {
    let user = nix::unistd::geteuid();
    format!(
        "attack as user {user}, network {}\nenforced: {}\n\n{:<18} {:<9} {:<18} {:<14} what\n",
        inside.network, inside.enforced, "probe", "verdict", "in the sandbox", "without it"
    )
}

fn row(probe: &Probe, inside: &Said, outside: &Said, verdict: Verdict) -> String {
    let why = match verdict {
        Verdict::Accepted(why) => format!("; accepted: {why}"),
        _ => String::new(),
    };
    let (inside, outside) = (inside.words(), outside.words());
    format!(
        "  {:<16} {:<9} {inside:<18} {outside:<14} {}{why}\n",
        probe.name,
        word(verdict),
        probe.what
    )
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Closed => "closed",
        Verdict::ClosedAnyway => "-",
        Verdict::Accepted(_) => "open",
        Verdict::Escaped => "ESCAPED",
        Verdict::Works => "works",
        Verdict::Broken => "BROKEN",
    }
}

fn summary(tally: &BTreeMap<&'static str, u32>, bad: bool) -> String {
    let count = |verdict| tally.get(word(verdict)).copied().unwrap_or(0);
    let total: u32 = tally.values().sum();
    format!(
        "\n{total} tried: {} closed by the sandbox, {} closed to this user without it too, {} open \
         and accepted, {} that must work do; {} escaped, {} broken\n{}\n",
        count(Verdict::Closed),
        count(Verdict::ClosedAnyway),
        count(Verdict::Accepted("")),
        count(Verdict::Works),
        count(Verdict::Escaped),
        count(Verdict::Broken),
        if bad { "NOT as promised" } else { "as promised" }
    )
}

/// One probe, in or out of the sandbox.
pub(super) fn probe(name: &str) -> ExitCode {
    let outcome = if name == "victim" {
        Some(nono_attack::victim())
    } else {
        let text = std::fs::read_to_string(Scene::targets_file()).unwrap_or_default();
        Targets::from_text(&text).and_then(|targets| nono_attack::run(name, &targets))
    };
    let line = match &outcome {
        None => return ExitCode::from(2),
        Some(Ok(detail)) if detail.is_empty() => "ok\n".to_owned(),
        Some(Ok(detail)) => format!("ok {detail}\n"),
        Some(Err(errno)) => format!("{errno:?}\n"),
    };
    let _nobody_listens = std::io::stdout().write_all(line.as_bytes());
    if matches!(outcome, Some(Ok(_))) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
