//! All tests of the protocol's public interface, as one test program: it links once.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[cfg(feature = "client")]
mod client;
mod codec;
mod frame;
mod params;
mod verbs;
