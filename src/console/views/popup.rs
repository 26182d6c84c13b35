//! Popups over a screen: a confirmation, and the keys.

use super::canvas::Canvas;
use super::inbox::whole;
use crate::console::model::{Model, PendingConfirm, RunAction, TaskAction};
use crate::terminal::paint::Paint;
use crate::terminal::text::width;
use kirosu_protocol::Subject;
use ratatui::layout::Rect;
use ratatui::widgets::{Block, Clear, Widget};

const KEYS: [(&str, &str); 16] = [
    (
        "1 … 7, Tab",
        "screens: tasks, task, agents, tree, events, inbox, runs",
    ),
    ("↑ ↓ j k", "one line up or down"),
    ("PgUp PgDn", "one page up or down (Space; Ctrl-B, Ctrl-F)"),
    (
        "g G",
        "to the first, to the last (of a task: follow output)",
    ),
    ("Enter", "opens the chosen task (also of an agent or event)"),
    ("Esc", "back to the list; removes the filter"),
    ("/", "filter: words, status:failed, queue:x, type:x,"),
    ("", "label:x, parent:42; an empty one shows all"),
    (
        "a",
        "approve: lets the task or tool run; yes to a human task",
    ),
    ("w", "write: answers a human task with a text"),
    ("r", "reject: the task fails; a tool does not run"),
    ("c", "cancel: stops the task, even if it runs"),
    ("R", "retry: enqueues a failed or cancelled task again"),
    (
        "p P",
        "of a run: pause, resume; R repeats what failed in it",
    ),
    ("Ctrl-L", "draws the screen again"),
    ("q, Ctrl-C", "quit"),
];

/// Draws the pending confirmation, or the keys.
pub fn draw(model: &Model, canvas: &mut Canvas<'_>) {
    match &model.confirm {
        Some(confirm) => question(confirm, canvas),
        None if model.help => help(canvas),
        None => {}
    }
}

fn question(confirm: &PendingConfirm, canvas: &mut Canvas<'_>) {
    let tool = matches!(confirm.subject, Subject::Approval(_));
    let (verb, then) = match confirm.act {
        TaskAction::Approve if tool => ("approve", "the agent may do this once"),
        TaskAction::Reject if tool => ("reject", "the agent may not do this, and continues"),
        TaskAction::Approve => ("approve", "the task runs, or is done if it is a human task"),
        TaskAction::Reject => ("reject", "the task fails"),
        TaskAction::Cancel => ("cancel", "the task is stopped"),
        TaskAction::Retry => ("retry", "the task is enqueued again"),
        TaskAction::Run(RunAction::Pause) => {
            ("pause", "its running tasks go on, no further one starts")
        }
        TaskAction::Run(RunAction::Resume) => (
            "resume",
            "it goes on; if it waits after failures, with all its items",
        ),
        TaskAction::Run(RunAction::Raise) => (
            "raise the budget of",
            "by its first limit: the tasks that wait for it run",
        ),
        TaskAction::Run(RunAction::Retry) => (
            "retry",
            "what failed is repeated, and the steps that depend on it",
        ),
        TaskAction::Run(RunAction::Cancel) => {
            ("cancel", "the run ends, and its tasks are cancelled")
        }
    };
    let inner = canvas.width().saturating_sub(8).min(70);
    let about = whole(
        &confirm.about,
        inner,
        canvas.height().saturating_sub(8).max(1),
    );
    let lines = about.len() + 4;
    let mut canvas = boxed(
        canvas,
        inner,
        lines,
        &format!(" {verb} {}? ", confirm.act.name_of(confirm.subject)),
    );
    for (at, line) in about.iter().enumerate() {
        canvas.line(0, at, line, Paint::Plain);
    }
    canvas.line(0, lines - 3, then, Paint::Dim);
    let x = canvas.line(0, lines - 1, "y", Paint::Bold);
    let x = canvas.line(
        x,
        lines - 1,
        &format!("  yes, {} it     ", verb.split(' ').next().unwrap_or(verb)),
        Paint::Plain,
    );
    let x = canvas.line(x, lines - 1, "n", Paint::Bold);
    canvas.line(x, lines - 1, "  no", Paint::Plain);
}

fn help(canvas: &mut Canvas<'_>) {
    let inner = canvas.width().saturating_sub(8).min(68);
    let mut canvas = boxed(canvas, inner, KEYS.len(), " keys ");
    for (at, (keys, what)) in KEYS.into_iter().enumerate() {
        canvas.line(0, at, keys, Paint::Bold);
        canvas.line(13, at, what, Paint::Plain);
    }
}

/// Draws an empty box in the middle. Returns its inside.
fn boxed<'a>(canvas: &'a mut Canvas<'_>, inner: usize, lines: usize, title: &str) -> Canvas<'a> {
    let (wide, high) = (inner.max(width(title)) + 4, lines + 2);
    let area = canvas.area;
    let x = area.x + (canvas.width().saturating_sub(wide) / 2) as u16;
    let y = area.y + (canvas.height().saturating_sub(high) / 2) as u16;
    let area = Rect::new(x, y, wide as u16, high as u16).intersection(area);
    Clear.render(area, canvas.frame);
    Block::bordered()
        .title(title.to_owned())
        .render(area, canvas.frame);
    let inside = Rect::new(
        x + 2,
        y + 1,
        wide.saturating_sub(4) as u16,
        area.height.saturating_sub(2),
    );
    canvas.part(inside)
}
