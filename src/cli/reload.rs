//! `kirosu reload`: the hub reads its settings again.

use super::connect::Context;
use super::failure::Failure;
use kirosu_protocol::verbs::reload::{ReloadAnswer, ReloadParams};

const EXAMPLES: &str = "\
Examples:
  kirosu reload                             pools, limits and retention as the file says now
  kirosu config check && kirosu reload

A file with a fault changes nothing. Sizes that `kirosu pool resize` has set go back to the file's.
log.file is opened anew. `kirosu agent` and `kirosu api` are other processes: send them SIGHUP.";

/// Makes the hub read its settings again
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {}

/// Reloads.
pub async fn run(_args: &Args, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let answer = hub.ask(&ReloadParams {}).await?;
    let screen = &context.screen;
    if screen.json {
        screen.json(&answer)?;
        return Ok(0);
    }
    screen.foreign(&sentence(&answer))?;
    for key in &answer.needs_restart {
        screen.note(&format!(
            "kirosu: {key} has changed, and takes effect only after a restart of the hub"
        ))?;
    }
    Ok(0)
}

fn sentence(answer: &ReloadAnswer) -> String {
    let file = answer.file.as_deref().unwrap_or("no file");
    match answer.changed.is_empty() {
        true => format!("reloaded {file}: nothing has changed"),
        false => format!("reloaded {file}: {}", answer.changed.join(", ")),
    }
}
