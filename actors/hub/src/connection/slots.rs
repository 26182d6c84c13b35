//! The order of answers on one connection, as a pure machine.
//!
//! A client that pipelines plain requests reads the answers in order, so each request takes a slot and an answer leaves
//! only when all slots before it have left. One kind may be overtaken: a parked request (a `lease`, `wait` or `watch`
//! that waits for something to happen), whose slot is taken out of the order when it parks.

use std::collections::{HashMap, VecDeque};

/// A request's number on its connection, from 0.
pub type Tag = u64;

#[derive(Debug)]
enum Slot<T> {
    /// Waits for its answer.
    Open(T),
    /// Answered, but an earlier one is not.
    Answered(Vec<u8>),
    /// Parked or gone: does not hold up what comes after.
    Detached,
}

/// The requests of a connection that are not answered yet. `T` is what the hub remembers of each.
#[derive(Debug)]
pub struct Slots<T> {
    base: Tag,
    slots: VecDeque<Slot<T>>,
    parked: HashMap<Tag, T>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Slots {
            base: 0,
            slots: VecDeque::new(),
            parked: HashMap::new(),
        }
    }
}

impl<T> Slots<T> {
    /// Takes the next slot.
    pub fn open(&mut self, what: T) -> Tag {
        let tag = self.base + self.slots.len() as Tag;
        self.slots.push_back(Slot::Open(what));
        tag
    }

    /// What is remembered of an unanswered request, parked or not.
    pub fn get_mut(&mut self, tag: Tag) -> Option<&mut T> {
        if self.parked.contains_key(&tag) {
            return self.parked.get_mut(&tag);
        }
        match self.slot(tag)? {
            Slot::Open(what) => Some(what),
            _ => None,
        }
    }

    /// Takes a request out of the order of answers; it may be answered any time later.
    pub fn park(&mut self, tag: Tag, out: &mut Vec<u8>) {
        let Some(slot) = self.slot(tag) else { return };
        if let Slot::Open(what) = std::mem::replace(slot, Slot::Detached) {
            self.parked.insert(tag, what);
        }
        self.flush(out);
    }

    /// Answers a request: `write` appends the answer's line, to `out` if its turn has come, else to a buffer that leaves
    /// when it does. Returns what was remembered of it, or `None` when it was not open.
    pub fn answer(
        &mut self,
        tag: Tag,
        out: &mut Vec<u8>,
        write: impl FnOnce(&T, &mut Vec<u8>),
    ) -> Option<T> {
        if let Some(what) = self.parked.remove(&tag) {
            write(&what, out);
            return Some(what);
        }
        let first = tag == self.base;
        let slot = self.slot(tag)?;
        if !matches!(slot, Slot::Open(_)) {
            return None;
        }
        let Slot::Open(what) = std::mem::replace(slot, Slot::Detached) else {
            return None;
        };
        if first {
            write(&what, out);
            self.flush(out);
        } else {
            let mut line = Vec::with_capacity(64);
            write(&what, &mut line);
            if let Some(slot) = self.slot(tag) {
                *slot = Slot::Answered(line);
            }
        }
        Some(what)
    }

    /// Whether a request's answer is the next to leave.
    pub fn is_first(&self, tag: Tag) -> bool {
        tag == self.base && matches!(self.slots.front(), Some(Slot::Open(_)))
    }

    /// Whether a request's answer, and all before it, have left.
    pub fn has_left(&self, tag: Tag) -> bool {
        tag < self.base && !self.is_parked(tag)
    }

    /// Requests that hold a place in the order.
    pub fn in_order(&self) -> usize {
        self.slots.len()
    }

    /// The tags of parked requests.
    pub fn parked(&self) -> impl Iterator<Item = (Tag, &T)> {
        self.parked.iter().map(|(tag, what)| (*tag, what))
    }

    /// Whether a request was taken out of the order.
    pub fn is_parked(&self, tag: Tag) -> bool {
        self.parked.contains_key(&tag)
    }

    /// Requests that are not answered, parked ones included.
    pub fn open_requests(&self) -> usize {
        self.parked.len()
            + self
                .slots
                .iter()
                .filter(|slot| matches!(slot, Slot::Open(_)))
                .count()
    }

    /// Whether nothing is owed.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty() && self.parked.is_empty()
    }

    fn slot(&mut self, tag: Tag) -> Option<&mut Slot<T>> {
        let index = usize::try_from(tag.checked_sub(self.base)?).ok()?;
        self.slots.get_mut(index)
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        while let Some(slot) = self.slots.front() {
            match slot {
                Slot::Open(_) => return,
                Slot::Answered(line) => out.extend_from_slice(line),
                Slot::Detached => {}
            }
            self.slots.pop_front();
            self.base += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(slots: &mut Slots<char>, tag: Tag, out: &mut Vec<u8>) {
        slots.answer(tag, out, |what, line| line.push(*what as u8));
    }

    #[test]
    fn answers_leave_in_request_order() {
        let (mut slots, mut out) = (Slots::default(), Vec::new());
        let (a, b, c) = (slots.open('a'), slots.open('b'), slots.open('c'));
        answer(&mut slots, c, &mut out);
        answer(&mut slots, b, &mut out);
        assert!(out.is_empty());
        answer(&mut slots, a, &mut out);
        assert_eq!(out, b"abc");
        assert!(slots.is_empty());
    }

    #[test]
    fn a_parked_request_is_overtaken_and_answered_later() {
        let (mut slots, mut out) = (Slots::default(), Vec::new());
        let (a, b) = (slots.open('a'), slots.open('b'));
        answer(&mut slots, b, &mut out);
        slots.park(a, &mut out);
        assert_eq!(out, b"b");
        assert_eq!(slots.parked().count(), 1);
        answer(&mut slots, a, &mut out);
        assert_eq!(out, b"ba");
        assert!(slots.is_empty());
    }

    #[test]
    fn a_second_answer_is_ignored() {
        let (mut slots, mut out) = (Slots::default(), Vec::new());
        let a = slots.open('a');
        answer(&mut slots, a, &mut out);
        assert!(slots.answer(a, &mut out, |_, _| {}).is_none());
        assert_eq!(out, b"a");
    }
}
