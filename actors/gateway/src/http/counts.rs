//! What the gateway counts. The counts belong to the recipe: they survive crashes of the actor.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Counts since the start of the process.
#[derive(Debug, Default)]
pub struct Counts {
    /// Requests answered, whatever the answer.
    pub requests: AtomicU64,
    /// Of these, the ones answered with a status of 400 to 499.
    pub refused: AtomicU64,
    /// Of these, the ones answered with a status of 500 or more.
    pub failed: AtomicU64,
    /// Handlers that panicked.
    pub panics: AtomicU64,
    /// Connections taken.
    pub accepted: AtomicU64,
    /// Connections turned away because there were too many.
    pub turned_away: AtomicU64,
    /// Connections that stand now.
    pub(crate) connections: Arc<AtomicUsize>,
    /// Connections being told that there are too many.
    pub(crate) leaving: Arc<AtomicUsize>,
}

impl Counts {
    /// Connections that stand now.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
