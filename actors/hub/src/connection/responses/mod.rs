//! The requests of one connection that are not answered yet, as a pure machine.
//!
//! Requests take effect in order ([`StartOrder`]), and answers leave in the order of their requests, so that a client can
//! pipeline. An answer therefore waits until all earlier ones have left. A request that may wait for long (a parked `lease`, a
//! `wait`, a `backup`) leaves the order when it begins to wait: later answers overtake it.

mod start_order;

pub use start_order::{RequestKind, StartOrder};

use std::collections::{HashMap, VecDeque};

/// A request's number on its connection, from 0.
pub type Tag = u64;

#[derive(Debug)]
enum ResponseSlot<P> {
    /// Not answered.
    Open {
        pending: P,
        /// Whether the request counts as running in the start order.
        started: bool,
    },
    /// Answered, but an earlier request is not.
    Answered(Vec<u8>),
    /// Parked, or answered out of order: later answers do not wait for it.
    Detached,
}

/// The unanswered requests. `P` is the state of a pending request, `R` a request that has not started.
#[derive(Debug)]
pub struct ResponseQueue<P, R> {
    /// The tag of the first slot.
    base: Tag,
    slots: VecDeque<ResponseSlot<P>>,
    parked: HashMap<Tag, P>,
    order: StartOrder<(Tag, R)>,
}

impl<P, R> Default for ResponseQueue<P, R> {
    fn default() -> Self {
        ResponseQueue {
            base: 0,
            slots: VecDeque::new(),
            parked: HashMap::new(),
            order: StartOrder::default(),
        }
    }
}

impl<P, R> ResponseQueue<P, R> {
    /// Adds a request at the end of the order of answers.
    pub fn open(&mut self, pending: P) -> Tag {
        let tag = self.base + self.slots.len() as Tag;
        self.slots.push_back(ResponseSlot::Open {
            pending,
            started: false,
        });
        tag
    }

    /// Returns the request if it may start now. Else keeps it until [`ResponseQueue::next`]. `bytes` is the length of its
    /// line.
    pub fn admit(&mut self, tag: Tag, kind: RequestKind, bytes: usize, request: R) -> Option<R> {
        let (tag, request) = self.order.admit(kind, bytes, (tag, request))?;
        self.mark_started(tag);
        Some(request)
    }

    /// Takes the next request that waited, if it may start now.
    pub fn next(&mut self) -> Option<(Tag, R)> {
        let (tag, request) = self.order.next()?;
        self.mark_started(tag);
        Some((tag, request))
    }

    fn mark_started(&mut self, tag: Tag) {
        if let Some(ResponseSlot::Open { started, .. }) = self.slot(tag) {
            *started = true;
        }
    }

    /// Whether [`ResponseQueue::next`] would return a request.
    pub fn is_ready(&self) -> bool {
        self.order.is_ready()
    }

    /// The request that began to wait last.
    pub fn newest_waiting(&self) -> Option<&(Tag, R)> {
        self.order.newest()
    }

    /// Bytes of the lines of all requests that have not started.
    pub fn waiting_bytes(&self) -> usize {
        self.order.waiting_bytes()
    }

    /// Drops all requests that have not started, without answers. Returns their number.
    pub fn abandon(&mut self, out: &mut Vec<u8>) -> usize {
        let abandoned = self.order.abandon();
        abandoned
            .filter(|(tag, _)| self.answer(*tag, out, |_, _| {}).is_some())
            .count()
    }

    /// The state of an unanswered request, parked or not.
    pub fn get_mut(&mut self, tag: Tag) -> Option<&mut P> {
        // The slots come first: an index is cheaper than a hash, and most requests are not parked.
        if matches!(self.slot(tag), Some(ResponseSlot::Open { .. })) {
            return match self.slot(tag) {
                Some(ResponseSlot::Open { pending, .. }) => Some(pending),
                _ => None,
            };
        }
        self.parked.get_mut(&tag)
    }

    /// Takes a request out of the order of answers and of the running requests. It may be answered any time later. Does
    /// nothing if the request is parked or answered.
    pub fn park(&mut self, tag: Tag, out: &mut Vec<u8>) {
        let Some(slot @ ResponseSlot::Open { .. }) = self.slot(tag) else {
            return;
        };
        if let ResponseSlot::Open { pending, started } =
            std::mem::replace(slot, ResponseSlot::Detached)
        {
            self.parked.insert(tag, pending);
            self.finish(started);
        }
        self.flush(out);
    }

    /// Answers a request: `write` appends the answer's line to `out` if its turn has come, else to a buffer that leaves in its
    /// turn. Returns the state of the request, or `None` if it was answered before.
    pub fn answer(
        &mut self,
        tag: Tag,
        out: &mut Vec<u8>,
        write: impl FnOnce(&P, &mut Vec<u8>),
    ) -> Option<P> {
        let is_first = tag == self.base;
        let Some(slot @ ResponseSlot::Open { .. }) = self.slot(tag) else {
            let pending = self.parked.remove(&tag)?;
            write(&pending, out);
            return Some(pending);
        };
        let ResponseSlot::Open { pending, started } =
            std::mem::replace(slot, ResponseSlot::Detached)
        else {
            return None;
        };
        if is_first {
            write(&pending, out);
            self.flush(out);
        } else {
            let mut line = Vec::with_capacity(64);
            write(&pending, &mut line);
            *slot = ResponseSlot::Answered(line);
        }
        self.finish(started);
        Some(pending)
    }

    /// Whether a request's answer is the next to leave.
    pub fn is_first(&self, tag: Tag) -> bool {
        tag == self.base && matches!(self.slots.front(), Some(ResponseSlot::Open { .. }))
    }

    /// Whether a request's answer, and all before it, have left.
    pub fn has_left(&self, tag: Tag) -> bool {
        tag < self.base && !self.is_parked(tag)
    }

    /// The number of requests that hold a place in the order of answers.
    pub fn in_order(&self) -> usize {
        self.slots.len()
    }

    /// The parked requests.
    pub fn parked(&self) -> impl Iterator<Item = (Tag, &P)> {
        self.parked.iter().map(|(tag, pending)| (*tag, pending))
    }

    /// Whether a request was taken out of the order of answers.
    pub fn is_parked(&self, tag: Tag) -> bool {
        self.parked.contains_key(&tag)
    }

    /// The number of unanswered requests, parked ones included.
    pub fn open_requests(&self) -> usize {
        let open = self
            .slots
            .iter()
            .filter(|slot| matches!(slot, ResponseSlot::Open { .. }));
        self.parked.len() + open.count()
    }

    /// Whether every request is answered and every answer has left.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty() && self.parked.is_empty()
    }

    fn finish(&mut self, started: bool) {
        if started {
            self.order.finished();
        }
    }

    fn slot(&mut self, tag: Tag) -> Option<&mut ResponseSlot<P>> {
        let index = usize::try_from(tag.checked_sub(self.base)?).ok()?;
        self.slots.get_mut(index)
    }

    /// Moves the answers whose turn has come to `out`.
    fn flush(&mut self, out: &mut Vec<u8>) {
        while let Some(slot) = self.slots.front() {
            match slot {
                ResponseSlot::Open { .. } => return,
                ResponseSlot::Answered(line) => out.extend_from_slice(line),
                ResponseSlot::Detached => {}
            }
            self.slots.pop_front();
            self.base += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RequestKind::{Change, Query};
    use super::*;

    type Queue = ResponseQueue<char, &'static str>;

    fn answer(queue: &mut Queue, tag: Tag, out: &mut Vec<u8>) {
        queue.answer(tag, out, |pending, line| line.push(*pending as u8));
    }

    #[test]
    fn answers_leave_in_request_order() {
        let (mut queue, mut out) = (Queue::default(), Vec::new());
        let (a, b, c) = (queue.open('a'), queue.open('b'), queue.open('c'));
        answer(&mut queue, c, &mut out);
        answer(&mut queue, b, &mut out);
        assert!(out.is_empty());
        assert!(queue.is_first(a) && !queue.has_left(c));
        answer(&mut queue, a, &mut out);
        assert_eq!(out, b"abc");
        assert!(queue.is_empty() && queue.has_left(c));
    }

    #[test]
    fn a_parked_request_is_overtaken_and_answered_later() {
        let (mut queue, mut out) = (Queue::default(), Vec::new());
        let (a, b) = (queue.open('a'), queue.open('b'));
        answer(&mut queue, b, &mut out);
        queue.park(a, &mut out);
        assert_eq!(out, b"b");
        assert_eq!(queue.parked().count(), 1);
        assert_eq!((queue.in_order(), queue.open_requests()), (0, 1));
        answer(&mut queue, a, &mut out);
        assert_eq!(out, b"ba");
        assert!(queue.is_empty());
    }

    #[test]
    fn a_second_answer_is_ignored() {
        let (mut queue, mut out) = (Queue::default(), Vec::new());
        let a = queue.open('a');
        answer(&mut queue, a, &mut out);
        assert!(queue.answer(a, &mut out, |_, _| {}).is_none());
        assert_eq!(out, b"a");
        assert!(queue.get_mut(a).is_none());
    }

    #[test]
    fn an_answered_or_parked_change_lets_the_query_behind_it_start() {
        let (mut queue, mut out) = (Queue::default(), Vec::new());
        let (a, b, c) = (queue.open('a'), queue.open('b'), queue.open('c'));
        assert_eq!(queue.admit(a, Change, 1, "lease"), Some("lease"));
        assert_eq!(queue.admit(b, Change, 1, "enqueue"), Some("enqueue"));
        assert_eq!(queue.admit(c, Query, 5, "list"), None);
        assert_eq!(queue.newest_waiting(), Some(&(c, "list")));
        assert_eq!(queue.waiting_bytes(), 5);
        queue.park(a, &mut out);
        queue.park(a, &mut out);
        assert_eq!(queue.next(), None, "`b` still runs");
        answer(&mut queue, b, &mut out);
        assert_eq!(queue.next(), Some((c, "list")));
        answer(&mut queue, a, &mut out);
        assert_eq!(queue.admit(a, Change, 1, "ack"), None, "`c` still runs");
    }

    #[test]
    fn a_refused_line_does_not_count_as_a_request_that_ran() {
        let (mut queue, mut out) = (Queue::default(), Vec::new());
        let (a, refused, b) = (queue.open('a'), queue.open('r'), queue.open('b'));
        assert_eq!(queue.admit(a, Change, 1, "enqueue"), Some("enqueue"));
        assert_eq!(queue.admit(b, Query, 1, "list"), None);
        answer(&mut queue, refused, &mut out);
        assert!(!queue.is_ready(), "`a` still runs");
        answer(&mut queue, a, &mut out);
        assert!(queue.is_ready());
        assert_eq!(out, b"ar");
    }

    #[test]
    fn abandoned_requests_leave_no_answer() {
        let (mut queue, mut out) = (Queue::default(), Vec::new());
        let (a, b, c) = (queue.open('a'), queue.open('b'), queue.open('c'));
        assert_eq!(queue.admit(a, Query, 1, "list"), Some("list"));
        assert_eq!(queue.admit(b, Change, 1, "enqueue"), None);
        assert_eq!(queue.admit(c, Change, 1, "enqueue"), None);
        assert_eq!(queue.abandon(&mut out), 2);
        assert_eq!((queue.open_requests(), queue.waiting_bytes()), (1, 0));
        answer(&mut queue, a, &mut out);
        assert_eq!(out, b"a");
        assert!(queue.is_empty());
    }
}
