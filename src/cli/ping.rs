//! `kirosu ping`: shows whether the hub answers, and how fast.

use super::{Context, Failure};
use kirosu_protocol::PingParams;
use serde_json::json;
use std::time::Instant;

const EXAMPLES: &str = "\
Examples:
  kirosu ping
  kirosu ping --quiet > /dev/null || echo no hub
  kirosu ping --json | jq .round_trip_ms

Exit codes: 0 the hub answers, 1 it refuses (a wrong key), 5 it cannot be reached.";

/// Shows whether the hub answers, and the time of the round trip
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {}

/// Prints the time from the request to the answer, without the time to connect.
///
/// # Errors
/// The hub cannot be reached or refuses.
pub async fn run(_args: &Args, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let begun = Instant::now();
    let answer = hub.request(&PingParams {}).await?;
    let ms = begun.elapsed().as_secs_f64() * 1000.0;
    let (screen, endpoint) = (&context.screen, hub.client.endpoint());
    let fields = json!({
        "boot_id": answer.boot_id, "time": answer.time, "round_trip_ms": (ms * 1000.0).round() / 1000.0,
    });
    screen.answer(&fields, || {
        screen.print(&format!("the hub at {endpoint} answers in {ms:.1} ms"))
    })
}
