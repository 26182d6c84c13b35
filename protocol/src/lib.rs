//! What may be said to a Kirosu hub, and what it answers.
//!
//! One JSON object a line, over TCP, a Unix socket or an in-memory pipe. This crate holds the words only: ids, tasks,
//! requests, answers, error codes, events, and their form as lines. It opens no socket (but for the feature `client`)
//! and knows no store; hub, sessions, command line and gateway all speak through it.

pub mod error;
pub mod event;
pub mod task;
pub mod verbs;

pub use error::{Error, ErrorCode};
pub use event::{Event, EventKind};
pub use task::{Attempt, FailureClass, Fence, OnLost, RetryPolicy, Stats, Status, Task, TaskId, Usage};
