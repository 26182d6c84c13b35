//! The table of `kirosu schedule list`.

use super::{Cell, Column, Paint, TextTable, text, time};
use jiff::tz::TimeZone;
use kirosu_protocol::{ScheduleInfo, ScheduleSpec, Status};

/// A table with one row per schedule. Times are in this zone; `None` means UTC.
pub fn table(schedules: &[ScheduleInfo], now: f64, zone: Option<&TimeZone>) -> TextTable {
    let mut table = TextTable::new([
        Column::text("NAME"),
        Column::text("TIMES"),
        Column::text("STATE"),
        Column::text("NEXT"),
        Column::number("LAST TASK"),
        Column::text("STATUS"),
        Column::number("FIRED").yields(1),
        Column::number("SKIPPED").unless("0").yields(2),
        Column::long("ERROR"),
    ]);
    for it in schedules {
        let (state, paint) = state(it);
        let next = match it.next_at.filter(|_| !it.paused) {
            Some(at) => Cell::new(format!("{} ({})", time::date(at, zone), time::ago(at, now)))
                .exact(time::stamp(at)),
            None => Cell::new(""),
        };
        let status = it.last_status;
        let number = |n: u64| Cell::new(text::grouped(n)).exact(n.to_string());
        let task = it.last_task.map(|task| task.to_string());
        table.row([
            Cell::new(&it.name),
            Cell::new(times(&it.spec)),
            Cell::new(state).painted(paint),
            next,
            Cell::new(task.unwrap_or_default()),
            Cell::new(status.map_or("", Status::as_str)).painted(of_status(status)),
            number(it.fired),
            number(it.skipped),
            Cell::new(text::one_line(it.error.as_deref().unwrap_or_default())).painted(Paint::Bad),
        ]);
    }
    table
}

/// The state of a schedule for people, and its paint.
pub(crate) fn state(it: &ScheduleInfo) -> (&'static str, Paint) {
    match (it.next_at, it.paused) {
        (None, _) => ("finished", Paint::Dim),
        (_, true) => ("paused", Paint::Attention),
        (_, false) => ("active", Paint::Good),
    }
}

/// The paint of the status of its newest task.
pub(crate) fn of_status(status: Option<Status>) -> Paint {
    match status {
        Some(Status::Failed | Status::Cancelled) => Paint::Bad,
        Some(Status::Done) => Paint::Good,
        _ => Paint::Plain,
    }
}

/// The times of a schedule for people.
pub(crate) fn times(spec: &ScheduleSpec) -> String {
    match spec {
        ScheduleSpec::Every { every_ms } => {
            format!("every {}", time::span(*every_ms as f64 / 1000.0))
        }
        ScheduleSpec::Cron { cron, tz } => format!("{cron} {tz}"),
        ScheduleSpec::At { .. } => "once".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirosu_protocol::{MissedPolicy, OverlapPolicy};

    #[test]
    fn a_row_has_times_state_and_the_last_task() {
        let it = ScheduleInfo {
            name: "links".into(),
            spec: ScheduleSpec::Cron {
                cron: "0 3 * * *".into(),
                tz: "Europe/Berlin".into(),
            },
            missed: MissedPolicy::One,
            overlap: OverlapPolicy::Skip,
            jitter_ms: 0,
            paused: false,
            queue: "default".into(),
            task_type: "chat".into(),
            prompt: "Check".into(),
            next_at: Some(160.0),
            last_at: Some(60.0),
            last_task: Some(7),
            last_status: Some(Status::Done),
            fired: 1000,
            skipped: 0,
            error: None,
            created_at: 0.0,
        };
        let paused = ScheduleInfo {
            paused: true,
            spec: ScheduleSpec::Every { every_ms: 600_000 },
            ..it.clone()
        };
        let finished = ScheduleInfo {
            next_at: None,
            spec: ScheduleSpec::At { at_ms: 5 },
            ..it.clone()
        };
        let all = [it, paused, finished];
        assert_eq!(
            table(&all, 100.0, None).render(None, false),
            "links\t0 3 * * * Europe/Berlin\tactive\t1970-01-01T00:02:40.000Z\t7\tdone\t1000\t0\t\n\
             links\tevery 10 min\tpaused\t\t7\tdone\t1000\t0\t\n\
             links\tonce\tfinished\t\t7\tdone\t1000\t0\t\n"
        );
        let shown = table(&all, 100.0, Some(&TimeZone::UTC)).render(Some(140), false);
        assert!(
            shown.contains("1970-01-01 00:02:40 +00:00 (in 60 s)"),
            "{shown}"
        );
    }
}
