//! The report: counts by kind of file, and how the swarm got there.

use super::files::LeftOut;
use kirosu_protocol::{EventKind, Status};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Counts of one kind of file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    files: u64,
    lines: u64,
    words: u64,
    bytes: u64,
}

/// Counts by kind of file: `.rs`, `.md`, `(none)`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Report(BTreeMap<String, Counts>);

impl Report {
    /// Reads what the last task printed.
    pub fn read(result: &str) -> Result<Report, serde_json::Error> {
        serde_json::from_str(result)
    }

    fn total(&self) -> Counts {
        self.0.values().fold(Counts::default(), |sum, row| Counts {
            files: sum.files + row.files,
            lines: sum.lines + row.lines,
            words: sum.words + row.words,
            bytes: sum.bytes + row.bytes,
        })
    }
}

/// How the swarm got there.
#[derive(Debug, Default, Serialize)]
pub struct Summary {
    /// Tasks.
    pub tasks: usize,
    /// Leases handed out: one a task, and one more for each repeated attempt.
    pub attempts: usize,
    /// Sessions that crashed and came back.
    pub restarts: usize,
    /// From start to end.
    pub seconds: f64,
}

impl Summary {
    /// Counts an event in.
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

/// For a program.
pub fn json(report: &Report, summary: &Summary, left_out: LeftOut) -> String {
    json!({ "report": report, "total": report.total(), "run": summary, "left_out": left_out })
        .to_string()
}

/// For a person.
pub fn text(report: &Report, summary: &Summary) -> String {
    let mut rows: Vec<(&str, Counts)> = report
        .0
        .iter()
        .map(|(kind, row)| (kind.as_str(), *row))
        .collect();
    rows.sort_by_key(|(kind, row)| (std::cmp::Reverse(row.lines), *kind));
    let width = rows
        .iter()
        .map(|(kind, _)| kind.chars().count())
        .max()
        .unwrap_or(0)
        .max(6);
    let mut text = String::from("\n");
    let mut line = |name: &str, cells: [String; 4]| {
        let [files, lines, words, bytes] = cells;
        // Writing into a String cannot fail.
        let _ = writeln!(
            text,
            "  {name:<width$} {files:>7} {lines:>9} {words:>9} {bytes:>11}"
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

fn cells(row: Counts) -> [String; 4] {
    [row.files, row.lines, row.words, row.bytes].map(|number| number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_adds_up_and_the_table_lines_up() {
        let report = Report::read(
            r#"{".rs":{"files":2,"lines":30,"words":100,"bytes":900},".md":{"files":1,"lines":5,"words":40,"bytes":200}}"#,
        );
        let report = report.expect("a report");
        assert_eq!(
            report.total(),
            Counts {
                files: 3,
                lines: 35,
                words: 140,
                bytes: 1100
            }
        );
        let text = text(&report, &Summary::default());
        let table: Vec<&str> = text.lines().filter(|line| line.starts_with("  ")).collect();
        assert_eq!(table.len(), 4);
        assert!(
            table.iter().all(|line| line.len() == table[0].len()),
            "{text}"
        );
    }
}
