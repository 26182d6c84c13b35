//! The final content of the file, read by Python's `sqlite3`, so that no code of ours is between the checker and the file.

use super::Verdict;
use super::kills::{integrity, python};
use crate::Fault;
use serde_json::Value;
use std::path::Path;

const SCRIPT: &str = r"
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1])
def rows(query): return db.execute(query).fetchall()
names = ['queued', 'blocked', 'scheduled', 'awaiting_approval', 'leased', 'done', 'failed', 'cancelled']
states = dict(rows('select state, count(*) from task group by state'))
print(json.dumps({
  'tasks': rows('''select t.id, v.status, t.fence, t.attempts, t.max_attempts, i.prompt, i.idempotency_key, v.result,
                   (select count(*) from attempt a where a.task_id = t.id and a.outcome = 'done')
                   from task t join task_view v on v.id = t.id join task_input i on i.task_id = t.id'''),
  'attempts': rows('''select task_id, fence, outcome, coalesce(worker, ''), started_at from attempt
                      where outcome in ('cancelled', 'lost')'''),
  'counted': {name: states.get(n, 0) for n, name in enumerate(names)},
  'kept': dict(zip(names, rows('select ' + ','.join('coalesce(sum(%s), 0)' % n for n in names) + ' from lane')[0])),
  'leased_without_deadline': rows('select count(*) from task where state = 4 and lease_until is null')[0][0],
  'inputs_without_task': rows('select count(*) from task_input where task_id not in (select id from task)')[0][0],
}))
";

/// A task as the file has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Its id.
    pub id: u64,
    /// Its state, by name.
    pub status: String,
    /// Its newest fence.
    pub fence: i64,
    /// Attempts that count.
    pub attempts: i64,
    /// The most it may have.
    pub max_attempts: Option<i64>,
    /// Its prompt.
    pub prompt: String,
    /// Its idempotency key.
    pub key: Option<String>,
    /// Its result.
    pub result: Option<String>,
    /// Attempts that ended as done.
    pub done_attempts: u64,
}

/// An attempt that was cancelled or lost, as the file has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempt {
    /// The task.
    pub task: u64,
    /// The lease's fence.
    pub fence: i64,
    /// `cancelled` or `lost`.
    pub outcome: String,
    /// The holder of the lease.
    pub worker: String,
    /// Unix milliseconds.
    pub started_ms: i64,
}

impl Stored {
    /// Whether it has ended.
    pub fn is_final(&self) -> bool {
        matches!(self.status.as_str(), "done" | "failed" | "cancelled")
    }
}

/// The tasks and attempts, after the checks that need no history: integrity, counters, deadlines.
pub fn read(database: &Path, verdict: &mut Verdict) -> Result<(Vec<Stored>, Vec<Attempt>), Fault> {
    let found = integrity(database)?;
    if found != "ok" {
        verdict.violation(format!("integrity_check of the final file says: {found}"));
    }
    let text = python(SCRIPT, database)?;
    let facts: Value = serde_json::from_str(&text)
        .map_err(|e| Fault::new(format!("python3 printed something else than JSON: {e}")))?;
    if facts["counted"] != facts["kept"] {
        verdict.violation(format!(
            "counters differ from a real count: kept {}, counted {}",
            facts["kept"], facts["counted"]
        ));
    }
    for what in ["leased_without_deadline", "inputs_without_task"] {
        match facts[what].as_u64() {
            Some(0) => {}
            count => verdict.violation(format!("rows {}: {count:?}", what.replace('_', " "))),
        }
    }
    let rows = |name: &str| facts[name].as_array().cloned().unwrap_or_default();
    Ok((
        rows("tasks").iter().map(stored).collect(),
        rows("attempts").iter().map(attempt).collect(),
    ))
}

fn attempt(row: &Value) -> Attempt {
    let text = |at: usize| row[at].as_str().unwrap_or_default().to_owned();
    Attempt {
        task: row[0].as_u64().unwrap_or(0),
        fence: row[1].as_i64().unwrap_or(-1),
        outcome: text(2),
        worker: text(3),
        started_ms: row[4].as_i64().unwrap_or(0),
    }
}

fn stored(row: &Value) -> Stored {
    let text = |at: usize| row[at].as_str().map(str::to_owned);
    Stored {
        id: row[0].as_u64().unwrap_or(0),
        status: text(1).unwrap_or_default(),
        fence: row[2].as_i64().unwrap_or(-1),
        attempts: row[3].as_i64().unwrap_or(-1),
        max_attempts: row[4].as_i64(),
        prompt: text(5).unwrap_or_default(),
        key: text(6),
        result: text(7),
        done_attempts: row[8].as_u64().unwrap_or(0),
    }
}
