//! Tests of the hub as a whole, in one process.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod clock;
mod large_leases;
mod leases;
mod long_lines;
mod support;
mod watches;
mod web;
