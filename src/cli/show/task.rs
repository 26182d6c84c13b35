//! Tasks as tables and lines.

use super::table::{Cell, Column, TextTable};
use super::{Failure, Screen};
use crate::terminal::paint::Paint;
use crate::terminal::text::{fit, grouped, one_line};
use crate::terminal::time::{ago, span, stamp};
use kirosu_protocol::{Stats, Status, Task, Waiting};

/// Maximum number of characters of a prompt or result that a table on a terminal examines.
const PIECE: usize = 2000;

/// A table with one row per task.
pub fn table(tasks: &[Task], screen: &Screen, now: f64) -> TextTable {
    let mut table = TextTable::new([
        Column::number("ID"),
        Column::text("STATUS"),
        Column::text("TYPE").unless("chat"),
        Column::text("QUEUE").unless("default"),
        Column::number("TRIES").unless("0").yields(2),
        Column::text("CREATED").yields(1),
        Column::text("WORKER").yields(3),
        Column::long("PROMPT"),
        Column::long("RESULT"),
    ]);
    let short = screen.width.is_some();
    for task in tasks {
        table.row([
            Cell::new(task.task_id.to_string()),
            Cell::new(task.status.as_str()).painted(Paint::of_status(task.status)),
            Cell::new(&task.task_type),
            Cell::new(&task.queue),
            Cell::new(task.attempts.to_string()),
            Cell::new(ago(task.created_at, now))
                .exact(stamp(task.created_at))
                .painted(Paint::Dim),
            Cell::new(task.worker_id.as_deref().unwrap_or_default()),
            Cell::new(piece(&task.prompt, short)),
            outcome(task, short, now),
        ]);
    }
    table
}

/// The start of a long text; a table on a terminal shows less than that.
fn piece(text: &str, short: bool) -> String {
    match text.char_indices().nth(PIECE) {
        Some((at, _)) if short => text[..at].to_owned(),
        _ => text.to_owned(),
    }
}

/// The result or error of a task, or the reason why it waits.
fn outcome(task: &Task, short: bool, now: f64) -> Cell {
    let text = |text: &Option<String>| piece(text.as_deref().unwrap_or_default(), short);
    if short && let Some(waiting) = &task.waiting {
        return Cell::new(why(waiting, now)).painted(Paint::Dim);
    }
    match task.status {
        Status::Done => Cell::new(text(&task.result)),
        Status::Failed | Status::Cancelled => {
            Cell::new(text(&task.error)).painted(Paint::of_status(task.status))
        }
        Status::Scheduled => match task.run_at {
            Some(at) => Cell::new(format!("due {}", ago(at, now)))
                .exact(stamp(at))
                .painted(Paint::Dim),
            None => Cell::new(""),
        },
        _ => Cell::new(text(&task.error)),
    }
}

/// The reason why a task waits, and until when if that is known.
pub fn why(waiting: &Waiting, now: f64) -> String {
    match waiting.until {
        Some(until) => format!("{} ({})", waiting.message, ago(until, now)),
        None => waiting.message.clone(),
    }
}

/// Prints the tasks, or the note `none` if there are none.
pub fn print(tasks: &[Task], screen: &Screen, none: &str, now: f64) -> Result<(), Failure> {
    match tasks.is_empty() {
        true => screen.note(none),
        false => table(tasks, screen, now).print(screen),
    }
}

/// The end of a task as one line.
pub fn ending(task: &Task, screen: &Screen) -> String {
    let status = screen.paint(Paint::of_status(task.status), task.status.as_str());
    let took = task
        .finished_at
        .map(|end| format!(" in {}", span(end - task.created_at)))
        .unwrap_or_default();
    let head = format!("task {} {status}{took}", task.task_id);
    let text = match task.status {
        Status::Done => task.result.as_deref(),
        _ => task.error.as_deref(),
    };
    let has_text = |text: &String| !text.is_empty() && text != task.status.as_str();
    match text.map(one_line).filter(has_text) {
        None => head,
        Some(text) => {
            let plain = format!("task {} {}{took}: ", task.task_id, task.status);
            let room = screen
                .width
                .unwrap_or(usize::MAX)
                .saturating_sub(plain.len());
            format!("{head}: {}", fit(&text, room.max(20)))
        }
    }
}

/// The counters as one line: the main ones always, the others if they are not zero.
pub fn counters(stats: &Stats, screen: &Screen) -> String {
    let parts = counted(stats).into_iter();
    parts
        .map(|(text, paint)| screen.paint(paint, &text))
        .collect::<Vec<_>>()
        .join(" · ")
}

/// The counters that are shown, with their paints.
pub fn counted(stats: &Stats) -> Vec<(String, Paint)> {
    let always = [
        (Status::Queued, stats.queued, true),
        (Status::Leased, stats.leased, true),
        (Status::Done, stats.done, true),
        (Status::Failed, stats.failed, true),
        (Status::Blocked, stats.blocked, false),
        (Status::Scheduled, stats.scheduled, false),
        (Status::AwaitingApproval, stats.awaiting_approval, false),
        (Status::Cancelled, stats.cancelled, false),
    ];
    let part = |(status, n, always): (Status, i64, bool)| {
        let name = status.as_str().replace('_', " ");
        let text = format!("{} {name}", grouped(n.max(0) as u64));
        let paint = if n > 0 {
            Paint::of_status(status)
        } else {
            Paint::Dim
        };
        (always || n > 0).then_some((text, paint))
    };
    always.into_iter().filter_map(part).collect()
}
