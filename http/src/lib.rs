//! MCP over Streamable HTTP, apart from what the tools do: connections, who may ask, and how much.
//!
//! [`serve`] takes any [`rmcp::ServerHandler`], one for each principal, so that nothing a handler
//! keeps is ever shared between two of them.

mod access;
mod address;
mod answer;
mod changes;
mod config;
mod connections;
mod counts;
mod endpoint;
mod held;
pub mod oauth;
mod principals;
mod redelivery;
mod serve;
mod sessions;
mod tls;
mod token;
mod turns;

pub use changes::Stamp;
pub use config::{Answers, Config, Limits, Sessions, Share};
pub use counts::Counts;
pub use principals::{Principal, Principals};
pub use serve::{Ends, serve, serve_text};
pub use tls::{BadTls, Tls};
pub use token::{BadToken, Token, TokenDigest};
