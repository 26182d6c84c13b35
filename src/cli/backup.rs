//! `kirosu backup`: a consistent copy of the hub's store.

use super::{Context, Failure, spinner, text};
use kirosu_protocol::BackupParams;

const EXAMPLES: &str = "\
Examples:
  kirosu backup
  kirosu backup before-upgrade.db
  kirosu backup --json | jq -r .path";

/// Copies the hub's store into its backup folder, while the hub runs
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// File name of the copy, without a folder [default: made from the time]
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// Requests the backup and waits until the copy is complete, checked and synced to disk.
///
/// # Errors
/// The hub cannot be reached, or the copy fails.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let screen = &context.screen;
    let spinner = spinner::spinner(screen, "the hub is copying its store");
    let ask = BackupParams {
        name: args.name.clone(),
    };
    let answer = hub.request(&ask).await;
    spinner.finish_and_clear();
    let answer = answer?;
    let (path, size) = (&answer.path, text::grouped(answer.bytes));
    let copied = format!("{path} ({size} bytes, {:.1} s)", answer.seconds);
    screen.answer(&answer, || screen.print(&copied))
}
