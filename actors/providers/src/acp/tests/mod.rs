//! Tests of the state machine, without processes.

mod recorded;
mod settings;
mod waits;
