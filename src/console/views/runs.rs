//! Screen 7: runs of plans, newest first; of an opened run its steps as a tree, failed ones first.

use super::canvas::{Canvas, PaintedLine};
use super::sections::list;
use super::{items, nothing};
use crate::cli::runs::table;
use crate::cli::show::run::{TreeLine, headline, is_question, run_paint, tree};
use crate::console::model::Model;
use crate::console::query::TaskFilter;
use crate::console::run_pane::RunPane;
use crate::console::transcript::Transcript;
use crate::console::view::View;
use crate::terminal::paint::Paint;
use crate::terminal::text::grouped;
use crate::terminal::time::span;
use kirosu_protocol::{BUDGET_REASON, ListedRun, RunAnswer, StepInfo, TaskId};

/// Lines above the steps of a run.
const HEAD: usize = 3;
/// The most lines of the result, or of the error, of a run that has ended, below its steps.
const OUTCOME: usize = 8;

/// Lines that are not rows.
pub fn other_lines(model: &Model) -> usize {
    let Some(pane) = &model.run else { return 1 };
    match (&pane.items, &pane.answer) {
        (Some(_), _) => items::HEAD,
        (None, Some(run)) => HEAD + outcome(run, usize::from(model.size.0), body(model)).len(),
        (None, None) => HEAD,
    }
}

/// Lines of the screen between the counters and the keys.
fn body(model: &Model) -> usize {
    usize::from(model.size.1.saturating_sub(super::FRAME))
}

/// The result or the error of a run that has ended, wrapped, with a heading; at most a third of the screen.
fn outcome(run: &RunAnswer, columns: usize, body: usize) -> Vec<PaintedLine> {
    let (name, text, paint) = match (run.error.as_deref(), run.result.as_deref()) {
        (Some(error), _) => ("Error", error, Paint::Bad),
        (None, Some(result)) => ("Result", result, Paint::Plain),
        (None, None) => return Vec::new(),
    };
    let most = OUTCOME.min(body / 3).max(2);
    let mut transcript = Transcript::default();
    transcript.push(text);
    let (rows, all) = transcript.rows(columns.saturating_sub(2), 0, most);
    let more = match all > most {
        true => format!("  the first {most} of {all} lines, all of them: o"),
        false => String::new(),
    };
    let heading = vec![(name.to_owned(), Paint::Bold), (more, Paint::Dim)];
    let rows = rows.into_iter().map(|row| vec![(row, paint)]);
    [Vec::new(), heading].into_iter().chain(rows).collect()
}

/// Draws the screen.
pub fn draw(model: &Model, canvas: &mut Canvas<'_>) {
    match &model.run {
        Some(pane) => draw_run(model, pane, canvas),
        None => draw_list(model, canvas),
    }
}

fn draw_list(model: &Model, canvas: &mut Canvas<'_>) {
    let runs = shown(model);
    if runs.is_empty() {
        let none = "no runs of plans yet: kirosu map --files 'docs/**/*.md' --prompt 'Summarise {{ item.text }}'";
        return nothing(model, canvas, model.runs.is_some(), none);
    }
    let size = (runs.len(), canvas.height().saturating_sub(1));
    let cursor = model.cursors[View::Runs as usize];
    let rows = |rows: std::ops::Range<usize>| {
        let rows: Vec<ListedRun> = runs[rows].iter().copied().cloned().collect();
        table(&rows, model.now)
    };
    list(size, cursor, 0, rows, canvas);
}

fn draw_run(model: &Model, pane: &RunPane, canvas: &mut Canvas<'_>) {
    let Some(run) = &pane.answer else {
        let text = match &pane.failure {
            Some(why) => why.clone(),
            None => format!("loading run {} …", pane.id),
        };
        return canvas.sentence(&text, Paint::Dim);
    };
    canvas.line(1, 0, &headline(run), run_paint(run.state));
    if let Some(pane) = &pane.items {
        return items::draw(run.task_id, pane, canvas);
    }
    canvas.line(1, 1, &facts(run, model.now), Paint::Dim);
    let lines = steps(model, run);
    if lines.is_empty() {
        canvas.line(1, HEAD, "no step has begun", Paint::Dim);
    }
    let below = outcome(run, canvas.width(), canvas.height());
    let mut cursor = pane.cursor;
    let rows = canvas.height().saturating_sub(HEAD + below.len());
    cursor.fit(lines.len(), rows);
    for (at, line) in lines.iter().enumerate().skip(cursor.top).take(rows) {
        let y = at - cursor.top + HEAD;
        canvas.pieces(1, y, &line.pieces);
        if at == cursor.at {
            canvas.choose(y);
        }
    }
    let top = canvas.height().saturating_sub(below.len());
    for (at, pieces) in below.iter().enumerate() {
        canvas.pieces(1, top + at, pieces);
    }
}

/// The counts of a run and its times.
fn facts(run: &RunAnswer, now: f64) -> String {
    let sum = |of: fn(&StepInfo) -> u64| grouped(run.steps.iter().map(of).sum());
    let age = match run.ended_at {
        Some(end) => format!("ended after {}", span(end - run.created_at)),
        None => format!("for {}", span(now - run.created_at)),
    };
    format!(
        "{} done · {} failed · {} open · {} tasks · {age}",
        sum(|step| step.done),
        sum(|step| step.failed),
        sum(|step| step.open),
        grouped(run.made),
    )
}

fn steps<'a>(model: &Model, run: &'a RunAnswer) -> Vec<TreeLine<'a>> {
    let room = usize::from(model.size.0).saturating_sub(2);
    tree(run, room, None, model.now).0
}

/// The runs that match the filter.
pub fn shown(model: &Model) -> Vec<&ListedRun> {
    let query = TaskFilter::words(&model.filters[View::Runs as usize]);
    let passes = |run: &&ListedRun| {
        let id = run.task_id.to_string();
        let texts = [
            Some(id.as_str()),
            Some(run.state.as_str()),
            run.name.as_deref(),
            run.reason.as_deref(),
            run.error.as_deref(),
        ];
        query.is_empty() || query.matches_texts(texts.into_iter().flatten())
    };
    model.runs.iter().flatten().filter(passes).collect()
}

/// Number of lines of the list, of the steps of the opened run, or of the items of its opened step.
pub fn len(model: &Model) -> usize {
    match &model.run {
        None => shown(model).len(),
        Some(pane) => match (&pane.items, &pane.answer) {
            (Some(items), _) => items.len(),
            (None, run) => run.as_ref().map_or(0, |run| steps(model, run).len()),
        },
    }
}

/// The paths of the steps of the opened run, in the order of the lines.
pub fn paths(model: &Model) -> Vec<String> {
    let run = model.run.as_ref().and_then(|pane| pane.answer.as_ref());
    let lines = run.map(|run| steps(model, run)).unwrap_or_default();
    lines.iter().map(|line| line.step.path.clone()).collect()
}

/// The chosen or opened run, and its description.
pub fn chosen(model: &Model) -> Option<(TaskId, String)> {
    match &model.run {
        Some(pane) => Some((pane.id, pane.answer.as_ref().map(|run| headline(run))?)),
        None => {
            let runs = shown(model);
            let run = runs.get(model.cursors[View::Runs as usize].at)?;
            let name = run.name.as_deref().unwrap_or_default();
            Some((run.task_id, format!("{}: {name}", run.state)))
        }
    }
}

/// Whether the current screen has a chosen or opened run that waits for its budget.
pub fn waits_for_budget(model: &Model) -> bool {
    let reason = match &model.run {
        Some(pane) => pane.answer.as_ref().and_then(|run| run.reason.as_deref()),
        None => {
            let runs = shown(model);
            let run = runs.get(model.cursors[View::Runs as usize].at).copied();
            run.and_then(|run| run.reason.as_deref())
        }
    };
    model.view == View::Runs && reason.is_some_and(|why| why.starts_with(BUDGET_REASON))
}

/// The chosen step of the opened run.
pub fn chosen_step(model: &Model) -> Option<StepInfo> {
    let pane = model.run.as_ref().filter(|pane| pane.items.is_none())?;
    let run = pane.answer.as_ref()?;
    let lines = steps(model, run);
    Some(lines.get(pane.cursor.at)?.step.clone())
}

/// The task of the chosen step, if that waits for a person, and the step's path.
pub fn chosen_question(model: &Model) -> Option<(TaskId, String)> {
    let step = chosen_step(model).filter(is_question)?;
    Some((step.task_id?, step.path))
}
