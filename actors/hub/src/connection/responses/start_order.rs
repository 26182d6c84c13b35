//! The order in which the requests of one connection start, as a pure machine.
//!
//! Changes go to the writer, which keeps their order; queries go to other actors (readers, event bus, sessions). So a query
//! waits until the changes before it are answered, and a change waits until the queries before it are answered. Changes run
//! concurrently with changes, and queries with queries.

use std::collections::VecDeque;

/// The largest number of queries of one connection that run at once. Each may bring a long answer, which waits in memory for
/// the client.
const CONCURRENT_QUERIES: usize = 16;

/// The kind of work that a request causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// The writer does it.
    Change,
    /// Any other actor does it.
    Query,
}

/// The requests that wait for earlier ones, and the number of those that run. `R` is a request.
#[derive(Debug)]
pub struct StartOrder<R> {
    /// The kind of all requests that run. `None` if none runs.
    running: Option<RequestKind>,
    count: usize,
    backlog: VecDeque<WaitingRequest<R>>,
    bytes: usize,
}

#[derive(Debug)]
struct WaitingRequest<R> {
    kind: RequestKind,
    /// Length of its line.
    bytes: usize,
    request: R,
}

impl<R> Default for StartOrder<R> {
    fn default() -> Self {
        StartOrder {
            running: None,
            count: 0,
            backlog: VecDeque::new(),
            bytes: 0,
        }
    }
}

impl<R> StartOrder<R> {
    /// Returns the request if it may start now. Else keeps it until [`StartOrder::next`]. `bytes` is the length of its line.
    pub fn admit(&mut self, kind: RequestKind, bytes: usize, request: R) -> Option<R> {
        if self.backlog.is_empty() && self.fits(kind) {
            self.begin(kind);
            return Some(request);
        }
        self.bytes += bytes;
        self.backlog.push_back(WaitingRequest {
            kind,
            bytes,
            request,
        });
        None
    }

    /// A request that had started is answered or parked.
    pub fn finished(&mut self) {
        self.count = self.count.saturating_sub(1);
        if self.count == 0 {
            self.running = None;
        }
    }

    /// Takes the next request, if it may start now.
    pub fn next(&mut self) -> Option<R> {
        let kind = self.backlog.front()?.kind;
        if !self.fits(kind) {
            return None;
        }
        self.begin(kind);
        let next = self.backlog.pop_front()?;
        self.bytes -= next.bytes;
        Some(next.request)
    }

    /// The request that began to wait last.
    pub fn newest(&self) -> Option<&R> {
        self.backlog.back().map(|waiting| &waiting.request)
    }

    /// Bytes of the lines of all waiting requests.
    pub fn waiting_bytes(&self) -> usize {
        self.bytes
    }

    /// Takes all waiting requests out. Requests that run continue.
    pub fn abandon(&mut self) -> impl Iterator<Item = R> + use<R> {
        self.bytes = 0;
        std::mem::take(&mut self.backlog)
            .into_iter()
            .map(|waiting| waiting.request)
    }

    /// Whether [`StartOrder::next`] would return a request.
    pub fn is_ready(&self) -> bool {
        self.backlog
            .front()
            .is_some_and(|waiting| self.fits(waiting.kind))
    }

    fn fits(&self, kind: RequestKind) -> bool {
        match self.running {
            None => true,
            Some(RequestKind::Query) => {
                kind == RequestKind::Query && self.count < CONCURRENT_QUERIES
            }
            Some(RequestKind::Change) => kind == RequestKind::Change,
        }
    }

    fn begin(&mut self, kind: RequestKind) {
        self.running = Some(kind);
        self.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RequestKind::{Change, Query};

    #[test]
    fn queries_and_changes_wait_for_each_other_in_order() {
        let mut order = StartOrder::default();
        assert_eq!(order.admit(Change, 7, 1), Some(1));
        assert_eq!(order.admit(Change, 7, 2), Some(2));
        assert_eq!(order.admit(Query, 7, 3), None);
        assert_eq!(
            order.admit(Change, 7, 4),
            None,
            "must not overtake the query"
        );
        order.finished();
        assert_eq!(order.next(), None);
        order.finished();
        assert_eq!(order.waiting_bytes(), 14);
        assert_eq!(order.next(), Some(3));
        assert_eq!(order.next(), None);
        order.finished();
        assert_eq!(order.next(), Some(4));
    }

    #[test]
    fn the_number_of_concurrent_queries_is_limited() {
        let mut order = StartOrder::default();
        for number in 0..CONCURRENT_QUERIES {
            assert_eq!(order.admit(Query, 7, number), Some(number));
        }
        assert_eq!(order.admit(Query, 7, 99), None);
        assert!(!order.is_ready());
        order.finished();
        assert!(order.is_ready());
        assert_eq!(order.next(), Some(99));
    }
}
