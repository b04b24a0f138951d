//! The sandbox core of `nono-mcp`.
//!
//! # Terms
//! * **policy**: what a command may do, resolved and immutable ([`policy::Policy`]).
//! * **plan**: a policy and one request, worked out to what will be done ([`plan::Plan`]).
//! * **supervisor**: the process of one run. It starts the command, answers its mediated calls,
//!   reaps its tree and reports the outcome ([`supervisor`]).
//! * **listener**: the seccomp user-notification descriptor of the command's process tree.
//! * **mediated call**: a call the supervisor performs on the program's behalf (`connect`, `chmod`).
//! * **observed call**: a call the kernel decides and the supervisor only looks at.
//! * **denial**: a record of one thing the sandbox refused ([`record::Denial`]).
//!
//! # Shape
//! `policy`, `decide`, `plan`, `filter` and `record` are pure: no system calls, no clock, no
//! environment. `sys` holds every `unsafe` block and decides nothing. `supervisor` joins the two.
//!
//! # What is not promised
//! Kernel bugs, side channels, and what a granted socket's owner does on request are outside of
//! what a sandbox of this kind can contain; `docs/threat-model.md` lists every known limit.

pub mod control;
pub mod decide;
pub mod filter;
pub mod groups;
pub mod host;
mod ipc_scope;
pub mod namespaces;
pub mod path;
pub mod plan;
pub mod policy;
pub mod process_stat;
pub mod rate;
pub mod record;
mod register;
pub mod supervisor;
pub mod sys;

pub use ipc_scope::IpcScope;
pub use path::{AbsPath, StaticPath};
