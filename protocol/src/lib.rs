//! What may be said to a Kirosu hub, and what it answers.
//!
//! One JSON object a line, over TCP, a Unix socket or an in-memory pipe. This crate holds the words only: ids, tasks,
//! requests, answers, error codes, events, and their form as lines. It opens no socket (but for the feature `client`)
//! and knows no store; hub, sessions, command line and gateway all speak through it.

//!
//! From bytes to a request and back: [`LineSplitter`] cuts the stream into lines, [`Frame::read`] finds id, method and
//! parameters in a line without decoding them, [`Request::read`] turns these into one typed request (or an error that
//! names the parameter), and [`answer`] writes the answer into the caller's buffer. Times are seconds on the wire and
//! milliseconds in these types. Nothing here keeps state but the splitter.

pub mod accept;
pub mod answer;
pub mod approval;
pub mod budget;
#[cfg(feature = "client")]
pub mod client;
pub mod codec;
pub mod error;
pub mod event;
pub mod frame;
pub mod group;
pub mod limits;
pub mod method;
pub mod notice;
pub mod params;
pub mod request;
pub mod task;
pub mod verbs;
mod waiting;
mod weight;

pub use accept::{Accept, NotAccepted};
pub use approval::{
    Approval, ApprovalKind, Decision, PermissionId, PermissionState, Subject, Verdict,
};
pub use budget::{Budget, Scope, TaskBudget};
pub use codec::{Line, LineSplitter};
pub use error::{Effect, Error, ErrorCode};
pub use event::{Event, EventKind};
pub use frame::{BadLine, Frame, RawId};
pub use group::{Group, IdRange, Target};
pub use limits::Limits;
pub use method::{Method, Right, VerbEffect};
pub use notice::Notice;
pub use params::Params;
pub use request::Request;
pub use task::{
    Attempt, FailureClass, Fence, OnLost, RetryPolicy, Stats, Status, Task, TaskId, Usage,
};
pub use verbs::Verb;
pub use waiting::{WaitReason, Waiting};
pub use weight::weight;
