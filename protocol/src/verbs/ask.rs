//! `ask`: opens a permission request, in which a running agent asks whether a tool may run. The hub stores it, bound to task,
//! lease and arguments, until a person decides. The answer comes immediately and has the current state. After a decision the
//! holder gets the notification `decided` and sends the same `ask` again, with the same `call`, as it does after each reconnect.
//!
//! ```text
//! {"id":1,"method":"ask","params":{"task_id":42,"fence":1,"call":"call_7","tool":"shell","title":"git push","args":{"command":"git push"}}}
//! {"id":1,"result":{"approval_id":17,"state":"open"},"error":null}
//! ```

use super::seconds_or_null;
use crate::approval::PermissionOption;
use crate::limits::DAY_MS;
use crate::{
    Error, ErrorCode, Fence, Limits, Method, Params, PermissionId, PermissionState, TaskId, Verb,
    Verdict,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The most bytes of a title.
pub const TITLE_BYTES: usize = 4 << 10;
/// The most bytes of `call`.
pub const CALL_BYTES: usize = 1 << 10;
/// The most options of a permission request.
pub const OPTIONS: usize = 64;
/// The most bytes of an option's id, and of its name.
pub const OPTION_BYTES: usize = 1 << 10;
/// The longest `wait_seconds`, in milliseconds: ten years.
const WAIT_MS_MAX: u64 = 3650 * DAY_MS;

/// A permission request.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AskParams {
    /// The task.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub task_id: TaskId,
    /// The lease's fence. `None` means the lease taken over this connection, else the task's current lease.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub fence: Option<Fence>,
    /// The agent's name for the request, unique within the lease: the same name means the same request. At most 1 KiB.
    pub call: String,
    /// The tool's name.
    pub tool: String,
    /// The kind of action (`read`, `edit`, `execute`, ...), if known.
    pub kind: Option<String>,
    /// The question, as one line for a person; at most 4 KiB.
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub title: String,
    /// The tool's arguments, any JSON.
    pub args: Option<Value>,
    /// The agent's pool.
    pub pool: Option<String>,
    /// The time, in milliseconds, after which the request expires and the tool may not run. `None` means that it does not expire.
    #[serde(rename = "wait_seconds", serialize_with = "seconds_or_null")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<f64>))]
    pub wait_ms: Option<u64>,
    /// The decision of a rule of the pool; the request is only for the record then.
    pub decided: Option<RuleDecision>,
    /// The options of which a person must choose one to approve. Empty if no choice is needed. At most 64.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub options: Vec<PermissionOption>,
    /// Whether the agent no longer waits for the decision, because its program ended. The request stays open for the next attempt
    /// that makes the same request.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub withdrawn: bool,
}

/// The decision of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RuleDecision {
    /// Whether the tool may run.
    pub verdict: Verdict,
    /// The rule's name.
    pub rule: String,
}

fn options(params: &Params<'_>, limits: &Limits) -> Result<Vec<PermissionOption>, Error> {
    let given = params.objects("options", limits)?.unwrap_or_default();
    if given.len() > OPTIONS {
        return Err(params.refuse("options", "a list of at most 64 options"));
    }
    let read = |option: &Params<'_>| {
        let text = |name| {
            Ok(option
                .opt_text_within(name, OPTION_BYTES)?
                .filter(|it: &String| !it.is_empty()))
        };
        let id = text("id")?.ok_or_else(|| option.refuse("id", "a text that is not empty"))?;
        let name = text("name")?;
        Ok(PermissionOption {
            name: name.unwrap_or_else(|| id.clone()),
            id,
        })
    };
    given.iter().map(read).collect()
}

impl RuleDecision {
    fn read(params: &Params<'_>, limits: &Limits) -> Result<RuleDecision, Error> {
        let verdict = params.opt_text("verdict")?;
        let verdict = verdict
            .and_then(|word| Verdict::from_name(&word))
            .ok_or_else(|| params.refuse("verdict", "approved or rejected"))?;
        let rule = params.opt_name("rule", limits)?;
        let missing = || params.refuse("rule", "the name of the rule that decided");
        Ok(RuleDecision {
            verdict,
            rule: rule.ok_or_else(missing)?,
        })
    }
}

/// The state of the permission request.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AskAnswer {
    /// The permission request's number.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub approval_id: PermissionId,
    /// `open`: wait for the notification `decided` and send `ask` again. `approved`: the tool may run. In any other state it may not.
    pub state: PermissionState,
    /// The reason that the person gave.
    pub reason: Option<String>,
    /// The person who decided.
    pub by: Option<String>,
    /// The rule that decided.
    pub rule: Option<String>,
    /// The id of the chosen option, if the request has options.
    pub option: Option<String>,
}

/// The parameters of `ask` as a [`Request`](crate::Request) carries them: boxed, because they are large.
pub type AskRequest = Box<AskParams>;

impl Verb for AskParams {
    const METHOD: Method = Method::Ask;
    type Answer = AskAnswer;

    fn read(params: &Params<'_>, limits: &Limits) -> Result<AskParams, Error> {
        let named = |name: &str| match params.opt_name(name, limits)? {
            Some(text) => Ok(text),
            None => Err(params.refuse(name, "a text that is not empty")),
        };
        let tool = named("tool")?;
        let title = params.opt_text_within("title", TITLE_BYTES)?;
        Ok(AskParams {
            task_id: params.task_id()?,
            fence: params.opt_int("fence", 0..=i64::MAX)?,
            call: match params.opt_text_within("call", CALL_BYTES)? {
                Some(call) if !call.is_empty() => call,
                _ => return Err(params.refuse("call", "a text that is not empty")),
            },
            title: title.filter(|t| !t.is_empty()).unwrap_or(tool.clone()),
            tool,
            kind: params.opt_name("kind", limits)?,
            args: params.json("args", limits.prompt_bytes)?,
            pool: params.opt_name("pool", limits)?,
            wait_ms: params.opt_seconds("wait_seconds", 1..=WAIT_MS_MAX)?,
            decided: match params.object("decided")? {
                None => None,
                Some(decided) => Some(RuleDecision::read(&decided, limits)?),
            },
            options: options(params, limits)?,
            withdrawn: params.flag("withdrawn", false)?,
        })
    }
}

/// The error for a decision that comes too late or contradicts an earlier one.
pub fn stale_approval(message: String, data: Value) -> Error {
    Error::new(ErrorCode::StaleApproval, message).with_data(data)
}
