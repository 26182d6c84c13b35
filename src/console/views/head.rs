//! The two lines above every screen.

use super::canvas::Canvas;
use crate::cli::show::task::counted;
use crate::console::messages::LinkState;
use crate::console::model::Model;
use crate::console::view::View;
use crate::terminal::paint::Paint;
use crate::terminal::text::width;
use ratatui::style::{Modifier, Style};

/// Draws the lines.
pub fn draw(model: &Model, canvas: &mut Canvas<'_>) {
    let end = names(model, canvas);
    let (state, paint) = state(model);
    let long = format!("{} {state} ", model.hub);
    let place = match end + width(&long) < canvas.width() {
        true => long,
        false => format!("{state} "),
    };
    let x = canvas.width().saturating_sub(width(&place)).max(end + 1);
    let hub = place.len() - state.len() - 1;
    let x = canvas.line(x, 0, &place[..hub], Paint::Dim);
    canvas.line(x, 0, state, paint);
    match &model.link {
        LinkState::Away { why: cause, again } => {
            let again = again.map_or(0.0, |at| (at - model.now).ceil().max(0.0));
            // The line above shows the hub's address, so it is removed from the cause.
            let why = cause.split_once(&format!("{}: ", model.hub));
            let why = why.map_or(cause.as_str(), |(_, why)| why);
            let text = format!(" not connected, next attempt in {again} s: {why}");
            canvas.line(0, 1, &text, Paint::Attention);
        }
        _ => counters(model, canvas),
    }
}

/// The names of the screens, with the current one marked: in the longest form that leaves space for the state of the
/// connection. Returns the column after them.
fn names(model: &Model, canvas: &mut Canvas<'_>) -> usize {
    let room = canvas.width().saturating_sub(width(state(model).0) + 1);
    let whole = |blank: &'static str| {
        let name = |(at, view): (usize, View)| format!("{blank}{} {}{blank}", at + 1, view.name());
        View::ALL.into_iter().enumerate().map(name).collect()
    };
    let digits = View::ALL.into_iter().enumerate().map(|(at, view)| {
        let name = if view == model.view { view.name() } else { "" };
        format!("{} {name}", at + 1).trim_end().to_owned()
    });
    let forms: [(&str, &str, Vec<String>); 3] = [
        ("kirosu ", "", whole(" ")),
        ("", " ", whole("")),
        ("", " ", digits.collect()),
    ];
    let wide = |(title, gap, names): &(&str, &str, Vec<String>)| {
        let names = names.iter().map(|name| width(name) + gap.len());
        1 + width(title) + names.sum::<usize>()
    };
    let form = forms.iter().find(|form| wide(form) <= room);
    let (title, gap, names) = form.unwrap_or(&forms[2]);
    let mut x = canvas.line(1, 0, title, Paint::Bold);
    for (name, view) in names.iter().zip(View::ALL) {
        let begin = x;
        x = canvas.line(x, 0, name, Paint::Plain);
        if view == model.view {
            let mut name = canvas.area;
            (name.x, name.width, name.height) = (begin as u16, (x - begin) as u16, 1);
            let style = Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD);
            canvas.frame.set_style(name, style);
        }
        x += gap.len();
    }
    x
}

fn state(model: &Model) -> (&'static str, Paint) {
    match model.link {
        LinkState::Up { .. } => ("live", Paint::Good),
        LinkState::Connecting => ("connecting", Paint::Busy),
        LinkState::Away { .. } => ("away", Paint::Attention),
    }
}

fn counters(model: &Model, canvas: &mut Canvas<'_>) {
    let Some(stats) = &model.stats else { return };
    let mut x = 1;
    for (text, paint) in counted(stats) {
        if x > 1 {
            x = canvas.line(x, 1, " · ", Paint::Dim);
        }
        x = canvas.line(x, 1, &text, paint);
    }
    if stats.draining {
        x = canvas.line(x, 1, " · the hub drains", Paint::Attention);
    }
    if !stats.paused.is_empty() {
        let paused = match stats.paused.iter().any(|queue| queue == "*") {
            true => "all queues".to_owned(),
            false => stats.paused.join(", "),
        };
        canvas.line(x, 1, &format!(" · paused: {paused}"), Paint::Attention);
    }
}
