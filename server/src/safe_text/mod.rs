//! Text of the sandboxed side, safe to be shown: to people, to models, on a terminal, in a log. Knows
//! nothing of what it is shown in.

pub(crate) mod clean;
pub(crate) mod fence;
