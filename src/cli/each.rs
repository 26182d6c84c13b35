//! Sends the same request for several tasks or permission requests. Each result is printed; a refusal does not stop the
//! others.

use super::approvals::asked_by;
use super::{Context, Failure, HubClient, task_id, text};
use kirosu_protocol::client::{CallError, Client};
use kirosu_protocol::{Approval, Fence, GetParams, Status, Subject, Verb};
use serde_json::{Value, json};

/// Sends one request per task or permission request; `done` is printed for each success, such as `cancelled`. The exit
/// code is 1 if any was refused.
///
/// # Errors
/// The connection breaks, or standard output fails.
pub async fn each<V: Verb>(
    requests: impl IntoIterator<Item = (Subject, V)>,
    done: &str,
    hub: &HubClient,
    context: &Context,
) -> Result<u8, Failure> {
    each_checked(requests, done, |_, _| Ok(()), hub, context).await
}

/// As [`each`]. An answer that `check` rejects counts as refused.
pub async fn each_checked<V: Verb>(
    requests: impl IntoIterator<Item = (Subject, V)>,
    done: &str,
    check: impl Fn(Subject, V::Answer) -> Result<(), Failure>,
    hub: &HubClient,
    context: &Context,
) -> Result<u8, Failure> {
    let requests = requests
        .into_iter()
        .map(|(subject, params)| (subject, params, None));
    each_about(requests, done, check, hub, context).await
}

/// As [`each_checked`]. The permission request of a decision is printed with its success.
async fn each_about<V: Verb>(
    requests: impl IntoIterator<Item = (Subject, V, Option<Approval>)>,
    done: &str,
    check: impl Fn(Subject, V::Answer) -> Result<(), Failure>,
    hub: &HubClient,
    context: &Context,
) -> Result<u8, Failure> {
    let mut decided: Vec<Approval> = Vec::new();
    let (mut done_ids, mut refused): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    for (subject, params, about) in requests {
        let id_json = match subject {
            Subject::Task(id) => json!(id),
            Subject::Approval(_) => json!(subject.to_string()),
        };
        let outcome = match hub.client.request(&params).await {
            Ok(answer) => check(subject, answer),
            Err(error @ CallError::Refused(_)) => Err(error.into()),
            Err(error) => return Err(error.into()),
        };
        match outcome {
            Ok(()) => {
                done_ids.push(id_json);
                if !context.screen.json {
                    let call = about.as_ref().map(Approval::tool_and_question);
                    let call = call.map(|call| format!(": {}", text::one_line(&call)));
                    let call = call.unwrap_or_default();
                    context.screen.print(&format!("{subject} {done}{call}"))?;
                }
                decided.extend(about);
            }
            Err(failure) => {
                failure.report(context.screen.json);
                let mut entry = failure.to_json();
                let key = match subject {
                    Subject::Task(_) => "task_id",
                    Subject::Approval(_) => "approval_id",
                };
                entry[key] = id_json;
                refused.push(entry);
            }
        }
    }
    if context.screen.json {
        let mut answer = json!({ "ok": done_ids, "refused": refused });
        if !decided.is_empty() {
            answer["decided"] = json!(decided);
        }
        context.screen.json(&answer)?;
    }
    Ok(u8::from(!refused.is_empty()))
}

/// Subjects of a decision, and the person who decides: the common flags of `approve` and `reject`.
#[derive(Debug, clap::Args)]
pub struct DecisionArgs {
    /// Tasks (42) or permission requests (a17)
    #[arg(value_name = "ID", required = true, value_parser = read_subject)]
    subjects: Vec<Subject>,
    /// Name of the person who decides, for the record [default: $USER]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl DecisionArgs {
    /// Sends the decision on each subject, as [`each`].
    ///
    /// # Errors
    /// As [`each`], or the hub cannot be reached.
    pub async fn send<V: Verb>(
        &self,
        done: &str,
        context: &Context,
        params: impl Fn(Subject, Option<Fence>, Option<String>) -> V,
    ) -> Result<u8, Failure> {
        let hub = context.connect().await?;
        let mut requests = Vec::new();
        for subject in self.subjects.iter().copied() {
            let fence = fence_of(subject, &hub.client).await;
            // Before the decision: it has the arguments that the agent cannot change any more.
            let about = match subject {
                Subject::Approval(id) => asked_by(&hub, id).await?,
                Subject::Task(_) => None,
            };
            requests.push((subject, params(subject, fence, actor(&self.by)), about));
        }
        each_about(requests, done, |_, _| Ok(()), &hub, context).await
    }
}

/// The fence of the attempt that a task waits with, so that a decision cannot answer a later request. `None` for a
/// permission request, and for a task that does not wait: the hub answers why it cannot be decided.
pub async fn fence_of(subject: Subject, client: &Client) -> Option<Fence> {
    let Subject::Task(task_id) = subject else {
        return None;
    };
    let params = GetParams {
        task_id,
        ..GetParams::default()
    };
    let task = client.request(&params).await.ok()?.task;
    matches!(task.status, Status::AwaitingApproval | Status::Queued).then_some(task.fence)
}

/// Reads the subject of a decision: a task's number (42), or a permission request's (a17).
///
/// # Errors
/// The text is neither; the message says what to write.
fn read_subject(text: &str) -> Result<Subject, String> {
    let wrong = || "write a task's number (42) or a permission request's (a17)".to_owned();
    if text.starts_with(['a', 'A']) {
        let id = kirosu_protocol::approval::read_approval_id(text);
        return id.map(Subject::Approval).ok_or_else(wrong);
    }
    task_id(text).map(Subject::Task).map_err(|_| wrong())
}

/// The name that is recorded: the given one, else `USER` or `LOGNAME`.
pub fn actor(given: &Option<String>) -> Option<String> {
    given.clone().or_else(crate::terminal::user_name)
}
