//! Popups over a screen: a confirmation, the options of a permission request, a text that is being typed, and the keys.

use super::canvas::Canvas;
use super::inbox::whole;
use super::keys;
use crate::console::action::{
    Draft, DraftKind, HubAction, PendingChoice, PendingConfirm, PoolAction, RunAction,
    ScheduleAction,
};
use crate::console::feed::actions::named;
use crate::console::model::Model;
use crate::console::transcript::wrap;
use crate::terminal::paint::Paint;
use crate::terminal::text::{fit, one_line, width};
use kirosu_protocol::Subject;
use kirosu_protocol::text::visible;
use ratatui::layout::Rect;
use ratatui::widgets::{Block, Clear, Widget};

/// The most options of a permission request that are visible at a time.
pub const OPTIONS_SHOWN: usize = 8;
/// The most lines of a draft that are visible at a time, and of the description of its subject.
const DRAFT_LINES: usize = 8;

/// Draws the question that is open, or the keys.
pub fn draw(model: &Model, canvas: &mut Canvas<'_>) {
    if let Some(confirm) = &model.confirm {
        question(confirm, canvas);
    } else if let Some(choice) = &model.choice {
        options(choice, canvas);
    } else if let Some(draft) = &model.draft {
        form(draft, canvas);
    } else if model.help {
        help(model, canvas);
    }
}

/// The verb of an action, the name of its subject, and its effect.
fn described(action: &HubAction) -> (&'static str, String, String) {
    let tool = |subject: &Subject| matches!(subject, Subject::Approval(_));
    let (verb, name, then) = match action {
        HubAction::Approve(it, _) if tool(it) => {
            ("approve", it.to_string(), "the agent may do this once")
        }
        HubAction::Approve(it, _) => (
            "approve",
            it.to_string(),
            "the task runs, or is done if it is a human task",
        ),
        HubAction::Reject(it, _) => ("reject", it.to_string(), "the task fails"),
        HubAction::Answer(id, _) => ("answer", format!("task {id}"), "the task is done"),
        HubAction::Cancel(id) => ("cancel", format!("task {id}"), "the task is stopped"),
        HubAction::Retry(id) => ("retry", format!("task {id}"), "the task is enqueued again"),
        HubAction::Run(act, id) => {
            let (verb, then) = of_run(*act);
            (verb, format!("run {id}"), then)
        }
        HubAction::Schedule(act, name) => {
            let (verb, then) = of_schedule(*act);
            (verb, format!("schedule {name}"), then)
        }
        HubAction::Pool(PoolAction::Resize(_), name) => {
            ("resize", format!("pool {name}"), "until the next start")
        }
        HubAction::Pool(PoolAction::Pause(queues), _) => (
            "pause",
            named(queues),
            "of every pool: running tasks go on, no further one starts",
        ),
        HubAction::Pool(PoolAction::Resume(queues), _) => {
            ("resume", named(queues), "their tasks run again")
        }
        HubAction::Probe(name) => (
            "try",
            format!("{name} again"),
            "if it is parked, its next task tests whether it works again",
        ),
    };
    (verb, name, then.to_owned())
}

fn of_run(act: RunAction) -> (&'static str, &'static str) {
    match act {
        RunAction::Pause => ("pause", "its running tasks go on, no further one starts"),
        RunAction::Resume => (
            "resume",
            "it goes on; if it waits after failures, with all its items",
        ),
        RunAction::Raise => (
            "raise the budget of",
            "by its first limit: the tasks that wait for it run",
        ),
        RunAction::Retry => (
            "retry",
            "what failed is repeated, and the steps that depend on it",
        ),
        RunAction::Cancel => ("cancel", "the run ends, and its tasks are cancelled"),
    }
}

fn of_schedule(act: ScheduleAction) -> (&'static str, &'static str) {
    match act {
        ScheduleAction::Pause => ("pause", "it adds no task until it is resumed"),
        ScheduleAction::Resume => ("resume", "times of the pause are left out"),
        ScheduleAction::Fire => ("run", "its task is added now; its next time stays"),
        ScheduleAction::Remove => ("remove", "it adds no further task; its tasks stay"),
    }
}

fn question(confirm: &PendingConfirm, canvas: &mut Canvas<'_>) {
    let (verb, name, then) = described(&confirm.action);
    let inner = canvas.width().saturating_sub(8).min(70);
    let about = whole(
        &confirm.about,
        inner,
        canvas.height().saturating_sub(8).max(1),
    );
    let lines = about.len() + 4;
    let mut canvas = boxed(canvas, inner, lines, &format!(" {verb} {name}? "));
    for (at, line) in about.iter().enumerate() {
        canvas.line(0, at, line, Paint::Plain);
    }
    canvas.line(0, lines - 3, &then, Paint::Dim);
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

/// The options of a permission request, with the chosen one marked.
fn options(choice: &PendingChoice, canvas: &mut Canvas<'_>) {
    let inner = canvas.width().saturating_sub(8).min(70);
    let room = canvas.height().saturating_sub(OPTIONS_SHOWN + 4).max(1);
    let about = whole(&choice.about, inner, room);
    let shown = choice.options.len().min(OPTIONS_SHOWN);
    let title = format!(" approve a{}: with which option? ", choice.approval_id);
    let lines = about.len() + 1 + shown;
    let mut canvas = boxed(canvas, inner, lines, &title);
    for (at, line) in about.iter().enumerate() {
        canvas.line(0, at, line, Paint::Plain);
    }
    let mut cursor = choice.cursor;
    cursor.fit(choice.options.len(), OPTIONS_SHOWN);
    let options = choice.options.iter().enumerate().skip(cursor.top);
    for (line, (at, option)) in options.take(shown).enumerate() {
        let y = about.len() + 1 + line;
        let text = match option.id == option.name {
            true => option.id.clone(),
            false => format!("{} ({})", option.id, option.name),
        };
        canvas.line(
            1,
            y,
            &fit(&one_line(&text), inner.saturating_sub(2)),
            Paint::Plain,
        );
        if at == cursor.at {
            canvas.choose(y);
        }
    }
}

/// A text that is being typed, below the description of its subject.
fn form(draft: &Draft, canvas: &mut Canvas<'_>) {
    let inner = canvas.width().saturating_sub(8).min(70);
    let title = match &draft.kind {
        DraftKind::Answer(id) => format!(" answer to task {id} "),
        DraftKind::Reject(subject) => format!(" reject {subject}: reason (may be empty) "),
        DraftKind::Resize(pool) => format!(" size of pool {pool}, until the next start or reload "),
    };
    let room = canvas.height().saturating_sub(4);
    let about = whole(&draft.about, inner, DRAFT_LINES.min(room / 2).max(1));
    let most = DRAFT_LINES.min(room.saturating_sub(about.len())).max(1);
    // The line with the cursor has one column for it.
    let wide = inner.saturating_sub(1);
    let lines = draft.text.split('\n').flat_map(|line| {
        let line: String = line.chars().filter_map(visible).collect();
        wrap(&line, wide)
    });
    let lines: Vec<String> = lines.collect();
    let shown = &lines[lines.len().saturating_sub(most)..];
    let high = about.len() + 1 + shown.len();
    let mut canvas = boxed(canvas, inner, high, &title);
    for (at, line) in about.iter().enumerate() {
        canvas.line(0, at, line, Paint::Dim);
    }
    for (at, line) in shown.iter().enumerate() {
        let x = canvas.line(0, about.len() + 1 + at, line, Paint::Plain);
        if at + 1 == shown.len() {
            canvas.cursor(x, about.len() + 1 + at);
        }
    }
}

fn help(model: &Model, canvas: &mut Canvas<'_>) {
    let keys = keys::all(model);
    let inner = canvas.width().saturating_sub(8).min(72);
    let title = format!(" keys of the screen {} ", model.view.name().to_lowercase());
    let mut canvas = boxed(canvas, inner, keys.len(), &title);
    for (at, (keys, what)) in keys.into_iter().enumerate() {
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
