//! `kirosu list`: tasks by filter, page by page.

use super::connect::Context;
use super::failure::Failure;
use super::numbers::{task_id, whole};
use super::select::Select;
use super::show::{Screen, task, time};
use kirosu_protocol::verbs::list::{ListAnswer, ListParams, ListStatus};
use kirosu_protocol::{Status, TaskId};

/// Tasks of a page.
pub const PAGE: u32 = 20;
/// Bytes of a text that a line of the list shows, and more.
const LINE_BYTES: u32 = 4 << 10;
/// Tasks asked for at once with `--all`.
const BULK: u32 = 1000;

const EXAMPLES: &str = "\
Examples:
  kirosu list --status failed
  kirosu list --queue docs --limit 100
  kirosu list --label night --status failed
  kirosu list 12-40                         tasks 12 to 40
  kirosu list --before 480                  the page of older tasks
  kirosu list --all --status failed | cut -f1 | xargs kirosu retry
In a pipe the columns are: id, status, type, queue, tries, created, worker, prompt, result.";

/// Lists tasks, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Only of this status: queued, blocked, scheduled, awaiting_approval, leased, done, failed, cancelled
    #[arg(long, value_parser = read_status)]
    status: Option<Status>,
    #[command(flatten)]
    select: Select,
    /// Only of this type
    #[arg(long = "type", value_name = "TYPE")]
    task_type: Option<String>,
    /// Tasks of a page
    #[arg(long, default_value_t = PAGE, value_name = "NUMBER", value_parser = whole::<u32>(1..=i64::from(u32::MAX), 100))]
    limit: u32,
    /// Only tasks with a smaller number: the page that follows
    #[arg(long, visible_alias = "cursor", value_name = "ID", value_parser = task_id)]
    before: Option<TaskId>,
    /// All of them
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// All of each prompt, result and error, however long
    #[arg(long)]
    whole: bool,
}

/// Reads a status word.
pub fn read_status(word: &str) -> Result<Status, String> {
    let word = word.trim().to_ascii_lowercase().replace('-', "_");
    Status::from_name(&word).ok_or_else(|| {
        let known = Status::ALL.map(Status::as_str).join(", ");
        format!("it is one of {known}")
    })
}

/// Bytes wanted of each text: 0 for all, none for as many as the hub answers by itself.
pub fn preview(whole: bool, screen: &Screen) -> Option<u32> {
    match whole {
        true => Some(0),
        false if screen.json || screen.width.is_none() => None,
        false => Some(LINE_BYTES),
    }
}

/// Prints them.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let mut ask = ListParams {
        status: args.status.map_or(ListStatus::Any, ListStatus::Is),
        limit: Some(if args.all { BULK } else { args.limit }),
        task_type: args.task_type.clone(),
        before: args.before,
        preview_bytes: preview(args.whole, &context.screen),
        ..args.select.list()
    };
    let mut answer = hub.insist(&ask).await?;
    // In a pipe each page goes out as it comes; only a table needs all of them to be aligned.
    let stream = args.all && !context.screen.json && context.screen.width.is_none();
    let mut streamed = false;
    while let (true, Some(next)) = (args.all, answer.next) {
        if stream {
            show(&answer, context)?;
            answer.tasks.clear();
            streamed = true;
        }
        ask.before = Some(next);
        let page = hub.insist(&ask).await?;
        answer.tasks.extend(page.tasks);
        (answer.next, answer.stats) = (page.next, page.stats);
    }
    if !(streamed && answer.tasks.is_empty()) {
        show(&answer, context)?;
    }
    Ok(0)
}

fn show(answer: &ListAnswer, context: &Context) -> Result<(), Failure> {
    let screen = &context.screen;
    if screen.json {
        return screen.json(answer);
    }
    task::print(&answer.tasks, screen, "no such tasks", time::now())?;
    match answer.next {
        Some(next) if screen.width.is_some() => screen.note(&format!(
            "more: kirosu list --before {next} (with the same filters)"
        )),
        _ => Ok(()),
    }
}
