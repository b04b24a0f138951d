//! How clients reach the tools.

mod http;
mod service;
mod signals;
mod stdio;

pub(crate) use http::{Exposure, HttpError, Listen, serve as serve_http};
pub(crate) use stdio::serve as serve_stdio;
