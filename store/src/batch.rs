//! The batch that is being carried out: its time, and the events that it causes.

use kirosu_protocol::EventKind;

/// See the module.
#[derive(Debug)]
pub(crate) struct BatchState {
    now: i64,
    events: Vec<EventKind>,
    /// The number of events that `take_unnoted` has passed.
    noted: usize,
}

impl BatchState {
    /// Before the first batch.
    pub fn new(now: i64) -> BatchState {
        BatchState {
            now,
            events: Vec::new(),
            noted: 0,
        }
    }

    /// The time of the batch in Unix milliseconds.
    pub fn now(&self) -> i64 {
        self.now
    }

    /// Sets the time of the batch.
    pub fn set_now(&mut self, now: i64) {
        self.now = now;
    }

    /// Adds an event, which is published once the batch is committed.
    pub fn report(&mut self, event: EventKind) {
        self.events.push(event);
    }

    /// The events since the last call that fit, in their order.
    pub fn take_unnoted(&mut self, fits: impl Fn(&EventKind) -> bool) -> Vec<EventKind> {
        let events = self.events.get(self.noted..).unwrap_or_default();
        self.noted = self.events.len();
        events.iter().filter(|event| fits(event)).cloned().collect()
    }

    /// Takes the events, in the order in which they were reported.
    pub fn take_events(&mut self) -> Vec<EventKind> {
        self.noted = 0;
        std::mem::take(&mut self.events)
    }
}
