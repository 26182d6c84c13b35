//! Checks a store on which no hub runs (`kirosu db check`). It changes nothing.
//!
//! After SQLite's own check, statements compare the rows with what the hub's writer relies on: the counters, of which
//! `stats` is made without counting rows; rows that a task must have; and the rows that only tasks have. No foreign keys
//! are declared, so SQLite does not compare these.

use crate::error::OpenError;
use crate::foreign;
use crate::generation;
use crate::inspect;
use crate::open;
use crate::schema::{self, Schema};
use crate::sql::{self, row, statement};
use diesel::SqliteConnection;
use std::path::Path;

statement! {
    /// Compares the file with itself, indexes included. One finding per row, or `ok`.
    IntegrityCheck {} "PRAGMA integrity_check(20)"
}

row! {
    /// The rows that break a rule.
    #[derive(Debug)]
    struct Broken {
        /// Their number.
        rows: u64,
        /// The task or lane of one of them.
        example: Option<i64>,
    }
}

/// Defines the rules: a name and the query for the rows that break it, whose column `id` is a task or lane.
macro_rules! rules {
    ($($name:ident: $what:literal, $rows:literal;)*) => {
        $(statement! {
            #[doc = $what]
            $name {} concat!("SELECT count(*), min(id) FROM (", $rows, ")")
        })*

        /// Checks every rule. Returns those that are broken, as sentences.
        fn broken_rules(conn: &mut SqliteConnection) -> diesel::QueryResult<Vec<String>> {
            let mut findings = Vec::new();
            $(
                let broken: Option<Broken> = sql::first(conn, $name {})?;
                findings.extend(broken.and_then(|it| it.finding($what)));
            )*
            Ok(findings)
        }
    };
}

rules! {
    UnknownState: "tasks with an unknown state",
        "SELECT id FROM task WHERE state NOT BETWEEN 0 AND 7";
    NoLane: "tasks in a lane that does not exist",
        "SELECT id FROM task WHERE lane NOT IN (SELECT id FROM lane)";
    NoInput: "tasks without a prompt",
        "SELECT id FROM task WHERE id NOT IN (SELECT task_id FROM task_input)";
    NoAttempt: "tasks with a result in an attempt that does not exist",
        // Retention deletes the attempts of an ended task before the task, the oldest first.
        "SELECT id FROM task t WHERE flags & 1 AND NOT EXISTS \
         (SELECT 1 FROM attempt a WHERE a.task_id = t.id AND a.fence = t.fence) \
         AND (state < 5 OR EXISTS (SELECT 1 FROM attempt a WHERE a.task_id = t.id))";
    NoNote: "tasks with a result in a note that does not exist",
        "SELECT id FROM task WHERE flags & 2 AND id NOT IN (SELECT task_id FROM note)";
    NotFinished: "tasks that ended without a time, or have one and did not",
        "SELECT id FROM task WHERE (finished_at IS NOT NULL) <> (state >= 5)";
    NotLeased: "tasks with a lease without a deadline",
        "SELECT t.id FROM task t JOIN lane l ON l.id = t.lane \
         WHERE t.state = 4 AND t.lease_until IS NULL AND l.type <> 'plan'";
    NotBlocked: "tasks that wait for no other one",
        "SELECT id FROM task WHERE state = 1 AND blocked_by <= 0";
    LooseInput: "prompts of no task",
        "SELECT task_id AS id FROM task_input WHERE task_id NOT IN (SELECT id FROM task)";
    LooseNote: "notes of no task",
        "SELECT task_id AS id FROM note WHERE task_id NOT IN (SELECT id FROM task)";
    LooseLabel: "labels of no task",
        "SELECT task_id AS id FROM task_label WHERE task_id NOT IN (SELECT id FROM task)";
    LooseKey: "idempotency keys of no task",
        "SELECT task_id AS id FROM idempotency WHERE task_id NOT IN (SELECT id FROM task)";
    LooseAttempt: "attempts of no task",
        "SELECT task_id AS id FROM attempt WHERE task_id NOT IN (SELECT id FROM task)";
    LooseText: "long texts without all of their pieces",
        "SELECT id FROM long_text l WHERE state = 1 AND first + second <> \
         (SELECT coalesce(sum(octet_length(text)), 0) FROM text_piece p \
          WHERE p.id BETWEEN l.id << 20 AND ((l.id + 1) << 20) - 1)";
    WrongCounters: "lanes with wrong counts of their tasks",
        "SELECT l.id FROM lane l LEFT JOIN (SELECT lane, sum(state = 0) AS s0, sum(state = 1) AS s1, \
         sum(state = 2) AS s2, sum(state = 3) AS s3, sum(state = 4) AS s4, sum(state = 5) AS s5, sum(state = 6) AS s6, \
         sum(state = 7) AS s7 FROM task GROUP BY lane) t ON t.lane = l.id \
         WHERE (l.queued, l.blocked, l.scheduled, l.awaiting_approval, l.leased, l.done, l.failed, l.cancelled) <> \
         (coalesce(s0, 0), coalesce(s1, 0), coalesce(s2, 0), coalesce(s3, 0), coalesce(s4, 0), coalesce(s5, 0), \
          coalesce(s6, 0), coalesce(s7, 0))";
    NewerDone: "lanes with done tasks above the highest id that they know",
        "SELECT l.id FROM lane l WHERE l.newest_done < \
         (SELECT coalesce(max(t.id), 0) FROM task t WHERE t.lane = l.id AND t.state = 5)";
    LooseRun: "runs of plans of no task",
        "SELECT task_id AS id FROM plan_run WHERE task_id NOT IN (SELECT id FROM task)";
    LooseStep: "steps of no run",
        "SELECT run_id AS id FROM plan_step WHERE run_id NOT IN (SELECT task_id FROM plan_run)";
}

impl Broken {
    fn finding(&self, what: &str) -> Option<String> {
        let example = self.example.map(|id| format!(", such as {id}"));
        let example = example.unwrap_or_default();
        (self.rows > 0).then(|| format!("{what}: {}{example}", self.rows))
    }
}

/// The result of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreCheck {
    /// The faults, as sentences; empty for a sound store.
    pub findings: Vec<String>,
    /// Migrations that the next start will run. Until then only the file is checked, not its rows.
    pub pending: usize,
    /// The number of tasks.
    pub tasks: u64,
}

statement! {
    /// The number of tasks.
    CountTasks {} "SELECT count(*) FROM task"
}

/// Checks the whole store with this database file, which must exist. It reads every row.
///
/// # Errors
/// A hub has the store, it cannot be read, it is not a store, or a newer version has written it.
pub fn check(path: &Path) -> Result<StoreCheck, OpenError> {
    let path = &*foreign::real_path(path);
    inspect::alone(path, check_file)?
        .map_err(|holder| inspect::locked(path, holder))
        .flatten()
}

fn check_file(path: &Path) -> Result<StoreCheck, OpenError> {
    generation::examine(path)?;
    let mut conn = open::read_only(path)?;
    let mut seen = StoreCheck::default();
    match schema::compare(&mut conn, path)? {
        Schema::Newer(found) => {
            let path = path.to_owned();
            return Err(OpenError::Newer { path, found });
        }
        Schema::Behind(pending) => seen.pending = pending,
        Schema::Foreign => seen.pending = schema::known(path)?.len(),
    }
    let findings: diesel::QueryResult<Vec<String>> = sql::all(&mut conn, IntegrityCheck {});
    match findings {
        Ok(findings) if findings == ["ok"] => {}
        Ok(findings) => seen.findings = findings,
        Err(why) => seen.findings = vec![why.to_string()],
    }
    // The rows of a damaged file say nothing about the hub.
    if seen.findings.is_empty() && seen.pending == 0 {
        let what = "its rows cannot be checked";
        let tasks: Option<u64> =
            sql::first(&mut conn, CountTasks {}).map_err(open::database(path, what))?;
        seen.tasks = tasks.unwrap_or(0);
        seen.findings = broken_rules(&mut conn).map_err(open::database(path, what))?;
    }
    Ok(seen)
}
