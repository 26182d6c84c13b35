//! A turn of a conversation: begins the task of a prompt, or the run of a plan, and follows it to its end.

use super::agent::Agent;
use super::commands::given;
use super::feed::Feed;
use super::follow::Follow;
use super::hub::insist;
use super::prompt::Message;
use super::request_error::RequestError;
use super::session::{EditorSession, PastTurn, metadata, new_id, repeated, title};
use super::updates::note;
use super::{commands, workdir};
use crate::cli::launch::{LaunchArgs, PreparedRun};
use crate::cli::plan::file::{PlanFile, names};
use crate::cli::{Failure, HubClient, running_task};
use kirosu_plan::Plan;
use kirosu_protocol::client::CallError;
use kirosu_protocol::{ErrorCode, NewTask, TaskId};
use serde_json::{Value, json};
use std::path::Path;
use std::rc::Rc;
use tokio::sync::watch;

/// The end of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptEnd {
    /// The task is done.
    EndTurn,
    /// It was cancelled.
    Cancelled,
    /// A policy forbids it.
    Refusal,
    /// Its budget is used up.
    MaxTokens,
}

impl PromptEnd {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            PromptEnd::EndTurn => "end_turn",
            PromptEnd::Cancelled => "cancelled",
            PromptEnd::Refusal => "refusal",
            PromptEnd::MaxTokens => "max_tokens",
        }
    }
}

/// A turn.
pub struct PromptTurn {
    /// The agent.
    pub agent: Rc<Agent>,
    /// The conversation.
    pub session: Rc<EditorSession>,
    /// The connection for requests.
    pub hub: HubClient,
    /// True once the editor cancels.
    pub cancel: watch::Receiver<bool>,
}

/// A task that a turn has begun.
struct BegunTurn {
    task_id: TaskId,
    /// The plan of a run.
    plan: Option<Plan>,
    is_run: bool,
}

impl PromptTurn {
    /// Sends an update.
    pub async fn update(&self, update: Value) {
        self.agent.wire.update(&self.session.id, update).await;
    }

    /// Shows a note apart from the answer.
    pub async fn note(&self, text: &str) {
        self.update(note(text)).await;
    }

    /// Runs the prompt.
    ///
    /// # Errors
    /// The task cannot be begun, it fails, or the hub is away for too long.
    pub async fn run(self, message: &Message) -> Result<PromptEnd, RequestError> {
        if let Some(stop) = self.earlier().await? {
            return Ok(stop);
        }
        let note = self.session.state.borrow_mut().note.take();
        if let Some(note) = note {
            self.note(&note).await;
        }
        self.announce().await;
        // From before the task exists, so that no event about tasks below it is missed.
        let tree = Feed::of_all(&self.agent.hub).await?;
        let begun = self.begin(message).await?;
        let is_first = {
            let mut state = self.session.state.borrow_mut();
            let queue = (!begun.is_run).then(|| state.queue.clone());
            state.turns.push(PastTurn {
                task_id: begun.task_id,
                is_run: begun.is_run,
                queue,
                words: message.text.clone(),
                outcome: None,
            });
            if let Some(running) = &mut state.running {
                running.task = Some(begun.task_id);
            }
            state.turns.len() == 1
        };
        if is_first {
            let title = title(&message.text);
            self.update(json!({"sessionUpdate": "session_info_update", "title": title}))
                .await;
        }
        self.follow(begun, tree).await
    }

    /// Follows the task of the turn before, which an editor that was closed has left running. Returns its end if the person cancels.
    async fn earlier(&self) -> Result<Option<PromptEnd>, RequestError> {
        let open = {
            let state = self.session.state.borrow();
            let last = state.turns.last().filter(|turn| turn.outcome.is_none());
            last.map(|turn| (turn.task_id, turn.is_run))
        };
        let Some((task_id, is_run)) = open else {
            return Ok(None);
        };
        self.note(&format!("task {task_id} of the turn before goes on first"))
            .await;
        let tree = Feed::of_all(&self.agent.hub).await?;
        let begun = BegunTurn {
            task_id,
            plan: None,
            is_run,
        };
        let stop = self.follow(begun, tree).await;
        Ok(match stop {
            Ok(PromptEnd::Cancelled) if *self.cancel.borrow() => Some(PromptEnd::Cancelled),
            Err(why) if why.data.as_ref().is_none_or(|it| it["task_id"].is_null()) => {
                return Err(why);
            }
            Err(why) => {
                self.note(&why.message).await;
                None
            }
            Ok(_) => None,
        })
    }

    async fn follow(&self, begun: BegunTurn, tree: Feed) -> Result<PromptEnd, RequestError> {
        let plan = begun.is_run.then_some(begun.plan);
        let mut follow = Follow::start(self, begun.task_id, plan, tree).await?;
        let stop = follow.until_end().await;
        follow.close().await;
        stop
    }

    /// Announces the plans, if they have changed.
    pub async fn announce(&self) {
        let found = names(&self.session.cwd);
        if found == self.session.state.borrow().plans {
            return;
        }
        let update = {
            let Ok(folder) = self.agent.enter(&self.session.cwd).await else {
                return;
            };
            let update = commands::announced(&found).await;
            drop(folder);
            update
        };
        self.session.state.borrow_mut().plans = found;
        self.update(update).await;
    }

    async fn begin(&self, message: &Message) -> Result<BegunTurn, RequestError> {
        let command = message.command();
        let is_plan = |name: &str| {
            self.session
                .state
                .borrow()
                .plans
                .iter()
                .any(|it| it == name)
        };
        let begun = match command {
            Some((name, text)) if is_plan(name) => self.start_run(name, text, message).await?,
            // Agents have commands of their own.
            _ => self.enqueue(message).await?,
        };
        let (id, what) = (begun.task_id, if begun.is_run { "run" } else { "task" });
        let queue = self.session.state.borrow().queue.clone();
        self.note(&format!("{what} {id}, queue {queue}")).await;
        Ok(begun)
    }

    /// Starts a run of a plan.
    async fn start_run(
        &self,
        name: &str,
        text: &str,
        message: &Message,
    ) -> Result<BegunTurn, Failure> {
        // The plan, the plans that it names and the files of its items are found from the project's folder.
        let _folder = self.agent.enter(&self.session.cwd).await?;
        let file = PlanFile::open(Path::new(name), None).await?;
        let text = format!("{text}\n\n{}", message.context);
        let given = given(&file.compiled()?, text.trim())?;
        let run = PreparedRun::of(file, &given).await.map_err(in_words)?;
        if let Some(step) = run.steps_of_stdin().next() {
            return Err(Failure::Local(format!(
                "the step {step} reads standard input, which the editor uses; run this plan with `kirosu run-pipeline`"
            )));
        }
        let args = LaunchArgs {
            label: self.session.labels(),
            queue: Some(self.session.state.borrow().queue.clone()),
            priority: None,
            idempotency_key: Some(key()?),
            budget: None,
            dry_run: false,
        };
        let context = self.agent.hub.context();
        let answer = run.start(&args, &self.hub, context).await?;
        Ok(BegunTurn {
            task_id: answer.task_id,
            plan: Some(run.plan),
            is_run: true,
        })
    }

    /// Enqueues the task of a prompt. It continues the conversation of the newest task that has one; turns that this conversation does
    /// not know are repeated before the prompt.
    async fn enqueue(&self, message: &Message) -> Result<BegunTurn, Failure> {
        let ways: Vec<(Option<TaskId>, String)> = {
            let state = self.session.state.borrow();
            let ways = state.ways_on().into_iter();
            ways.map(|(id, more)| (id, repeated(more))).collect()
        };
        let key = key()?;
        let mut refused = None;
        for (at, (continues, before)) in ways.into_iter().enumerate() {
            let task = NewTask {
                continues,
                idempotency_key: Some(format!("{key}-{at}")),
                ..self.task(continues, &before, message)
            };
            if let (None, Some(why)) = (continues, &refused) {
                let why = format!("{why}; so the earlier turns are sent along");
                self.note(&why).await;
            }
            match insist(&self.hub, &task).await {
                Err(Failure::Call(CallError::Refused(why)))
                    if continues.is_some()
                        && matches!(why.code, ErrorCode::WrongState | ErrorCode::UnknownTask) =>
                {
                    refused.get_or_insert(why.message);
                }
                outcome => {
                    return Ok(BegunTurn {
                        task_id: outcome?.task_id,
                        plan: None,
                        is_run: false,
                    });
                }
            }
        }
        Err(Failure::Local("the task cannot be enqueued".into()))
    }

    fn task(&self, continues: Option<TaskId>, before: &str, message: &Message) -> NewTask {
        let options = &self.agent.options;
        let prompt = format!("{before}{}", message.prompt());
        let queue = self.session.state.borrow().queue.clone();
        let common = NewTask {
            labels: self.session.labels(),
            metadata: Some(metadata(&message.text, &queue)),
            model: options.model.clone(),
            parent_id: running_task(),
            prompt,
            ..NewTask::default()
        };
        if continues.is_some() {
            return common;
        }
        let workdir = workdir::of(&self.session.cwd, &queue, &options.pools);
        NewTask {
            queue,
            task_type: NewTask::chat("").task_type,
            workdir: workdir.ok().flatten(),
            ..common
        }
    }
}

/// A key with which a request that is sent again does not count twice.
fn key() -> Result<String, Failure> {
    let id = new_id().map_err(|why| Failure::local("there are no random numbers", why))?;
    Ok(format!("acp:{id}"))
}

/// The message about inputs that are missing, for the editor: they have no flags there.
fn in_words(failure: Failure) -> Failure {
    match failure {
        Failure::Local(text) => Failure::Local(text.replace("give --input ", "write ")),
        other => other,
    }
}
