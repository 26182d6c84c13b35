//! Tests of the kernel through its public API: actors, specs, a root, and the tree.

mod backoff;
mod cancelled;
mod chaos;
mod crossing;
mod dynamic;
mod intensity;
mod kit;
mod many;
mod nesting;
mod panics;
mod policy;
mod restart_rules;
mod stopping;
mod threads;
