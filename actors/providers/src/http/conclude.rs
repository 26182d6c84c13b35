//! From how a question ended to what that means.

use super::call::Ending;
use super::key::Secrets;
use super::options::Service;
use super::reply::{End, Gathered};
use crate::invocation::complaint;
use crate::outcome::{FailureKind, Finished, RunFailure};

/// What stands at the end of an answer whose model reached its limit.
const CUT: &str = "\n[answer cut here: the model reached its limit of tokens (max_tokens)]";

/// The result of a run. `name`: the provider's. `is_tasks`: the task named the model.
pub(super) fn conclude(
    name: &str,
    service: &Service,
    secrets: &Secrets,
    is_tasks: bool,
    ending: Ending,
    mut gathered: Gathered,
) -> Result<Finished, RunFailure> {
    let Some((class, what)) = verdict(service, is_tasks, ending, &gathered) else {
        let is_short = gathered.end == Some(End::Cut);
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
    is_tasks: bool,
    ending: Ending,
    gathered: &Gathered,
) -> Option<(FailureKind, String)> {
    let refusal = match &ending {
        Ending::Cancelled => {
            let what = "was cancelled; the connection is closed".to_owned();
            return Some((FailureKind::Cancelled, what));
        }
        &Ending::Timeout(which) => {
            let what = format!("{}; the connection is closed", complaint(which));
            return Some((FailureKind::Timeout { which }, what));
        }
        Ending::Nonsense(what) => return Some((FailureKind::ProviderError, what.clone())),
        Ending::Refused(refusal) => Some(refusal.clone()),
        Ending::Short(why) => {
            let what = format!(
                "was not asked: {why}; see that this machine has file descriptors and memory left"
            );
            return Some((FailureKind::Shortage, what));
        }
        Ending::Eof | Ending::Broken(_) | Ending::Unreachable(_) | Ending::NotConnected(_) => {
            gathered.error.clone()
        }
    };
    if let Some(refusal) = refusal {
        let class = refusal.class(is_tasks);
        let status = match refusal.status {
            Some(status) => format!("answered {status}"),
            None => "gave up".to_owned(),
        };
        let advice = refusal.advice(class, &service.key.place());
        return Some((class, format!("{status}: {}{advice}", refusal.message)));
    }
    match (&gathered.end, ending) {
        (Some(end), _) => said(end, gathered),
        (None, Ending::Unreachable(why) | Ending::NotConnected(why)) => {
            let start = match service.start {
                "" => String::new(),
                start => format!("; is it started ({start})?"),
            };
            Some((
                FailureKind::Network,
                format!("cannot be reached: {why}{start}"),
            ))
        }
        (None, Ending::Broken(why)) => Some((
            FailureKind::Network,
            format!("was cut off in the middle of its answer: {why}"),
        )),
        (None, _) => Some((
            FailureKind::ProviderError,
            "ended its answer without saying that it was done: it is not whole".to_owned(),
        )),
    }
}

/// What the model's last word means.
fn said(end: &End, gathered: &Gathered) -> Option<(FailureKind, String)> {
    match end {
        End::Done | End::Cut if gathered.refusal.is_empty() => None,
        End::Done | End::Cut => Some((
            FailureKind::RefusedByPolicy,
            format!("refused to answer: {}", gathered.refusal),
        )),
        End::Filtered => Some((
            FailureKind::RefusedByPolicy,
            match gathered.refusal.as_str() {
                "" => "refused to answer: its content filter stopped it".to_owned(),
                words => format!("refused to answer: {words}"),
            },
        )),
        End::Tool => Some((
            FailureKind::ProviderError,
            format!(
                "wants the tool '{}', and nobody here runs tools for a model API; take them out of body, or use an agent's provider",
                gathered.tool.as_deref().unwrap_or("unnamed")
            ),
        )),
        End::Other(reason) => Some((
            FailureKind::ProviderError,
            format!("stopped for the reason '{reason}', which is no answer"),
        )),
    }
}
