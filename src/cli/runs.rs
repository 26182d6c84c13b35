//! `kirosu runs`: lists runs of plans, newest first.

use super::show::run::run_paint;
use super::show::table::{Cell, Column, TextTable};
use super::{Context, Failure, Paint, text, time, whole};
use kirosu_protocol::verbs::runs::RUNS_LIMIT_MAX;
use kirosu_protocol::{ListedRun, RunState, RunsParams};

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
    let mut params = RunsParams {
        state: args.state,
        ..RunsParams::default()
    };
    let mut runs: Vec<ListedRun> = Vec::new();
    while runs.len() < args.limit {
        let left = u32::try_from(args.limit - runs.len()).unwrap_or(u32::MAX);
        params.limit = Some(left.min(RUNS_LIMIT_MAX));
        let page = hub.request_idempotent(&params).await?;
        runs.extend(page.runs);
        params.before = page.next;
        if page.next.is_none() {
            break;
        }
    }
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

/// The runs as a table.
pub fn table(runs: &[ListedRun], now: f64) -> TextTable {
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
        let number = |n: u64| Cell::new(text::grouped(n)).exact(n.to_string());
        let reason = run.reason.as_deref();
        let reason = reason.filter(|why| *why != run.state.as_str());
        let why = reason.or(run.error.as_deref());
        table.row([
            Cell::new(run.task_id.to_string()),
            Cell::new(run.state.as_str()).painted(run_paint(run.state)),
            Cell::new(run.name.as_deref().unwrap_or_default()),
            number(run.done),
            number(run.failed).painted(Paint::Bad),
            number(run.open),
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

    #[test]
    fn a_row_has_the_counts_of_a_run() {
        let run = ListedRun {
            task_id: 42,
            state: RunState::Open,
            reason: None,
            name: Some("review".into()),
            error: None,
            made: 12_003,
            steps: 2,
            open: 1,
            done: 12_000,
            failed: 2,
            cancelled: 0,
            created_at: 100.0,
            ended_at: None,
        };
        assert_eq!(
            table(std::slice::from_ref(&run), 160.0).render(None, false),
            "42\topen\treview\t12000\t2\t1\t1970-01-01T00:01:40.000Z\t\n"
        );
        let shown = table(&[run], 160.0).render(Some(80), false);
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
