//! Screen 5: events, newest first.

use super::canvas::Canvas;
use super::nothing;
use crate::cli::watch::describe;
use crate::console::model::{self, Model};
use crate::console::query::TaskFilter;
use crate::console::view::View;
use crate::terminal::paint::Paint;
use crate::terminal::{text, time};
use kirosu_protocol::Event;

/// Columns of the subject.
const SUBJECT: usize = 24;

/// Draws the screen.
pub fn draw(model: &Model, canvas: &mut Canvas<'_>) {
    let events = shown(model);
    if events.is_empty() {
        return nothing(model, canvas, true, "nothing has happened yet");
    }
    let wide = if canvas.width() >= 120 {
        2 * SUBJECT
    } else {
        SUBJECT
    };
    let zone = model.zone.as_ref();
    let heading = format!("TIME ({})", time::offset(model.now, zone));
    canvas.line(1, 0, &heading, Paint::Dim);
    canvas.line(15, 0, "WHO", Paint::Dim);
    canvas.line(16 + wide, 0, "WHAT", Paint::Dim);
    let mut cursor = model.cursors[View::Events as usize];
    cursor.fit(events.len(), canvas.height() - 1);
    let lines = events.iter().skip(cursor.top).take(canvas.height() - 1);
    for (at, event) in lines.enumerate() {
        let (subject, paint, what) = describe(&event.what);
        let time = time::of_day(event.time, zone);
        canvas.line(1, at + 1, time.get(..12).unwrap_or(&time), Paint::Dim);
        canvas.text(15, at + 1, &subject, Paint::Plain, wide);
        canvas.line(16 + wide, at + 1, &text::one_line(&what), paint);
        if cursor.top + at == cursor.at {
            canvas.choose(at + 1);
        }
    }
}

/// The events that match the filter.
pub fn shown(model: &Model) -> Vec<&Event> {
    let query = TaskFilter::words(&model.filters[View::Events as usize]);
    let passes = |event: &&Event| query.is_empty() || model::shown(event, &query);
    model.events.iter().filter(passes).collect()
}

/// The chosen event.
pub fn chosen(model: &Model) -> Option<&Event> {
    shown(model)
        .get(model.cursors[View::Events as usize].at)
        .copied()
}
