//! MCP over Streamable HTTP, apart from what the tools do: connections, who may ask, and how much.
//!
//! [`serve`] takes any [`rmcp::ServerHandler`], one for each principal, so that nothing a handler
//! keeps is ever shared between two of them.

mod access;
mod answer;
mod config;
mod connections;
mod endpoint;
mod held;
mod serve;
mod token;

pub use access::Access;
pub use config::{Answers, Config, Limits, Sessions};
pub use endpoint::Principal;
pub use serve::serve;
pub use token::{BadToken, Token, TokenDigest};
