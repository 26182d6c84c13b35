//! Screen 2: one task, as one long text (fields, prompt, result, attempts, output). At its end, the view follows the
//! output of the run.

use super::canvas::{Canvas, PaintedLine};
use super::nothing;
use crate::cli::get;
use crate::cli::show;
use crate::console::model::Model;
use crate::console::pane::TaskPane;
use crate::console::transcript::{Transcript, wrap};
use crate::terminal::paint::Paint;
use crate::terminal::text;
use crate::terminal::time::{ago, minute, span};
use jiff::tz::TimeZone;
use kirosu_protocol::text::head;
use kirosu_protocol::{GetAnswer, Status, Task};
use ratatui::layout::Rect;

/// Maximum number of bytes of a prompt or result; `kirosu get` prints all.
const BODY: usize = 16 << 10;
/// Maximum number of rows of a prompt or result.
const BODY_ROWS: usize = 1000;

/// Current Unix seconds, and the zone of times.
type ShownTime<'z> = (f64, Option<&'z TimeZone>);

/// Draws the screen.
pub fn draw(model: &mut Model, canvas: &mut Canvas<'_>) {
    let none = "no task is chosen: press 1, choose one, press Enter";
    let Some(pane) = model.task.as_mut() else {
        return canvas.sentence(none, Paint::Plain);
    };
    if let Some(trouble) = pane.failure.as_ref().filter(|_| pane.answer.is_none()) {
        return canvas.sentence(trouble, Paint::Bad);
    }
    if pane.answer.is_none() {
        return nothing(model, canvas, false, none);
    }
    let area = canvas.area;
    let mut canvas_text = canvas.part(Rect {
        y: area.y + 1,
        height: area.height - 1,
        ..area
    });
    let when = (model.now, model.zone.as_ref());
    text_of(pane, when, &mut canvas_text);
    summary(pane, model.now, canvas);
}

/// Draws the fixed first line: number, status, duration, worker, and the visible part of the text.
fn summary(pane: &TaskPane, now: f64, canvas: &mut Canvas<'_>) {
    let Some(answer) = &pane.answer else { return };
    let task = &answer.task;
    let (rows, height) = pane.rows;
    let place = match (pane.follows, rows > height) {
        (_, false) => String::new(),
        (true, true) => "following".into(),
        (false, true) => format!(
            "{}-{} of {rows}",
            pane.top + 1,
            (pane.top + height).min(rows)
        ),
    };
    let end = canvas.width().saturating_sub(text::width(&place) + 1);
    let x = canvas.line(1, 0, &format!("task {} ", task.task_id), Paint::Bold);
    let x = canvas.line(x, 0, task.status.as_str(), Paint::of_status(task.status));
    let x = canvas.text(
        x,
        0,
        &duration(task, now),
        Paint::Plain,
        end.saturating_sub(x + 1),
    );
    if let Some(worker) = &task.worker_id {
        canvas.text(
            x,
            0,
            &format!(" by {worker}"),
            Paint::Plain,
            end.saturating_sub(x + 1),
        );
    }
    canvas.line(end, 0, &place, Paint::Dim);
}

fn duration(task: &Task, now: f64) -> String {
    match (task.status, task.finished_at) {
        (_, Some(end)) => format!(" in {}", span(end - task.created_at)),
        (Status::Leased, None) => format!(" for {}", span((now - task.updated_at).floor())),
        _ => String::new(),
    }
}

/// Draws the visible part of the text.
fn text_of(pane: &mut TaskPane, when: ShownTime<'_>, canvas: &mut Canvas<'_>) {
    let Some(answer) = &pane.answer else { return };
    let width = canvas.width().saturating_sub(2);
    let mut fixed = before_output(answer, when, width);
    fixed.push(Vec::new());
    fixed.push(output_heading(pane, answer));
    let (_, printed) = pane.output.rows(width, 0, 0);
    let (rows, height) = (fixed.len() + printed, canvas.height());
    let most = rows.saturating_sub(height);
    let top = if pane.follows {
        most
    } else {
        pane.top.min(most)
    };
    pane.rows = (rows, height);
    pane.top = top;
    for (y, pieces) in fixed.iter().skip(top).take(height).enumerate() {
        canvas.pieces(1, y, pieces);
    }
    let y = fixed.len().saturating_sub(top);
    let from = top.saturating_sub(fixed.len());
    let (lines, _) = pane.output.rows(width, from, height.saturating_sub(y));
    for (at, line) in lines.iter().enumerate() {
        canvas.line(1, y + at, line, Paint::Plain);
    }
}

fn output_heading(pane: &TaskPane, answer: &GetAnswer) -> PaintedLine {
    let mut heading = vec![("Output".to_owned(), Paint::Bold)];
    let note = match (pane.output.is_empty(), answer.task.status) {
        (true, Status::Leased) => "  nothing printed yet".to_owned(),
        (true, status) if status.is_final() => "  nothing was printed".to_owned(),
        (true, _) => "  it has not run yet".to_owned(),
        (false, _) => format!("  of attempt {}", answer.number_of(pane.fence)),
    };
    heading.push((note, Paint::Dim));
    if pane.cut || pane.output.is_dropped() {
        let id = answer.task.task_id;
        heading.push((
            format!(", cut: kirosu logs {id} prints what the hub has"),
            Paint::Dim,
        ));
    }
    heading
}

/// The text before the output.
fn before_output(answer: &GetAnswer, when: ShownTime<'_>, width: usize) -> Vec<PaintedLine> {
    let task = &answer.task;
    let now = when.0;
    let mut rows = waiting(answer, when, width);
    rows.extend(facts(answer, when, width));
    let mut body = |name: &str, text: Option<&str>| {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            rows.push(Vec::new());
            rows.push(vec![(name.to_owned(), Paint::Bold)]);
            rows.extend(self::body(text, width));
        }
    };
    body("System prompt", task.system_prompt.as_deref());
    body("Prompt", Some(&task.prompt));
    body("Result", task.result.as_deref());
    body("Error", task.error.as_deref());
    let mut table = |name: &str, table: show::table::TextTable| {
        rows.push(Vec::new());
        rows.push(vec![(name.to_owned(), Paint::Bold)]);
        rows.extend(table.lines(width));
    };
    if !answer.attempts.is_empty() {
        table("Attempts", get::attempts(&answer.attempts));
    }
    if !answer.decisions.is_empty() {
        table("Decisions", get::decisions(&answer.decisions, now));
    }
    rows
}

/// The reason why the task waits, in full.
fn waiting(answer: &GetAnswer, (now, zone): ShownTime<'_>, width: usize) -> Vec<PaintedLine> {
    let Some(waiting) = answer.task.waiting.as_deref() else {
        return Vec::new();
    };
    let until = waiting.until.map(|at| {
        let clock = minute(at, now, zone);
        format!(" (until {clock}, {})", ago(at, now))
    });
    let text = format!("waits: {}{}", waiting.message, until.unwrap_or_default());
    let lines = wrap(&text::one_line(&text), width).into_iter();
    let lines = lines.map(|line| vec![(line, Paint::Attention)]);
    lines.chain([Vec::new()]).collect()
}

/// The fields, in as many columns as fit.
fn facts(answer: &GetAnswer, (now, zone): ShownTime<'_>, width: usize) -> Vec<PaintedLine> {
    let screen = show::Screen {
        width: Some(width),
        ..show::Screen::default()
    };
    let sheet = get::facts(answer, &screen, now, zone);
    // The reason why it waits is above, in full.
    let facts: Vec<_> = sheet
        .facts()
        .iter()
        .filter(|(name, _)| *name != "waiting")
        .collect();
    let names = facts
        .iter()
        .map(|(name, _)| text::width(name))
        .max()
        .unwrap_or(0);
    let columns = (width / 60).clamp(1, 3);
    let wide = width / columns;
    let room = wide.saturating_sub(names + 3);
    let cell = |(name, value): &&(&'static str, String)| {
        let value = text::fit(
            &crate::terminal::text::one_line_start(value, 4 * wide),
            room,
        );
        let pad = room.saturating_sub(text::width(&value)) + 1;
        [
            (format!("{name:names$}  "), Paint::Dim),
            (value, Paint::Plain),
            (" ".repeat(pad), Paint::Plain),
        ]
    };
    let lines = facts.len().div_ceil(columns);
    let line = |at: usize| {
        facts
            .iter()
            .skip(at)
            .step_by(lines.max(1))
            .flat_map(cell)
            .collect()
    };
    (0..lines).map(line).collect()
}

/// A text of the task, wrapped; only the start of a long one.
fn body(text: &str, width: usize) -> Vec<PaintedLine> {
    let start = head(text, BODY);
    let mut lines = Transcript::default();
    lines.push(start);
    let (rows, all) = lines.rows(width, 0, BODY_ROWS);
    let mut rows: Vec<PaintedLine> = rows
        .into_iter()
        .map(|row| vec![(row, Paint::Plain)])
        .collect();
    if start.len() < text.len() || all > BODY_ROWS {
        let note = format!(
            "… {} characters in all: kirosu get prints them",
            text::grouped(text.chars().count() as u64)
        );
        rows.push(vec![(note, Paint::Dim)]);
    }
    rows
}
