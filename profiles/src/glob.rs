//! Globs in paths: one component of an entry, for several names of one folder.

use globset::{Glob, GlobBuilder};

/// One component of an entry as a glob; the error is a sentence.
pub(crate) fn glob(component: &str) -> Result<Glob, String> {
    GlobBuilder::new(component)
        .literal_separator(true)
        .build()
        .map_err(|e| format!("not a glob: {}", e.kind()))
}

/// Whether a component of an entry is a glob.
pub(crate) fn is_glob(component: &str) -> bool {
    component.contains(['*', '?', '['])
}
