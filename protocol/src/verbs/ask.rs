//! `ask`: a running agent asks whether a tool may run. The question is kept, bound to task, lease and arguments, until a
//! person decides; the answer comes at once and says where it stands. When somebody decides, the holder hears `decided`
//! and asks again, by the same `call`: that is also what it does after each reconnect.
//!
//! ```text
//! {"id":1,"method":"ask","params":{"task_id":42,"fence":1,"call":"call_7","tool":"shell","title":"git push","args":{"command":"git push"}}}
//! {"id":1,"result":{"approval_id":17,"state":"open"},"error":null}
//! ```

use super::{Verb, seconds_or_null};
use crate::approval::{PermissionId, PermissionOption, PermissionState, Verdict};
use crate::error::{Error, ErrorCode};
use crate::limits::Limits;
use crate::method::Method;
use crate::params::Params;
use crate::task::{Fence, TaskId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Most bytes of a title.
pub const TITLE_BYTES: usize = 4 << 10;
/// Most bytes of the agent's name for its call.
pub const CALL_BYTES: usize = 1 << 10;
/// Most options of a question.
pub const OPTIONS: usize = 64;
/// Most bytes of an option's id, and of its name.
pub const OPTION_BYTES: usize = 1 << 10;
/// Longest time that a question may wait for a person, in milliseconds: ten years.
const WAIT_MS_MAX: u64 = 3650 * super::DAY_MS;

/// The question.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AskParams {
    /// The task.
    pub task_id: TaskId,
    /// The lease's fence; without one the hub looks at the connection, then at the current lease.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fence: Option<Fence>,
    /// The asker's own name for this question, one for each: the same one is the same question. At most 1 KiB.
    pub call: String,
    /// The tool's name.
    pub tool: String,
    /// What sort of thing it does (`read`, `edit`, `execute`, ...), where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// One line for a person; at most 4 KiB.
    pub title: String,
    /// The tool's arguments, any JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<Value>,
    /// The pool whose agent asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// How long it waits for a person, in milliseconds, before it is denied; none: for ever.
    #[serde(
        rename = "wait_seconds",
        serialize_with = "seconds_or_null",
        skip_serializing_if = "Option::is_none"
    )]
    pub wait_ms: Option<u64>,
    /// A rule has decided already: this is only for the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided: Option<Ruled>,
    /// Answers that allow it, of which a person has to choose one; empty where yes is enough. At most 64.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<PermissionOption>,
    /// Nobody waits for the answer any more (the agent program died): it stays open, for whoever asks the same next.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
}

/// What a rule decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ruled {
    /// Yes or no.
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

impl Ruled {
    fn read(params: &Params<'_>, limits: &Limits) -> Result<Ruled, Error> {
        let verdict = match params.opt_text("verdict")?.as_deref() {
            Some("approved") => Verdict::Approved,
            Some("rejected") => Verdict::Rejected,
            _ => return Err(params.refuse("verdict", "approved or rejected")),
        };
        let rule = params.opt_name("rule", limits)?;
        let missing = || params.refuse("rule", "the name of the rule that decided");
        Ok(Ruled {
            verdict,
            rule: rule.ok_or_else(missing)?,
        })
    }
}

/// Where the question stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolAnswer {
    /// Its number.
    pub approval_id: PermissionId,
    /// `open`: wait for the notice `decided`, and ask again. `approved`: the tool may run. Anything else: it may not.
    pub state: PermissionState,
    /// Why, where a person said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The rule that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The id of the option that was chosen, where there are options.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub option: Option<String>,
}

/// The parameters of `ask` as a [`Request`](crate::Request) carries them: boxed, because they are large.
pub type AskRequest = Box<AskParams>;

impl Verb for AskParams {
    const METHOD: Method = Method::Ask;
    type Answer = ToolAnswer;

    /// Reads the parameters; `too_large` beyond a limit of size.
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
                Some(decided) => Some(Ruled::read(&decided, limits)?),
            },
            options: options(params, limits)?,
            withdrawn: params.flag("withdrawn", false)?,
        })
    }
}

/// The refusal of a decision that comes too late, or of a second one that says the contrary.
pub fn stale_approval(message: String, data: Value) -> Error {
    Error::new(ErrorCode::StaleApproval, message).with_data(data)
}
