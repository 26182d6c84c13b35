//! The arbiter of an agent's question whether a tool may run: the pool's rules, else a person, by way of the hub. A question
//! that offers several answers ("Which database?") is not allowed by a rule nor by a pool's trust: a person chooses. One that
//! offers no answer that allows it is rejected at once, and recorded so: no record says more than the agent was told.
//!
//! The hub keeps the question; this side asks it, and asks again by the same name until the answer is there: when the hub
//! says that it is decided, after each reconnect (the hub may have been restarted), and now and then, as a notice can be
//! lost. What a rule decides is told to the hub too, before the tool runs, so that the record has no gaps.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use kirosu_protocol::approval::{PermissionOption, options_line};
use kirosu_protocol::client::{CallError, Client, ConnectionState, Notification};
use kirosu_protocol::notice::Notice;
use kirosu_protocol::verbs::ask::{AskAnswer, AskParams, CALL_BYTES, RuleDecision, TITLE_BYTES};
use kirosu_protocol::verbs::hello::HeldLease;
use kirosu_protocol::{Error, ErrorCode, PermissionState, Verdict};
use kirosu_providers::{
    Arbiter, PermissionDecision, PermissionRequest, Permissions, floor_boundary,
};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::sleep;

use crate::link::HubLink;
use crate::permission::Ruling;
use crate::pool::Pool;

/// How often the hub is asked although it said nothing.
const FALLBACK: Duration = Duration::from_secs(60);
/// The rule that the record names where the agent takes no answer that allows its question.
const NO_ANSWER: &str = "the agent offers no answer that allows it";
/// Pause after a question without an answer.
const PAUSE: Duration = Duration::from_millis(250);

/// Returns the arbiter of a run under this lease. `trusts`: whatever needs no choice is allowed.
pub(super) fn permissions(
    pool: &Arc<Pool>,
    link: &HubLink,
    lease: HeldLease,
    trusts: bool,
) -> Permissions {
    Permissions::new(PermissionBroker(Arc::new(Asking {
        trusts,
        pool: pool.clone(),
        link: link.clone(),
        lease,
        asked: AtomicU64::new(0),
    })))
}

struct PermissionBroker(Arc<Asking>);

struct Asking {
    pool: Arc<Pool>,
    link: HubLink,
    lease: HeldLease,
    trusts: bool,
    /// Questions so far.
    asked: AtomicU64,
}

impl Arbiter for PermissionBroker {
    fn decide(&self, request: PermissionRequest) -> BoxFuture<'static, PermissionDecision> {
        let asking = self.0.clone();
        Box::pin(async move { asking.decide(request).await })
    }
}

impl Asking {
    async fn decide(self: Arc<Self>, request: PermissionRequest) -> PermissionDecision {
        let is_choice = !request.options.is_empty();
        if self.trusts && !is_choice && !request.is_unallowable {
            return PermissionDecision::Allow;
        }
        let options = self.pool.options();
        let ruled = match options.approval.rule(&self.pool.name, &request) {
            // A pool that trusts has no rules.
            Ruling::Deny(rule) if !self.trusts => Some((Verdict::Rejected, rule)),
            _ if request.is_unallowable => Some((Verdict::Rejected, NO_ANSWER)),
            Ruling::Allow(_) if is_choice => None,
            Ruling::Allow(rule) => Some((Verdict::Approved, rule)),
            Ruling::Deny(_) | Ruling::Ask => None,
        };
        let choices = request.options;
        let decided = ruled.map(|(verdict, rule)| RuleDecision {
            verdict,
            rule: rule.to_owned(),
        });
        let wait = options.approval.wait;
        let question = AskParams {
            task_id: self.lease.task_id,
            fence: Some(self.lease.fence),
            call: self.name(&request.call),
            tool: request.tool,
            kind: request.kind,
            title: title(&request.title, &choices),
            args: request.input,
            pool: Some(self.pool.name.clone()),
            wait_ms: wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
            decided,
            options: choices,
            withdrawn: false,
        };
        let mut left = Left {
            link: self.link.clone(),
            question: Some(question.clone()),
        };
        let decision = self.settle(&question).await;
        left.question = None;
        decision
    }

    /// A name for a question. Agents use the ids of their calls again, so they alone would not do.
    fn name(&self, call: &str) -> String {
        let number = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let call = &call[..floor_boundary(call, CALL_BYTES / 2)];
        format!("{number}:{call}")
    }

    /// Asks until it is decided.
    async fn settle(&self, question: &AskParams) -> PermissionDecision {
        let mut told = false;
        loop {
            let client = self.link.client();
            // Listens first: what is decided between answer and wait is heard.
            let mut notices = client.notifications();
            match client.request(question).await {
                Ok(answer) if answer.state == PermissionState::Open => {
                    if !std::mem::replace(&mut told, true) {
                        let (id, tool) = (answer.approval_id, &question.tool);
                        tracing::info!(
                            "waits for a person: may {tool} run? (kirosu approve a{id})"
                        );
                    }
                    news(&client, &mut notices, answer.approval_id).await;
                }
                Ok(answer) => return decision(answer),
                Err(CallError::Refused(error)) if is_passing(&error) => sleep(PAUSE).await,
                Err(CallError::Refused(error)) => return refused(&error),
                Err(error @ CallError::BadAnswer { .. }) => {
                    return deny(format!("the hub's answer is not understood: {error}"));
                }
                Err(error) => {
                    if let CallError::Timeout { .. } = error {
                        client.reconnect();
                    }
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Waits until it may be worth asking again.
async fn news(client: &Client, notices: &mut Receiver<Arc<Notification>>, id: i64) {
    let mut state = client.state();
    state.mark_unchanged();
    let reconnected = async {
        loop {
            // The line may have been replaced.
            if state.changed().await.is_err() {
                return;
            }
            match &*state.borrow_and_update() {
                ConnectionState::Connected(_) | ConnectionState::Closed => return,
                ConnectionState::Connecting(_) => {}
            }
        }
    };
    let decided = async {
        loop {
            match notices.recv().await {
                Ok(heard) => match heard.notice() {
                    Some(Notice::Decided { approval_id, .. }) if approval_id == id => return,
                    _ => {}
                },
                Err(RecvError::Lagged(_)) => return,
                // The reconnect tells.
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    };
    tokio::select! {
        () = reconnected => {}
        () = decided => {}
        () = sleep(FALLBACK) => {}
    }
}

/// Whether the hub may well answer the same question later.
fn is_passing(error: &Error) -> bool {
    matches!(
        error.code,
        ErrorCode::Busy | ErrorCode::ShuttingDown | ErrorCode::Internal
    )
}

fn decision(answer: AskAnswer) -> PermissionDecision {
    let by = |by: Option<String>| by.map(|by| format!(" by {by}")).unwrap_or_default();
    if let (PermissionState::Approved, Some(option)) = (answer.state, answer.option) {
        return PermissionDecision::Choose { option };
    }
    match (answer.state, answer.reason, answer.rule) {
        (PermissionState::Approved, ..) => PermissionDecision::Allow,
        (PermissionState::Rejected, Some(reason), None) => PermissionDecision::Refuse { reason },
        (PermissionState::Rejected, None, Some(rule)) if rule == NO_ANSWER => deny(rule),
        (PermissionState::Rejected, None, Some(rule)) => deny(format!("denied by rule '{rule}'")),
        (PermissionState::Rejected, None, None) => deny(format!("rejected{}", by(answer.by))),
        (_, Some(reason), _) => deny(reason),
        (state, None, _) => deny(format!("the question is {state}")),
    }
}

fn refused(error: &Error) -> PermissionDecision {
    tracing::warn!(%error, "the hub does not take a tool question; it is denied");
    deny(format!("the hub does not take the question: {error}"))
}

fn deny(reason: String) -> PermissionDecision {
    PermissionDecision::Deny {
        reason: Some(reason),
    }
}

/// The title with the options, so that everything that shows titles shows them.
fn title(title: &str, options: &[PermissionOption]) -> String {
    match options.is_empty() {
        true => one_line(title),
        false => one_line(&format!("{title} [{}]", options_line(options))),
    }
}

/// A title as the hub takes it; a title is for people, what runs is in the arguments.
fn one_line(title: &str) -> String {
    let mut link = title.split_whitespace().collect::<Vec<_>>().join(" ");
    if link.len() > TITLE_BYTES {
        link.truncate(floor_boundary(&link, TITLE_BYTES - 3));
        link.push_str("...");
    }
    link
}

/// A question whose asker goes away without the answer: the hub is told, so that a restarted agent program that asks the
/// same gets it.
struct Left {
    link: HubLink,
    question: Option<AskParams>,
}

impl Drop for Left {
    fn drop(&mut self) {
        let Some(question) = self.question.take() else {
            return;
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let client = self.link.client();
        runtime.spawn(async move {
            let withdrawn = AskParams {
                withdrawn: true,
                ..question
            };
            // Without an answer the hub finds out by the end of the lease.
            let _ = client.request(&withdrawn).await;
        });
    }
}
