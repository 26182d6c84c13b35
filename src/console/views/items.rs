//! The items of a step, those that failed first.

use super::canvas::Canvas;
use super::sections::list;
use crate::cli::show::run::item_paint;
use crate::cli::show::table::{Cell, Column, TextTable};
use crate::console::run_pane::{ITEMS_MOST, ItemsPane};
use crate::terminal::paint::Paint;
use crate::terminal::text::grouped;
use kirosu_protocol::{ItemInfo, TaskId};

/// Lines above the items: the run, the step, and the headings.
pub const HEAD: usize = 3;

/// Draws the items below the headline of their run.
pub fn draw(run: TaskId, pane: &ItemsPane, canvas: &mut Canvas<'_>) {
    let step = &pane.request.step;
    let Some(items) = &pane.items else {
        canvas.line(1, 1, &format!("step {step}: loading …"), Paint::Dim);
        return;
    };
    let number = grouped(items.len() as u64);
    let text = match (pane.more, items.len() >= ITEMS_MOST) {
        (false, _) => format!("step {step}: {number} items, those that failed first"),
        (true, false) => format!("step {step}: the first {number} items, those that failed first"),
        (true, true) => format!(
            "step {step}: the first {number} items; all of them: kirosu run items {run} --step {step}"
        ),
    };
    canvas.line(1, 1, &text, Paint::Dim);
    let rows = canvas.height().saturating_sub(HEAD);
    let size = (items.len(), rows);
    list(
        size,
        pane.cursor,
        HEAD - 1,
        |rows| table(&items[rows]),
        canvas,
    );
}

fn table(items: &[ItemInfo]) -> TextTable {
    let mut table = TextTable::new([
        Column::number("INDEX").yields(1),
        Column::long("KEY"),
        Column::text("STATE"),
        Column::number("TASK"),
        Column::text("CLASS"),
        Column::long("ERROR"),
    ]);
    for item in items {
        let task = item.task_id.map(|id| id.to_string());
        let state = match item.cached {
            true => "cached",
            false => item.state.as_str(),
        };
        table.row([
            Cell::new(item.index.to_string()),
            Cell::new(&item.key),
            Cell::new(state).painted(item_paint(item.state)),
            Cell::new(task.unwrap_or_default()),
            Cell::new(item.class.as_deref().unwrap_or_default()),
            Cell::new(item.error.as_deref().unwrap_or_default()),
        ]);
    }
    table
}
