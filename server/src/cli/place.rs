//! The arguments of all modes that run commands, or look at what they may do.

use crate::runs::DEFAULT_LIVE;
use crate::session::{Others, Setup};
use clap::Args;
use nono_profiles::{MissingFolders, ProfileRef};
use nono_sandbox::policy::NetworkMode;
use std::path::PathBuf;

/// Where commands work and what they may do.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// Folder commands may work in; may be given several times. Default: the current directory.
    #[arg(long, value_name = "DIR")]
    pub(super) workspace: Vec<PathBuf>,
    /// What commands may do: a profile by name (`nono-mcp profile list`), or a file (with a `/`, or
    /// ending in .json).
    #[arg(long, value_name = "NAME|FILE", default_value = "coding")]
    pub(super) profile: String,
    /// The user everything runs as, the server included; for a server that root starts.
    #[arg(long, value_name = "USER")]
    pub(super) run_as: Option<String>,
    /// Profile that a call may choose by name, to stay within it as well; may be given several
    /// times.
    #[arg(long, value_name = "NAME|FILE")]
    pub(super) allow_profile: Vec<String>,
    /// How much of the network commands have, in place of what the profile says: none, loopback,
    /// proxy, hosts or open.
    #[arg(long, value_name = "MODE", value_parser = network_mode)]
    pub(super) network: Option<NetworkMode>,
    /// Pretend that the kernel's Landlock is no newer than this ABI, to try the way older kernels
    /// take. Only ever narrower than what the kernel offers.
    #[arg(long, value_name = "ABI", hide = true)]
    pub(super) pretend_landlock_abi: Option<u32>,
}

fn network_mode(text: &str) -> Result<NetworkMode, String> {
    let named = NetworkMode::ALL.into_iter().find(|mode| mode.name() == text);
    named.ok_or_else(|| "there are none, loopback, proxy, hosts and open".to_owned())
}

impl Place {
    /// The same for a session.
    pub(super) fn setup(self, missing_folders: MissingFolders) -> Setup {
        let profile = ProfileRef::from(self.profile.as_str());
        Setup {
            workspaces: self.workspace,
            profile,
            allowed_profiles: self
                .allow_profile
                .iter()
                .map(|p| ProfileRef::from(p.as_str()))
                .collect(),
            missing_folders,
            network: self.network,
            own_endpoints: Vec::new(),
            landlock_abi_limit: self.pretend_landlock_abi,
            max_runs: DEFAULT_LIVE,
            audit: None,
            closed: Vec::new(),
            others: Others::default(),
        }
    }
}
