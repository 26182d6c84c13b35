//! Providers with real programs under the real runner. Every test ends by looking through /proc for
//! processes that carry its own instance's name: none may be left.

// Helpers of tests are tests to us, but not to the lint.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod acp;
mod answers;
mod clis;
mod containment;
mod ends;
mod limits;
mod support;
