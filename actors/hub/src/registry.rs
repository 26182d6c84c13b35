//! The roll of the connections that stand, for `agents` with `all`.
//!
//! Each connection counts its own requests; the roll only knows where. It is locked when one comes, opens a session or
//! goes, never for a request.

use kirosu_protocol::verbs::agents::ConnectionInfo;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is known of a connection.
#[derive(Debug)]
struct Entry {
    peer: String,
    session: Option<Arc<str>>,
    since_ms: i64,
    in_flight: Arc<AtomicUsize>,
}

/// The connections by their number.
#[derive(Debug, Default)]
pub struct ConnectionRegistry(Mutex<BTreeMap<u64, Entry>>);

impl ConnectionRegistry {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<u64, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection has come; what it counts its requests with.
    pub fn enter(&self, connection: u64, peer: String, since_ms: i64) -> Arc<AtomicUsize> {
        let in_flight = Arc::new(AtomicUsize::new(0));
        let entry = Entry {
            peer,
            session: None,
            since_ms,
            in_flight: in_flight.clone(),
        };
        self.entries().insert(connection, entry);
        in_flight
    }

    /// It has opened a session.
    pub fn opened(&self, connection: u64, session: Arc<str>) {
        if let Some(entry) = self.entries().get_mut(&connection) {
            entry.session = Some(session);
        }
    }

    /// It is gone.
    pub fn leave(&self, connection: u64) {
        self.entries().remove(&connection);
    }

    /// Those with a higher number than `after`, at most `limit`, and where to go on.
    pub fn page(&self, after: u64, limit: usize) -> (Vec<ConnectionInfo>, Option<u64>) {
        let entries = self.entries();
        let mut rest = entries.range((Excluded(after), Unbounded));
        let info = |(number, entry): (&u64, &Entry)| ConnectionInfo {
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
    fn pages_follow_each_other_and_those_who_left_are_gone() {
        let roll = ConnectionRegistry::default();
        for number in 1..=5 {
            roll.enter(number, format!("peer {number}"), 0);
        }
        roll.leave(2);
        roll.opened(3, "s".into());
        let numbers =
            |page: &[ConnectionInfo]| -> Vec<u64> { page.iter().map(|c| c.connection).collect() };
        let (page, next) = roll.page(0, 2);
        assert_eq!((numbers(&page), next), (vec![1, 3], Some(3)));
        assert_eq!(page[1].session_id.as_deref(), Some("s"));
        let (page, next) = roll.page(3, 2);
        assert_eq!((numbers(&page), next), (vec![4, 5], None));
    }
}
