//! Tool questions: what a running agent asks a person before it uses a tool, and what became of it.

use crate::error::Error;
use crate::task::{Fence, TaskId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// A tool question's number: positive, growing, never reused. People write it as `a17`.
pub type PermissionId = i64;

/// What became of a tool question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PermissionState {
    /// Nobody has decided.
    #[default]
    Open,
    /// The tool may run, this once.
    Approved,
    /// It may not.
    Rejected,
    /// The attempt that asked is over; nobody waits for an answer.
    Void,
    /// Nobody decided in time, so it may not.
    Expired,
}

impl PermissionState {
    /// Every state.
    pub const ALL: [PermissionState; 5] = [
        PermissionState::Open,
        PermissionState::Approved,
        PermissionState::Rejected,
        PermissionState::Void,
        PermissionState::Expired,
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            PermissionState::Open => "open",
            PermissionState::Approved => "approved",
            PermissionState::Rejected => "rejected",
            PermissionState::Void => "void",
            PermissionState::Expired => "expired",
        }
    }

    /// The state of that word.
    pub fn from_name(word: &str) -> Option<PermissionState> {
        PermissionState::ALL
            .into_iter()
            .find(|s| s.as_str() == word)
    }
}

impl fmt::Display for PermissionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One of several answers that a tool question offers to allow it with ("Which database?").
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermissionOption {
    /// The agent's own name for it, unique within the question.
    pub id: String,
    /// Text for a person.
    pub name: String,
}

/// The option that a person means by `word`: its id, else its name, in any case. `None`: none, or several.
pub fn option_named<'o>(
    options: &'o [PermissionOption],
    word: &str,
) -> Option<&'o PermissionOption> {
    let word = word.trim();
    if let Some(exact) = options.iter().find(|it| it.id == word) {
        return Some(exact);
    }
    let lower = word.to_lowercase();
    let mut alike = options
        .iter()
        .filter(|it| it.name.trim().to_lowercase() == lower || it.id.to_lowercase() == lower);
    alike.next().filter(|_| alike.next().is_none())
}

/// Options as one line for a person: `pg (Postgres), my (MySQL)`.
pub fn options_line(options: &[PermissionOption]) -> String {
    let one = |it: &PermissionOption| match it.id == it.name {
        true => it.id.clone(),
        false => format!("{} ({})", it.id, it.name),
    };
    options.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It may run.
    Approved,
    /// It may not.
    Rejected,
}

impl Verdict {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        self.state().as_str()
    }

    /// Where a question stands after it.
    pub fn state(self) -> PermissionState {
        match self {
            Verdict::Approved => PermissionState::Approved,
            Verdict::Rejected => PermissionState::Rejected,
        }
    }
}

/// What a decision is about. Serialises as one named parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Subject {
    /// A task that waits for a person.
    #[serde(rename = "task_id")]
    Task(TaskId),
    /// A tool question.
    #[serde(rename = "approval_id")]
    Approval(PermissionId),
}

impl Default for Subject {
    fn default() -> Subject {
        Subject::Task(0)
    }
}

impl From<TaskId> for Subject {
    fn from(id: TaskId) -> Subject {
        Subject::Task(id)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Task(id) => write!(f, "task {id}"),
            Subject::Approval(id) => write!(f, "a{id}"),
        }
    }
}

/// Reads `a17` or `17` as the number of a tool question.
pub fn read_approval_id(text: &str) -> Option<PermissionId> {
    let digits = text.strip_prefix(['a', 'A']).unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain
        .then(|| digits.parse().ok())
        .flatten()
        .filter(|id| *id > 0)
}

/// The answer to `approve` and `reject`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Always true; a refusal is an error.
    pub ok: bool,
    /// The same was said about this question before, or about an earlier one of the task: nothing was decided now.
    #[serde(default, skip_serializing_if = "is_false")]
    pub repeated: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// Reads which question of a task is meant.
pub(crate) fn read_question(
    params: &crate::params::Params<'_>,
    subject: Subject,
) -> Result<Option<Fence>, Error> {
    let fence = params.opt_int("fence", 0..=i64::MAX)?;
    match subject {
        Subject::Approval(_) if fence.is_some() => Err(params.refuse(
            "fence",
            "given with task_id only: a tool question has its own number",
        )),
        _ => Ok(fence),
    }
}

/// Reads what a decision is about: exactly one of `task_id` and `approval_id` (a number, or `a17`).
pub(crate) fn read_subject(params: &crate::params::Params<'_>) -> Result<Subject, Error> {
    let Some(raw) = params.raw("approval_id") else {
        return params.task_id().map(Subject::Task);
    };
    if params.raw("task_id").is_some() {
        return Err(params.refuse(
            "approval_id",
            "given without task_id: one decision a request",
        ));
    }
    read_approval_id(raw.trim_matches('"'))
        .map(Subject::Approval)
        .ok_or_else(|| params.refuse("approval_id", "a tool question's number, as 17 or \"a17\""))
}

/// JSON text with the members of every object in order of their names, without blanks: the same arguments give the same
/// text, whoever wrote them.
pub fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write_canonical(value, &mut out);
    out
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            out.push('{');
            for (at, (name, value)) in members.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write_canonical(value, out);
            }
            out.push('}');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

/// One thing that waits, or waited, for a person: an entry of the inbox.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// What it is.
    pub what: ApprovalKind,
    /// The tool question's number; none for tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_id: Option<PermissionId>,
    /// The task.
    pub task_id: TaskId,
    /// The newest lease of the task that asked; 0 before the first.
    pub fence: Fence,
    /// Where it stands; tasks in the inbox are always open.
    pub state: PermissionState,
    /// What is asked, one line.
    pub title: String,
    /// The tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// What sort of thing the tool does, where the agent said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The tool's arguments as JSON text; beyond 64 KiB cut with a mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<String>,
    /// The pool whose agent asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// The task's queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Unix seconds since when it waits.
    pub asked_at: f64,
    /// Unix seconds after which it is denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<f64>,
    /// Unix seconds of its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<f64>,
    /// Who decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The rule that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The answers of which one has to be chosen to approve it; empty where yes is enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<PermissionOption>,
    /// The id of the one that was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub option: Option<String>,
}

/// What waits for a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalKind {
    /// A running agent asks whether a tool may run.
    #[default]
    Tool,
    /// A task asks whether it may run.
    Run,
    /// A task that a person answers.
    Human,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_arguments_give_the_same_text() {
        let one: Value = serde_json::from_str(r#"{"b":[1,{"y":2,"x":"é\n"}],"a":null}"#).unwrap();
        let other: Value =
            serde_json::from_str("{ \"a\":null, \"b\":[1, {\"x\":\"é\\n\",\"y\":2}] }").unwrap();
        assert_eq!(canonical(&one), canonical(&other));
        assert_eq!(canonical(&one), r#"{"a":null,"b":[1,{"x":"é\n","y":2}]}"#);
    }

    #[test]
    fn numbers_of_questions_are_read_as_people_write_them() {
        assert_eq!(read_approval_id("a17"), Some(17));
        assert_eq!(read_approval_id("17"), Some(17));
        for wrong in [
            "",
            "a",
            "a-1",
            "0",
            "17a",
            "b17",
            "a 17",
            "99999999999999999999",
        ] {
            assert_eq!(read_approval_id(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn options_are_meant_by_id_or_by_a_name_that_is_one_alone() {
        let option = |id: &str, name: &str| PermissionOption {
            id: id.into(),
            name: name.into(),
        };
        let options = [
            option("pg", "Postgres"),
            option("my", "MySQL"),
            option("a", "Same"),
            option("b", "Same"),
        ];
        let named = |word| option_named(&options, word).map(|it| it.id.as_str());
        assert_eq!(named("pg"), Some("pg"));
        assert_eq!(named(" mysql "), Some("my"));
        assert_eq!(named("B"), Some("b"));
        for wrong in ["", "Same", "post", "1"] {
            assert_eq!(named(wrong), None, "{wrong}");
        }
        assert_eq!(options_line(&options[..2]), "pg (Postgres), my (MySQL)");
    }
}
