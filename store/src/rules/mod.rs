//! The rules of tasks and schedules as pure functions, without database and clock.

pub(crate) mod ack;
pub(crate) mod approval;
pub(crate) mod backoff;
pub(crate) mod budget;
pub(crate) mod children;
pub(crate) mod key;
pub(crate) mod policy;
pub(crate) mod schedule;
pub(crate) mod transition;
