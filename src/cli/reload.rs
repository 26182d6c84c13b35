//! `kirosu reload`: makes the hub read its settings again.

use super::{Context, Failure};
use kirosu_protocol::{ReloadAnswer, ReloadParams};

const EXAMPLES: &str = "\
Examples:
  kirosu reload                             applies changed pools, limits and retention
  kirosu config check && kirosu reload

A file with a fault changes nothing. Sizes that `kirosu pool resize` has set return to those of the file.
The hub opens log.file again. `kirosu agent` and `kirosu api` are other processes: send them SIGHUP.";

/// Makes the hub read its settings again
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {}

/// Requests the reload and prints the changed keys.
pub async fn run(_args: &Args, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let answer = hub.request(&ReloadParams {}).await?;
    let screen = &context.screen;
    screen.answer(&answer, || {
        screen.print_untrusted(&sentence(&answer))?;
        answer.needs_restart.iter().try_for_each(|key| {
            screen.note(&format!(
                "kirosu: {key} has changed; restart the hub to apply it"
            ))
        })
    })
}

fn sentence(answer: &ReloadAnswer) -> String {
    let file = answer.file.as_deref().unwrap_or("no file");
    match answer.changed.is_empty() {
        true => format!("reloaded {file}: nothing has changed"),
        false => format!("reloaded {file}: {}", answer.changed.join(", ")),
    }
}
