//! One profile as it is written, before what it starts from is laid under it.

use crate::error::ProfileError;
use crate::layer::Layer;
use crate::load::Document;
use crate::reference::ProfileRef;
use nono_sandbox::policy::Source;

/// One profile by itself.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    /// What errors call it.
    pub(crate) label: String,
    pub(crate) bases: Vec<(ProfileRef, Source)>,
    pub(crate) layer: Layer,
}

impl Part {
    /// Reads the texts of a document.
    pub(crate) fn of(document: &Document) -> Result<Self, ProfileError> {
        let bases = document.bases().into_iter();
        Ok(Self {
            name: document.name.clone(),
            description: document.file.meta.as_ref().and_then(|meta| meta.description.clone()),
            label: document.label.clone(),
            bases: bases.map(|(name, source)| (document.referenced(&name), source)).collect(),
            layer: Layer::of(document)?,
        })
    }
}
