//! The counters of the hub: connections, bytes and requests of clients, and refusals.

use super::{Hub, HubInner, MEMORY_UNIT};
use crate::measure::Memory;
use crate::refusal_log::RefusalLog;
use crate::unknown_clients::{ClientOrigin, UnknownSlot};
use kirosu_protocol::Error;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// Interval between two lines of the log about refusals of one kind.
const REFUSALS_INTERVAL: Duration = Duration::from_secs(60);

impl Hub {
    /// Waits for this many bytes of the memory for long texts in answers. They are freed when the returned value is dropped.
    pub(crate) async fn reserve_answer_memory(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes / MEMORY_UNIT + 1).unwrap_or(u32::MAX);
        let units = units.min(self.answer_memory_units());
        let memory = self.0.answer_memory.clone();
        // The semaphore is never closed.
        memory.acquire_many_owned(units).await.ok()
    }

    fn answer_memory_units(&self) -> u32 {
        let units = self.0.options.limits.answer_bytes as u64 / MEMORY_UNIT;
        u32::try_from(units).unwrap_or(u32::MAX).max(1)
    }

    /// Changes the count of bytes of requests that wait for earlier requests on their connection: adds `more`, subtracts `less`.
    pub(crate) fn count_waiting(&self, more: usize, less: usize) {
        let change = |bytes: usize| Some((bytes + more).saturating_sub(less));
        let bytes = &self.0.waiting_bytes;
        let _ = bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
    }

    /// The memory that clients occupy.
    pub(crate) fn memory(&self) -> Memory {
        let free = self.0.answer_memory.available_permits() as u64;
        let units = u64::from(self.answer_memory_units()).saturating_sub(free);
        let events = self.0.addresses.events.lock();
        Memory {
            events: events.unwrap_or_else(PoisonError::into_inner).size().1,
            answers: units * MEMORY_UNIT,
            requests: self.0.waiting_bytes.load(Ordering::Relaxed),
            queries: self.readers().open_queries(),
        }
    }

    /// Counts an accepted connection. Returns false at the limit.
    pub(crate) fn enter(&self) -> bool {
        let limit = self.limits().connections;
        let enter = |open: usize| (open < limit).then_some(open + 1);
        self.0
            .connections
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, enter)
            .is_ok()
    }

    /// Replaces the count of a client's bytes. Returns the bytes of all unknown clients.
    pub(crate) fn count_unknown(&self, now: usize, before: usize) -> usize {
        let all = &self.0.unknown_bytes;
        match now >= before {
            true => all.fetch_add(now - before, Ordering::Relaxed) + (now - before),
            false => all.fetch_sub(before - now, Ordering::Relaxed) - (before - now),
        }
    }

    /// Counts a connection as closed.
    pub(crate) fn leave(&self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// The number of open connections.
    pub(crate) fn open_connections(&self) -> usize {
        self.0.connections.load(Ordering::Relaxed)
    }

    /// Counts a wrong key that a client sent.
    pub(crate) fn count_wrong_key(&self, peer: &str) {
        self.count_refusal(peer, |hub| &hub.wrong_keys);
    }

    /// Counts a refused request of a client that was gone before its user could be found out.
    pub(crate) fn count_gone(&self, peer: &str) {
        self.count_refusal(peer, |hub| &hub.gone_clients);
    }

    fn count_refusal(&self, peer: &str, log: fn(&HubInner) -> &RefusalLog) {
        if log(&self.0).count(peer) {
            let hub = self.clone();
            actix::spawn(async move {
                tokio::time::sleep(REFUSALS_INTERVAL).await;
                log(&hub.0).log();
            });
        }
    }

    /// Waits for the turn of a new client to be examined for whether it belongs to a run. `None` means that none is at work.
    pub(crate) async fn examination_turn(&self) -> Option<OwnedSemaphorePermit> {
        if !self.has_live_runs() {
            return None;
        }
        let turns = self.0.examinations.clone();
        // The semaphore is never closed.
        turns.acquire_owned().await.ok()
    }

    /// Counts a connection whose client needs a key, or speaks for a run. The error is the refusal of too many.
    pub(crate) fn enter_unknown(&self, from: ClientOrigin) -> Result<UnknownSlot, Error> {
        let entered = self
            .0
            .unknown_clients
            .enter(from, self.limits().connections);
        entered.inspect_err(|_| self.count_refusal(&from.to_string(), |hub| &hub.crowds))
    }

    /// The number of wrong keys since the start.
    pub(crate) fn wrong_keys(&self) -> u64 {
        self.0.wrong_keys.total()
    }

    /// Counts a connection that is ended because its client does not read its answers.
    pub(crate) fn count_unread(&self) {
        self.0.unread.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of such connections.
    pub(crate) fn unread(&self) -> u64 {
        self.0.unread.load(Ordering::Relaxed)
    }

    /// The number of unanswered requests of all connections.
    pub(crate) fn in_flight(&self) -> &AtomicUsize {
        &self.0.in_flight
    }
}
