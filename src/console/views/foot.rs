//! The line below every screen.

use super::canvas::Canvas;
use crate::console::model::{Model, View};
use crate::terminal::paint::Paint;
use ratatui::style::{Modifier, Style};

const ACTIONS: [(&str, &str); 4] = [
    ("a", "approve"),
    ("r", "reject"),
    ("c", "cancel"),
    ("R", "retry"),
];
/// Actions on runs of plans.
const STEERING: [(&str, &str); 4] = [
    ("p", "pause"),
    ("P", "resume"),
    ("R", "retry"),
    ("c", "cancel"),
];
/// Actions on entries that wait for a person.
const DECISIONS: [(&str, &str); 3] = [("a", "approve"), ("r", "reject"), ("w", "answer")];

/// Draws the text that is being typed, the message, or the keys.
pub fn draw(model: &Model, canvas: &mut Canvas<'_>) {
    if let Some(input) = &model.typing {
        let hint = "Enter applies, Esc cancels; words, status:failed, queue:x, type:x";
        return input_line("filter: ", input, hint, canvas);
    }
    if let Some(reply) = &model.reply {
        let label = format!("answer to task {}: ", reply.task_id);
        return input_line(&label, &reply.text, "Enter sends, Esc cancels", canvas);
    }
    if let Some(message) = &model.message {
        canvas.line(1, 0, &message.text, message.paint);
        return;
    }
    let mut x = 1;
    if !model.filter().is_empty() {
        let text = format!("/{} ", model.filter());
        x = canvas.text(x, 0, &text, Paint::Attention, canvas.width() / 2) + 1;
    }
    let keys: &[(&str, &str)] = match model.view {
        View::Tasks => &[("Enter", "open"), ("/", "filter")],
        View::Task => &[("Esc", "back"), ("G", "follow")],
        View::Tree => &[("Tab", "next screen"), ("/", "filter")],
        View::Inbox => &[("/", "filter"), ("Enter", "open its task")],
        View::Runs if model.run.is_some() => &[("Esc", "back"), ("Enter", "its task")],
        View::Runs => &[("Enter", "open"), ("/", "filter")],
        View::Agents | View::Events => &[
            ("Tab", "next screen"),
            ("/", "filter"),
            ("Enter", "open its task"),
        ],
    };
    let actions: &[(&str, &str)] = match model.view {
        View::Tasks | View::Task => &ACTIONS,
        View::Inbox => &DECISIONS,
        View::Runs => &STEERING,
        View::Agents | View::Tree | View::Events => &[],
    };
    let keys = [("?", "help"), ("q", "quit")]
        .iter()
        .chain(keys)
        .chain(actions);
    for (key, what) in keys {
        x = canvas.line(x, 0, key, Paint::Bold) + 1;
        x = canvas.line(x, 0, what, Paint::Dim) + 2;
    }
}

fn input_line(label: &str, input: &str, hint: &str, canvas: &mut Canvas<'_>) {
    let x = canvas.line(1, 0, label, Paint::Bold);
    // A long line shows its end, where the user types.
    let room = canvas.width().saturating_sub(x + 2);
    let skipped = input.chars().count().saturating_sub(room);
    let end: String = input.chars().skip(skipped).collect();
    let x = canvas.line(x, 0, &end, Paint::Plain);
    let cursor = (canvas.area.x + x as u16, canvas.area.y);
    if let Some(cell) = canvas.frame.cell_mut(cursor) {
        cell.set_style(Style::new().add_modifier(Modifier::REVERSED));
    }
    canvas.line(x + 3, 0, hint, Paint::Dim);
}
