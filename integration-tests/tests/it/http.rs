//! MCP over HTTP: the same tools as over stdio, for those who may ask and for nobody else.

mod access;
mod bodies;
mod calls;
mod crowd;
mod ends;
mod fair;
mod inside;
mod modes;
mod oauth;
mod places;
mod principals;
mod resume;
mod tls;
