//! The requests of the load: the life cycle of a task in the hub's protocol and in that of Redis, both built by hand.
//!
//! A cycle is enqueue, lease, ack. `batch` tasks go through it together: all enqueues in one write, then the lease, then
//! all acks in one write; with a batch of one it is the plain cycle with one request in flight.
//!
//! Redis's equivalent is its documented reliable queue: `LPUSH` to the queue, `BRPOPLPUSH` to a list of the worker's own,
//! `LREM` from that list. It has no lease of several, so a batch is that many `BRPOPLPUSH` in one write. `LREM` searches
//! from the tail, where the oldest is, so it always finds its task at once: the fastest form there is.

mod kirosu;
mod one_verb;
mod redis;
#[cfg(test)]
mod tests;

pub use kirosu::{Kirosu, Style};
pub use one_verb::OneVerb;
pub use redis::Redis;

use std::io::Write;

/// One side of a conversation.
pub trait Talk {
    /// Everything asked has been answered: appends what comes next, returns how many answers it will have; 0 ends it.
    fn next(&mut self, out: &mut Vec<u8>) -> usize;
    /// Takes one answer off `input`: the bytes consumed, 0 when it is not complete yet.
    fn take(&mut self, input: &[u8]) -> Result<usize, String>;
    /// Life cycles completed.
    fn cycles(&self) -> u64;
}

/// The state of a cycle: its last request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// `enqueue`, `LPUSH`.
    Enqueue,
    /// `lease`, `BRPOPLPUSH`.
    Lease,
    /// `ack`, `LREM`.
    Ack,
}

/// A prompt of `size` bytes that begins with its number.
pub fn prompt(number: u64, size: usize) -> String {
    let head = format!("task {number:012} ");
    let filler = "Summarise what changed and say why it matters. "
        .chars()
        .cycle();
    head.chars().chain(filler).take(size).collect()
}

/// Writing to a vector cannot fail.
fn put(out: &mut Vec<u8>, what: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(what);
}

/// The number at the beginning of some bytes.
fn number_at(digits: &[u8]) -> u64 {
    let digits = digits.iter().take_while(|b| b.is_ascii_digit());
    digits.fold(0, |n, digit| n * 10 + u64::from(digit - b'0'))
}
