//! The rules of permission requests and approvals: identity, deadline, and which requests outlive their attempt.

use kirosu_protocol::approval::{PermissionOption, canonical, option_named, options_line};
use kirosu_protocol::text::{counted, head};
use kirosu_protocol::{AskParams, FailureClass, Fence, PermissionId, PermissionState, Verdict};
use sha2::{Digest, Sha256};

/// Bytes of arguments that are stored for display; the hash covers all of them.
pub(crate) const ARGS_BYTES: usize = 64 << 10;

/// The identity of a request: tool, arguments (or the title of a tool without arguments) and options. Requests with the
/// same hash are the same request.
pub(crate) fn args_hash(request: &AskParams) -> String {
    let (sort, text) = match &request.args {
        Some(args) => ("args", canonical(args)),
        None => ("title", request.title.clone()),
    };
    let mut hash = Sha256::new();
    // Lengths separate the fields, so that no tool's name can continue in its arguments.
    let options = shown_options(request);
    let parts = [request.tool.as_str(), sort, text.as_str()].into_iter();
    for part in parts.chain(options.as_deref()) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// The arguments for display, cut to [`ARGS_BYTES`].
pub(crate) fn shown_args(request: &AskParams) -> Option<String> {
    let text = canonical(request.args.as_ref()?);
    let start = head(&text, ARGS_BYTES).chars().count();
    Some(counted(&text, start))
}

/// The options as stored JSON; `None` for a request that is decided by yes or no.
pub(crate) fn shown_options(request: &AskParams) -> Option<String> {
    let is_choice = !request.options.is_empty();
    is_choice.then(|| serde_json::to_string(&request.options).unwrap_or_default())
}

/// The id of the option that a decision chooses. A request with options is approved with one of them only.
///
/// # Errors
/// A sentence that lists the options.
pub(crate) fn choose(
    id: PermissionId,
    options: &[PermissionOption],
    verdict: Verdict,
    option: Option<&str>,
) -> Result<Option<String>, String> {
    let offered = options_line(options);
    match (verdict, option) {
        (Verdict::Rejected, _) => Ok(None),
        (_, None) if options.is_empty() => Ok(None),
        (_, None) => Err(format!(
            "a{id} has several options: choose with `option` (--option) one of {offered}"
        )),
        (_, Some(_)) if options.is_empty() => {
            Err(format!("a{id} offers no options: leave `option` out"))
        }
        (_, Some(word)) => match option_named(options, word) {
            Some(meant) => Ok(Some(meant.id.clone())),
            None => Err(format!(
                "a{id} has no option '{word}', or several of that name: choose one of {offered}"
            )),
        },
    }
}

/// The effect of a decision on a permission request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DecisionEffect {
    /// It is accepted.
    Take,
    /// It repeats the decision that was accepted.
    Again,
    /// It is too late, or contradicts an earlier one: the protocol's word for the reason.
    Stale(&'static str),
}

/// Decides whether a decision is accepted. `now` and `deadline_at` are Unix milliseconds.
pub(crate) fn decide(
    state: PermissionState,
    deadline_at: Option<i64>,
    verdict: Verdict,
    now: i64,
) -> DecisionEffect {
    match state {
        PermissionState::Open if deadline_at.is_some_and(|at| at <= now) => {
            DecisionEffect::Stale("expired")
        }
        PermissionState::Open => DecisionEffect::Take,
        state if state == verdict.state() => DecisionEffect::Again,
        PermissionState::Approved | PermissionState::Rejected => DecisionEffect::Stale("decided"),
        PermissionState::Void => DecisionEffect::Stale("attempt_over"),
        PermissionState::Expired => DecisionEffect::Stale("expired"),
    }
}

/// The prompt to which a decision about a task belongs: the request may be an earlier one that is sent again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum MeantPrompt {
    /// The present prompt of the task.
    Present,
    /// An earlier prompt with the same decision.
    Again,
    /// An earlier prompt with another decision, or without one.
    Over,
    /// The present prompt, or an earlier one that was approved in the same words: the request does not show which.
    Unclear,
}

/// Finds the prompt to which a decision belongs. The decision names it by the task's `fence` at that time, or names
/// none. `decided_before`: for a decision with an earlier fence, whether that prompt has the same verdict; for one without
/// a fence, whether the same person gave the same verdict in the same words on any earlier prompt.
pub(crate) fn meant(
    fence: Option<Fence>,
    newest: Fence,
    is_waiting: bool,
    verdict: Verdict,
    decided_before: bool,
) -> MeantPrompt {
    match fence {
        Some(fence) if fence != newest && decided_before => MeantPrompt::Again,
        Some(fence) if fence != newest => MeantPrompt::Over,
        // A rejection may be repeated: it errs on the safe side.
        None if is_waiting && decided_before && verdict == Verdict::Approved => {
            MeantPrompt::Unclear
        }
        _ => MeantPrompt::Present,
    }
}

/// Whether the permission requests of an acked attempt stay for the next one: only when the run crashed, as its agent
/// had no chance to receive the answer. Those of a lost or released lease stay, too.
pub(crate) fn outlive(class: Option<FailureClass>, is_final: bool) -> bool {
    !is_final && class.is_some_and(FailureClass::is_abrupt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ask(tool: &str, title: &str, args: Option<serde_json::Value>) -> AskParams {
        AskParams {
            tool: tool.into(),
            title: title.into(),
            args,
            ..AskParams::default()
        }
    }

    #[test]
    fn the_same_tool_with_the_same_arguments_is_the_same_question() {
        let hash = |tool, title, args| args_hash(&ask(tool, title, args));
        let one = hash("shell", "a", Some(json!({"x": 1, "y": 2})));
        assert_eq!(one, hash("shell", "b", Some(json!({"y": 2, "x": 1}))));
        assert_eq!(one.len(), 64);
        assert_ne!(one, hash("shell", "a", Some(json!({"x": 1, "y": 3}))));
        assert_ne!(one, hash("edit", "a", Some(json!({"x": 1, "y": 2}))));
        assert_ne!(hash("t", "null", None), hash("t", "x", Some(json!(null))));
        assert_ne!(hash("t", "one", None), hash("t", "two", None));
    }

    #[test]
    fn long_arguments_are_shown_cut_between_characters() {
        let long = "ö".repeat(ARGS_BYTES);
        let shown = shown_args(&ask("t", "t", Some(json!(long)))).unwrap();
        assert!(shown.len() < ARGS_BYTES + 64);
        assert!(shown.ends_with("... [32770 more characters]"), "{shown}");
    }

    #[test]
    fn a_decision_never_answers_another_question_than_the_one_it_means() {
        let approve = |fence, asks, before| meant(fence, 7, asks, Verdict::Approved, before);
        assert_eq!(approve(Some(7), true, false), MeantPrompt::Present);
        assert_eq!(approve(Some(3), true, true), MeantPrompt::Again);
        assert_eq!(approve(Some(3), true, false), MeantPrompt::Over);
        assert_eq!(approve(None, true, false), MeantPrompt::Present);
        assert_eq!(approve(None, true, true), MeantPrompt::Unclear);
        assert_eq!(approve(None, false, true), MeantPrompt::Present);
        let reject = meant(None, 7, true, Verdict::Rejected, true);
        assert_eq!(reject, MeantPrompt::Present);
    }

    #[test]
    fn a_decision_is_taken_once_and_in_time() {
        use PermissionState::*;
        let at = |state, deadline| decide(state, deadline, Verdict::Approved, 100);
        assert_eq!(at(Open, None), DecisionEffect::Take);
        assert_eq!(at(Open, Some(101)), DecisionEffect::Take);
        assert_eq!(at(Open, Some(100)), DecisionEffect::Stale("expired"));
        assert_eq!(at(Approved, Some(1)), DecisionEffect::Again);
        assert_eq!(at(Rejected, None), DecisionEffect::Stale("decided"));
        assert_eq!(at(Void, None), DecisionEffect::Stale("attempt_over"));
        assert_eq!(at(Expired, None), DecisionEffect::Stale("expired"));
    }
}
