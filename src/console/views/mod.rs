//! The screens. Each is a function from the model to a part of the frame.
//!
//! Two lines above every screen show the names of the screens, the state of the connection, and the counters. One line
//! below shows the input, a message, or the keys. Drawing changes the model only to store rows wrapped to a width.

mod canvas;
pub mod events;
mod foot;
mod head;
pub mod inbox;
mod items;
mod keys;
pub mod pools;
mod popup;
pub mod runs;
pub mod schedules;
mod sections;
mod task;
mod tasks;
mod tree;

use super::messages::LinkState;
use super::model::Model;
use super::view::View;
use crate::terminal::paint::Paint;
use canvas::Canvas;
pub use popup::OPTIONS_SHOWN;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Lines above and below a screen.
const FRAME: u16 = 3;
/// The smallest supported terminal.
const LEAST: (u16, u16) = (40, 10);

/// Draws a frame.
pub fn draw(model: &mut Model, frame: &mut Buffer, colour: bool) {
    let mut all = Canvas::new(frame, colour);
    let area = all.area;
    if (area.width, area.height) < LEAST || area.height < LEAST.1 {
        let text = format!(
            "{}x{} is too small: {}x{} at least",
            area.width, area.height, LEAST.0, LEAST.1
        );
        return all.sentence(&text, Paint::Plain);
    }
    head::draw(model, &mut all.part(Rect::new(0, 0, area.width, 2)));
    let body = Rect::new(0, 2, area.width, area.height - FRAME);
    body_of(model, &mut all.part(body));
    let high = foot::lines(model, usize::from(area.width)).min(area.height / 2);
    let foot = Rect::new(0, area.height - high, area.width, high);
    foot::draw(model, &mut all.part(foot));
    popup::draw(model, &mut all.part(body));
}

fn body_of(model: &mut Model, canvas: &mut Canvas<'_>) {
    match model.view {
        View::Tasks => tasks::draw(model, canvas),
        View::Task => task::draw(model, canvas),
        View::Pools => pools::draw(model, canvas),
        View::Tree => tree::draw(model, canvas),
        View::Events => events::draw(model, canvas),
        View::Inbox => inbox::draw(model, canvas),
        View::Runs => runs::draw(model, canvas),
        View::Schedules => schedules::draw(model, canvas),
    }
}

/// Number of visible lines of a screen's list.
pub fn list_height(model: &Model, view: View) -> usize {
    let body = usize::from(model.size.1.saturating_sub(FRAME));
    let others = match view {
        View::Tasks => tasks::lines_above(body),
        View::Pools => pools::OTHER_LINES,
        View::Events => 1,
        View::Inbox => inbox::OTHER_LINES,
        View::Runs => runs::other_lines(model),
        View::Schedules => schedules::OTHER_LINES,
        View::Task | View::Tree => 0,
    };
    body.saturating_sub(others).max(1)
}

/// Number of lines of the current screen's list.
pub fn list_len(model: &Model) -> usize {
    match model.view {
        View::Tasks => model.tasks.page.as_ref().map_or(0, |page| page.rows.len()),
        View::Task => 0,
        View::Pools => pools::len(model),
        View::Tree => tree::lines(model).len(),
        View::Events => events::shown(model).len(),
        View::Inbox => inbox::shown(model).len(),
        View::Runs => runs::len(model),
        View::Schedules => schedules::shown(model).len(),
    }
}

/// Draws the reason why a list is empty.
fn nothing(model: &Model, canvas: &mut Canvas<'_>, known: bool, none: &str) {
    let filter = model.filter();
    match (&model.link, known) {
        (_, true) if !filter.is_empty() => {
            let text = format!("nothing matches the filter {filter:?}; Esc removes it");
            canvas.sentence(&text, Paint::Plain);
        }
        (_, true) => canvas.sentence(none, Paint::Plain),
        (LinkState::Up { .. }, false) => canvas.sentence("loading …", Paint::Dim),
        (LinkState::Connecting, false) => {
            canvas.sentence(&format!("connecting to {} …", model.hub), Paint::Dim);
        }
        (LinkState::Away { why, .. }, false) => canvas.sentence(why, Paint::Attention),
    }
}

/// A duration in at most four columns: `7s`, `59m`, `23h`, `99d`.
fn short(seconds: f64) -> String {
    let whole = if seconds > 0.0 { seconds as u64 } else { 0 };
    match whole {
        0..=99 => format!("{whole}s"),
        100..=5999 => format!("{}m", whole / 60),
        6000..=359_999 => format!("{}h", whole / 3600),
        _ => format!("{}d", (whole / 86_400).min(999)),
    }
}
