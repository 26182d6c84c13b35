//! The machine, without processes.

mod recorded;
mod settings;
mod waits;
