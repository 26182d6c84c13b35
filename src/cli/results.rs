//! `kirosu results`: the results of many tasks, printed or written to files, page by page.

use super::connect::{Context, Hub};
use super::failure::{Failure, NOT_ALL_DONE};
use super::select::Select;
use super::show::Screen;
use super::show::paint::Paint;
use super::show::text;
use kirosu_protocol::verbs::list::{ListParams, ListStatus};
use kirosu_protocol::{IdRange, Status, Task, TaskId};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Tasks of a page: few enough that long results do not fill the memory.
const PAGE: u32 = 50;
/// Tasks of a page of which only the numbers are wanted.
const IDS: u32 = 1000;

const EXAMPLES: &str = "\
Examples:
  kirosu results --label night
  kirosu results --label night --json > night.jsonl     an object a line
  kirosu results --label night --to answers             answers/ID.txt for each
  kirosu results 12-40 --queue docs
  kirosu results --label night --order oldest           in the order in which the tasks were enqueued

A line of --json has task_id, status, result, error, labels, metadata and prompt.
Exit code: 0 all done, 3 some failed, were cancelled or are not finished.";

/// Prints or writes the results of many tasks
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    select: Select,
    /// Writes each result into this folder, as ID.txt, in place of printing it
    #[arg(long, value_name = "DIR", conflicts_with = "json")]
    to: Option<PathBuf>,
    /// Which tasks come first, by their numbers
    #[arg(long, value_name = "WHICH", value_enum, default_value_t)]
    order: Order,
}

/// An order of tasks by their numbers, which is that in which they were enqueued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Order {
    #[default]
    Newest,
    Oldest,
}

/// How many there were.
#[derive(Debug, Default)]
struct Counts {
    done: u64,
    ended_otherwise: u64,
    unfinished: u64,
}

/// Prints or writes them.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    // Refuses a command line that names nothing.
    args.select.choice()?;
    let hub = context.connect().await?;
    if let Some(folder) = &args.to {
        let made = tokio::fs::create_dir_all(folder).await;
        made.map_err(|why| Failure::local(format!("cannot make {}", folder.display()), why))?;
    }
    let mut ask = ListParams {
        status: ListStatus::Any,
        limit: Some(PAGE),
        // Whole texts.
        preview_bytes: Some(0),
        ..args.select.list()
    };
    let mut counts = Counts::default();
    match args.order {
        Order::Newest => loop {
            let page = hub.insist(&ask).await?;
            for task in &page.tasks {
                counts.count(task.status);
                tell(task, args.to.as_deref(), &context.screen).await?;
            }
            ask.before = page.next;
            if page.next.is_none() {
                break;
            }
        },
        Order::Oldest => {
            let ids = ids(&hub, args.select.list()).await?;
            for some in ids.rchunks(PAGE as usize) {
                // Of a task that was removed meanwhile there is nothing to print.
                for task in page_of(&hub, some).await?.iter().rev() {
                    counts.count(task.status);
                    tell(task, args.to.as_deref(), &context.screen).await?;
                }
            }
        }
    }
    counts.conclude(args.to.as_deref(), &context.screen)
}

/// The numbers of all tasks of a list, newest first: the hub lists in no other order.
async fn ids(hub: &Hub, list: ListParams) -> Result<Vec<TaskId>, Failure> {
    let mut ask = ListParams {
        limit: Some(IDS),
        preview_bytes: Some(1),
        ..list
    };
    let mut ids = Vec::new();
    loop {
        let page = hub.insist(&ask).await?;
        ids.extend(page.tasks.iter().map(|task| task.task_id));
        match page.next {
            Some(next) => ask.before = Some(next),
            None => return Ok(ids),
        }
    }
}

/// These tasks with their whole texts, newest first.
async fn page_of(hub: &Hub, ids: &[TaskId]) -> Result<Vec<Task>, Failure> {
    let ranges = ids.iter().map(|id| IdRange {
        first: *id,
        last: *id,
    });
    let ask = ListParams {
        limit: Some(PAGE),
        preview_bytes: Some(0),
        ranges: ranges.collect(),
        ..ListParams::default()
    };
    Ok(hub.insist(&ask).await?.tasks)
}

async fn tell(task: &Task, folder: Option<&Path>, screen: &Screen) -> Result<(), Failure> {
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
            screen.foreign(result)
        }
    }
}

impl Counts {
    fn count(&mut self, status: Status) {
        let counter = match status {
            Status::Done => &mut self.done,
            status if status.is_final() => &mut self.ended_otherwise,
            _ => &mut self.unfinished,
        };
        *counter += 1;
    }

    /// Tells how many there were; the exit code.
    fn conclude(&self, folder: Option<&Path>, screen: &Screen) -> Result<u8, Failure> {
        if self.done + self.ended_otherwise + self.unfinished == 0 {
            return Err(Failure::Local(
                "no task belongs to this group; `kirosu list` takes the same words".into(),
            ));
        }
        if let Some(folder) = folder {
            let written = text::count(self.done, "result");
            screen.print(&format!("wrote {written} to {}", folder.display()))?;
        }
        if self.unfinished > 0 {
            let open = text::count(self.unfinished, "task");
            screen.note(&format!(
                "kirosu: {open} not finished yet: wait for them with `kirosu wait` and the same words"
            ))?;
        }
        match self.ended_otherwise + self.unfinished {
            0 => Ok(0),
            _ => Ok(NOT_ALL_DONE),
        }
    }
}
