//! Questions to the person in the editor: permission requests of agents, tasks that need approval, tasks for a person.

use super::hub::{HubAccess, PATIENCE, insist};
use super::updates::content;
use super::wire::{OpenRequest, Wire};
use crate::cli::Failure;
use crate::cli::each::actor;
use kirosu_protocol::client::CallError;
use kirosu_protocol::{
    AnswerParams, Approval, ApprovalKind, ApproveParams, ErrorCode, RejectParams, Subject,
};
use serde_json::{Value, json};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The kinds of tool calls that the protocol has.
const KINDS: [&str; 8] = [
    "read", "edit", "delete", "move", "search", "execute", "think", "fetch",
];
/// The option that rejects.
const REJECT: &str = "reject";
/// The option that approves where there is no choice.
const APPROVE: &str = "approve";
/// The beginning of the ids of options among which the person chooses.
const CHOICE: &str = "option:";
/// The field of the form for the answer to a task.
const FIELD: &str = "answer";

/// The pause before a decision is sent again to a hub that is away.
const DELIVERED_AGAIN: Duration = Duration::from_secs(1);

/// Whether an error says that nothing waits for a decision any more.
fn is_decided(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::WrongState
            | ErrorCode::UnknownTask
            | ErrorCode::NotFound
            | ErrorCode::StaleApproval
    )
}

/// The connections for a question.
#[derive(Clone)]
pub struct Asker {
    /// The editor.
    pub wire: Wire,
    /// The session in which it is asked.
    pub session: String,
    /// The hub.
    pub hub: Rc<HubAccess>,
    /// Whether the editor shows forms.
    pub has_forms: bool,
}

/// A question that is over.
pub struct Asked {
    /// Its identity, as of [`call_id`].
    pub key: String,
    /// Whether the person has rejected.
    pub is_rejected: bool,
}

/// The decision of the person.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Decision {
    Approve { option: Option<String> },
    Reject,
    Answer(String),
}

/// The subject of the decision on an entry of the inbox.
pub fn subject(entry: &Approval) -> Subject {
    match entry.approval_id {
        Some(id) => Subject::Approval(id),
        None => Subject::Task(entry.task_id),
    }
}

/// The id of the tool call that shows a question, and the identity of the question: a task may ask again, with a greater fence.
pub fn call_id(entry: &Approval) -> String {
    match subject(entry) {
        Subject::Approval(id) => format!("a{id}"),
        Subject::Task(id) => format!("question-{id}-{}", entry.fence),
    }
}

impl Asker {
    /// Asks, and sends the decision to the hub. `over` ends the question, with the reason, if it was decided elsewhere.
    pub async fn ask(self, entry: Approval, over: oneshot::Receiver<String>) -> Asked {
        self.show(&entry).await;
        let is_rejected = match self.hub.may_decide() {
            true => self.decide(&entry, over).await,
            false => {
                let text = format!(
                    "{}\n\n{}",
                    entry.question(),
                    elsewhere(&entry, "this program may not decide in your name")
                );
                self.update(&entry, json!({"content": content(&text)}))
                    .await;
                let why = over.await.unwrap_or_default();
                self.ended(&entry, "completed", &why).await;
                false
            }
        };
        Asked {
            key: call_id(&entry),
            is_rejected,
        }
    }

    async fn show(&self, entry: &Approval) {
        let kind = entry.kind.as_deref().filter(|kind| KINDS.contains(kind));
        let mut input = json!({"task_id": entry.task_id});
        if let Some(tool) = &entry.tool {
            input["tool"] = tool.as_str().into();
        }
        if let Some(args) = entry.args.as_deref() {
            // Long arguments are cut, and no JSON then.
            input["arguments"] = serde_json::from_str(args).unwrap_or_else(|_| args.into());
        }
        let call = json!({
            "sessionUpdate": "tool_call",
            "toolCallId": call_id(entry),
            "title": title(entry),
            "kind": kind.unwrap_or("other"),
            "status": "pending",
            "content": content(&entry.question()),
            "rawInput": input,
        });
        self.wire.update(&self.session, call).await;
    }

    /// Asks in the editor, and sends the decision. Returns whether the person has rejected.
    async fn decide(&self, entry: &Approval, mut over: oneshot::Receiver<String>) -> bool {
        let mut request = self.request(entry).await;
        let outcome = tokio::select! {
            biased;
            why = &mut over => {
                self.wire.withdraw(request.id).await;
                self.ended(entry, "completed", &why.unwrap_or_default()).await;
                return false;
            }
            outcome = &mut request.answer => outcome,
        };
        let decision = match &outcome {
            Ok(Ok(answer)) if self.is_form(entry) => of_form(answer),
            Ok(Ok(answer)) => chosen(entry, answer),
            _ => None,
        };
        let Some(decision) = decision else {
            let why = match outcome {
                Ok(Err(error)) => format!("the editor cannot ask: {}", error.message),
                _ => "nothing was decided".to_owned(),
            };
            self.wait_elsewhere(entry, &why, over).await;
            return false;
        };
        let (status, text) = match decision {
            Decision::Reject => ("failed", "rejected"),
            Decision::Approve { .. } => ("completed", "approved"),
            Decision::Answer(_) => ("completed", "answered"),
        };
        match self.deliver(entry, &decision).await {
            Ok(()) => {
                self.ended(entry, status, text).await;
                return decision == Decision::Reject;
            }
            Err(Failure::Call(CallError::Refused(why))) if is_decided(why.code) => {
                self.ended(entry, "failed", &why.message).await;
            }
            // It still waits for a person.
            Err(why) => self.wait_elsewhere(entry, &why.to_string(), over).await,
        }
        false
    }

    fn is_form(&self, entry: &Approval) -> bool {
        self.has_forms && entry.what == ApprovalKind::Human
    }

    async fn request(&self, entry: &Approval) -> OpenRequest {
        if self.is_form(entry) {
            let form = self.form(entry);
            return self.wire.request("elicitation/create", form).await;
        }
        let params = json!({
            "sessionId": self.session,
            "toolCall": {
                "toolCallId": call_id(entry), "title": title(entry), "status": "pending",
                "content": content(&entry.question()),
            },
            "options": options(entry),
        });
        self.wire
            .request("session/request_permission", params)
            .await
    }

    /// Says how the decision is made in another way, and waits for it.
    async fn wait_elsewhere(&self, entry: &Approval, why: &str, over: oneshot::Receiver<String>) {
        let text = format!("{}\n\n{}", entry.question(), elsewhere(entry, why));
        self.update(entry, json!({"content": content(&text)})).await;
        let why = over.await.unwrap_or_default();
        self.ended(entry, "completed", &why).await;
    }

    async fn update(&self, entry: &Approval, mut update: Value) {
        update["sessionUpdate"] = "tool_call_update".into();
        update["toolCallId"] = call_id(entry).into();
        self.wire.update(&self.session, update).await;
    }

    async fn ended(&self, entry: &Approval, status: &str, how: &str) {
        let text = format!("{}\n\n{how}", entry.question());
        let update = json!({"status": status, "content": content(text.trim_end())});
        self.update(entry, update).await;
    }

    /// Sends a decision, which the editor does not ask for again: while the hub is away it is kept, as long as a turn would be.
    async fn deliver(&self, entry: &Approval, decision: &Decision) -> Result<(), Failure> {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.send(entry, decision).await {
                Err(Failure::Call(CallError::Unreachable { .. } | CallError::Timeout { .. }))
                    if Instant::now() < end =>
                {
                    tokio::time::sleep(DELIVERED_AGAIN).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn send(&self, entry: &Approval, decision: &Decision) -> Result<(), Failure> {
        let hub = self.hub.person().await?;
        let subject = subject(entry);
        let fence = matches!(subject, Subject::Task(_)).then_some(entry.fence);
        let by = actor(&None);
        match decision {
            Decision::Approve { option } => {
                let params = ApproveParams {
                    subject,
                    fence,
                    by,
                    option: option.clone(),
                    ..ApproveParams::default()
                };
                insist(&hub, &params).await.map(drop)
            }
            Decision::Reject => {
                let params = RejectParams {
                    subject,
                    fence,
                    by,
                    reason: Some("rejected in the editor".to_owned()),
                };
                insist(&hub, &params).await.map(drop)
            }
            Decision::Answer(text) => {
                let params = AnswerParams {
                    task_id: entry.task_id,
                    text: text.clone(),
                    by,
                };
                insist(&hub, &params).await.map(drop)
            }
        }
    }

    fn form(&self, entry: &Approval) -> Value {
        json!({
            "sessionId": self.session,
            "toolCallId": call_id(entry),
            "mode": "form",
            "message": entry.question(),
            "requestedSchema": {
                "type": "object",
                "properties": {
                    FIELD: {"type": "string", "title": "Answer", "description": "Without words it is approved"},
                },
            },
        })
    }
}

fn title(entry: &Approval) -> String {
    let text = match entry.what {
        ApprovalKind::Tool => entry.tool_and_question(),
        ApprovalKind::Run => format!("approve task {}: {}", entry.task_id, entry.question()),
        ApprovalKind::Human => entry.question(),
    };
    kirosu_protocol::text::shorten(&kirosu_protocol::text::one_line(&text), 200)
}

/// The commands that decide, for a person whom the editor cannot ask.
fn elsewhere(entry: &Approval, why: &str) -> String {
    let id = match subject(entry) {
        Subject::Approval(id) => format!("a{id}"),
        Subject::Task(id) => id.to_string(),
    };
    let commands = match entry.what {
        ApprovalKind::Human => {
            format!("`kirosu answer {id} TEXT`, `kirosu approve {id}` or `kirosu reject {id}`")
        }
        _ if entry.options.is_empty() => {
            format!("`kirosu approve {id}` or `kirosu reject {id}`")
        }
        _ => format!("`kirosu approve {id} --option OPTION` or `kirosu reject {id}`"),
    };
    format!("It waits ({why}). Decide in a terminal: {commands}")
}

/// The options for the editor: those of the permission request, or yes; and no.
fn options(entry: &Approval) -> Value {
    let mut options: Vec<Value> = entry
        .options
        .iter()
        .map(|it| json!({"optionId": format!("{CHOICE}{}", it.id), "name": it.name, "kind": "allow_once"}))
        .collect();
    if options.is_empty() {
        let name = match entry.what {
            ApprovalKind::Tool => "Allow once",
            ApprovalKind::Run | ApprovalKind::Human => "Approve",
        };
        options.push(json!({"optionId": APPROVE, "name": name, "kind": "allow_once"}));
    }
    options.push(json!({"optionId": REJECT, "name": "Reject", "kind": "reject_once"}));
    Value::Array(options)
}

/// The decision in the answer of the editor; `None` if it has none.
fn chosen(entry: &Approval, answer: &Value) -> Option<Decision> {
    let outcome = &answer["outcome"];
    if outcome["outcome"] != "selected" {
        return None;
    }
    match outcome["optionId"].as_str()? {
        REJECT => Some(Decision::Reject),
        APPROVE if entry.options.is_empty() => Some(Decision::Approve { option: None }),
        id => {
            let id = id.strip_prefix(CHOICE)?;
            let is_known = entry.options.iter().any(|it| it.id == id);
            is_known.then(|| Decision::Approve {
                option: Some(id.to_owned()),
            })
        }
    }
}

fn of_form(answer: &Value) -> Option<Decision> {
    match answer["action"].as_str()? {
        "accept" => match answer["content"][FIELD].as_str() {
            Some(text) if !text.trim().is_empty() => Some(Decision::Answer(text.to_owned())),
            _ => Some(Decision::Approve { option: None }),
        },
        "decline" => Some(Decision::Reject),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirosu_protocol::approval::PermissionOption;

    fn selected(id: &str) -> Value {
        json!({"outcome": {"outcome": "selected", "optionId": id}})
    }

    #[test]
    fn the_answer_of_the_editor_is_one_of_the_options_or_none() {
        let mut entry = Approval {
            approval_id: Some(17),
            ..Approval::default()
        };
        let approve = |option: Option<&str>| {
            let option = option.map(str::to_owned);
            Some(Decision::Approve { option })
        };
        assert_eq!(chosen(&entry, &selected("approve")), approve(None));
        assert_eq!(chosen(&entry, &selected("reject")), Some(Decision::Reject));
        for other in [
            json!({"outcome": {"outcome": "cancelled"}}),
            json!({}),
            selected("option:pg"),
            selected("always"),
        ] {
            assert_eq!(chosen(&entry, &other), None, "{other}");
        }
        entry.options.push(PermissionOption {
            id: "reject".into(),
            name: "Drop it".into(),
        });
        assert_eq!(
            chosen(&entry, &selected("option:reject")),
            approve(Some("reject"))
        );
        assert_eq!(
            chosen(&entry, &selected("approve")),
            None,
            "a choice is needed"
        );
        let names: Vec<Value> = options(&entry).as_array().unwrap().clone();
        assert_eq!(names.len(), 2);
        assert_eq!(names[0]["name"], "Drop it");
    }

    #[test]
    fn a_form_answers_rejects_or_leaves_the_task() {
        let accept = json!({"action": "accept", "content": {"answer": "the second"}});
        assert_eq!(
            of_form(&accept),
            Some(Decision::Answer("the second".into()))
        );
        assert_eq!(
            of_form(&json!({"action": "decline"})),
            Some(Decision::Reject)
        );
        for empty in [json!({"answer": " "}), json!({}), Value::Null] {
            let approve = of_form(&json!({"action": "accept", "content": empty}));
            assert_eq!(approve, Some(Decision::Approve { option: None }));
        }
        for none in [json!({"action": "cancel"}), json!({})] {
            assert_eq!(of_form(&none), None, "{none}");
        }
    }
}
