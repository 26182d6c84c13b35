//! The runner as an executable of its own, with the code that `kirosu` runs under its hidden verb. Only the tests of this
//! crate start it, because they have no other executable. It is not installed.

use std::process::ExitCode;

fn main() -> ExitCode {
    kirosu_providers::runner::main(std::env::args_os().skip(1))
}
