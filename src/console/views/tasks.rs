//! Screen 1: the completion rate, and the task list.

use super::canvas::Canvas;
use super::{nothing, short};
use crate::console::model::Model;
use crate::console::row::ListRow;
use crate::console::tasks::LoadedPage;
use crate::terminal::paint::Paint;
use crate::terminal::text;
use crate::terminal::time::span;
use kirosu_protocol::Status;
use kirosu_protocol::task::{DEFAULT_QUEUE, TYPE_CHAT};
use ratatui::layout::Rect;
use ratatui::widgets::{RenderDirection, Sparkline, Widget};

/// Height in lines from which the sparkline is higher.
const TALL: usize = 36;
/// Seconds of the mean rate.
const MINUTE: usize = 60;

/// Lines above the rows on a screen of `body` lines.
pub fn lines_above(body: usize) -> usize {
    spark_height(body) + 1
}

fn spark_height(body: usize) -> usize {
    if body >= TALL { 4 } else { 1 }
}

/// Draws the screen.
pub fn draw(model: &Model, canvas: &mut Canvas<'_>) {
    let high = spark_height(canvas.height());
    let area = canvas.area;
    spark(
        model,
        &mut canvas.part(Rect {
            height: high as u16,
            ..area
        }),
    );
    let list = Rect {
        y: area.y + high as u16,
        height: area.height - high as u16,
        ..area
    };
    let canvas = &mut canvas.part(list);
    let page = model.tasks.page.as_ref();
    match page.filter(|page| !page.rows.is_empty()) {
        Some(page) => rows(model, page, canvas),
        None => match page.and_then(|page| page.searched) {
            Some(searched) => canvas.sentence(&given_up(searched), Paint::Plain),
            None => {
                let none = "no tasks yet: kirosu enqueue \"Summarise README.md\"";
                nothing(model, canvas, page.is_some(), none);
            }
        },
    }
}

/// The note of a text search that was given up.
fn given_up(searched: usize) -> String {
    let searched = text::grouped(searched as u64);
    format!("searched the newest {searched} tasks; status:, queue: and type: find the older ones")
}

fn spark(model: &Model, canvas: &mut Canvas<'_>) {
    let outcome = match model.rate.mean(MINUTE) {
        Some(mean) if mean >= 10.0 => format!("{mean:.0} done/s"),
        Some(mean) => format!("{mean:.1} done/s"),
        None => "done/s".into(),
    };
    let x = canvas.line(1, 0, &outcome, Paint::Bold).max(13) + 1;
    if canvas.height() > 1 {
        canvas.line(1, 1, "over the last", Paint::Dim);
        canvas.line(1, 2, "minute", Paint::Dim);
    }
    let x = if canvas.height() > 1 { x.max(16) } else { x };
    let area = Rect {
        x: canvas.area.x + x as u16,
        width: (canvas.width().saturating_sub(x + 1)) as u16,
        height: canvas.area.height.clamp(1, 3),
        ..canvas.area
    };
    let newest: Vec<u64> = model
        .rate
        .last(usize::from(area.width))
        .into_iter()
        .rev()
        .collect();
    Sparkline::default()
        .data(&newest)
        .direction(RenderDirection::RightToLeft)
        .style(canvas.style(Paint::Good))
        .render(area, canvas.frame);
}

/// The width of each column; 0 if it is not shown.
#[derive(Clone, Copy, Debug, Default)]
struct TaskColumns {
    id: usize,
    task_type: usize,
    queue: usize,
    tries: usize,
    worker: usize,
    since: usize,
    prompt: usize,
    outcome: usize,
}

const STATUS: usize = 9;
const AGE: usize = 4;

impl TaskColumns {
    fn of(rows: &[ListRow], width: usize) -> TaskColumns {
        let wide = width >= 120;
        let digits = rows.first().map_or(1, |row| row.id.to_string().len());
        let longest = |text: fn(&ListRow) -> &str| {
            rows.iter()
                .map(|row| text::width(text(row)))
                .max()
                .unwrap_or(0)
        };
        let some = |shown: bool, size: usize| if shown { size } else { 0 };
        let id = digits.max(4);
        let task_type = some(
            rows.iter().any(|row| row.task_type != TYPE_CHAT),
            longest(|row| &row.task_type).clamp(6, 10),
        );
        let queue = some(
            rows.iter().any(|row| row.queue != DEFAULT_QUEUE),
            longest(|row| &row.queue).clamp(7, if wide { 16 } else { 9 }),
        );
        let tries = some(width >= 140, 5);
        let worker = longest(|row| &row.worker).clamp(8, if wide { 24 } else { 12 });
        let since = some(wide, 5);
        let fixed = [id, STATUS, task_type, queue, tries, worker, AGE, since];
        let used: usize = 1 + fixed
            .iter()
            .filter(|size| **size > 0)
            .map(|size| size + 1)
            .sum::<usize>();
        let rest = width.saturating_sub(used + 1);
        let prompt = rest * 11 / 20;
        TaskColumns {
            id,
            task_type,
            queue,
            tries,
            worker,
            since,
            prompt,
            outcome: rest - prompt,
        }
    }
}

fn rows(model: &Model, page: &LoadedPage, canvas: &mut Canvas<'_>) {
    let columns = TaskColumns::of(&page.rows, canvas.width());
    heading(&columns, canvas);
    let cursor = model.tasks.cursor;
    let shown = page.rows.iter().enumerate().skip(cursor.top);
    for (line, (at, row)) in shown.take(canvas.height() - 1).enumerate() {
        draw_row(row, &columns, model.now, line + 1, canvas);
        if at == cursor.at {
            canvas.choose(line + 1);
        }
    }
    let end = page.rows.len() - cursor.top + 1;
    if let Some(searched) = page.searched.filter(|_| end < canvas.height()) {
        canvas.line(1, end, &given_up(searched), Paint::Dim);
    }
}

/// Writes cells next to each other; a cell of width 0 is left out.
struct RowWriter<'a, 'b> {
    canvas: &'a mut Canvas<'b>,
    x: usize,
    y: usize,
}

impl RowWriter<'_, '_> {
    fn left(&mut self, text: &str, paint: Paint, size: usize) {
        if size > 0 {
            self.canvas.text(self.x, self.y, text, paint, size);
            self.x += size + 1;
        }
    }

    fn right(&mut self, text: &str, paint: Paint, size: usize) {
        let pad = size.saturating_sub(text::width(text));
        if size > 0 {
            self.canvas
                .text(self.x + pad, self.y, text, paint, size - pad);
            self.x += size + 1;
        }
    }
}

fn heading(columns: &TaskColumns, canvas: &mut Canvas<'_>) {
    let mut line = RowWriter { canvas, x: 1, y: 0 };
    line.right("ID", Paint::Dim, columns.id);
    line.left("STATUS", Paint::Dim, STATUS);
    line.right("FOR", Paint::Dim, columns.since);
    line.left("TYPE", Paint::Dim, columns.task_type);
    line.left("QUEUE", Paint::Dim, columns.queue);
    line.right("TRIES", Paint::Dim, columns.tries);
    line.left("WORKER", Paint::Dim, columns.worker);
    line.right("AGE", Paint::Dim, AGE);
    line.left("PROMPT", Paint::Dim, columns.prompt);
    line.left("RESULT", Paint::Dim, columns.outcome);
}

fn draw_row(row: &ListRow, columns: &TaskColumns, now: f64, y: usize, canvas: &mut Canvas<'_>) {
    let paint = Paint::of_status(row.status);
    let mut line = RowWriter { canvas, x: 1, y };
    line.right(&row.id.to_string(), Paint::Plain, columns.id);
    line.left(word(row.status), paint, STATUS);
    line.right(&short(now - row.updated_at), Paint::Dim, columns.since);
    line.left(&row.task_type, Paint::Plain, columns.task_type);
    line.left(&row.queue, Paint::Plain, columns.queue);
    line.right(&row.attempts.to_string(), Paint::Plain, columns.tries);
    line.left(&row.worker, Paint::Plain, columns.worker);
    line.right(&short(now - row.created_at), Paint::Dim, AGE);
    line.left(&row.prompt, Paint::Plain, columns.prompt);
    match (row.status, row.until.or(row.run_at)) {
        (Status::Scheduled, Some(at)) if row.outcome.is_empty() => {
            let due = format!("due in {}", span((at - now).max(0.0).ceil()));
            line.left(&due, Paint::Dim, columns.outcome);
        }
        (_, Some(at)) if row.until.is_some() => {
            let left = span((at - now).max(0.0).ceil());
            line.left(
                &format!("in {left}: {}", row.outcome),
                Paint::Dim,
                columns.outcome,
            );
        }
        (Status::Queued | Status::Blocked | Status::AwaitingApproval, _) => {
            line.left(&row.outcome, Paint::Dim, columns.outcome);
        }
        (Status::Failed | Status::Cancelled, _) => line.left(&row.outcome, paint, columns.outcome),
        _ => line.left(&row.outcome, Paint::Plain, columns.outcome),
    }
}

/// A status in at most nine letters.
fn word(status: Status) -> &'static str {
    match status {
        Status::AwaitingApproval => "approval",
        status => status.as_str(),
    }
}
