//! `kirosu tree`: draws the supervision tree.

pub(crate) mod draw;

use super::{Context, Failure, whole};
use kirosu_protocol::TreeParams;

const EXAMPLES: &str = "\
Examples:
  kirosu tree
  kirosu tree --depth 2
  kirosu tree --all                         with every connection and session
  kirosu tree --json";

/// Draws the supervision tree: states, restarts, last exits
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Maximum depth below the root
    #[arg(long, value_name = "NUMBER", value_parser = whole::<usize>(0..=i64::MAX, 2))]
    pub(crate) depth: Option<usize>,
    /// Shows all siblings, however many there are
    #[arg(long)]
    pub(crate) all: bool,
}

/// Prints the tree.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let answer = context
        .connect()
        .await?
        .request_idempotent(&TreeParams {})
        .await?;
    let screen = &context.screen;
    screen.answer(&answer, || {
        screen.print(&draw::draw(&answer.tree, args, screen))
    })
}
