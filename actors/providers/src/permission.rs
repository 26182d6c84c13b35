//! Permission requests of a running agent, and the decisions on them.
//!
//! An adapter whose program requests permissions (ACP) turns each request into a [`PermissionRequest`] and waits for the
//! [`PermissionDecision`] of the job's [`Arbiter`], however long that takes. It knows nothing of rules, people or hubs: the
//! caller that makes the job supplies the arbiter.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use kirosu_protocol::approval::PermissionOption;
use serde_json::Value;

/// A tool call that may run only with a permission.
#[derive(Debug, Clone, PartialEq)]
pub struct PermissionRequest {
    /// The program's own id of the tool call, unique within the run.
    pub call: String,
    /// The tool's name, where the program states one, else its kind, else `tool`.
    pub tool: String,
    /// The kind of action (`read`, `edit`, `execute`, ...). `None` where the program states none.
    pub kind: Option<String>,
    /// One line for a person.
    pub title: String,
    /// The tool's arguments. `None` where the program states none.
    pub input: Option<Value>,
    /// Options that allow the call, where several have different meanings ("Which database?") or may allow more than this
    /// call. Empty where a plain yes is enough. With options, only [`PermissionDecision::Choose`] allows the call.
    pub options: Vec<PermissionOption>,
    /// Whether the program offers no option that allows the call. It is then denied, whatever the decision.
    pub is_unallowable: bool,
}

/// The decision on a [`PermissionRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PermissionDecision {
    /// This one call may run.
    Allow,
    /// This call may run, with this option.
    Choose {
        /// The id of one of [`PermissionRequest::options`].
        option: String,
    },
    /// This call may not run.
    Deny {
        /// The reason, for the record.
        reason: Option<String>,
    },
    /// A person refused and gave a reason, which the program gets.
    Refuse {
        /// The person's reason.
        reason: String,
    },
}

/// Decides on permission requests. One arbiter serves one job; requests may come concurrently.
pub trait Arbiter: Send + Sync + 'static {
    /// Decides, at once or after hours. Dropping the future withdraws the request.
    fn decide(&self, ask: PermissionRequest) -> BoxFuture<'static, PermissionDecision>;
}

/// The arbiter of a job; cheap to clone.
#[derive(Clone)]
pub struct Permissions(Arc<dyn Arbiter>);

impl Permissions {
    /// Permissions that this arbiter decides on.
    pub fn new(arbiter: impl Arbiter) -> Self {
        Self(Arc::new(arbiter))
    }

    /// Permissions that allow everything: for pools that trust all tools.
    #[must_use]
    pub fn allow_all() -> Self {
        Self::new(Fixed(PermissionDecision::Allow))
    }

    /// Permissions that deny everything: for runs without a person.
    #[must_use]
    pub fn deny_all() -> Self {
        let reason = Some("no person can be asked for permission in this run".to_owned());
        Self::new(Fixed(PermissionDecision::Deny { reason }))
    }

    /// Decides, at once or after hours. Dropping the future withdraws the request.
    pub fn decide(&self, ask: PermissionRequest) -> BoxFuture<'static, PermissionDecision> {
        self.0.decide(ask)
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permissions")
    }
}

/// The same decision for every request.
struct Fixed(PermissionDecision);

impl Arbiter for Fixed {
    fn decide(&self, _: PermissionRequest) -> BoxFuture<'static, PermissionDecision> {
        Box::pin(std::future::ready(self.0.clone()))
    }
}
