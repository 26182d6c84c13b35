//! Permission: what a running agent must ask for, and who answers.
//!
//! An adapter whose program can ask (ACP) turns each question into a [`PermissionRequest`] and waits for the [`PermissionDecision`] of
//! the job's [`Arbiter`], however long that takes. It knows nothing of rules, people or hubs: whoever makes the job brings
//! the arbiter along.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use kirosu_protocol::approval::PermissionOption;
use serde_json::Value;

/// One tool call that may not run unless somebody allows it.
#[derive(Debug, Clone, PartialEq)]
pub struct PermissionRequest {
    /// The program's own id of the tool call, unique within the run.
    pub call: String,
    /// The tool's name, where the program tells one, else its kind, else `tool`.
    pub tool: String,
    /// What sort of thing it does (`read`, `edit`, `execute`, ...), where the program says so.
    pub kind: Option<String>,
    /// One line for a person.
    pub title: String,
    /// The tool's arguments, as the program states them; some state none.
    pub input: Option<Value>,
    /// Several answers that allow it, each with another meaning ("Which database?"), or that may allow more than this
    /// call; empty where yes is enough. Only [`PermissionDecision::Choose`] allows a question that has some.
    pub options: Vec<PermissionOption>,
    /// The program takes no answer that allows it: it is denied, whatever is decided.
    pub is_unallowable: bool,
}

/// The answer to a [`PermissionRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PermissionDecision {
    /// This one call may run.
    Allow,
    /// It may run, by the option of this id.
    Choose {
        /// One of [`PermissionRequest::options`].
        option: String,
    },
    /// It may not.
    Deny {
        /// Why, for the record.
        reason: Option<String>,
    },
    /// A person said no, and why: the program is to hear it.
    Refuse {
        /// The person's words.
        reason: String,
    },
}

/// Who decides. One arbiter serves one job; questions may come side by side.
pub trait Arbiter: Send + Sync + 'static {
    /// Decides, now or in hours. Dropping the future withdraws the question.
    fn decide(&self, ask: PermissionRequest) -> BoxFuture<'static, PermissionDecision>;
}

/// The arbiter of a job; cheap to clone.
#[derive(Clone)]
pub struct Permissions(Arc<dyn Arbiter>);

impl Permissions {
    /// Questions go to this arbiter.
    pub fn new(arbiter: impl Arbiter) -> Self {
        Self(Arc::new(arbiter))
    }

    /// Everything is allowed: for pools that trust all tools.
    #[must_use]
    pub fn allow_all() -> Self {
        Self::new(Fixed(PermissionDecision::Allow))
    }

    /// Everything is denied: where nobody can be asked.
    #[must_use]
    pub fn deny_all() -> Self {
        let reason = Some("nobody can be asked for permission in this run".to_owned());
        Self::new(Fixed(PermissionDecision::Deny { reason }))
    }

    /// Decides, now or in hours. Dropping the future withdraws the question.
    pub fn decide(&self, ask: PermissionRequest) -> BoxFuture<'static, PermissionDecision> {
        self.0.decide(ask)
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permissions")
    }
}

/// The same answer to every question.
struct Fixed(PermissionDecision);

impl Arbiter for Fixed {
    fn decide(&self, _: PermissionRequest) -> BoxFuture<'static, PermissionDecision> {
        Box::pin(std::future::ready(self.0.clone()))
    }
}
