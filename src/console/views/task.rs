//! Screen 2: one task. All of it is one long text (facts, prompt, result, attempts, output) that is scrolled through;
//! at its end it follows what the run prints.

use super::canvas::{Canvas, Pieces};
use super::nothing;
use crate::cli::get;
use crate::cli::show::paint::Paint;
use crate::cli::show::time::span;
use crate::cli::show::{self, text};
use crate::console::model::Model;
use crate::console::pane::TaskPane;
use crate::console::transcript::Transcript;
use jiff::tz::TimeZone;
use kirosu_protocol::verbs::get::GetAnswer;
use kirosu_protocol::{Status, Task};
use ratatui::layout::Rect;

/// Bytes shown of a prompt or result; `kirosu get` shows all.
const BODY: usize = 16 << 10;
/// Rows shown of it.
const BODY_ROWS: usize = 1000;

/// The present moment, and the zone that moments are shown in.
type When<'z> = (f64, Option<&'z TimeZone>);

/// Draws it.
pub fn draw(model: &mut Model, canvas: &mut Canvas<'_>) {
    let none = "no task is chosen: press 1, choose one, press Enter";
    let Some(pane) = model.task.as_mut() else {
        return canvas.sentence(none, Paint::Plain);
    };
    if let Some(trouble) = pane.trouble.as_ref().filter(|_| pane.answer.is_none()) {
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

/// The line that stays: what it is, and where in the text the eye is.
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

/// The text from where the eye is.
fn text_of(pane: &mut TaskPane, when: When<'_>, canvas: &mut Canvas<'_>) {
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

fn output_heading(pane: &TaskPane, answer: &GetAnswer) -> Pieces {
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
            format!(", cut: kirosu logs {id} shows what there is"),
            Paint::Dim,
        ));
    }
    heading
}

/// Everything that stands before the output.
fn before_output(answer: &GetAnswer, when: When<'_>, width: usize) -> Vec<Pieces> {
    let task = &answer.task;
    let now = when.0;
    let mut rows = facts(answer, when, width);
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
    let mut table = |name: &str, table: show::table::Table| {
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

/// The facts, in as many columns as there is room for.
fn facts(answer: &GetAnswer, (now, zone): When<'_>, width: usize) -> Vec<Pieces> {
    let screen = show::Screen {
        width: Some(width),
        ..show::Screen::default()
    };
    let sheet = get::facts(answer, &screen, now, zone);
    let facts = sheet.facts();
    let names = facts
        .iter()
        .map(|(name, _)| text::width(name))
        .max()
        .unwrap_or(0);
    let columns = (width / 60).clamp(1, 3);
    let wide = width / columns;
    let room = wide.saturating_sub(names + 3);
    let cell = |(name, value): &(&'static str, String)| {
        let value = text::fit(&crate::console::clean::one_line(value, 4 * wide), room);
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

/// A text of the task, wrapped; of a long one the beginning.
fn body(text: &str, width: usize) -> Vec<Pieces> {
    let mut end = text.len().min(BODY);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut lines = Transcript::default();
    lines.push(&text[..end]);
    let (rows, all) = lines.rows(width, 0, BODY_ROWS);
    let mut rows: Vec<Pieces> = rows
        .into_iter()
        .map(|row| vec![(row, Paint::Plain)])
        .collect();
    if end < text.len() || all > BODY_ROWS {
        let note = format!(
            "… {} characters in all: kirosu get shows them",
            text::grouped(text.chars().count() as u64)
        );
        rows.push(vec![(note, Paint::Dim)]);
    }
    rows
}
