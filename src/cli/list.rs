//! `kirosu list`: lists tasks by filter and page.

use super::show::task;
use super::{Context, Failure, Screen, SelectArgs, task_id, time, whole};
use kirosu_protocol::{ListAnswer, ListParams, ListStatus, Status, TaskId};

/// Tasks per page.
pub const PAGE: u32 = 20;
/// Bytes requested of each text for a terminal: more than fits on a line.
const LINE_BYTES: u32 = 4 << 10;
/// Tasks per request with `--all`.
const BULK: u32 = 1000;

const EXAMPLES: &str = "\
Examples:
  kirosu list --status failed
  kirosu list --queue docs --limit 100
  kirosu list --label night --status failed
  kirosu list 12-40                         tasks 12 to 40
  kirosu list --before 480                  the next page, of older tasks
  kirosu list --all --status failed | cut -f1 | xargs kirosu retry
In a pipe the columns are: id, status, type, queue, tries, created, worker, prompt, result.";

/// Lists tasks, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Only tasks with this status: queued, blocked, scheduled, awaiting_approval, leased, done, failed, cancelled
    #[arg(long, value_parser = read_status)]
    status: Option<Status>,
    #[command(flatten)]
    select: SelectArgs,
    /// Only tasks of this type
    #[arg(long = "type", value_name = "TYPE")]
    task_type: Option<String>,
    /// Tasks per page
    #[arg(long, default_value_t = PAGE, value_name = "NUMBER", value_parser = whole::<u32>(1..=i64::from(u32::MAX), 100))]
    limit: u32,
    /// Only tasks with a smaller number, to continue after a page
    #[arg(long, visible_alias = "cursor", value_name = "ID", value_parser = task_id)]
    before: Option<TaskId>,
    /// Lists all pages
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Shows prompts, results and errors in full length
    #[arg(long)]
    whole: bool,
}

/// Reads a status.
///
/// # Errors
/// The text is not a status; the message lists them.
pub fn read_status(word: &str) -> Result<Status, String> {
    let word = word.trim().to_ascii_lowercase().replace('-', "_");
    Status::from_name(&word).ok_or_else(|| {
        let known = Status::ALL.map(Status::as_str).join(", ");
        format!("it is one of {known}")
    })
}

/// Bytes requested of each text: 0 for all of it, `None` for the hub's default.
pub fn preview(whole: bool, screen: &Screen) -> Option<u32> {
    match whole {
        true => Some(0),
        false if screen.json || screen.width.is_none() => None,
        false => Some(LINE_BYTES),
    }
}

/// Prints the tasks.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let mut params = ListParams {
        status: args.status.map_or(ListStatus::Any, ListStatus::Is),
        limit: Some(if args.all { BULK } else { args.limit }),
        task_type: args.task_type.clone(),
        before: args.before,
        preview_bytes: preview(args.whole, &context.screen),
        ..args.select.list()
    };
    let mut answer = hub.request_idempotent(&params).await?;
    // In a pipe, each page is printed when it arrives. A table must wait for all rows to align them.
    let stream = args.all && !context.screen.json && context.screen.width.is_none();
    let mut streamed = false;
    while let (true, Some(next)) = (args.all, answer.next) {
        if stream {
            show(&answer, context)?;
            answer.tasks.clear();
            streamed = true;
        }
        params.before = Some(next);
        let page = hub.request_idempotent(&params).await?;
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
