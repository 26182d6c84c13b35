//! Providers with real programs under the real runner. Every test ends by searching /proc for processes of its own instance:
//! none may be left.

// Helpers of tests are test code, which the lint does not recognise.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod acp;
mod answers;
mod clis;
mod containment;
mod ends;
mod http;
mod limits;
mod support;
