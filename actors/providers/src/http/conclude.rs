//! The outcome of a run, from the end of its call.

use super::call::CallEnd;
use super::key::Secrets;
use super::options::Service;
use super::reply::{GatheredReply, StopReason};
use crate::invocation::complaint;
use crate::outcome::{FailureKind, Finished, RunFailure, RunResult};

/// The mark at the end of an answer whose model reached its token limit.
const CUT: &str = "\n[answer cut here: the model reached its limit of tokens (max_tokens)]";

/// The outcome of a run. `name` is the provider's, `is_tasks` whether the task named the model.
pub(super) fn conclude(
    name: &str,
    service: &Service,
    secrets: &Secrets,
    is_of_task: bool,
    ending: CallEnd,
    mut gathered: GatheredReply,
) -> RunResult {
    let Some((class, what)) = verdict(service, is_of_task, ending, &gathered) else {
        let is_short = gathered.end == Some(StopReason::Cut);
        if is_short {
            gathered.text.push_str(CUT);
        }
        return Ok(Finished {
            text: gathered.text,
            usage: gathered.usage,
            truncated: gathered.is_cut || is_short,
            conversation: None,
            doubt: None,
        });
    };
    Err(RunFailure {
        kind: class,
        message: secrets.redact(&format!("provider '{name}' at {} {what}", service.shown())),
        output: gathered.text,
        usage: gathered.usage,
        conversation: None,
    })
}

/// `None` for success.
fn verdict(
    service: &Service,
    is_of_task: bool,
    ending: CallEnd,
    gathered: &GatheredReply,
) -> Option<(FailureKind, String)> {
    let refusal = match &ending {
        CallEnd::Cancelled => {
            let what = "was cancelled; the connection is closed".to_owned();
            return Some((FailureKind::Cancelled, what));
        }
        &CallEnd::Timeout(which) => {
            let what = format!("{}; the connection is closed", complaint(which));
            return Some((FailureKind::Timeout { which }, what));
        }
        CallEnd::Nonsense(what) => return Some((FailureKind::ProviderError, what.clone())),
        CallEnd::Refused(refusal) => Some(refusal.clone()),
        CallEnd::Short(why) => {
            let what = format!(
                "was not asked: {why}; see that this machine has file descriptors and memory left"
            );
            return Some((FailureKind::Shortage, what));
        }
        CallEnd::Eof | CallEnd::Broken(_) | CallEnd::Unreachable(_) | CallEnd::NotConnected(_) => {
            gathered.error.clone()
        }
    };
    if let Some(refusal) = refusal {
        let class = refusal.class(is_of_task);
        let status = match refusal.status {
            Some(status) => format!("answered {status}"),
            None => "gave up".to_owned(),
        };
        let advice = refusal.advice(class, &service.key.place());
        return Some((class, format!("{status}: {}{advice}", refusal.message)));
    }
    match (&gathered.end, ending) {
        (Some(end), _) => by_stop_reason(end, gathered),
        (None, CallEnd::Unreachable(why) | CallEnd::NotConnected(why)) => {
            let start = match service.start {
                "" => String::new(),
                start => format!("; is it started ({start})?"),
            };
            Some((
                FailureKind::Network,
                format!("cannot be reached: {why}{start}"),
            ))
        }
        (None, CallEnd::Broken(why)) => Some((
            FailureKind::Network,
            format!("was cut off in the middle of its answer: {why}"),
        )),
        (None, _) => Some((
            FailureKind::ProviderError,
            "ended its answer without saying that it was done: it is incomplete".to_owned(),
        )),
    }
}

/// The outcome according to the model's stop reason.
fn by_stop_reason(end: &StopReason, gathered: &GatheredReply) -> Option<(FailureKind, String)> {
    match end {
        StopReason::Done | StopReason::Cut if gathered.refusal.is_empty() => None,
        StopReason::Done | StopReason::Cut => Some((
            FailureKind::RefusedByPolicy,
            format!("refused to answer: {}", gathered.refusal),
        )),
        StopReason::Filtered => Some((
            FailureKind::RefusedByPolicy,
            match gathered.refusal.as_str() {
                "" => "refused to answer: its content filter stopped it".to_owned(),
                words => format!("refused to answer: {words}"),
            },
        )),
        StopReason::Tool => Some((
            FailureKind::ProviderError,
            format!(
                "wants the tool '{}', and a model API has no tools here; remove them from body, or use an agent's provider",
                gathered.tool.as_deref().unwrap_or("unnamed")
            ),
        )),
        StopReason::Other(reason) => Some((
            FailureKind::ProviderError,
            format!("stopped for the reason '{reason}', which is not an answer"),
        )),
    }
}
