//! Verbs that belong to a later version: known, hidden, and clearly answered.

use super::failure::Failure;
use clap::Subcommand;
use std::ffi::OsString;

/// Whatever follows such a verb.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub struct Anything {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    _args: Vec<OsString>,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Suggests a persona for a task
    #[command(hide = true)]
    Suggest(Anything),
    /// Splits a task into smaller ones
    #[command(hide = true)]
    RunRecursive(Anything),
    /// Runs a plan
    #[command(hide = true)]
    RunPipeline(Anything),
}

impl Verb {
    /// Says that it is not there yet, and what is.
    pub fn run(&self) -> Result<u8, Failure> {
        let (name, instead) = match self {
            Verb::Suggest(_) => (
                "suggest",
                "`kirosu enqueue --system` takes any system prompt",
            ),
            Verb::RunRecursive(_) => (
                "run-recursive",
                "`kirosu enqueue --depends-on` orders tasks by hand",
            ),
            Verb::RunPipeline(_) => (
                "run-pipeline",
                "`kirosu enqueue --depends-on` orders tasks by hand",
            ),
        };
        Err(Failure::NotYet(format!(
            "`kirosu {name}` is not in this version yet; {instead}"
        )))
    }
}
