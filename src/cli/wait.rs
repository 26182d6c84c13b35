//! `kirosu wait`: until tasks are finished; the hub tells, nobody polls.

use super::connect::{Context, Hub};
use super::failure::{Failure, NOT_ALL_DONE, TIMED_OUT};
use super::show::{spinner, task, text, time};
use kirosu_protocol::verbs::wait::{WaitAnswer, WaitAsk};
use kirosu_protocol::{Status, Task, TaskId};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Requests at once; more tasks than that share them.
const REQUESTS: usize = 64;

const EXAMPLES: &str = "\
Examples:
  kirosu wait 42
  kirosu wait 42 43 44 --timeout 10m
  kirosu enqueue --jsonl tasks.jsonl | xargs kirosu wait && echo all done

Exit code: 0 all done, 3 some failed or were cancelled, 4 the time ran out.";

/// Waits until tasks are finished
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The tasks
    #[arg(value_name = "ID", required = true)]
    task_ids: Vec<TaskId>,
    /// Gives up after this long: 90, 5m, 1h30m [default: never]
    #[arg(long, value_name = "TIME", value_parser = time::read_span)]
    timeout: Option<Duration>,
}

/// When a wait gives up.
#[derive(Clone, Copy, Debug)]
pub struct Until(Option<Instant>);

impl Until {
    /// After that time from now; none, or one beyond the clock: never.
    pub fn after(timeout: Option<Duration>) -> Until {
        Until(timeout.and_then(|timeout| Instant::now().checked_add(timeout)))
    }

    fn left(self) -> Duration {
        self.0.map_or(Duration::MAX, |at| {
            at.saturating_duration_since(Instant::now())
        })
    }
}

/// Waits for tasks, through reconnects and beyond the hub's longest wait.
pub async fn for_tasks(
    task_ids: Vec<TaskId>,
    until: Until,
    hub: &Hub,
) -> Result<WaitAnswer, Failure> {
    let longest = Duration::from_millis(hub.limits().wait_ms_max);
    let mut ask = WaitAsk {
        task_ids,
        timeout_ms: 0,
    };
    loop {
        let left = until.left().min(longest);
        ask.timeout_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        let answer = hub.insist(&ask).await?;
        if answer.finished || until.left().is_zero() {
            return Ok(answer);
        }
    }
}

/// 0 when all are done, else what was missing.
pub fn exit_code(tasks: &[Task], finished: bool) -> u8 {
    match (
        finished,
        tasks.iter().all(|task| task.status == Status::Done),
    ) {
        (false, _) => TIMED_OUT,
        (true, false) => NOT_ALL_DONE,
        (true, true) => 0,
    }
}

/// Waits, telling of each task as it ends.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let mut ids = args.task_ids.clone();
    ids.sort_unstable();
    ids.dedup();
    let until = Until::after(args.timeout);
    let mut waits = JoinSet::new();
    for group in ids.chunks(ids.len().div_ceil(REQUESTS)) {
        let (group, hub) = (group.to_vec(), hub.clone());
        waits.spawn(async move { for_tasks(group, until, &hub).await });
    }
    let spinner = spinner::spinner(&context.screen, waiting(ids.len()));
    let (mut ended, mut finished) = (HashMap::new(), true);
    while let Some(joined) = waits.join_next().await {
        let answer = joined.map_err(|why| Failure::local("a wait ended badly", why))??;
        finished &= answer.finished;
        for task in answer.tasks {
            if task.status.is_final() && !context.screen.json {
                spinner.suspend(|| context.screen.print(&task::ending(&task, &context.screen)))?;
            }
            ended.insert(task.task_id, task);
        }
        let open = ids.len() - ended.values().filter(|task| task.status.is_final()).count();
        spinner.set_message(waiting(open));
    }
    spinner.finish_and_clear();
    tell(&args.task_ids, ended, finished, context)
}

fn waiting(open: usize) -> String {
    format!("waiting for {}", text::count(open as u64, "task"))
}

fn tell(
    ids: &[TaskId],
    mut ended: HashMap<TaskId, Task>,
    finished: bool,
    context: &Context,
) -> Result<u8, Failure> {
    // In the order asked for, each once.
    let tasks: Vec<Task> = ids.iter().filter_map(|id| ended.remove(id)).collect();
    if context.screen.json {
        let answer = WaitAnswer { tasks, finished };
        context.screen.json(&answer)?;
        return Ok(exit_code(&answer.tasks, finished));
    }
    if !finished {
        let open = tasks.iter().filter(|task| !task.status.is_final());
        let named: Vec<String> = open
            .map(|task| format!("{} ({})", task.task_id, task.status))
            .take(10)
            .collect();
        let named = named.join(", ");
        context.screen.note(&format!(
            "kirosu: the time ran out before these were finished: {named}"
        ))?;
    }
    Ok(exit_code(&tasks, finished))
}
