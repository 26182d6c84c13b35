//! `kirosu backup`: a sound copy of the hub's store.

use super::connect::Context;
use super::failure::Failure;
use super::show::spinner;
use super::show::text;
use kirosu_protocol::verbs::backup::BackupParams;

const EXAMPLES: &str = "\
Examples:
  kirosu backup
  kirosu backup before-upgrade.db
  kirosu backup --json | jq -r .path";

/// Copies the hub's store into its folder of backups, while it works on
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The copy's file name, without a folder [default: made of the time]
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// Asks for it and waits until it is whole, checked and on the disk.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let screen = &context.screen;
    let spinner = spinner::spinner(screen, "the hub copies its store");
    let ask = BackupParams {
        name: args.name.clone(),
    };
    let answer = hub.ask(&ask).await;
    spinner.finish_and_clear();
    let answer = answer?;
    if screen.json {
        screen.json(&answer)?;
    } else {
        let size = text::grouped(answer.bytes);
        screen.print(&format!(
            "{} ({size} bytes, {:.1} s)",
            answer.path, answer.seconds
        ))?;
    }
    Ok(0)
}
