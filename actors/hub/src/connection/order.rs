//! Requests of one connection take effect in order, as a pure machine.
//!
//! Changes go to the writer, which keeps their order; questions go to others (readers, event bus, sessions). So a
//! question waits until the changes before it are answered, and a change until the questions before it are; changes
//! among themselves, and questions among themselves, run side by side.

use std::collections::VecDeque;

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
    backlog: VecDeque<(Kind, T)>,
}

impl<T> Default for Order<T> {
    fn default() -> Self {
        Order {
            under_way: None,
            count: 0,
            backlog: VecDeque::new(),
        }
    }
}

impl<T> Order<T> {
    /// Gives the request back if it may start now, else keeps it until [`Order::next`].
    pub fn admit(&mut self, kind: Kind, request: T) -> Option<T> {
        if self.backlog.is_empty() && self.fits(kind) {
            self.begin(kind);
            return Some(request);
        }
        self.backlog.push_back((kind, request));
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
        let (kind, _) = self.backlog.front()?;
        let kind = *kind;
        if !self.fits(kind) {
            return None;
        }
        self.begin(kind);
        self.backlog.pop_front().map(|(_, request)| request)
    }

    fn fits(&self, kind: Kind) -> bool {
        self.under_way.is_none_or(|present| present == kind)
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
        assert_eq!(order.admit(Change, 1), Some(1));
        assert_eq!(order.admit(Change, 2), Some(2));
        assert_eq!(order.admit(Question, 3), None);
        assert_eq!(
            order.admit(Change, 4),
            None,
            "must not overtake the question"
        );
        order.finished();
        assert_eq!(order.next(), None);
        order.finished();
        assert_eq!(order.next(), Some(3));
        assert_eq!(order.next(), None);
        order.finished();
        assert_eq!(order.next(), Some(4));
    }
}
