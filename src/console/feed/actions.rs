//! Sends actions of a person to the hub. The outcome is a message for the user.

use crate::cli::each::fence_of;
use crate::console::action::{HubAction, PoolAction, RunAction, ScheduleAction};
use crate::console::messages::Update;
use kirosu_protocol::client::{CallError, Client};
use kirosu_protocol::{
    ALL_QUEUES, AnswerParams, ApproveParams, CancelParams, PauseParams, PoolsParams, RejectParams,
    Resize, ResumeParams, RetryAnswer, RetryParams, RunPauseParams, RunResumeParams,
    RunRetryParams, ScheduleRemoveParams, ScheduleRunParams, ScheduleSetParams, Subject, Target,
    TaskId, Verb,
};

/// Carries out an action; `by` is the person.
pub async fn act(client: &Client, action: HubAction, by: Option<String>) -> Update {
    let done = match action {
        HubAction::Approve(subject, option) => approve(client, subject, option, by).await,
        HubAction::Reject(subject, reason) => reject(client, subject, reason, by).await,
        HubAction::Answer(task_id, text) => {
            let params = AnswerParams { task_id, text, by };
            done(client, params, format!("task {task_id} answered")).await
        }
        HubAction::Cancel(id) => cancel(client, id, by, format!("task {id} cancelled")).await,
        HubAction::Retry(id) => retry(client, id).await,
        HubAction::Run(act, id) => steer(client, act, id, by).await,
        HubAction::Schedule(act, name) => schedule(client, act, name).await,
        HubAction::Pool(act, name) => pool(client, act, name).await,
        HubAction::Probe(name) => {
            let text = format!("the next task of {name} tests whether it works again");
            let params = PoolsParams {
                probe: Some(name),
                ..PoolsParams::default()
            };
            done(client, params, text).await
        }
    };
    Update::Acted(done.map_err(|why| why.to_string()))
}

/// Sends a request of which only the success counts, for which `text` is the message.
async fn done<V: Verb>(client: &Client, params: V, text: String) -> Result<String, CallError> {
    client.request(&params).await.map(|_| text)
}

async fn approve(
    client: &Client,
    subject: Subject,
    option: Option<String>,
    by: Option<String>,
) -> Result<String, CallError> {
    let text = match &option {
        Some(option) => format!("{subject} approved with {option}"),
        None => format!("{subject} approved"),
    };
    let params = ApproveParams {
        subject,
        fence: fence_of(subject, client).await,
        by,
        option,
        ..ApproveParams::default()
    };
    done(client, params, text).await
}

async fn reject(
    client: &Client,
    subject: Subject,
    reason: Option<String>,
    by: Option<String>,
) -> Result<String, CallError> {
    let params = RejectParams {
        subject,
        fence: fence_of(subject, client).await,
        by,
        reason,
    };
    done(client, params, format!("{subject} rejected")).await
}

async fn cancel(
    client: &Client,
    id: TaskId,
    by: Option<String>,
    text: String,
) -> Result<String, CallError> {
    let params = CancelParams {
        target: Target::Task(id),
        by,
        reason: None,
    };
    done(client, params, text).await
}

async fn retry(client: &Client, id: TaskId) -> Result<String, CallError> {
    let answer = client.request(&RetryParams::task(id)).await?;
    Ok(match answer {
        RetryAnswer {
            error: Some(why), ..
        } => format!("task {id} failed again: {why}"),
        _ => format!("task {id} queued again"),
    })
}

async fn steer(
    client: &Client,
    act: RunAction,
    task_id: TaskId,
    by: Option<String>,
) -> Result<String, CallError> {
    let text = |done: &str| format!("run {task_id} {done}");
    match act {
        RunAction::Pause => done(client, RunPauseParams { task_id }, text("paused")).await,
        RunAction::Resume => {
            let params = RunResumeParams {
                task_id,
                ..RunResumeParams::default()
            };
            done(client, params, text("goes on")).await
        }
        RunAction::Raise => {
            let params = ApproveParams {
                subject: Subject::Task(task_id),
                by,
                ..ApproveParams::default()
            };
            done(client, params, text("goes on with a greater budget")).await
        }
        RunAction::Retry => {
            let params = RunRetryParams {
                task_id,
                ..RunRetryParams::default()
            };
            done(client, params, text("repeats what failed")).await
        }
        RunAction::Cancel => cancel(client, task_id, by, text("cancelled")).await,
    }
}

async fn schedule(client: &Client, act: ScheduleAction, name: String) -> Result<String, CallError> {
    let text = |done: &str| format!("schedule {name} {done}");
    match act {
        ScheduleAction::Pause | ScheduleAction::Resume => {
            let paused = act == ScheduleAction::Pause;
            let text = text(if paused { "paused" } else { "goes on" });
            done(client, ScheduleSetParams { name, paused }, text).await
        }
        ScheduleAction::Fire => {
            let (text, params) = (text("added task"), ScheduleRunParams { name });
            let answer = client.request(&params).await?;
            Ok(format!("{text} {}", answer.task_id))
        }
        ScheduleAction::Remove => {
            let text = text("removed");
            done(client, ScheduleRemoveParams { name }, text).await
        }
    }
}

async fn pool(client: &Client, act: PoolAction, pool: String) -> Result<String, CallError> {
    match act {
        PoolAction::Resize(size) => {
            let text = format!("pool {pool} has size {size} until the next start or reload");
            let params = PoolsParams {
                resize: Some(Resize { pool, size }),
                ..PoolsParams::default()
            };
            done(client, params, text).await
        }
        PoolAction::Pause(queues) => {
            let text = format!("{} paused", named(&queues));
            for queue in queues {
                let queue = Some(queue);
                client.request(&PauseParams { queue }).await?;
            }
            Ok(text)
        }
        PoolAction::Resume(queues) => {
            let text = format!("{} resumed", named(&queues));
            for queue in queues {
                let queue = Some(queue).filter(|queue| queue != ALL_QUEUES);
                client.request(&ResumeParams { queue }).await?;
            }
            Ok(text)
        }
    }
}

/// The queues of an action, for people.
pub fn named(queues: &[String]) -> String {
    match queues {
        [all] if all == ALL_QUEUES => "all queues".to_owned(),
        [one] => format!("queue {one}"),
        many => format!("queues {}", many.join(", ")),
    }
}
