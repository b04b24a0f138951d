//! How clients reach the tools.

mod service;
mod stdio;

pub(crate) use stdio::serve;
