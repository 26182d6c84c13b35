//! Results of the tools about questions to people and schedules.

use super::reports::{CHARS_OF_LIST, fit};
use kirosu_protocol::{Approval, ApprovalKind, ApprovalsAnswer, ScheduleInfo, ScheduleListAnswer};
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;

/// An option of a permission request.
#[derive(Debug, Serialize, JsonSchema)]
struct OptionReport {
    id: String,
    name: String,
}

/// A question to a person. Times are Unix seconds.
#[serde_with::skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
struct QuestionReport {
    /// tool (an agent asks to use one), run (a task needs approval), or human (a task that a person answers).
    what: String,
    /// The number of a permission request, for approve_task and reject_task.
    approval_id: Option<i64>,
    task_id: i64,
    question: String,
    tool: Option<String>,
    /// The arguments of the tool, as JSON text.
    args: Option<String>,
    /// One of these must be chosen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    options: Vec<OptionReport>,
    queue: Option<String>,
    pool: Option<String>,
    asked_at: f64,
    expires_at: Option<f64>,
    /// The names of the cut texts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cut: Vec<String>,
}

impl QuestionReport {
    fn of(asked: Approval, chars: usize) -> QuestionReport {
        let mut cut = Vec::new();
        let mut fit = |name: &str, text: String| {
            let (text, whole) = fit(text, chars);
            if !whole {
                cut.push(name.to_owned());
            }
            text
        };
        let what = match asked.what {
            ApprovalKind::Tool => "tool",
            ApprovalKind::Run => "run",
            ApprovalKind::Human => "human",
        };
        QuestionReport {
            what: what.to_owned(),
            approval_id: asked.approval_id,
            task_id: asked.task_id,
            question: fit("question", asked.title),
            tool: asked.tool,
            args: asked.args.map(|text| fit("args", text)),
            options: asked
                .options
                .into_iter()
                .map(|it| OptionReport {
                    id: it.id,
                    name: it.name,
                })
                .collect(),
            queue: asked.queue,
            pool: asked.pool,
            asked_at: asked.asked_at,
            expires_at: asked.expires_at,
            cut,
        }
    }
}

/// Answer of `list_questions`.
#[serde_with::skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct QuestionListReport {
    /// A sentence about the number of questions.
    message: String,
    /// Permission requests first, because they block an agent; of each kind the oldest first.
    questions: Vec<QuestionReport>,
    /// `cursor` of the next page; missing on the last page.
    next: Option<String>,
}

impl QuestionListReport {
    pub(super) fn of(answer: ApprovalsAnswer, chars: usize) -> QuestionListReport {
        let found = match answer.approvals.len() {
            0 => "nothing waits for a person".to_owned(),
            1 => "1 question waits for a person".to_owned(),
            many => format!("{many} questions wait for a person"),
        };
        let more = answer.next.as_ref();
        let more = more.map(|next| format!("; call again with cursor: {next:?} for more"));
        let questions = answer.approvals.into_iter();
        QuestionListReport {
            message: found + &more.unwrap_or_default(),
            questions: questions.map(|it| QuestionReport::of(it, chars)).collect(),
            next: answer.next,
        }
    }
}

/// A schedule. Times are Unix seconds.
#[serde_with::skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
struct ScheduleReport {
    name: String,
    /// `{"cron", "tz"}`, `{"every_seconds"}` or `{"at"}`.
    when: serde_json::Value,
    paused: bool,
    queue: String,
    #[serde(rename = "type")]
    task_type: String,
    /// The prompt of its tasks; cut to 300 characters.
    prompt: String,
    next_at: Option<f64>,
    last_at: Option<f64>,
    last_task: Option<i64>,
    /// The status of the last task.
    last_status: Option<String>,
    error: Option<String>,
}

impl From<ScheduleInfo> for ScheduleReport {
    fn from(schedule: ScheduleInfo) -> ScheduleReport {
        ScheduleReport {
            name: schedule.name,
            when: serde_json::to_value(&schedule.spec).unwrap_or_default(),
            paused: schedule.paused,
            queue: schedule.queue,
            task_type: schedule.task_type,
            prompt: fit(schedule.prompt, CHARS_OF_LIST).0,
            next_at: schedule.next_at,
            last_at: schedule.last_at,
            last_task: schedule.last_task,
            last_status: schedule.last_status.map(|status| status.to_string()),
            error: schedule.error,
        }
    }
}

/// Answer of `list_schedules`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ScheduleListReport {
    /// A sentence about the number of schedules.
    message: String,
    /// By name.
    schedules: Vec<ScheduleReport>,
}

impl ScheduleListReport {
    pub(super) fn of(answer: ScheduleListAnswer) -> ScheduleListReport {
        let message = match answer.schedules.len() {
            0 => "there are no schedules".to_owned(),
            1 => "1 schedule".to_owned(),
            many => format!("{many} schedules"),
        };
        let schedules = answer.schedules.into_iter();
        ScheduleListReport {
            message,
            schedules: schedules.map(Into::into).collect(),
        }
    }
}
