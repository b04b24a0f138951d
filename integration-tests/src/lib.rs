//! Harness of the integration tests: the real binary, driven like a client drives it.
//!
//! A test makes a [`Site`] (folders, a home, a user), opens sockets of the host in it, starts a
//! [`Server`] and asks it to run probes. Nothing here links the product: what these tests know
//! about it is what any client can see.
//!
//! What a test calls refused, it first shows to work where nothing refuses it
//! ([`Site::outside`]). Waiting is for conditions ([`wait::until`]); a bound is there so that a
//! failure ends, and nothing is inferred from it.

#![allow(clippy::expect_used, reason = "a harness that cannot go on fails the test it serves")]

pub mod binary;
pub mod client;
pub mod host_net;
pub mod host_unix;
pub mod http;
pub mod internet;
pub mod issuer;
pub mod mounts;
pub mod processes;
pub mod raw;
pub mod refusal;
pub mod require;
mod serve;
pub mod site;
pub mod slow_folder;
pub mod user;
pub mod wait;

pub use client::{Answer, Server};
pub use http::HttpServer;
pub use site::Site;
pub use user::User;

/// Runs a test as each user that this machine allows: as whoever runs the tests, and when that is
/// root also as an ordinary user.
pub fn as_each_user(test: impl Fn(Site)) {
    for user in User::all() {
        eprintln!("--- as {user:?}");
        test(Site::new(user));
    }
}
