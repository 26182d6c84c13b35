//! The report: counts by kind of file, and figures of the run.

use super::files::OmittedFiles;
use crate::terminal::text::{pad, width};
use kirosu_protocol::{EventKind, Status};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Counts of one kind of file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileCounts {
    files: u64,
    lines: u64,
    words: u64,
    bytes: u64,
}

/// Counts by kind of file: `.rs`, `.md`, `(none)`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CountReport(BTreeMap<String, FileCounts>);

impl CountReport {
    /// Parses the result of the last task.
    ///
    /// # Errors
    /// The result is not the JSON of a report.
    pub fn read(result: &str) -> Result<CountReport, serde_json::Error> {
        serde_json::from_str(result)
    }

    fn total(&self) -> FileCounts {
        self.0
            .values()
            .fold(FileCounts::default(), |sum, row| FileCounts {
                files: sum.files + row.files,
                lines: sum.lines + row.lines,
                words: sum.words + row.words,
                bytes: sum.bytes + row.bytes,
            })
    }
}

/// Figures of the run.
#[derive(Debug, Default, Serialize)]
pub struct RunSummary {
    /// Number of tasks.
    pub tasks: usize,
    /// Number of leases: one per task, and one more per repeated attempt.
    pub attempts: usize,
    /// Number of sessions that crashed and were restarted.
    pub restarts: usize,
    /// Seconds from start to end.
    pub seconds: f64,
}

impl RunSummary {
    /// Counts an event.
    pub fn count(&mut self, what: &EventKind) {
        match what {
            EventKind::Task {
                status: Status::Leased,
                ..
            } => self.attempts += 1,
            EventKind::Actor { state, .. } if state == "restarted" => self.restarts += 1,
            _ => {}
        }
    }
}

/// The report as JSON.
pub fn json(report: &CountReport, summary: &RunSummary, left_out: OmittedFiles) -> String {
    json!({ "report": report, "total": report.total(), "run": summary, "left_out": left_out })
        .to_string()
}

/// The report for a person.
pub fn text(report: &CountReport, summary: &RunSummary) -> String {
    let mut rows: Vec<(&str, FileCounts)> = report
        .0
        .iter()
        .map(|(kind, row)| (kind.as_str(), *row))
        .collect();
    rows.sort_by_key(|(kind, row)| (std::cmp::Reverse(row.lines), *kind));
    let wide = rows
        .iter()
        .map(|(kind, _)| width(kind))
        .max()
        .unwrap_or(0)
        .max(6);
    let mut text = String::from("\n");
    let mut line = |name: &str, cells: [String; 4]| {
        let [files, lines, words, bytes] = cells;
        // Writing into a String cannot fail.
        let _ = writeln!(
            text,
            "  {} {files:>7} {lines:>9} {words:>9} {bytes:>11}",
            pad(name, wide)
        );
    };
    line(
        "kind",
        ["files", "lines", "words", "bytes"].map(str::to_owned),
    );
    for (kind, row) in rows {
        line(kind, cells(row));
    }
    line("total", cells(report.total()));
    let repeated = summary.attempts.saturating_sub(summary.tasks);
    let _ = writeln!(
        text,
        "\n{} in {:.1} s; {} crashed and came back, {} repeated, nothing was lost.",
        count(summary.tasks, "task"),
        summary.seconds,
        count(summary.restarts, "session"),
        count(repeated, "attempt"),
    );
    text
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn cells(row: FileCounts) -> [String; 4] {
    [row.files, row.lines, row.words, row.bytes].map(|number| number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_adds_up_and_the_columns_are_aligned() {
        let report = CountReport::read(
            r#"{".rs":{"files":2,"lines":30,"words":100,"bytes":900},".md":{"files":1,"lines":5,"words":40,"bytes":200}}"#,
        );
        let report = report.expect("a report");
        assert_eq!(
            report.total(),
            FileCounts {
                files: 3,
                lines: 35,
                words: 140,
                bytes: 1100
            }
        );
        let text = text(&report, &RunSummary::default());
        let table: Vec<&str> = text.lines().filter(|line| line.starts_with("  ")).collect();
        assert_eq!(table.len(), 4);
        assert!(
            table.iter().all(|line| line.len() == table[0].len()),
            "{text}"
        );
    }
}
