//! What a profile may ask runs to see differently, and what has become of it once it is settled.

use super::Source;
use crate::{AbsPath, StaticPath};
use serde::{Deserialize, Serialize};

/// Where programs put temporary files that do not ask where.
const TMP: StaticPath = StaticPath::new("/tmp");

/// What runs find at `/tmp`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tmp {
    /// What the machine has there.
    #[default]
    Machine,
    /// The private temporary folder is asked for. Until this is settled, as before.
    Wanted(Source),
    /// The private temporary folder.
    Private {
        /// Folders of the machine's `/tmp` that are there all the same, none inside another. What
        /// may be done in them is no less than in the private folder: for the kernel they lie in it.
        stays: Vec<AbsPath>,
    },
    /// It was asked for and cannot be had; why.
    Impossible(String),
}

/// What runs see of what no rule may open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hiding {
    /// That it is there, and of what size and age.
    #[default]
    Off,
    /// Nothing is asked for. Until this is settled, as before.
    Wanted,
    /// Something empty, which cannot be entered, in its place.
    On,
}

impl Tmp {
    /// Where it is.
    #[must_use]
    pub fn path() -> AbsPath {
        TMP.to_path()
    }

    /// What either of two asks for.
    #[must_use]
    pub fn or(&self, other: &Tmp) -> Tmp {
        if *self == Tmp::Machine { other.clone() } else { self.clone() }
    }
}

impl Hiding {
    /// What either of two asks for.
    #[must_use]
    pub fn or(self, other: Hiding) -> Hiding {
        if self == Hiding::Off { other } else { self }
    }
}
