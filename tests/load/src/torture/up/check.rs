//! The required result of the pools: each task done once, with its provider's result.

use super::is_command;
use crate::Fault;
use crate::torture::Verdict;
use crate::torture::history::number_of;
use crate::torture::stored::Stored;
use std::collections::HashMap;
use std::path::Path;

/// How often each command was executed.
pub(super) fn executions(runs: &Path) -> Result<HashMap<u64, u64>, Fault> {
    let mut executions = HashMap::new();
    if runs.exists() {
        for line in std::fs::read_to_string(runs)?.lines() {
            let number =
                number_of(line).ok_or_else(|| Fault::new(format!("a run noted {line:?}")))?;
            *executions.entry(number).or_default() += 1;
        }
    }
    Ok(executions)
}

/// Each task is done once, with the result its provider must give.
pub(super) fn check(stored: &[Stored], executions: &HashMap<u64, u64>, verdict: &mut Verdict) {
    for task in stored {
        let Some(number) = number_of(&task.prompt) else {
            // Said already.
            continue;
        };
        if task.status != "done" || task.done_attempts != 1 {
            verdict.violation(format!(
                "task {} is {}, done {} times",
                task.id, task.status, task.done_attempts
            ));
        }
        let result = task.result.as_deref().unwrap_or_default().trim();
        let expected = match is_command(number) {
            true => format!("ran {}", task.prompt.trim()),
            false => task.prompt.trim().to_owned(),
        };
        if result != expected {
            verdict.violation(format!(
                "task {}'s result is {result:?}, not {expected:?}",
                task.id
            ));
        }
        if is_command(number) && !executions.contains_key(&number) {
            verdict.violation(format!(
                "task {} is done, but its command never ran",
                task.id
            ));
        }
    }
    verdict.count(
        "tasks done",
        stored.iter().filter(|t| t.status == "done").count(),
    );
    verdict.count(
        "tasks leased more than once",
        stored.iter().filter(|t| t.attempts > 1).count(),
    );
    verdict.count("commands executed", executions.values().sum::<u64>());
    let again: u64 = executions.values().map(|times| times - 1).sum();
    verdict.count("of these again, after a lost run", again);
}
