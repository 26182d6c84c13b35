//! Arguments of the tools about what waits for a person, and of the list of schedules. As in [`arguments`](super::arguments), the
//! types are descriptions only.

use rmcp::schemars::{self, JsonSchema};

/// Default number of questions per page.
pub(super) const QUESTIONS_DEFAULT: u32 = 20;

/// Arguments of `approve_task`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a description only: see above")]
pub(super) struct ApproveTask {
    /// The task's number; either this or `approval_id`.
    task_id: Option<i64>,
    /// The number of an agent's permission request, as 17 for a17.
    approval_id: Option<i64>,
    /// The person's comment.
    comment: Option<String>,
    /// The option that the person chose, by its id or name, for a permission request with several.
    option: Option<String>,
}

/// Arguments of `answer_task`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a description only: see above")]
pub(super) struct AnswerTask {
    /// The task's number.
    task_id: i64,
    /// The person's answer, in the person's words.
    text: String,
}

/// Arguments of `reject_task`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a description only: see above")]
pub(super) struct RejectTask {
    /// The task's number; either this or `approval_id`.
    task_id: Option<i64>,
    /// The number of an agent's permission request, as 17 for a17.
    approval_id: Option<i64>,
    /// The person's reason. The agent whose request is rejected reads it.
    reason: Option<String>,
}

/// Arguments of `list_questions`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a description only: see above")]
pub(super) struct ListQuestions {
    /// Only of this task.
    task_id: Option<i64>,
    /// Maximum number of questions; 20 by default.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<i64>,
    /// `next` of the previous page.
    cursor: Option<String>,
    /// Maximum characters of each text; 2000 by default, 0 for whole texts.
    #[schemars(range(min = 0, max = 100_000_000))]
    max_chars: Option<i64>,
}

/// Arguments of `list_schedules`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct ListSchedules {}
