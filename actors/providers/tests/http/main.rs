//! Model APIs over real sockets, against a small server that plays scripts of good and bad responses.

// Helpers of tests are test code, which the lint does not recognise.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod answers;
mod failures;
mod limits;
mod service;
