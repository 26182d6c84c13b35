//! The tools about what waits for a person: the list of questions, and the decisions, which exist only where they are
//! switched on.

use super::arguments::{self, ITEM_CHARS_DEFAULT, ITEMS_MOST, checked};
use super::decision_arguments::*;
use super::decision_reports::{QuestionListReport, ScheduleListReport};
use super::error::ToolError;
use super::reports::DecisionReport;
use super::tools::{McpTools, chars_within, decider};
use kirosu_protocol::{
    AnswerParams, Approval, ApprovalsParams, ApproveParams, Fence, GetParams, Params, PermissionId,
    RejectParams, ScheduleListParams, Status, Subject, TaskId, Verb,
};
use rmcp::model::JsonObject;
use rmcp::service::RequestContext;
use rmcp::{Json, RoleServer, tool, tool_router};

/// The tools that decide in a person's name. A model that may call them can approve its own work.
pub(super) const DECISIONS: [&str; 3] = ["answer_task", "approve_task", "reject_task"];

impl McpTools {
    /// The fence of the approval or answer for which a task waits now, so that a repeated decision does not apply to a
    /// later one.
    async fn open_fence(&self, task_id: TaskId) -> Option<Fence> {
        let ask = GetParams {
            task_id,
            ..GetParams::default()
        };
        let task = self.hub.request(ask).await.ok()?.task;
        let waits = matches!(task.status, Status::AwaitingApproval | Status::Queued);
        waits.then_some(task.fence)
    }

    /// A permission request by its number; `None` if there is none, or the hub cannot be reached.
    async fn asked(&self, approval_id: PermissionId) -> Option<Approval> {
        let page = self
            .request_idempotent(ApprovalsParams::only(approval_id))
            .await;
        page.ok()?.only(approval_id)
    }
    /// The report of a decision about a task.
    async fn decided(&self, task_id: TaskId, what: &str) -> Json<DecisionReport> {
        let status = self.status(task_id).await;
        let stands = status.filter(|status| !status.is_final());
        let stands = stands.map(|status| format!("; it is {status} now"));
        Json(DecisionReport {
            message: format!("task {task_id} is {what}{}", stands.unwrap_or_default()),
            task_id: Some(task_id),
            status: status.map(|status| status.to_string()),
        })
    }
}

/// The report of a decision about a permission request.
fn request_decided(message: String) -> Json<DecisionReport> {
    Json(DecisionReport {
        message,
        task_id: None,
        status: None,
    })
}

#[tool_router(router = decision_router, vis = "pub(super)")]
impl McpTools {
    #[tool(
        title = "List questions to people",
        description = "Lists what waits for a person: permission requests of running agents, tasks that need approval, and questions (tasks of type human). Tell the user about them; a person decides.",
        input_schema = arguments::schema::<ListQuestions>(),
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn list_questions(
        &self,
        given: JsonObject,
    ) -> Result<Json<QuestionListReport>, ToolError> {
        let text = checked::<ListQuestions>(given, &[])?;
        let params = Params::parse(&text)?;
        let chars = chars_within(&params, ITEM_CHARS_DEFAULT)?;
        let limit = params.opt_int("limit", 1..=ITEMS_MOST)?;
        let limit = limit.and_then(|limit| u32::try_from(limit).ok());
        let ask = ApprovalsParams {
            limit: limit.or(Some(QUESTIONS_DEFAULT)),
            ..ApprovalsParams::read(&params, &self.hub.limits())?
        };
        let answer = self.request_idempotent(ask).await?;
        Ok(Json(QuestionListReport::of(answer, chars)))
    }

    #[tool(
        title = "List schedules",
        description = "Lists the schedules, which add tasks at their times: when, what, the next time and the last task of each.",
        input_schema = arguments::schema::<ListSchedules>(),
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn list_schedules(
        &self,
        given: JsonObject,
    ) -> Result<Json<ScheduleListReport>, ToolError> {
        checked::<ListSchedules>(given, &[])?;
        let answer = self.request_idempotent(ScheduleListParams {}).await?;
        Ok(Json(ScheduleListReport::of(answer)))
    }

    #[tool(
        title = "Answer a task",
        description = "Gives a person's answer to a task of type human: the text is its result. It is the person's answer: call it only with what the user has said.",
        input_schema = arguments::schema::<AnswerTask>(),
        annotations(read_only_hint = false, destructive_hint = true, idempotent_hint = true, open_world_hint = true)
    )]
    async fn answer_task(
        &self,
        given: JsonObject,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<DecisionReport>, ToolError> {
        let text = checked::<AnswerTask>(given, &[])?;
        let ask = AnswerParams {
            by: Some(decider(&context)),
            ..AnswerParams::read(&Params::parse(&text)?, &self.hub.limits())?
        };
        let task_id = ask.task_id;
        self.request_idempotent(ask).await?;
        Ok(self.decided(task_id, "answered").await)
    }

    #[tool(
        title = "Approve a task",
        description = "Lets a task that waits for a person's approval run, answers a task of type human with no more than yes (answer_task takes a text), or (with approval_id) lets a running agent use a tool, once. It is a person's decision: call it only when the user has said so for this one.",
        input_schema = arguments::schema::<ApproveTask>(),
        annotations(read_only_hint = false, destructive_hint = true, idempotent_hint = true, open_world_hint = true)
    )]
    async fn approve_task(
        &self,
        given: JsonObject,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<DecisionReport>, ToolError> {
        let text = checked::<ApproveTask>(given, &[])?;
        let mut ask = ApproveParams {
            by: Some(decider(&context)),
            ..ApproveParams::read(&Params::parse(&text)?, &self.hub.limits())?
        };
        let subject = ask.subject;
        if let (None, Subject::Task(task_id)) = (ask.fence, subject) {
            ask.fence = self.open_fence(task_id).await;
        }
        let asked = match subject {
            Subject::Approval(id) => self.asked(id).await,
            Subject::Task(_) => None,
        };
        self.request_idempotent(ask).await?;
        let Subject::Task(task_id) = subject else {
            let call = asked.map(|asked| format!(": {}", asked.tool_and_question()));
            return Ok(request_decided(format!(
                "{subject} is approved; its agent may use the tool, once{}",
                call.unwrap_or_default()
            )));
        };
        Ok(self.decided(task_id, "approved").await)
    }

    #[tool(
        title = "Reject a task",
        description = "Rejects a task that waits for a person's approval, or a task of type human, which then fails; or (with approval_id) an agent's request to use a tool. It is a person's decision: call it only when the user has said so for this one.",
        input_schema = arguments::schema::<RejectTask>(),
        annotations(read_only_hint = false, destructive_hint = true, idempotent_hint = true, open_world_hint = true)
    )]
    async fn reject_task(
        &self,
        given: JsonObject,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<DecisionReport>, ToolError> {
        let text = checked::<RejectTask>(given, &[])?;
        let mut ask = RejectParams {
            by: Some(decider(&context)),
            ..RejectParams::read(&Params::parse(&text)?, &self.hub.limits())?
        };
        let subject = ask.subject;
        if let (None, Subject::Task(task_id)) = (ask.fence, subject) {
            ask.fence = self.open_fence(task_id).await;
        }
        self.request_idempotent(ask).await?;
        match subject {
            Subject::Task(task_id) => Ok(self.decided(task_id, "rejected").await),
            Subject::Approval(_) => Ok(request_decided(format!(
                "{subject} is rejected; its agent may not use the tool and gets the reason"
            ))),
        }
    }
}
