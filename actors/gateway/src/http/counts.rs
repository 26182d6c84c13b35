//! Counters of HTTP requests and connections. They belong to the factory and survive crashes of the actor.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Counters since the start of the process.
#[derive(Debug, Default)]
pub struct HttpCounts {
    /// Requests with a response.
    pub requests: AtomicU64,
    /// Responses with a status of 400 to 499.
    pub refused: AtomicU64,
    /// Responses with a status of 500 or more.
    pub failed: AtomicU64,
    /// Handlers that panicked.
    pub panics: AtomicU64,
    /// Accepted connections.
    pub accepted: AtomicU64,
    /// Connections that received 503 because of the limit.
    pub turned_away: AtomicU64,
    /// Open connections.
    pub(crate) connections: Arc<AtomicUsize>,
    /// Open connections that receive 503 because of the limit.
    pub(crate) leaving: Arc<AtomicUsize>,
}

impl HttpCounts {
    /// Number of open connections.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
