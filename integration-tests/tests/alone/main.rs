//! What takes the whole machine: a program of its own, which `cargo test` runs beside no other.
#![allow(clippy::expect_used, reason = "the helpers of tests are tests")]

mod comets;
