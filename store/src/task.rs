//! The protocol's view of a task, built from its row and input.

use crate::row::{Flags, TaskInput, TaskRow};
use kirosu_protocol::Task;
use std::collections::BTreeMap;

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// Builds the task for a client.
pub(crate) fn task_of(
    row: &TaskRow,
    input: TaskInput,
    queue: &str,
    task_type: &str,
    result: Option<String>,
    error: Option<String>,
) -> Task {
    Task {
        task_id: row.id,
        prompt: input.prompt,
        system_prompt: input.system_prompt,
        task_type: task_type.to_owned(),
        status: row.state,
        created_at: seconds(row.created_at),
        updated_at: seconds(row.updated_at),
        leased_until: row.lease_until.map(seconds),
        worker_id: row.worker.as_deref().map(str::to_owned),
        result,
        error,
        fence: row.fence,
        queue: queue.to_owned(),
        priority: row.priority,
        attempts: row.attempts,
        attempt: None,
        max_attempts: row.max_attempts,
        run_at: row.run_at.map(seconds),
        finished_at: row.finished_at.map(seconds),
        timeout_ms: input.options.timeout_ms,
        parent_id: input.options.parent_id,
        ends_with_parent: row.flags.has(Flags::ENDS_WITH_PARENT),
        provider: input.options.provider,
        model: input.options.model,
        workdir: input.options.workdir,
        budget: input.options.budget,
        continues: input.options.continues,
        budget_trees: input.options.budget_trees,
        accept: input.options.accept,
        not_accepted: None,
        children: Vec::new(),
        metadata: input.options.metadata,
        run_token: None,
        labels: input.options.labels,
        waiting: None,
        cut: BTreeMap::new(),
    }
}
