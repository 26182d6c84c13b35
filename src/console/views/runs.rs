//! Screen 7: runs of plans, newest first; of an opened run its steps as a tree, failed ones first.

use super::canvas::Canvas;
use super::nothing;
use crate::cli::runs::table;
use crate::cli::show::run::{TreeLine, headline, is_question, run_paint, tree};
use crate::console::model::{Model, View};
use crate::console::query::TaskFilter;
use crate::console::run_pane::RunPane;
use crate::terminal::paint::Paint;
use crate::terminal::text::grouped;
use crate::terminal::time::span;
use kirosu_protocol::{BUDGET_REASON, ListedRun, RunAnswer, StepInfo, TaskId};

/// Lines above the steps of a run.
const HEAD: usize = 4;

/// Lines that are not rows.
pub fn other_lines(model: &Model) -> usize {
    if model.run.is_some() { HEAD } else { 1 }
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
    let runs: Vec<ListedRun> = runs.into_iter().cloned().collect();
    let lines = table(&runs, model.now).lines(canvas.width().saturating_sub(2));
    let mut lines = lines.into_iter();
    if let Some(heading) = lines.next() {
        canvas.pieces(1, 0, &heading);
    }
    let mut cursor = model.cursors[View::Runs as usize];
    let rows = canvas.height().saturating_sub(1);
    cursor.fit(runs.len(), rows);
    for (at, line) in lines.enumerate().skip(cursor.top).take(rows) {
        let y = at - cursor.top + 1;
        canvas.pieces(1, y, &line);
        if at == cursor.at {
            canvas.choose(y);
        }
    }
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
    canvas.line(1, 1, &facts(run, model.now), Paint::Dim);
    let error = run.error.as_deref().and_then(|why| why.lines().next());
    canvas.line(1, 2, error.unwrap_or_default(), Paint::Bad);
    let lines = steps(model, run);
    if lines.is_empty() {
        canvas.line(1, HEAD, "no step has begun", Paint::Dim);
    }
    let mut cursor = pane.cursor;
    let rows = canvas.height().saturating_sub(HEAD);
    cursor.fit(lines.len(), rows);
    for (at, line) in lines.iter().enumerate().skip(cursor.top).take(rows) {
        let y = at - cursor.top + HEAD;
        canvas.pieces(1, y, &line.pieces);
        if at == cursor.at {
            canvas.choose(y);
        }
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

/// Number of lines of the list, or of the steps of the opened run.
pub fn len(model: &Model) -> usize {
    match &model.run {
        None => shown(model).len(),
        Some(pane) => {
            let run = pane.answer.as_ref();
            run.map_or(0, |run| steps(model, run).len())
        }
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
    let pane = model.run.as_ref()?;
    let run = pane.answer.as_ref()?;
    let lines = steps(model, run);
    Some(lines.get(pane.cursor.at)?.step.clone())
}

/// The task of the chosen step, if that waits for a person, and the step's path.
pub fn chosen_question(model: &Model) -> Option<(TaskId, String)> {
    let step = chosen_step(model).filter(is_question)?;
    Some((step.task_id?, step.path))
}
