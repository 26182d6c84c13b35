//! Screen 8: schedules, by name. The chosen one is shown in full below the list.

use super::canvas::Canvas;
use super::nothing;
use super::sections::list;
use crate::cli::schedule::list::{of_status, state, times};
use crate::cli::show::table::{Cell, Column, TextTable};
use crate::console::model::Model;
use crate::console::query::TaskFilter;
use crate::console::transcript::wrap;
use crate::console::view::View;
use crate::terminal::paint::Paint;
use crate::terminal::text::{count, fit, one_line, one_line_start};
use crate::terminal::time::{ago, date, minute, span};
use kirosu_protocol::{ScheduleInfo, ScheduleSpec, Status};

/// Lines of the chosen schedule: a blank one, its times, its rules, its task, and its error.
const DETAIL: usize = 6;
/// Lines that are not rows: the heading and the chosen schedule.
pub const OTHER_LINES: usize = 1 + DETAIL;

/// Draws the screen.
pub fn draw(model: &Model, canvas: &mut Canvas<'_>) {
    let schedules = shown(model);
    if schedules.is_empty() {
        let none = "no schedules yet: kirosu schedule add --name links --cron '0 3 * * *' --prompt 'Check the links'";
        return nothing(model, canvas, model.schedules.is_some(), none);
    }
    let rows = canvas.height().saturating_sub(OTHER_LINES).max(1);
    let size = (schedules.len(), rows);
    let cursor = model.cursors[View::Schedules as usize];
    let at = list(
        size,
        cursor,
        0,
        |rows| table(&schedules[rows], model),
        canvas,
    );
    if let Some(it) = schedules.get(at) {
        detail(it, model, rows + 2, canvas);
    }
}

fn table(schedules: &[&ScheduleInfo], model: &Model) -> TextTable {
    let mut table = TextTable::new([
        Column::long("NAME"),
        Column::text("TIMES"),
        Column::text("ZONE").yields(2),
        Column::text("STATE"),
        Column::text("NEXT"),
        Column::text("AT").yields(1),
        Column::text("LAST"),
        Column::number("TASK"),
        Column::text("STATUS"),
    ]);
    for it in schedules {
        let (state, paint) = state(it);
        let next = it.next_at.filter(|_| !it.paused);
        let at = next.map(|at| minute(at, model.now, model.zone.as_ref()));
        let text = |at: Option<f64>| at.map_or(String::new(), |at| ago(at, model.now));
        let (times, zone) = match &it.spec {
            ScheduleSpec::Cron { cron, tz } => (cron.clone(), tz.as_str()),
            spec => (times(spec), ""),
        };
        let task = it.last_task.map(|task| task.to_string());
        let status = it.last_status;
        table.row([
            Cell::new(&it.name),
            Cell::new(times),
            Cell::new(zone),
            Cell::new(state).painted(paint),
            Cell::new(text(next)),
            Cell::new(at.unwrap_or_default()),
            Cell::new(text(it.last_at)),
            Cell::new(task.unwrap_or_default()),
            Cell::new(status.map_or("", Status::as_str)).painted(of_status(status)),
        ]);
    }
    table
}

/// All of the chosen schedule.
fn detail(it: &ScheduleInfo, model: &Model, top: usize, canvas: &mut Canvas<'_>) {
    let width = canvas.width().saturating_sub(2).max(1);
    let zone = model.zone.as_ref();
    let when = |at: f64| format!("{} ({})", date(at, zone), ago(at, model.now));
    let mut facts = vec![format!("{}: {}", it.name, times(&it.spec))];
    facts.extend(it.next_at.map(|at| match it.paused {
        true => "paused".to_owned(),
        false => format!("next {}", when(at)),
    }));
    facts.extend(it.last_at.map(|at| format!("last {}", when(at))));
    let mut lines = wrap(&one_line(&facts.join(", ")), width);
    lines.truncate(2);
    let rules = format!(
        "missed times: {}, while its last task is unfinished: {}, {}, {}",
        it.missed,
        it.overlap.as_str(),
        count(it.fired, "task"),
        format_args!("{} skipped", it.skipped),
    );
    let jitter = it.jitter_ms as f64 / 1000.0;
    let rules = match it.jitter_ms {
        0 => rules,
        _ => format!("{rules}, up to {} late", span(jitter)),
    };
    lines.push(fit(&rules, width));
    let prompt = one_line_start(&it.prompt, 4 * width);
    lines.push(format!("{} in {}: {prompt}", it.task_type, it.queue));
    for (at, line) in lines.iter().enumerate() {
        let paint = if at == 0 { Paint::Plain } else { Paint::Dim };
        canvas.line(1, top + at, line, paint);
    }
    if let Some(error) = &it.error {
        canvas.line(
            1,
            top + lines.len(),
            &one_line_start(error, 4 * width),
            Paint::Bad,
        );
    }
}

/// The schedules that match the filter.
pub fn shown(model: &Model) -> Vec<&ScheduleInfo> {
    let query = TaskFilter::words(&model.filters[View::Schedules as usize]);
    let passes = |it: &&ScheduleInfo| {
        let times = times(&it.spec);
        let texts = [
            it.name.as_str(),
            times.as_str(),
            state(it).0,
            it.queue.as_str(),
            it.prompt.as_str(),
        ];
        query.is_empty() || query.matches_texts(texts.into_iter())
    };
    model.schedules.iter().flatten().filter(passes).collect()
}

/// The names of the schedules that are shown.
pub fn names(model: &Model) -> Vec<String> {
    shown(model).iter().map(|it| it.name.clone()).collect()
}

/// The chosen schedule.
pub fn chosen(model: &Model) -> Option<&ScheduleInfo> {
    let at = model.cursors[View::Schedules as usize].at;
    shown(model).get(at).copied()
}

/// A schedule in one line, for a question about it.
pub fn about(it: &ScheduleInfo) -> String {
    let prompt = one_line_start(&it.prompt, 300);
    format!("{}, {}: {prompt}", times(&it.spec), state(it).0)
}
