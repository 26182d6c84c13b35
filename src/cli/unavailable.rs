//! Hidden verbs of earlier versions that this version does not support. They fail with a hint.

use super::Failure;
use clap::Subcommand;
use std::ffi::OsString;

/// Accepts any arguments.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub struct AnyArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    _args: Vec<OsString>,
}

#[derive(Debug, Subcommand)]
pub enum UnavailableVerb {
    /// Suggests a persona for a task
    #[command(hide = true)]
    Suggest(AnyArgs),
}

impl UnavailableVerb {
    /// Fails with a message that names an alternative.
    pub fn run(&self) -> Result<u8, Failure> {
        let (name, instead) = match self {
            UnavailableVerb::Suggest(_) => (
                "suggest",
                "`kirosu enqueue --system` takes any system prompt",
            ),
        };
        Err(Failure::NotYet(format!(
            "`kirosu {name}` is not in this version yet; {instead}"
        )))
    }
}
