//! The sandbox of a run, as answers describe it.

use super::{View, network};
use nono_sandbox::AbsPath;
use nono_sandbox::host::{LayerState, Standing};
use nono_schemas::{Enforced, LayerItem, SandboxItem};

/// Writable folders named in an answer.
const MAX_ROOTS: usize = 8;

/// How much of it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// All layers, and what may be written.
    Whole,
    /// What an agent that knows the rest has to be told each time: that something is missing.
    Missing,
}

/// The sandbox as an answer has it.
pub(super) fn sandbox(view: View<'_>, detail: Detail) -> SandboxItem {
    let told = |layer: &&LayerState| match detail {
        Detail::Whole => true,
        Detail::Missing => layer.standing == Standing::Missing,
    };
    let roots = match detail {
        Detail::Whole => view.policy.fs.writable_roots(),
        Detail::Missing => Vec::new(),
    };
    let lacks = view.layers.iter().any(LayerState::is_lacking);
    SandboxItem {
        profile: view.policy.name.clone(),
        narrowed: view.narrowed.to_vec(),
        enforced: if lacks { Enforced::Partial } else { Enforced::Full },
        layers: view.layers.iter().filter(told).map(layer).collect(),
        writable_roots: roots.into_iter().take(MAX_ROOTS).map(AbsPath::to_string).collect(),
        network: network::wire(view.policy.network.mode),
    }
}

fn layer(layer: &LayerState) -> LayerItem {
    let active = layer.is_active();
    let detail = (!active).then(|| layer.detail.clone());
    LayerItem { name: layer.name.to_owned(), active, detail }
}
