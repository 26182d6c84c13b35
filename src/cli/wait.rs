//! `kirosu wait`: waits until tasks are finished. The hub answers when they are; the client does not poll.

use super::show::task;
use super::{
    Context, Failure, HubClient, NOT_ALL_DONE, Screen, SelectArgs, Selection, TIMED_OUT, spinner,
    text, time,
};
use kirosu_protocol::{
    Group, Status, Task, TaskId, WaitAnswer, WaitChildrenParams, WaitParams, WaitTarget, millis,
};
use std::collections::HashMap;
use std::convert::Infallible;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Maximum number of concurrent requests; more tasks share them.
const REQUESTS: usize = 64;

const EXAMPLES: &str = "\
Examples:
  kirosu wait 42
  kirosu wait 42 43 44 --timeout 10m
  kirosu enqueue --jsonl tasks.jsonl --label night
  kirosu wait --label night && echo all done
  kirosu wait 12-40                         the existing tasks of the range
  kirosu wait --children                    for agents: end your turn after it

Exit code: 0 all done, 3 some failed or were cancelled, 4 the time ran out.";

/// Waits until tasks are finished
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    select: SelectArgs,
    /// Gives up after this time: 90, 5m, 1h30m [default: never]
    #[arg(long, value_name = "TIME", value_parser = time::read_span)]
    timeout: Option<Duration>,
    /// In the run of a task: the task waits for those that it has added, once this run has ended. It holds no agent meanwhile;
    /// the next run gets their results
    #[arg(long, conflicts_with_all = ["ids", "label", "queue", "parent", "timeout"])]
    children: bool,
}

/// The time at which a wait gives up; `None` means never.
#[derive(Clone, Copy, Debug)]
pub struct WaitDeadline(Option<Instant>);

impl WaitDeadline {
    /// That time from now. `None`, or a time beyond the clock's range, means never.
    pub fn after(timeout: Option<Duration>) -> WaitDeadline {
        WaitDeadline(timeout.and_then(|timeout| Instant::now().checked_add(timeout)))
    }

    /// The time until then.
    pub fn left(self) -> Duration {
        self.0.map_or(Duration::MAX, |at| {
            at.saturating_duration_since(Instant::now())
        })
    }
}

/// Waits for tasks, through reconnects and longer than the hub's maximum wait.
pub async fn for_tasks(
    task_ids: Vec<TaskId>,
    deadline: WaitDeadline,
    hub: &HubClient,
) -> Result<WaitAnswer, Failure> {
    let longest = Duration::from_millis(hub.limits().wait_ms_max);
    let mut params = WaitParams {
        target: WaitTarget::Tasks(task_ids),
        timeout_ms: 0,
    };
    loop {
        let left = deadline.left().min(longest);
        params.timeout_ms = millis(left);
        let answer = hub.request_idempotent(&params).await?;
        if answer.finished || deadline.left().is_zero() {
            return Ok(answer);
        }
    }
}

/// Time until the reason of a wait is first printed. It doubles with each check, up to [`LONGEST_CHECK`].
const FIRST_CHECK: Duration = Duration::from_secs(1);
/// Maximum time between two checks.
const LONGEST_CHECK: Duration = Duration::from_secs(30);
/// Maximum number of tasks whose reason is checked.
const TASKS_CHECKED: usize = 10;
/// Maximum number of reasons that one wait prints.
const MAX_REASONS: usize = 20;

/// Prints on standard error why the first of these tasks wait, once that lasts, and again when the reason changes.
/// Never returns. It ignores failed requests, which the wait itself reports.
pub async fn explain(task_ids: &[TaskId], hub: &HubClient, screen: &Screen) -> Infallible {
    let mut open = task_ids.to_vec();
    let (mut pause, mut reasons) = (FIRST_CHECK, PrintedReasons::default());
    while !open.is_empty() {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_CHECK);
        let checked = open.iter().take(TASKS_CHECKED).copied().collect();
        let params = WaitParams {
            target: WaitTarget::Tasks(checked),
            timeout_ms: 0,
        };
        let Ok(answer) = hub.client.request(&params).await else {
            continue;
        };
        open.retain(|id| {
            let ended = |task: &Task| task.task_id == *id && task.status.is_final();
            !answer.tasks.iter().any(ended)
        });
        reasons.print(&answer.tasks, screen);
    }
    std::future::pending().await
}

/// The reasons that a wait has printed.
#[derive(Debug, Default)]
struct PrintedReasons(Vec<String>);

impl PrintedReasons {
    /// Prints new reasons, up to [`MAX_REASONS`] lines in all.
    fn print(&mut self, tasks: &[Task], screen: &Screen) {
        for line in reasons(tasks) {
            if self.0.len() < MAX_REASONS && !self.0.contains(&line) {
                // A closed standard error does not end the wait.
                let _ = screen.note(&line);
                self.0.push(line);
            }
        }
    }
}

/// Waits until all tasks of a group are finished, through reconnects and longer than the hub's maximum wait.
async fn for_group(
    group: Group,
    deadline: WaitDeadline,
    hub: &HubClient,
    screen: &Screen,
) -> Result<WaitAnswer, Failure> {
    let longest = Duration::from_millis(hub.limits().wait_ms_max);
    let spinner = spinner::spinner(screen, "waiting for a group of tasks");
    let (mut pause, mut reasons) = (FIRST_CHECK, PrintedReasons::default());
    let mut params = WaitParams {
        target: WaitTarget::Group(group),
        timeout_ms: 0,
    };
    loop {
        let left = deadline.left().min(longest).min(pause);
        pause = (pause * 2).min(LONGEST_CHECK);
        params.timeout_ms = millis(left);
        let answer = hub.request_idempotent(&params).await?;
        if answer.finished || deadline.left().is_zero() {
            return Ok(answer);
        }
        let open = answer
            .counts
            .iter()
            .flatten()
            .filter(|(status, _)| !status.is_final());
        spinner.set_message(waiting(open.map(|(_, count)| count).sum()));
        spinner.suspend(|| reasons.print(&answer.tasks, screen));
    }
}

/// Waits for a group and prints the number of tasks by status.
async fn group(
    group: Group,
    deadline: WaitDeadline,
    hub: &HubClient,
    context: &Context,
) -> Result<u8, Failure> {
    let screen = &context.screen;
    let answer = for_group(group, deadline, hub, screen).await?;
    let counts = answer.counts.clone().unwrap_or_default();
    if counts.is_empty() {
        return Err(Failure::Local(
            "no task matches; `kirosu list` takes the same selection".into(),
        ));
    }
    if screen.json {
        screen.json(&answer)?;
    } else {
        let count = |(status, count): (&Status, &u64)| format!("{count} {status}");
        let words: Vec<String> = counts.iter().map(count).collect();
        screen.print(&words.join(", "))?;
        if !answer.finished {
            screen.note("kirosu: the time ran out before all of the group were finished")?;
        }
    }
    Ok(exit_code(counts.keys().copied(), answer.finished))
}

/// One line per reason why some of the tasks wait.
fn reasons(tasks: &[Task]) -> Vec<String> {
    let mut by_reason: Vec<(String, Vec<String>)> = Vec::new();
    for task in tasks {
        let Some(waiting) = task.waiting.as_deref() else {
            continue;
        };
        let until = waiting.until.map(time::stamp);
        let until = until.map(|at| format!(" (until {at})")).unwrap_or_default();
        let reason = format!("{}{until}", waiting.message);
        let id = task.task_id.to_string();
        match by_reason.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, ids)) => ids.push(id),
            None => by_reason.push((reason, vec![id])),
        }
    }
    let line = |(reason, ids): (String, Vec<String>)| match ids.as_slice() {
        [id] => format!("task {id} waits: {reason}"),
        ids => format!("tasks {} wait: {reason}", ids.join(", ")),
    };
    by_reason.into_iter().map(line).collect()
}

/// 0 if all tasks are done, else the code of the failure.
pub fn exit_code(statuses: impl IntoIterator<Item = Status>, finished: bool) -> u8 {
    let all_done = statuses.into_iter().all(|status| status == Status::Done);
    match (finished, all_done) {
        (false, _) => TIMED_OUT,
        (true, false) => NOT_ALL_DONE,
        (true, true) => 0,
    }
}

/// Lets the task of this run wait for its children once the run has ended.
async fn for_children(context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let answer = hub
        .request_idempotent(&WaitChildrenParams::default())
        .await?;
    if context.screen.json {
        context.screen.json(&answer)?;
        return Ok(0);
    }
    let tasks = text::count(answer.unfinished, "task");
    context.screen.print(&format!(
        "task {} waits for {tasks} once this run has ended: end it now; the next run gets the results",
        answer.task_id
    ))?;
    Ok(0)
}

/// Waits, and prints each task when it ends.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    if args.children {
        return for_children(context).await;
    }
    let choice = args.select.choice()?;
    let hub = context.connect().await?;
    let deadline = WaitDeadline::after(args.timeout);
    let task_ids = match choice {
        Selection::Tasks(task_ids) => task_ids,
        Selection::Group(chosen) => return group(chosen, deadline, &hub, context).await,
    };
    let mut ids = task_ids.clone();
    ids.sort_unstable();
    ids.dedup();
    let mut waits = JoinSet::new();
    for group in ids.chunks(ids.len().div_ceil(REQUESTS)) {
        let (group, hub) = (group.to_vec(), hub.clone());
        waits.spawn(async move { for_tasks(group, deadline, &hub).await });
    }
    let spinner = spinner::spinner(&context.screen, waiting(ids.len() as u64));
    let (mut ended, mut finished) = (HashMap::new(), true);
    let explained = explain(&ids, &hub, &context.screen);
    tokio::pin!(explained);
    while let Some(joined) = tokio::select! {
        joined = waits.join_next() => joined,
        never = &mut explained => match never {},
    } {
        let answer = joined.map_err(|why| Failure::local("a wait ended badly", why))??;
        finished &= answer.finished;
        for task in answer.tasks {
            if task.status.is_final() && !context.screen.json {
                spinner.suspend(|| context.screen.print(&task::ending(&task, &context.screen)))?;
            }
            ended.insert(task.task_id, task);
        }
        let open = ids.len() - ended.values().filter(|task| task.status.is_final()).count();
        spinner.set_message(waiting(open as u64));
    }
    spinner.finish_and_clear();
    print_result(&task_ids, ended, finished, context)
}

fn waiting(open: u64) -> String {
    format!("waiting for {}", text::count(open, "task"))
}

fn print_result(
    ids: &[TaskId],
    mut ended: HashMap<TaskId, Task>,
    finished: bool,
    context: &Context,
) -> Result<u8, Failure> {
    // In the order of the command line, each task once.
    let tasks: Vec<Task> = ids.iter().filter_map(|id| ended.remove(id)).collect();
    let code = exit_code(tasks.iter().map(|task| task.status), finished);
    if context.screen.json {
        context.screen.json(&WaitAnswer {
            tasks,
            counts: None,
            finished,
        })?;
    } else if !finished {
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
    Ok(code)
}
