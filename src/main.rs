//! The program `kirosu`: the command line, and the processes that serve.

mod blocking;
mod boot;
mod cli;
mod console;
mod demo;
mod doctor;
mod log;
mod options;
mod panics;
mod restoring;
mod signals;
mod stopped_store;
mod systemd;
mod terminal;
mod watchdog;
mod worktrees;

use std::process::ExitCode;

/// The system's allocator took a fifth of the hub's time (docs/performance.md). SQLite uses this allocator too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    signals::unblock();
    let mut args = std::env::args_os();
    // Before any thread and any runtime: the runner of a provider run must be the only thread of its process.
    let verb = args.nth(1);
    if verb
        .as_ref()
        .is_some_and(|verb| verb == kirosu_providers::runner::VERB)
    {
        return kirosu_providers::runner::main(args);
    }
    if verb.is_some_and(|verb| verb == kirosu_swarm::schema::VERB) {
        return kirosu_swarm::schema::main();
    }
    cli::main(std::env::args_os())
}
