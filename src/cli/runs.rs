//! `kirosu runs`: lists runs of plans, newest first.

use super::show::run::run_paint;
use super::show::table::{Cell, Column, TextTable};
use super::{Context, Failure, HubClient, Paint, text, time, whole};
use futures_util::future::join_all;
use kirosu_protocol::client::CallError;
use kirosu_protocol::{
    ErrorCode, ListParams, RunAnswer, RunParams, RunState, StepInfo, TYPE_PLAN, TaskId,
};

/// Runs per page of the list.
const PAGE: u32 = 50;

const EXAMPLES: &str = "\
Examples:
  kirosu runs
  kirosu runs --state failed
  kirosu runs --state open --limit 100
  kirosu runs --json | jq -c '.runs[] | [.task_id, .state]'
In a pipe the columns are: id, state, name, done, failed, open, created, reason.";

/// Lists runs of plans, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Only runs in this state: pending, open, waiting, paused, done, partial, failed, cancelled
    #[arg(long, value_parser = read_state)]
    state: Option<RunState>,
    /// The most runs
    #[arg(long, default_value_t = 20, value_name = "NUMBER", value_parser = whole::<usize>(1..=i64::from(u32::MAX), 100))]
    limit: usize,
}

/// Reads a run's state.
///
/// # Errors
/// The text is not a state; the message lists them.
fn read_state(word: &str) -> Result<RunState, String> {
    let word = word.trim().to_ascii_lowercase();
    RunState::from_name(&word).ok_or_else(|| {
        let known = RunState::ALL.map(RunState::as_str).join(", ");
        format!("it is one of {known}")
    })
}

/// Prints the runs.
///
/// # Errors
/// The hub cannot be reached, or standard output fails.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let mut params = ListParams {
        task_type: Some(TYPE_PLAN.to_owned()),
        limit: Some(PAGE),
        preview_bytes: Some(1),
        ..ListParams::default()
    };
    let mut runs = Vec::new();
    while runs.len() < args.limit {
        let page = hub.request_idempotent(&params).await?;
        let ids: Vec<TaskId> = page.tasks.iter().map(|task| task.task_id).collect();
        let wanted = |run: &RunAnswer| args.state.is_none_or(|state| run.state == state);
        for chunk in ids.chunks(args.limit.min(PAGE as usize)) {
            if runs.len() < args.limit {
                let read = all(chunk, &hub).await?;
                runs.extend(read.into_iter().filter(wanted));
            }
        }
        params.before = page.next;
        if page.next.is_none() {
            break;
        }
    }
    runs.truncate(args.limit);
    let screen = &context.screen;
    if screen.json {
        screen.json(&serde_json::json!({ "runs": runs }))?;
    } else if runs.is_empty() {
        screen.note("no such runs; `kirosu run-pipeline` and `kirosu map` start one")?;
    } else {
        table(&runs, time::now()).print(screen)?;
    }
    Ok(0)
}

/// These runs. One that was deleted meanwhile is left out.
async fn all(ids: &[TaskId], hub: &HubClient) -> Result<Vec<RunAnswer>, Failure> {
    let requests = ids.iter().map(|task_id| async move {
        let task_id = *task_id;
        match hub.request_idempotent(&RunParams::of(task_id)).await {
            Ok(run) => Ok(Some(run)),
            Err(Failure::Call(CallError::Refused(error))) if error.code == ErrorCode::NotFound => {
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    });
    let answers: Result<Vec<Option<RunAnswer>>, Failure> =
        join_all(requests).await.into_iter().collect();
    Ok(answers?.into_iter().flatten().collect())
}

fn table(runs: &[RunAnswer], now: f64) -> TextTable {
    let mut table = TextTable::new([
        Column::number("ID"),
        Column::text("STATE"),
        Column::long("NAME"),
        Column::number("DONE"),
        Column::number("FAILED").unless("0"),
        Column::number("OPEN").unless("0"),
        Column::text("CREATED").yields(1),
        Column::long("REASON"),
    ]);
    for run in runs {
        let sum = |of: fn(&StepInfo) -> u64| run.steps.iter().map(of).sum::<u64>();
        let number = |n: u64| Cell::new(text::grouped(n)).exact(n.to_string());
        let reason = run.reason.as_deref();
        let reason = reason.filter(|why| *why != run.state.as_str());
        let why = reason.or(run.error.as_deref());
        let why = why.and_then(|why| why.lines().next());
        table.row([
            Cell::new(run.task_id.to_string()),
            Cell::new(run.state.as_str()).painted(run_paint(run.state)),
            Cell::new(run.name.as_deref().unwrap_or_default()),
            number(sum(|step| step.done)),
            number(sum(|step| step.failed)).painted(Paint::Bad),
            number(sum(|step| step.open)),
            Cell::new(time::ago(run.created_at, now))
                .exact(time::stamp(run.created_at))
                .painted(Paint::Dim),
            Cell::new(why.unwrap_or_default()),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::show::run::tests;
    use kirosu_protocol::StepState;

    #[test]
    fn a_row_sums_up_the_steps_of_a_run() {
        let (mut a, mut b) = (
            tests::step("a", "map", StepState::Failed),
            tests::step("b", "task", StepState::Open),
        );
        (a.done, a.failed, b.open) = (12_000, 2, 1);
        let runs = [tests::run(vec![a, b])];
        assert_eq!(
            table(&runs, 160.0).render(None, false),
            "42\topen\treview\t12000\t2\t1\t1970-01-01T00:01:40.000Z\t\n"
        );
        let shown = table(&runs, 160.0).render(Some(80), false);
        assert!(
            shown.contains("12 000") && shown.contains("60 s ago"),
            "{shown}"
        );
    }

    #[test]
    fn states_are_read_in_any_case() {
        assert_eq!(read_state(" Failed"), Ok(RunState::Failed));
        assert!(
            read_state("nope")
                .unwrap_err()
                .contains("pending, open, waiting")
        );
    }
}
