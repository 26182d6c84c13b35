//! Runs of plans: their steps as a tree.

use super::Screen;
use crate::terminal::paint::Paint;
use crate::terminal::text::{count, fit, grouped, one_line, width};
use crate::terminal::time::span;
use kirosu_protocol::{ItemState, RunAnswer, RunState, StepInfo, StepState};
use std::collections::HashMap;

/// A line of the tree, painted.
pub struct TreeLine<'a> {
    /// The step.
    pub step: &'a StepInfo,
    /// The pieces of the line.
    pub pieces: Vec<(String, Paint)>,
}

/// A line of the tree.
struct RunLine<'a> {
    /// Box characters before the name.
    branch: String,
    name: String,
    step: &'a StepInfo,
}

/// The paint of a run's state.
pub fn run_paint(state: RunState) -> Paint {
    match state {
        RunState::Pending => Paint::Plain,
        RunState::Open => Paint::Busy,
        RunState::Waiting | RunState::Paused | RunState::Partial => Paint::Attention,
        RunState::Done => Paint::Good,
        RunState::Failed => Paint::Bad,
        RunState::Cancelled => Paint::Dim,
    }
}

/// The paint of a step's state. An open step with a reason waits.
pub fn step_paint(step: &StepInfo) -> Paint {
    match step.state {
        StepState::Pending => Paint::Plain,
        StepState::Open if step.reason.is_some() || question(step).is_some() => Paint::Attention,
        StepState::Open => Paint::Busy,
        StepState::Done => Paint::Good,
        StepState::Partial => Paint::Attention,
        StepState::Failed => Paint::Bad,
        StepState::Skipped | StepState::Omitted | StepState::Cancelled => Paint::Dim,
    }
}

/// The paint of an item's state.
pub fn item_paint(state: ItemState) -> Paint {
    match state {
        ItemState::Waiting => Paint::Plain,
        ItemState::Open => Paint::Busy,
        ItemState::Done => Paint::Good,
        ItemState::Failed => Paint::Bad,
        ItemState::Cancelled => Paint::Dim,
    }
}

/// A run in one line: its number, name, state and reason.
pub fn headline(run: &RunAnswer) -> String {
    let name = run.name.as_deref().map(one_line);
    let name = name.map(|name| format!(" {name}")).unwrap_or_default();
    let reason = run.reason.as_deref().map(one_line);
    let reason = reason.map(|why| format!(" ({why})")).unwrap_or_default();
    format!("run {}{name}: {}{reason}", run.task_id, run.state)
}

/// The steps as a tree, with the failed ones first, for a screen.
pub fn drawing(run: &RunAnswer, screen: &Screen, now: f64) -> String {
    draw(
        run,
        screen.width.unwrap_or(usize::MAX),
        None,
        screen.colour,
        now,
    )
}

/// The steps as a tree of `columns` columns, as text; see [`tree`].
pub fn draw(
    run: &RunAnswer,
    columns: usize,
    most: Option<usize>,
    colour: bool,
    now: f64,
) -> String {
    let (lines, left_out) = tree(run, columns, most, now);
    let mut text = String::new();
    for line in &lines {
        let pieces = line.pieces.iter();
        let painted: String = pieces.map(|(text, paint)| paint.on(text, colour)).collect();
        text += painted.trim_end();
        text.push('\n');
    }
    if left_out > 0 {
        let more = format!("… {} more", count(left_out, "step"));
        text += &Paint::Dim.on(&more, colour);
        text.push('\n');
    }
    text
}

/// The steps as a tree of `columns` columns. Of more than `most` lines, those are left out that need attention least; with their
/// number.
pub fn tree(
    run: &RunAnswer,
    columns: usize,
    most: Option<usize>,
    now: f64,
) -> (Vec<TreeLine<'_>>, u64) {
    let mut lines = Vec::new();
    branches(&children(&run.steps), "", "", &mut lines);
    let all = lines.len();
    if let Some(most) = most.filter(|most| all > *most) {
        keep(&mut lines, most.saturating_sub(1));
    }
    let left_out = (all - lines.len()) as u64;
    let wide = |line: &RunLine<'_>| width(&line.branch) + width(&line.name);
    let named = lines.iter().map(wide).max().unwrap_or(0);
    let kinds = lines.iter().map(|line| width(&line.step.kind)).max();
    let kinds = kinds.unwrap_or(0);
    let states = lines
        .iter()
        .map(|line| line.step.state.as_str().len())
        .max();
    let states = states.unwrap_or(0);
    let painted = lines.into_iter().map(|line| {
        let step = line.step;
        let pad = |used: usize, wide: usize| " ".repeat(wide.saturating_sub(used) + 2);
        let (kind, state) = (one_line(&step.kind), step.state.as_str());
        let room = columns.saturating_sub(named + kinds + states + 6).max(16);
        let facts = fit(&facts(step, now), room);
        let after = |used: usize, wide: usize| (pad(used, wide), Paint::Plain);
        let name_pad = pad(wide(&line), named);
        let pieces = vec![
            (line.branch, Paint::Dim),
            (line.name + &name_pad, Paint::Plain),
            (kind.clone(), Paint::Dim),
            after(width(&kind), kinds),
            (state.to_owned(), step_paint(step)),
            after(state.len(), states),
            (facts, Paint::Plain),
        ];
        TreeLine { step, pieces }
    });
    (painted.collect(), left_out)
}

/// The path of the step around a step, without the number of the pass; empty for a step of the plan itself.
fn around(path: &str) -> &str {
    let Some((parent, _)) = path.rsplit_once('.') else {
        return "";
    };
    match parent.rsplit_once('[') {
        Some((name, rest)) if rest.ends_with(']') => name,
        _ => parent,
    }
}

/// The steps inside of each step, failed ones first, else in the order of their beginning.
fn children(steps: &[StepInfo]) -> HashMap<&str, Vec<&StepInfo>> {
    let known: HashMap<&str, ()> = steps.iter().map(|step| (step.path.as_str(), ())).collect();
    let mut children: HashMap<&str, Vec<&StepInfo>> = HashMap::new();
    for step in steps {
        let parent = around(&step.path);
        let parent = if known.contains_key(parent) {
            parent
        } else {
            ""
        };
        children.entry(parent).or_default().push(step);
    }
    for list in children.values_mut() {
        list.sort_by_key(|step| step.state != StepState::Failed);
    }
    children
}

fn branches<'a>(
    children: &HashMap<&str, Vec<&'a StepInfo>>,
    parent: &str,
    before: &str,
    lines: &mut Vec<RunLine<'a>>,
) {
    let list = children.get(parent).map(Vec::as_slice).unwrap_or_default();
    for (at, step) in list.iter().enumerate() {
        let (branch, below) = match at + 1 == list.len() {
            true => ("└── ", "    "),
            false => ("├── ", "│   "),
        };
        let own = step.path.strip_prefix(parent).unwrap_or(&step.path);
        lines.push(RunLine {
            branch: format!("{before}{branch}"),
            name: one_line(own.trim_start_matches('.')),
            step,
        });
        // A path is never inside of itself, so this ends.
        branches(children, &step.path, &format!("{before}{below}"), lines);
    }
}

/// Keeps the `most` lines that need attention most, in their order.
fn keep(lines: &mut Vec<RunLine<'_>>, most: usize) {
    let rank = |step: &StepInfo| match step.state {
        StepState::Failed | StepState::Partial => 0,
        StepState::Open => 1,
        StepState::Cancelled | StepState::Pending => 2,
        StepState::Done | StepState::Skipped | StepState::Omitted => 3,
    };
    let mut order: Vec<usize> = (0..lines.len()).collect();
    // Of equal ones the newest are kept.
    order.sort_by_key(|at| (rank(lines[*at].step), usize::MAX - at));
    order.truncate(most);
    let mut at = 0;
    lines.retain(|_| {
        let is_kept = order.contains(&at);
        at += 1;
        is_kept
    });
}

/// Counts, reason, time and task of a step.
pub fn facts(step: &StepInfo, now: f64) -> String {
    let mut facts: Vec<String> = counts(step).into_iter().collect();
    if step.generation > 0 {
        facts.push(format!("attempt {}", step.generation + 1));
    }
    facts.extend(step.reason.as_deref().map(one_line));
    if let Some(started) = step.started_at {
        let is_running = step.state == StepState::Open;
        let end = step.ended_at.or(is_running.then_some(now));
        facts.extend(end.map(|end| span(end - started)));
    }
    match question(step) {
        Some(question) => facts.push(question),
        None => facts.extend(step.task_id.map(|id| format!("task {id}"))),
    }
    facts.join(", ")
}

/// Whether a step waits for a person's answer.
pub fn is_question(step: &StepInfo) -> bool {
    step.kind == "approve" && step.state == StepState::Open
}

/// The commands that decide a step that waits for a person.
pub fn question(step: &StepInfo) -> Option<String> {
    let id = step.task_id.filter(|_| is_question(step))?;
    Some(format!(
        "waits for a person: kirosu answer {id} TEXT, or kirosu reject {id}"
    ))
}

/// The items of a step by state; `None` for a step that makes one task.
pub fn counts(step: &StepInfo) -> Option<String> {
    if step.total == Some(1) || (step.total.is_none() && step.made <= 1) {
        return None;
    }
    let mut counts = match step.total {
        Some(total) => vec![format!("{} of {} done", grouped(step.done), grouped(total))],
        None => vec![format!("{} done", grouped(step.done))],
    };
    let others = [
        (step.failed, "failed"),
        (step.cancelled, "cancelled"),
        (step.open, "open"),
    ];
    let others = others.iter().filter(|(n, _)| *n > 0);
    counts.extend(others.map(|(n, what)| format!("{} {what}", grouped(*n))));
    Some(counts.join(", "))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A step that began at the second 100.
    pub fn step(path: &str, kind: &str, state: StepState) -> StepInfo {
        StepInfo {
            path: path.into(),
            kind: kind.into(),
            state,
            reason: None,
            generation: 0,
            total: Some(1),
            made: 1,
            open: 0,
            done: 0,
            failed: 0,
            cancelled: 0,
            task_id: None,
            started_at: Some(100.0),
            ended_at: (state != StepState::Open).then_some(160.0),
        }
    }

    /// A run that is open.
    pub fn run(steps: Vec<StepInfo>) -> RunAnswer {
        RunAnswer {
            task_id: 42,
            state: RunState::Open,
            reason: None,
            name: Some("review".into()),
            plan: None,
            plan_text: None,
            made: 0,
            created_at: 100.0,
            ended_at: None,
            result: None,
            error: None,
            steps,
        }
    }

    #[test]
    fn steps_are_a_tree_with_the_failed_ones_first() {
        let mut read = step("read", "map", StepState::Open);
        (read.total, read.done, read.failed, read.open) = (Some(60), 12, 2, 4);
        let mut judge = step("polish[2].judge", "task", StepState::Failed);
        judge.reason = Some("not\naccepted".into());
        let mut write = step("polish[2].write", "task", StepState::Done);
        write.task_id = Some(47);
        let steps = vec![read, step("polish", "loop", StepState::Open), write, judge];
        let text = draw(&run(steps), 100, None, false, 190.0);
        assert_eq!(
            text,
            "├── read           map   open    12 of 60 done, 2 failed, 4 open, 90 s\n\
             └── polish         loop  open    90 s\n    \
                 ├── [2].judge  task  failed  not accepted, 60 s\n    \
                 └── [2].write  task  done    60 s, task 47\n"
        );
    }

    #[test]
    fn a_tree_fits_the_terminal_and_keeps_what_needs_attention() {
        let mut steps: Vec<StepInfo> = (0..50)
            .map(|n| step(&format!("s{n}"), "task", StepState::Done))
            .collect();
        steps[20].state = StepState::Failed;
        steps[20].reason = Some("x".repeat(200));
        steps[30].state = StepState::Open;
        let text = draw(&run(steps), 60, Some(5), false, 190.0);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5, "{text}");
        assert!(
            lines[0].contains("s20") && lines[1].contains("s30"),
            "{text}"
        );
        assert!(lines[3].contains("s49"), "{text}");
        assert_eq!(lines[4], "… 46 steps more");
        assert!(lines.iter().all(|line| width(line) <= 60), "{text}");
    }

    #[test]
    fn a_step_of_an_unknown_parent_is_at_the_top() {
        let text = draw(
            &run(vec![step("a[1].b", "task", StepState::Skipped)]),
            80,
            None,
            false,
            190.0,
        );
        assert_eq!(text, "└── a[1].b  task  skipped  60 s\n");
        let mut ok = step("ok", "approve", StepState::Open);
        ok.task_id = Some(7);
        assert_eq!(
            facts(&ok, 101.0),
            "1 s, waits for a person: kirosu answer 7 TEXT, or kirosu reject 7"
        );
        assert_eq!(headline(&run(Vec::new())), "run 42 review: open");
    }
}
