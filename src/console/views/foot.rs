//! The line below every screen, or several for a long message.

use super::canvas::Canvas;
use super::keys::{self, KeyText};
use crate::console::action::DraftKind;
use crate::console::model::Model;
use crate::console::transcript::wrap;
use crate::terminal::paint::Paint;
use crate::terminal::text;
use kirosu_protocol::text::visible;
use ratatui::widgets::{Clear, Widget};

/// Number of lines: one, or as many as the message needs, which covers the end of the screen then.
pub fn lines(model: &Model, columns: usize) -> u16 {
    let message = model.message.as_ref().filter(|_| model.typing.is_none());
    let lines = message.map(|it| wrap(&text::one_line(&it.text), room(columns)).len());
    lines.map_or(1, |lines| u16::try_from(lines).unwrap_or(u16::MAX))
}

/// Columns of a message on a screen of `columns` columns.
fn room(columns: usize) -> usize {
    columns.saturating_sub(2)
}

/// Draws the text that is being typed, the message, or the keys.
pub fn draw(model: &Model, canvas: &mut Canvas<'_>) {
    if let Some(input) = &model.typing {
        let hint = "Enter applies, Esc cancels; words, status:failed, queue:x, type:x";
        return input_line("filter: ", input, hint, canvas);
    }
    if let Some(message) = &model.message {
        Clear.render(canvas.area, canvas.frame);
        let lines = wrap(&text::one_line(&message.text), room(canvas.width()));
        for (y, line) in lines.iter().enumerate() {
            canvas.line(1, y, line, message.paint);
        }
        return;
    }
    let mut x = 1;
    if let Some(keys) = asked(model) {
        line(x, keys, canvas);
        return;
    }
    if !model.filter().is_empty() {
        let text = format!("/{} ", model.filter());
        x = canvas.text(x, 0, &text, Paint::Attention, canvas.width() / 2) + 1;
    }
    let x = line(x, &[("?", "help"), ("q", "quit")], canvas);
    line(x, keys::short(model), canvas);
}

/// The keys of a question over the screen.
fn asked(model: &Model) -> Option<&'static [KeyText]> {
    if model.choice.is_some() {
        return Some(&[
            ("j k", "choose"),
            ("Enter", "approve with it"),
            ("Esc", "back"),
        ]);
    }
    Some(match model.draft.as_ref()?.kind {
        DraftKind::Resize(_) => &[("Enter", "resize"), ("+ -", "change"), ("Esc", "cancel")],
        DraftKind::Answer(_) | DraftKind::Reject(_) => &[
            ("Enter", "send"),
            ("Ctrl-J", "new line"),
            ("Ctrl-U", "clear the line"),
            ("Esc", "cancel"),
        ],
    })
}

/// Writes the first keys that fit, from a column on. Returns the column after them.
fn line(mut x: usize, keys: &[KeyText], canvas: &mut Canvas<'_>) -> usize {
    for (key, what) in keys {
        if x + text::width(key) + 1 + text::width(what) > canvas.width() {
            break;
        }
        x = canvas.line(x, 0, key, Paint::Bold) + 1;
        x = canvas.line(x, 0, what, Paint::Dim) + 2;
    }
    x
}

fn input_line(label: &str, input: &str, hint: &str, canvas: &mut Canvas<'_>) {
    let x = canvas.line(1, 0, label, Paint::Bold);
    // A long line shows its end, where the user types.
    let room = canvas.width().saturating_sub(x + 2);
    let shown: String = input.chars().filter_map(visible).collect();
    let x = canvas.line(x, 0, text::end(&shown, room), Paint::Plain);
    canvas.cursor(x, 0);
    canvas.line(x + 3, 0, hint, Paint::Dim);
}
