//! Screen 6: entries that wait for a person. The chosen entry is shown in full below the list, because its arguments
//! show what would run.

use super::canvas::Canvas;
use super::{nothing, short};
use crate::cli::approvals::paint;
use crate::console::model::Model;
use crate::console::query::TaskFilter;
use crate::console::transcript::wrap;
use crate::console::view::View;
use crate::terminal::paint::Paint;
use crate::terminal::text::{fit_counted, one_line};
use kirosu_protocol::approval::PermissionOption;
use kirosu_protocol::{Approval, ApprovalKind, Subject, TaskId};

/// Lines of the chosen entry.
const DETAIL: usize = 6;
/// Lines that are not rows: the heading and the chosen entry.
pub const OTHER_LINES: usize = 1 + DETAIL;

/// Draws the screen.
pub fn draw(model: &Model, canvas: &mut Canvas<'_>) {
    let entries = shown(model);
    if entries.is_empty() {
        let known = model.inbox.is_some();
        return nothing(model, canvas, known, "nothing waits for a person");
    }
    let rows = canvas.height().saturating_sub(OTHER_LINES).max(1);
    for (x, name) in [
        (1, "ID"),
        (9, "FOR"),
        (14, "WHAT"),
        (20, "TASK"),
        (28, "TOOL"),
    ] {
        canvas.line(x, 0, name, Paint::Dim);
    }
    canvas.line(43, 0, "QUESTION", Paint::Dim);
    let mut cursor = model.cursors[View::Inbox as usize];
    cursor.fit(entries.len(), rows);
    for (line, entry) in entries.iter().skip(cursor.top).take(rows).enumerate() {
        let y = line + 1;
        canvas.text(1, y, &name(entry), Paint::Bold, 7);
        canvas.text(9, y, &short(model.now - entry.asked_at), Paint::Dim, 4);
        canvas.text(14, y, what(entry), paint(entry.state), 5);
        canvas.text(20, y, &entry.task_id.to_string(), Paint::Plain, 7);
        let tool = entry.tool.as_deref().unwrap_or_default();
        canvas.text(28, y, tool, Paint::Plain, 14);
        let room = canvas.width().saturating_sub(43);
        let about = fit_counted(&one_line(&entry.question()), room);
        canvas.line(43, y, &about, Paint::Plain);
        if cursor.top + line == cursor.at {
            canvas.choose(y);
        }
    }
    if let Some(entry) = entries.get(cursor.at) {
        detail(entry, rows + 2, canvas);
    }
}

fn detail(entry: &Approval, top: usize, canvas: &mut Canvas<'_>) {
    let width = canvas.width().saturating_sub(2).max(1);
    let lines = whole(&entry.question(), width, DETAIL - 2);
    let position_of = entry.pool.as_ref().or(entry.queue.as_ref());
    let position_of = position_of.cloned().unwrap_or_default();
    canvas.line(
        1,
        top,
        &format!("{} of {position_of}", name(entry)),
        Paint::Dim,
    );
    for (at, line) in lines.iter().enumerate() {
        canvas.line(1, top + 1 + at, line, Paint::Plain);
    }
}

/// A question in lines of `width` columns, at most `most`. If there are more, the last one counts their characters.
pub(super) fn whole(question: &str, width: usize, most: usize) -> Vec<String> {
    let mut lines = wrap(&one_line(question), width);
    if lines.len() > most {
        let rest = lines.split_off(most.saturating_sub(1));
        let more: usize = rest.iter().map(|line| line.chars().count()).sum();
        lines.push(format!("[{more} more characters: kirosu approvals]"));
    }
    lines
}

/// The name that users type: a task's number or a permission request's.
fn name(entry: &Approval) -> String {
    subject_of(entry).map_or_else(String::new, |subject| match subject {
        Subject::Task(id) => id.to_string(),
        Subject::Approval(_) => subject.to_string(),
    })
}

fn what(entry: &Approval) -> &'static str {
    match entry.what {
        ApprovalKind::Tool => "tool",
        ApprovalKind::Run => "run",
        ApprovalKind::Human => "human",
    }
}

fn subject_of(entry: &Approval) -> Option<Subject> {
    match entry.what {
        ApprovalKind::Tool => entry.approval_id.map(Subject::Approval),
        ApprovalKind::Run | ApprovalKind::Human => Some(Subject::Task(entry.task_id)),
    }
}

/// The entries that match the filter.
pub fn shown(model: &Model) -> Vec<&Approval> {
    let query = TaskFilter::words(&model.filters[View::Inbox as usize]);
    let passes = |entry: &&Approval| {
        let words = [name(entry), entry.task_id.to_string(), entry.question()];
        let tool = entry.tool.iter().chain(&entry.pool).chain(&entry.queue);
        let all = words.iter().chain(tool).map(String::as_str);
        query.is_empty() || query.matches_texts(all)
    };
    model.inbox.iter().flatten().filter(passes).collect()
}

/// The subject of the chosen entry, and its description.
pub fn chosen(model: &Model) -> Option<(Subject, String)> {
    let entries = shown(model);
    let entry = entries.get(model.cursors[View::Inbox as usize].at)?;
    Some((subject_of(entry)?, one_line(&entry.question())))
}

/// The options of the chosen entry, of which one is to be chosen to approve it, and its description without them. `None` if it
/// has none.
pub fn options(model: &Model) -> Option<(String, Vec<PermissionOption>)> {
    let entries = shown(model);
    let entry = *entries.get(model.cursors[View::Inbox as usize].at)?;
    let mut about = entry.clone();
    let options = std::mem::take(&mut about.options);
    (!options.is_empty()).then(|| (one_line(&about.question()), options))
}

/// The task of the chosen entry.
pub fn chosen_task(model: &Model) -> Option<TaskId> {
    let entries = shown(model);
    let entry = entries.get(model.cursors[View::Inbox as usize].at)?;
    Some(entry.task_id)
}

/// The current position of the entry with this subject.
pub fn position_of(model: &Model, subject: Subject) -> Option<usize> {
    shown(model)
        .iter()
        .position(|entry| subject_of(entry) == Some(subject))
}
