//! The open connections, for `agents` with `all`.
//!
//! Each connection counts its own requests in a counter that the registry can read. The registry is locked when a connection
//! opens, opens a session or closes, never for a request.

use crate::caller::Notify;
use actix::Recipient;
use kirosu_protocol::ConnectionInfo;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
struct ConnectionEntry {
    peer: String,
    session: Option<Arc<str>>,
    since_ms: i64,
    in_flight: Arc<AtomicUsize>,
    notify: Option<Recipient<Notify>>,
}

/// The open connections by their numbers. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ConnectionRegistry(Arc<Mutex<BTreeMap<u64, ConnectionEntry>>>);

impl ConnectionRegistry {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<u64, ConnectionEntry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a connection. Returns the counter of its unanswered requests.
    pub fn add(&self, connection: u64, peer: String, since_ms: i64) -> Arc<AtomicUsize> {
        let in_flight = Arc::new(AtomicUsize::new(0));
        let entry = ConnectionEntry {
            peer,
            session: None,
            since_ms,
            in_flight: in_flight.clone(),
            notify: None,
        };
        self.entries().insert(connection, entry);
        in_flight
    }

    /// Records the actor of a connection.
    pub fn set_actor(&self, connection: u64, notify: Recipient<Notify>) {
        if let Some(entry) = self.entries().get_mut(&connection) {
            entry.notify = Some(notify);
        }
    }

    /// Sends a message to every connection.
    pub fn broadcast(&self, notify: &Notify) {
        for entry in self.entries().values() {
            if let Some(connection) = &entry.notify {
                connection.do_send(notify.clone());
            }
        }
    }

    /// Records the session that a connection opened.
    pub fn set_session(&self, connection: u64, session: Arc<str>) {
        if let Some(entry) = self.entries().get_mut(&connection) {
            entry.session = Some(session);
        }
    }

    /// Removes the session of a connection.
    pub fn clear_session(&self, connection: u64) {
        if let Some(entry) = self.entries().get_mut(&connection) {
            entry.session = None;
        }
    }

    /// Removes a connection that has closed.
    pub fn remove(&self, connection: u64) {
        self.entries().remove(&connection);
    }

    /// At most `limit` connections with numbers above `after`, and the `after` of the next page. `None`: this is the last one.
    pub fn page(&self, after: u64, limit: usize) -> (Vec<ConnectionInfo>, Option<u64>) {
        let entries = self.entries();
        let mut rest = entries.range((Excluded(after), Unbounded));
        let info = |(number, entry): (&u64, &ConnectionEntry)| ConnectionInfo {
            connection: *number,
            peer: entry.peer.clone(),
            session_id: entry.session.as_deref().map(str::to_owned),
            since: entry.since_ms as f64 / 1000.0,
            in_flight: entry.in_flight.load(Ordering::Relaxed) as u64,
        };
        let page: Vec<ConnectionInfo> = rest.by_ref().take(limit).map(info).collect();
        let next = rest.next().and(page.last()).map(|last| last.connection);
        (page, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_without_closed_connections() {
        let registry = ConnectionRegistry::default();
        for number in 1..=5 {
            registry.add(number, format!("peer {number}"), 0);
        }
        registry.remove(2);
        registry.set_session(3, "s".into());
        let numbers =
            |page: &[ConnectionInfo]| -> Vec<u64> { page.iter().map(|c| c.connection).collect() };
        let (page, next) = registry.page(0, 2);
        assert_eq!((numbers(&page), next), (vec![1, 3], Some(3)));
        assert_eq!(page[1].session_id.as_deref(), Some("s"));
        let (page, next) = registry.page(3, 2);
        assert_eq!((numbers(&page), next), (vec![4, 5], None));
    }
}
