//! `kirosu results`: prints the results of many tasks, or writes them to files, page by page.

use super::{Context, Failure, HubClient, NOT_ALL_DONE, Paint, Screen, SelectArgs, text};
use kirosu_protocol::{IdRange, ListParams, ListStatus, Status, Task, TaskId};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Tasks per page: few enough that long results do not fill the memory.
const PAGE: u32 = 50;
/// Tasks per page if only the numbers are needed.
const IDS: u32 = 1000;

const EXAMPLES: &str = "\
Examples:
  kirosu results --label night
  kirosu results --label night --json > night.jsonl     one object per line
  kirosu results --label night --to answers             one file per task: answers/ID.txt
  kirosu results 12-40 --queue docs
  kirosu results --label night --order oldest           in the order of enqueueing

A line of --json has task_id, status, result, error, labels, metadata and prompt.
Exit code: 0 all done, 3 some failed, were cancelled or are not finished.";

/// Prints or writes the results of many tasks
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    select: SelectArgs,
    /// Writes each result to ID.txt in this folder instead of printing it
    #[arg(long, value_name = "DIR", conflicts_with = "json")]
    to: Option<PathBuf>,
    /// The tasks that come first, by their numbers
    #[arg(long, value_name = "WHICH", value_enum, default_value_t)]
    order: ResultOrder,
}

/// An order by task number, which is the order of enqueueing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum ResultOrder {
    #[default]
    Newest,
    Oldest,
}

/// Number of tasks by outcome.
#[derive(Debug, Default)]
struct OutcomeCounts {
    done: u64,
    ended_otherwise: u64,
    unfinished: u64,
}

/// Prints or writes the results.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    // Refuses a command line without a selection.
    args.select.choice()?;
    let hub = context.connect().await?;
    if let Some(folder) = &args.to {
        let made = tokio::fs::create_dir_all(folder).await;
        made.map_err(|why| Failure::local(format!("cannot make {}", folder.display()), why))?;
    }
    let mut params = ListParams {
        status: ListStatus::Any,
        limit: Some(PAGE),
        // Full texts.
        preview_bytes: Some(0),
        ..args.select.list()
    };
    let mut counts = OutcomeCounts::default();
    match args.order {
        ResultOrder::Newest => loop {
            let page = hub.request_idempotent(&params).await?;
            for task in &page.tasks {
                counts.count(task.status);
                print_result(task, args.to.as_deref(), &context.screen).await?;
            }
            params.before = page.next;
            if page.next.is_none() {
                break;
            }
        },
        ResultOrder::Oldest => {
            let ids = ids(&hub, args.select.list()).await?;
            for chunk in ids.rchunks(PAGE as usize) {
                // A task that was deleted meanwhile is missing here.
                for task in page_of(&hub, chunk).await?.iter().rev() {
                    counts.count(task.status);
                    print_result(task, args.to.as_deref(), &context.screen).await?;
                }
            }
        }
    }
    counts.conclude(args.to.as_deref(), &context.screen)
}

/// The numbers of all matching tasks, newest first. The hub supports no other order.
async fn ids(hub: &HubClient, list: ListParams) -> Result<Vec<TaskId>, Failure> {
    let mut params = ListParams {
        limit: Some(IDS),
        preview_bytes: Some(1),
        ..list
    };
    let mut ids = Vec::new();
    loop {
        let page = hub.request_idempotent(&params).await?;
        ids.extend(page.tasks.iter().map(|task| task.task_id));
        match page.next {
            Some(next) => params.before = Some(next),
            None => return Ok(ids),
        }
    }
}

/// These tasks with their full texts, newest first.
async fn page_of(hub: &HubClient, ids: &[TaskId]) -> Result<Vec<Task>, Failure> {
    let ranges = ids.iter().map(|id| IdRange {
        first: *id,
        last: *id,
    });
    let params = ListParams {
        limit: Some(PAGE),
        preview_bytes: Some(0),
        ranges: ranges.collect(),
        ..ListParams::default()
    };
    Ok(hub.request_idempotent(&params).await?.tasks)
}

async fn print_result(task: &Task, folder: Option<&Path>, screen: &Screen) -> Result<(), Failure> {
    if !task.status.is_final() {
        return Ok(());
    }
    if screen.json {
        return screen.json(&json!({
            "task_id": task.task_id, "status": task.status, "result": task.result, "error": task.error,
            "labels": task.labels, "metadata": task.metadata, "prompt": task.prompt,
        }));
    }
    let id = task.task_id;
    if task.status != Status::Done {
        let why = task
            .error
            .as_deref()
            .map(text::one_line)
            .unwrap_or_default();
        return screen.note(&format!("task {id} {}: {why}", task.status));
    }
    let result = task.result.as_deref().unwrap_or_default();
    match folder {
        Some(folder) => {
            let path = folder.join(format!("{id}.txt"));
            let written = tokio::fs::write(&path, result).await;
            written.map_err(|why| Failure::local(format!("cannot write {}", path.display()), why))
        }
        None => {
            screen.print(&screen.paint(Paint::Bold, &format!("== task {id}")))?;
            screen.print_untrusted(result)
        }
    }
}

impl OutcomeCounts {
    fn count(&mut self, status: Status) {
        let counter = match status {
            Status::Done => &mut self.done,
            status if status.is_final() => &mut self.ended_otherwise,
            _ => &mut self.unfinished,
        };
        *counter += 1;
    }

    /// Prints the totals and returns the exit code.
    fn conclude(&self, folder: Option<&Path>, screen: &Screen) -> Result<u8, Failure> {
        if self.done + self.ended_otherwise + self.unfinished == 0 {
            return Err(Failure::Local(
                "no task matches; `kirosu list` takes the same selection".into(),
            ));
        }
        if let Some(folder) = folder {
            let written = text::count(self.done, "result");
            screen.print(&format!("wrote {written} to {}", folder.display()))?;
        }
        if self.unfinished > 0 {
            let open = text::count(self.unfinished, "task");
            screen.note(&format!(
                "kirosu: {open} not finished yet; wait with `kirosu wait` and the same selection"
            ))?;
        }
        match self.ended_otherwise + self.unfinished {
            0 => Ok(0),
            _ => Ok(NOT_ALL_DONE),
        }
    }
}
