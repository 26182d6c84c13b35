//! One file a verb: its parameters, how they are read, its answer.

pub mod ack;
pub mod enqueue;
pub mod lease;
