//! The protocol of a Kirosu hub: one JSON object per line, over TCP, a Unix socket or an in-memory pipe.
//!
//! This crate defines the protocol's types and their form as lines: ids, tasks, requests, answers, error codes and events. It
//! opens no socket, except with the feature `client`, and does not know the store. The hub, sessions, the command line and
//! the gateway use it on both ends of a connection.
//!
//! [`LineSplitter`] cuts a stream of bytes into lines. [`Frame::read`] finds id, method and parameters in a line without
//! decoding them. [`Request::read`] turns these into one typed request, or an error that names the parameter. [`answer`]
//! writes the answer into the caller's buffer. Only the splitter and the client have state.
//!
//! The root exports the parameters and the answers of all verbs, and the types that they consist of: clients import
//! `kirosu_protocol::LeaseParams` and `kirosu_protocol::Task`.
//!
//! Times are seconds on the wire and milliseconds in these types, unless a field says otherwise.

#[macro_use]
mod wire_enum;

pub mod accept;
pub mod access;
pub mod answer;
pub mod approval;
pub mod budget;
#[cfg(feature = "client")]
pub mod client;
pub mod codec;
pub mod conversation;
mod duration;
pub mod error;
pub mod event;
pub mod frame;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod group;
pub mod limits;
pub mod method;
pub mod notice;
pub mod notify;
pub mod params;
pub mod redact;
pub mod request;
pub mod run;
pub mod schedule;
#[cfg(feature = "schema")]
mod schema;
pub mod scope;
pub mod settings;
pub mod size;
pub mod socket_user;
pub mod task;
pub mod text;
pub mod verbs;
mod waiting;
mod weight;

pub use accept::{Accept, NotAccepted};
pub use access::AccessRole;
pub use approval::{
    Approval, ApprovalKind, DecisionAnswer, PermissionId, PermissionState, Subject, Verdict,
};
pub use budget::{Budget, Scope, TaskBudget};
pub use codec::{LineSplitter, LongLine, SplitLine};
pub use conversation::{Continued, TaskConversation};
pub use duration::millis;
pub use error::{Effect, Error, ErrorCode};
pub use event::{Event, EventKind};
pub use frame::{BadLine, Frame, RawId};
pub use group::{Group, IdRange, Target};
pub use limits::Limits;
pub use method::{Method, Right, VerbEffect};
pub use notice::Notice;
pub use notify::{
    NoticeData, NoticeInfo, NoticeKind, NotifyFailure, NotifyKind, NotifyTarget, NotifyTargetInfo,
};
pub use params::Params;
pub use request::Request;
pub use run::{
    APPROVAL_REASON, BUDGET_REASON, CacheMiss, ItemInfo, ItemState, LimitsLeft, ListedRun,
    PERSON_REASON, PlanMetadata, PlanText, RunState, SourceId, StepInfo, StepState, TYPE_PLAN,
    source_below,
};
pub use schedule::{MissedPolicy, OverlapPolicy, ScheduleInfo, ScheduleSpec};
pub use scope::AccessScope;
pub use task::{
    Attempt, EndedChild, FailureClass, Fence, OnLost, RetryPolicy, Stats, Status, Task, TaskId,
    TaskRun, Usage,
};
pub use verbs::Verb;
pub use waiting::{WaitReason, Waiting};
pub use weight::weight;

/// Exports the types of every verb's module from the root.
macro_rules! verb_types {
    ($($(#[$doc:meta])* $module:ident: $variant:ident($params:ident), $effect:ident, $right:ident;)*) => {
        $(pub use verbs::$module::*;)*
    };
}

for_each_verb!(verb_types);
