//! Model APIs over real sockets, against a small server that plays scripts: what services answer, and how badly.

// Helpers of tests are tests to us, but not to the lint.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod answers;
mod failures;
mod limits;
mod service;
