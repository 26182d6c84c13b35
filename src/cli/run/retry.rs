//! `kirosu run retry`: repeats what failed in a run.

use crate::cli::{Context, Failure, HubClient, task_id, text};
use kirosu_protocol::{RunAnswer, RunParams, RunRetryParams, StepState, TaskId};

/// The part of a run to repeat.
#[derive(Debug, clap::Args)]
pub struct RetryArgs {
    /// The run
    #[arg(value_name = "ID", value_parser = task_id)]
    id: TaskId,
    /// Only what failed or was cancelled: the default, but for a step of which nothing failed
    #[arg(long, conflicts_with = "item")]
    failed: bool,
    /// Only the step with this path: its items that failed, or all if none did
    #[arg(long, value_name = "PATH")]
    step: Option<String>,
    /// Only the item with this key, also one that is done
    #[arg(long, value_name = "KEY")]
    item: Option<String>,
}

/// Repeats it.
///
/// # Errors
/// Nothing fits, the hub refuses or cannot be reached, or standard output fails.
pub async fn run(args: &RetryArgs, hub: &HubClient, context: &Context) -> Result<u8, Failure> {
    let id = args.id;
    let before = hub.request_idempotent(&RunParams::of(id)).await?;
    let step = match (&args.step, &args.item) {
        (None, Some(key)) => Some(step_of(&before, key)?),
        (step, _) => step.clone(),
    };
    if args.failed && ended_badly(&before, step.as_deref()) == 0 {
        let of = step.map(|step| format!(" of {step}")).unwrap_or_default();
        return Err(Failure::Local(format!(
            "nothing{of} failed in run {id}; without --failed, a step that --step names is repeated as a whole"
        )));
    }
    let params = RunRetryParams {
        task_id: id,
        step: step.clone(),
        item: args.item.clone(),
    };
    let answer = hub.request(&params).await?;
    let screen = &context.screen;
    screen.answer(&answer, || {
        screen.print(&repeated(&before, step.as_deref(), args.item.as_deref()))?;
        screen.note(&format!("follow it with `kirosu run wait {id}`"))
    })
}

/// The only step with several items.
///
/// # Errors
/// There are more such steps, or none.
fn step_of(run: &RunAnswer, key: &str) -> Result<String, Failure> {
    let mut lists = run.steps.iter().filter(|step| step.total != Some(1));
    match (lists.next(), lists.next()) {
        (Some(step), None) => Ok(step.path.clone()),
        (first, second) => {
            let paths: Vec<&str> = first
                .into_iter()
                .chain(second)
                .chain(lists)
                .map(|step| step.path.as_str())
                .collect();
            let paths = match paths.is_empty() {
                true => String::new(),
                false => format!(": {}", paths.join(", ")),
            };
            Err(Failure::Usage(format!(
                "name the step of the item {} with --step{paths}",
                text::one_line(key)
            )))
        }
    }
}

/// The items that failed or were cancelled, and steps without items that did.
fn ended_badly(run: &RunAnswer, step: Option<&str>) -> u64 {
    let steps = run.steps.iter();
    let steps = steps.filter(|it| step.is_none_or(|path| path == it.path));
    steps
        .map(|it| {
            let is_bad = matches!(it.state, StepState::Failed | StepState::Cancelled);
            (it.failed + it.cancelled).max(u64::from(is_bad))
        })
        .sum()
}

fn repeated(run: &RunAnswer, step: Option<&str>, item: Option<&str>) -> String {
    let id = run.task_id;
    match (step, item) {
        (Some(step), Some(key)) => {
            format!("repeating {} of {step} in run {id}", text::one_line(key))
        }
        (Some(step), None) => format!("repeating {step} in run {id}"),
        (None, _) => format!("repeating what failed in run {id}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::show::run::tests;

    #[test]
    fn an_item_without_a_step_is_one_of_the_only_list() {
        let mut read = tests::step("read", "map", StepState::Partial);
        (read.total, read.failed) = (Some(9), 2);
        let mut run = tests::run(vec![
            read.clone(),
            tests::step("b", "task", StepState::Done),
        ]);
        assert_eq!(step_of(&run, "k").unwrap(), "read");
        assert_eq!(ended_badly(&run, None), 2);
        assert_eq!(ended_badly(&run, Some("b")), 0);
        run.steps[1].state = StepState::Failed;
        assert_eq!(ended_badly(&run, Some("b")), 1);
        run.steps[1].state = StepState::Done;
        assert_eq!(
            repeated(&run, Some("read"), Some("a\nb")),
            "repeating a b of read in run 42"
        );
        read.path = "again".into();
        run.steps.push(read);
        let why = step_of(&run, "k").unwrap_err().to_string();
        assert_eq!(why, "name the step of the item k with --step: read, again");
        run.steps.clear();
        assert!(
            step_of(&run, "k")
                .unwrap_err()
                .to_string()
                .ends_with("--step")
        );
    }
}
