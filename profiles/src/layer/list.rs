//! Lists of a profile, and how one is laid over another.

use super::Sourced;
use nono_sandbox::policy::Source;

/// Something that stands in a list of a profile.
pub(crate) trait Listed: PartialEq {
    /// What an entry is called when a profile takes it out.
    type Name: PartialEq + Clone + std::fmt::Debug;

    /// Whether `name` means this entry.
    fn is_called(&self, name: &Self::Name) -> bool;
}

/// An entry to take out.
#[derive(Debug, Clone)]
pub(crate) struct Removal<N> {
    pub(crate) name: N,
    pub(crate) source: Source,
    /// Whether there was something to take out.
    pub(crate) used: bool,
}

/// What a profile does to a list: takes entries out of what is below, then adds its own.
///
/// Laying such a pair over another gives the pair that does what both do one after the other, so
/// it does not matter how a stack of profiles is grouped.
#[derive(Debug, Clone)]
pub(crate) struct List<T: Listed> {
    pub(crate) added: Vec<Sourced<T>>,
    pub(crate) removed: Vec<Removal<T::Name>>,
}

impl<T: Listed> Default for List<T> {
    fn default() -> Self {
        Self { added: Vec::new(), removed: Vec::new() }
    }
}

impl<T: Listed> List<T> {
    /// A list that only adds.
    pub(crate) fn adding(entries: Vec<Sourced<T>>) -> Self {
        let mut added: Vec<Sourced<T>> = Vec::with_capacity(entries.len());
        append(&mut added, entries);
        Self { added, removed: Vec::new() }
    }

    /// Lays `self` over `base`: takes out, then appends without repetitions.
    pub(crate) fn over(mut self, base: Self) -> Self {
        let mut added = base.added;
        for removal in &mut self.removed {
            let before = added.len();
            added.retain(|entry| !entry.value.is_called(&removal.name));
            removal.used |= added.len() < before;
        }
        append(&mut added, self.added);
        let mut removed = base.removed;
        for removal in self.removed {
            match removed.iter_mut().find(|known| known.name == removal.name) {
                Some(known) => known.used |= removal.used,
                None => removed.push(removal),
            }
        }
        Self { added, removed }
    }

    /// The removals that found nothing.
    pub(crate) fn unused(&self) -> impl Iterator<Item = &Source> {
        self.removed.iter().filter(|removal| !removal.used).map(|removal| &removal.source)
    }
}

fn append<T: PartialEq>(to: &mut Vec<Sourced<T>>, more: Vec<Sourced<T>>) {
    for item in more {
        if !to.iter().any(|known| known.value == item.value) {
            to.push(item);
        }
    }
}
