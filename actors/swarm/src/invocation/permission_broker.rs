//! Decides an agent's permission requests: by the pool's rules, otherwise by a person, through the hub.
//!
//! A request that offers several answers ("Which database?") is never allowed by a rule or by a pool's trust: a
//! person chooses. A request that offers no answer that allows it is rejected at once, and recorded as such: the
//! record shows what the agent was answered.
//!
//! The hub stores the request. The broker sends it again under the same name until it is decided: on the hub's
//! notice, after each reconnect (the hub may have been restarted), and at intervals, as a notice can be lost.
//! Decisions of rules are sent to the hub as well, before the tool runs, so that the record is complete.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use kirosu_protocol::approval::{PermissionOption, options_line};
use kirosu_protocol::client::{CallError, Client, ConnectionState, Notification};
use kirosu_protocol::notice::Notice;
use kirosu_protocol::text;
use kirosu_protocol::{
    AskAnswer, AskParams, CALL_BYTES, Error, ErrorCode, HeldLease, PermissionState, RuleDecision,
    TITLE_BYTES, Verdict, millis,
};
use kirosu_providers::{Arbiter, PermissionDecision, PermissionRequest, Permissions};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::sleep;

use crate::link::SessionLink;
use crate::permission::Ruling;
use crate::pool::Pool;

/// Time after which the request is sent again without a notice.
const FALLBACK: Duration = Duration::from_secs(60);
/// The rule that the record names if the agent offers no answer that allows the request.
const NO_ANSWER: &str = "the agent offers no answer that allows it";
/// Pause after a call without an answer.
const PAUSE: Duration = Duration::from_millis(250);

/// Returns the broker of a run under this lease. `trusts`: all requests without a choice are allowed.
pub(super) fn permissions(
    pool: &Arc<Pool>,
    link: &SessionLink,
    lease: HeldLease,
    trusts: bool,
) -> Permissions {
    Permissions::new(PermissionBroker {
        trusts,
        pool: pool.clone(),
        link: link.clone(),
        lease,
        requests: Arc::default(),
    })
}

#[derive(Clone)]
struct PermissionBroker {
    pool: Arc<Pool>,
    link: SessionLink,
    lease: HeldLease,
    trusts: bool,
    /// Number of requests so far.
    requests: Arc<AtomicU64>,
}

impl Arbiter for PermissionBroker {
    fn decide(&self, request: PermissionRequest) -> BoxFuture<'static, PermissionDecision> {
        let broker = self.clone();
        Box::pin(async move { broker.rule_or_resolve(request).await })
    }
}

impl PermissionBroker {
    async fn rule_or_resolve(self, request: PermissionRequest) -> PermissionDecision {
        let is_choice = !request.options.is_empty();
        if self.trusts && !is_choice && !request.is_unallowable {
            return PermissionDecision::Allow;
        }
        let options = self.pool.options();
        let ruled = match options.approval.rule(&self.pool.name, &request) {
            // A trusted pool ignores its rules.
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
        let params = AskParams {
            task_id: self.lease.task_id,
            fence: Some(self.lease.fence),
            call: self.name(&request.call),
            tool: request.tool,
            kind: request.kind,
            title: title(&request.title, &choices),
            args: request.input,
            pool: Some(self.pool.name.clone()),
            wait_ms: wait.map(millis),
            decided,
            options: choices,
            withdrawn: false,
        };
        let mut withdraw = WithdrawOnDrop {
            link: self.link.clone(),
            params: Some(params.clone()),
        };
        let decision = self.resolve(&params).await;
        withdraw.params = None;
        decision
    }

    /// A unique name for a request: agents reuse the ids of their calls.
    fn name(&self, call: &str) -> String {
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        format!("{number}:{}", text::head(call, CALL_BYTES / 2))
    }

    /// Sends the request until it is decided.
    async fn resolve(&self, params: &AskParams) -> PermissionDecision {
        let mut logged = false;
        loop {
            let client = self.link.client();
            // Subscribe before the call, so that a decision between answer and wait is not missed.
            let mut notices = client.notifications();
            match client.request(params).await {
                Ok(answer) if answer.state == PermissionState::Open => {
                    if !std::mem::replace(&mut logged, true) {
                        let (id, tool) = (answer.approval_id, &params.tool);
                        tracing::info!(
                            "waits for a person: may {tool} run? (kirosu approve a{id})"
                        );
                    }
                    wait_for_change(&client, &mut notices, answer.approval_id).await;
                }
                Ok(answer) => return decision(answer),
                Err(CallError::Refused(error)) if is_passing(&error) => sleep(PAUSE).await,
                Err(CallError::Refused(error)) => return refused(&error),
                Err(error @ CallError::BadAnswer { .. }) => {
                    return deny(format!("the hub's answer cannot be read: {error}"));
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

/// Waits until the request should be sent again.
async fn wait_for_change(client: &Client, notices: &mut Receiver<Arc<Notification>>, id: i64) {
    let mut state = client.state();
    state.mark_unchanged();
    let reconnected = async {
        loop {
            // The client may have been replaced.
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
                Ok(notification) => match notification.notice() {
                    Some(Notice::Decided { approval_id, .. }) if approval_id == id => return,
                    _ => {}
                },
                Err(RecvError::Lagged(_)) => return,
                // Wait for the reconnect.
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

/// Whether the hub may accept the same request later.
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
        (state, None, _) => deny(format!("the permission request is {state}")),
    }
}

fn refused(error: &Error) -> PermissionDecision {
    tracing::warn!(%error, "the hub refused a permission request; it is denied");
    deny(format!("the hub refused the request: {error}"))
}

fn deny(reason: String) -> PermissionDecision {
    PermissionDecision::Deny {
        reason: Some(reason),
    }
}

/// The title with the options, so that every list of titles shows them.
fn title(title: &str, options: &[PermissionOption]) -> String {
    match options.is_empty() {
        true => one_line(title),
        false => one_line(&format!("{title} [{}]", options_line(options))),
    }
}

/// Shortens a title to the hub's limit. Titles are for people; the arguments are complete.
fn one_line(title: &str) -> String {
    let mut line = text::one_line(title);
    if line.len() > TITLE_BYTES {
        line.truncate(text::head(&line, TITLE_BYTES - 3).len());
        line.push_str("...");
    }
    line
}

/// Withdraws a request whose agent goes away before the decision, so that a restarted agent that sends the same
/// request gets the decision.
struct WithdrawOnDrop {
    link: SessionLink,
    params: Option<AskParams>,
}

impl Drop for WithdrawOnDrop {
    fn drop(&mut self) {
        let Some(params) = self.params.take() else {
            return;
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let client = self.link.client();
        runtime.spawn(async move {
            let withdrawn = AskParams {
                withdrawn: true,
                ..params
            };
            // Without an answer the hub withdraws it at the end of the lease.
            let _ = client.request(&withdrawn).await;
        });
    }
}
