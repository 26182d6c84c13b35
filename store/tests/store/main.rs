//! All tests of the store's public interface, as one test program: it links once.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod access;
mod approvals;
mod bounds;
mod budgets;
mod clock_jump;
mod common;
mod continues;
mod expiry;
mod groups;
mod handoff;
mod inspect;
mod lanes;
mod large_batch;
mod life;
mod log;
mod long_text;
mod model;
mod plans;
mod power_loss;
mod restore;
mod retention;
mod rules;
mod schedules;
mod steps;
mod task_stats;
