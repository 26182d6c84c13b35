//! Requests of one connection take effect in order, as a pure machine.
//!
//! Changes go to the writer, which keeps their order; questions go to others (readers, event bus, sessions). So a
//! question waits until the changes before it are answered, and a change until the questions before it are; changes
//! among themselves, and questions among themselves, run side by side, of questions only so many at once.

use std::collections::VecDeque;

/// Questions of one connection under way at once. Each may bring a long answer, which waits in memory for the client.
const QUESTIONS_AT_ONCE: usize = 16;

/// What kind of work a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// For the writer.
    Change,
    /// For anybody else.
    Question,
}

/// What is under way, and what waits for it. `T` is a request.
#[derive(Debug)]
pub struct Order<T> {
    under_way: Option<Kind>,
    count: usize,
    backlog: VecDeque<Waiting<T>>,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting<T> {
    kind: Kind,
    /// Length of its line.
    bytes: usize,
    request: T,
}

impl<T> Default for Order<T> {
    fn default() -> Self {
        Order {
            under_way: None,
            count: 0,
            backlog: VecDeque::new(),
            bytes: 0,
        }
    }
}

impl<T> Order<T> {
    /// Gives the request back if it may start now, else keeps it until [`Order::next`]. `bytes` is its line's length.
    pub fn admit(&mut self, kind: Kind, bytes: usize, request: T) -> Option<T> {
        if self.backlog.is_empty() && self.fits(kind) {
            self.begin(kind);
            return Some(request);
        }
        self.bytes += bytes;
        self.backlog.push_back(Waiting {
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
            self.under_way = None;
        }
    }

    /// The next request that may start.
    pub fn next(&mut self) -> Option<T> {
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
    pub fn newest(&self) -> Option<&T> {
        self.backlog.back().map(|waiting| &waiting.request)
    }

    /// Bytes of the lines of those that wait.
    pub fn waiting_bytes(&self) -> usize {
        self.bytes
    }

    /// Gives up what waits; what is under way goes on.
    pub fn abandon(&mut self) -> impl Iterator<Item = T> + use<T> {
        self.bytes = 0;
        std::mem::take(&mut self.backlog)
            .into_iter()
            .map(|waiting| waiting.request)
    }

    /// Whether [`Order::next`] has something to give.
    pub fn is_ready(&self) -> bool {
        self.backlog
            .front()
            .is_some_and(|waiting| self.fits(waiting.kind))
    }

    fn fits(&self, kind: Kind) -> bool {
        match self.under_way {
            None => true,
            Some(Kind::Question) => kind == Kind::Question && self.count < QUESTIONS_AT_ONCE,
            Some(Kind::Change) => kind == Kind::Change,
        }
    }

    fn begin(&mut self, kind: Kind) {
        self.under_way = Some(kind);
        self.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Kind::{Change, Question};

    #[test]
    fn questions_and_changes_wait_for_each_other_in_order() {
        let mut order = Order::default();
        assert_eq!(order.admit(Change, 7, 1), Some(1));
        assert_eq!(order.admit(Change, 7, 2), Some(2));
        assert_eq!(order.admit(Question, 7, 3), None);
        assert_eq!(
            order.admit(Change, 7, 4),
            None,
            "must not overtake the question"
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
    fn only_so_many_questions_run_side_by_side() {
        let mut order = Order::default();
        for number in 0..QUESTIONS_AT_ONCE {
            assert_eq!(order.admit(Question, 7, number), Some(number));
        }
        assert_eq!(order.admit(Question, 7, 99), None);
        assert!(!order.is_ready());
        order.finished();
        assert!(order.is_ready());
        assert_eq!(order.next(), Some(99));
    }
}
