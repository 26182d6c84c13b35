//! The runner as an executable of its own, the same code that `kirosu` runs under its hidden verb: for the
//! tests of this crate, which have no other executable at hand. Not installed.

use std::process::ExitCode;

fn main() -> ExitCode {
    kirosu_providers::runner::main(std::env::args_os().skip(1))
}
