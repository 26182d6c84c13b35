//! Results of the tools: a sentence, then the data. Long texts are cut, and the result names the cut fields.

use kirosu_protocol::{Attempt, GetAnswer, Stats, Status, Task, TaskId, WaitReason};
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;
use serde_json::Value;

/// Maximum characters of each text in a list.
pub(super) const CHARS_OF_LIST: usize = 300;
/// Bytes of each text in the hub's answer to a list request: enough for these characters.
pub(super) const BYTES_OF_LIST: u32 = 4 << 10;
/// Maximum number of attempts in a report: the newest ones.
const ATTEMPTS: usize = 10;

/// A task as a model sees it. Times are Unix seconds.
#[serde_with::skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct TaskReport {
    /// The task's number.
    task_id: i64,
    /// queued, blocked, scheduled, awaiting_approval, leased (running), done, failed or cancelled.
    status: String,
    /// Whether it has ended: done, failed or cancelled.
    finished: bool,
    /// chat, python, human, or a type that the workers define.
    #[serde(rename = "type")]
    task_type: String,
    queue: String,
    priority: i64,
    prompt: String,
    system_prompt: Option<String>,
    /// The result, when it is done.
    result: Option<String>,
    /// Why it failed or was cancelled.
    error: Option<String>,
    /// The worker that runs it, or ran it last.
    worker_id: Option<String>,
    /// Attempts so far.
    attempts: i64,
    max_attempts: Option<i64>,
    created_at: f64,
    updated_at: f64,
    finished_at: Option<f64>,
    /// The earliest time of its start.
    run_at: Option<f64>,
    parent_id: Option<i64>,
    model: Option<String>,
    provider: Option<String>,
    workdir: Option<String>,
    metadata: Option<Value>,
    /// The reason why it waits, as one word.
    waits_for: Option<String>,
    /// The names of the cut texts; get_task_status with max_chars 0 returns whole texts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cut: Vec<String>,
}

impl TaskReport {
    /// A report with each text cut to `chars` characters; 0 means whole texts.
    pub(super) fn of(task: Task, chars: usize) -> TaskReport {
        let mut cut = Vec::new();
        let mut fit = |name: &str, text: String| {
            let (text, whole) = fit(text, chars);
            if !whole {
                cut.push(name.to_owned());
            }
            text
        };
        let prompt = fit("prompt", task.prompt);
        let system_prompt = task.system_prompt.map(|text| fit("system_prompt", text));
        let result = task.result.map(|text| fit("result", text));
        let error = task.error.map(|text| fit("error", text));
        TaskReport {
            task_id: task.task_id,
            status: task.status.to_string(),
            finished: task.status.is_final(),
            task_type: task.task_type,
            queue: task.queue,
            priority: task.priority.into(),
            prompt,
            system_prompt,
            result,
            error,
            worker_id: task.worker_id,
            attempts: task.attempts.into(),
            max_attempts: task.max_attempts.map(Into::into),
            created_at: task.created_at,
            updated_at: task.updated_at,
            finished_at: task.finished_at,
            run_at: task.run_at,
            parent_id: task.parent_id,
            model: task.model,
            provider: task.provider,
            workdir: task.workdir,
            metadata: task.metadata,
            waits_for: task.waiting.as_ref().and_then(|waiting| {
                let word = serde_json::to_value(waiting.reason).ok()?;
                word.as_str().map(str::to_owned)
            }),
            cut,
        }
    }
}

/// The first `chars` characters of a text, with an ellipsis if it is cut, and whether it is whole. 0 means no limit.
pub(super) fn fit(mut text: String, chars: usize) -> (String, bool) {
    match text.char_indices().nth(chars) {
        Some((end, _)) if chars > 0 => {
            text.truncate(end);
            text.push('…');
            (text, false)
        }
        _ => (text, true),
    }
}

/// Answer of `enqueue_task`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct EnqueueReport {
    /// A sentence about the effect.
    pub(super) message: String,
    /// The number of the new task, or of the existing task with the same idempotency_key.
    pub(super) task_id: i64,
}

/// Answer of `wait_for_children`, `cancel_task`, `answer_task` and `approve_task`.
#[serde_with::skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DecisionReport {
    /// A sentence about the effect.
    pub(super) message: String,
    /// Missing if a permission request was decided.
    pub(super) task_id: Option<i64>,
    /// The current status of the task; missing if it could not be read.
    pub(super) status: Option<String>,
}

/// Numbers of tasks.
#[derive(Debug, Serialize, JsonSchema)]
struct StatsReport {
    queued: i64,
    blocked: i64,
    scheduled: i64,
    awaiting_approval: i64,
    leased: i64,
    done: i64,
    failed: i64,
    cancelled: i64,
    total_tasks: i64,
    completed_last_hour: i64,
    avg_completion_time_sec: f64,
    error_rate_percent: f64,
}

/// Answer of `list_tasks`.
#[serde_with::skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ListReport {
    /// A sentence about the number of tasks.
    message: String,
    /// Newest first; long texts are cut.
    tasks: Vec<TaskReport>,
    /// Numbers of all tasks of the hub.
    stats: StatsReport,
    /// `before` of the next page; missing on the last page.
    next: Option<i64>,
}

impl ListReport {
    pub(super) fn of(tasks: Vec<Task>, stats: &Stats, next: Option<TaskId>) -> ListReport {
        let found = match tasks.len() {
            0 => "no such task".to_owned(),
            1 => "1 task".to_owned(),
            many => format!("{many} tasks, newest first"),
        };
        let more = next.map(|next| format!("; call again with before: {next} for older ones"));
        ListReport {
            message: found + &more.unwrap_or_default(),
            tasks: tasks
                .into_iter()
                .map(|task| TaskReport::of(task, CHARS_OF_LIST))
                .collect(),
            stats: StatsReport {
                queued: stats.queued,
                blocked: stats.blocked,
                scheduled: stats.scheduled,
                awaiting_approval: stats.awaiting_approval,
                leased: stats.leased,
                done: stats.done,
                failed: stats.failed,
                cancelled: stats.cancelled,
                total_tasks: stats.total_tasks,
                completed_last_hour: stats.completed_last_hour,
                avg_completion_time_sec: stats.avg_completion_time_sec,
                error_rate_percent: stats.error_rate_percent,
            },
            next,
        }
    }
}

/// An ended attempt.
#[serde_with::skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
struct AttemptReport {
    /// done, released, or the class of the failure.
    outcome: String,
    worker_id: Option<String>,
    started_at: f64,
    ended_at: f64,
    error: Option<String>,
}

impl AttemptReport {
    fn of(attempt: Attempt) -> AttemptReport {
        AttemptReport {
            outcome: attempt.outcome,
            worker_id: attempt.worker_id,
            started_at: attempt.started_at,
            ended_at: attempt.ended_at,
            error: attempt.error.map(|error| fit(error, CHARS_OF_LIST).0),
        }
    }
}

/// Answer of `get_task_status`.
#[serde_with::skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct StatusReport {
    /// A sentence about the status.
    message: String,
    #[serde(flatten)]
    task: TaskReport,
    /// The tasks on which it depends.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    depends_on: Vec<i64>,
    /// The latest progress of the running attempt.
    progress: Option<Value>,
    /// Ended attempts, the newest last; at most 10.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    history: Vec<AttemptReport>,
    /// The output of the newest attempt, if requested; only its end if it is cut.
    output: Option<String>,
}

impl StatusReport {
    pub(super) fn of(answer: GetAnswer, chars: usize) -> StatusReport {
        let output = answer.output.and_then(|mut attempts| attempts.pop());
        let message = sentence(&answer.task);
        let mut task = TaskReport::of(answer.task, chars);
        let output = output.map(|output| {
            let (text, whole) = tail(output.text, chars);
            if !whole || output.cut {
                task.cut.push("output".to_owned());
            }
            text
        });
        let old = answer.attempts.len().saturating_sub(ATTEMPTS);
        StatusReport {
            message,
            task,
            depends_on: answer.depends_on,
            progress: answer.progress,
            history: answer
                .attempts
                .into_iter()
                .skip(old)
                .map(AttemptReport::of)
                .collect(),
            output,
        }
    }
}

/// The last `chars` characters of a text, with an ellipsis if it is cut, and whether it is whole. 0 means no limit.
pub(super) fn tail(text: String, chars: usize) -> (String, bool) {
    match text.char_indices().rev().nth(chars.saturating_sub(1)) {
        Some((start, _)) if chars > 0 && start > 0 => (format!("…{}", &text[start..]), false),
        _ => (text, true),
    }
}

/// Answer of `wait_for_task`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct WaitReport {
    /// A sentence about the end of the wait.
    message: String,
    /// True if the timeout was over before the task ended.
    timed_out: bool,
    #[serde(flatten)]
    task: TaskReport,
}

impl WaitReport {
    pub(super) fn of(task: Task, waited_seconds: f64, chars: usize) -> WaitReport {
        let timed_out = !task.status.is_final();
        let message = match timed_out {
            false => sentence(&task),
            true => format!(
                "not finished: {} after a wait of {waited_seconds} s; call wait_for_task again to continue",
                sentence(&task)
            ),
        };
        WaitReport {
            message,
            timed_out,
            task: TaskReport::of(task, chars),
        }
    }
}

/// A sentence about the status of a task.
pub(super) fn sentence(task: &Task) -> String {
    let id = task.task_id;
    let by = task.worker_id.as_deref().unwrap_or("a worker");
    let plain = match task.status {
        Status::Queued if task.task_type == "human" => {
            format!("task {id} waits for a person's answer (`kirosu answer {id} TEXT`)")
        }
        Status::Queued => format!("task {id} is queued"),
        Status::Blocked => format!("task {id} waits for the tasks it depends on"),
        Status::Scheduled => format!("task {id} waits for its time"),
        Status::AwaitingApproval => {
            format!("task {id} waits for a person's approval (`kirosu approve {id}`)")
        }
        Status::Leased => format!("task {id} is being run by {by}"),
        Status::Done => format!("task {id} is done"),
        Status::Failed => format!("task {id} has failed"),
        Status::Cancelled => format!("task {id} was cancelled"),
    };
    // For tasks that wait for a person, the sentence already names the tool that helps.
    let person = |reason| matches!(reason, WaitReason::Answer | WaitReason::Approval);
    match &task.waiting {
        Some(waiting) if !person(waiting.reason) => format!("{plain}: {}", waiting.message),
        _ => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters_and_marked() {
        assert_eq!(fit("wörter".into(), 3), ("wör…".into(), false));
        assert_eq!(fit("wörter".into(), 6), ("wörter".into(), true));
        assert_eq!(fit("wörter".into(), 0), ("wörter".into(), true));
        assert_eq!(fit(String::new(), 1), (String::new(), true));
        assert_eq!(tail("größe".into(), 3), ("…öße".into(), false));
        assert_eq!(tail("größe".into(), 5), ("größe".into(), true));
        assert_eq!(tail("größe".into(), 0), ("größe".into(), true));
        assert_eq!(tail(String::new(), 0), (String::new(), true));
    }
}
