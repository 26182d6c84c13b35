//! `kirosu run approve`: raises the budget of a run.

use crate::cli::each::actor;
use crate::cli::{Context, Failure, HubClient, task_id, text, whole};
use kirosu_protocol::budget::micros_of;
use kirosu_protocol::limits::{TOKENS_MAX, USD_MAX};
use kirosu_protocol::{ApproveParams, Budget, RunParams, Subject, TaskId};

/// The run, and the amount.
#[derive(Debug, clap::Args)]
pub struct ApproveArgs {
    /// The run
    #[arg(value_name = "ID", value_parser = task_id)]
    id: TaskId,
    /// Tokens that it may use in addition [default: its first limit, if that is used up]
    #[arg(long, value_name = "N", value_parser = whole::<u64>(1..=TOKENS_MAX as i64, 500_000))]
    tokens: Option<u64>,
    /// US dollars that it may use in addition
    #[arg(long, value_name = "X", value_parser = dollars)]
    usd: Option<f64>,
    /// Name of the person who decides, for the record [default: $USER]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// Raises it.
///
/// # Errors
/// There is no such run, it has no budget, the hub refuses or cannot be reached, or standard output fails.
pub async fn run(args: &ApproveArgs, hub: &HubClient, context: &Context) -> Result<u8, Failure> {
    let id = args.id;
    // A task that is not a run is not approved.
    hub.request_idempotent(&RunParams::of(id)).await?;
    let raise = Budget {
        tokens: args.tokens,
        micros: args.usd.map(micros_of),
    };
    let params = ApproveParams {
        subject: Subject::Task(id),
        by: actor(&args.by),
        raise: Some(raise).filter(|raise| !raise.is_empty()),
        ..ApproveParams::default()
    };
    let answer = hub.request(&params).await?;
    let by = match (args.tokens, args.usd) {
        (Some(tokens), Some(usd)) => format!(" by {} tokens and {usd} USD", text::grouped(tokens)),
        (Some(tokens), None) => format!(" by {} tokens", text::grouped(tokens)),
        (None, Some(usd)) => format!(" by {usd} USD"),
        (None, None) => ", if it was used up".to_owned(),
    };
    let screen = &context.screen;
    screen.answer(&answer, || {
        screen.print(&format!("the budget of run {id} is raised{by}"))?;
        screen.note(&format!("follow it with `kirosu run wait {id}`"))
    })
}

fn dollars(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(usd) if usd > 0.0 && usd <= USD_MAX => Ok(usd),
        _ => Err(format!("give US dollars above 0 and up to {USD_MAX}")),
    }
}
