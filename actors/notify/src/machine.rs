//! The order of deliveries to one target: events one after another, and pauses after failures. No I/O; the caller passes the
//! time and random numbers in.

use crate::DeliveryFailure;
use kirosu_protocol::{NOTICES_LIMIT, NoticeInfo, NotifyTakeAnswer, NotifyTakeParams, RetryPolicy};
use std::collections::VecDeque;
use std::time::Duration;

/// The longest pause that a receiver can ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);
/// The share by which a delay is shortened at random, at most.
const JITTER: f64 = 0.2;
/// The time for which one request to the hub waits for an event.
const WAIT_MS: u64 = 60_000;

/// The next action.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum DeliveryStep {
    /// Send this request to the hub, and pass the answer to [`Deliveries::took`].
    Take(NotifyTakeParams),
    /// Deliver the first of [`Deliveries::queue`], or several of them.
    Deliver,
    /// Wait until this time in Unix milliseconds.
    WaitUntil(i64),
    /// Deliver nothing more before the next start.
    Rest,
}

/// A failed delivery that the hub does not know yet.
#[derive(Clone, Debug, PartialEq, Eq)]
struct UnreportedFailure {
    why: String,
    next_ms: Option<i64>,
}

/// The deliveries to one target.
#[derive(Debug)]
pub(crate) struct Deliveries {
    name: String,
    retry: RetryPolicy,
    /// The next events, oldest first.
    queue: VecDeque<NoticeInfo>,
    /// The last event that was delivered, if the hub does not know it yet.
    done: Option<i64>,
    failure: Option<UnreportedFailure>,
    /// Failed deliveries in a row.
    failures: u32,
    /// No delivery before this time, in Unix milliseconds.
    not_before: i64,
    /// Whether the receiver wants no further request.
    is_over: bool,
    /// `known` of the last answer, if that was empty.
    known: Option<i64>,
}

impl Deliveries {
    /// Deliveries to the target of this name.
    pub fn new(name: String, retry: RetryPolicy) -> Deliveries {
        Deliveries {
            name,
            retry,
            queue: VecDeque::new(),
            done: None,
            failure: None,
            failures: 0,
            not_before: 0,
            is_over: false,
            known: None,
        }
    }

    /// The next events, oldest first.
    pub fn queue(&mut self) -> &[NoticeInfo] {
        self.queue.make_contiguous()
    }

    /// The next step. A `Take` is repeated until [`took`](Deliveries::took) is called.
    pub fn step(&self, now_ms: i64) -> DeliveryStep {
        let take = NotifyTakeParams {
            name: self.name.clone(),
            // While some are left, the hub need not send the same again.
            limit: Some(if self.queue.is_empty() {
                NOTICES_LIMIT
            } else {
                0
            }),
            ..NotifyTakeParams::default()
        };
        if self.done.is_some() {
            let done = self.done;
            return DeliveryStep::Take(NotifyTakeParams { done, ..take });
        }
        if let Some(failure) = &self.failure {
            return DeliveryStep::Take(NotifyTakeParams {
                error: Some(failure.why.clone()),
                next_ms: failure.next_ms,
                ..take
            });
        }
        match (self.is_over, self.queue.is_empty()) {
            (true, _) => DeliveryStep::Rest,
            (false, true) => DeliveryStep::Take(NotifyTakeParams {
                known: self.known,
                wait_ms: if self.known.is_some() { WAIT_MS } else { 0 },
                ..take
            }),
            (false, false) if self.not_before > now_ms => DeliveryStep::WaitUntil(self.not_before),
            (false, false) => DeliveryStep::Deliver,
        }
    }

    /// The hub has answered the last `Take`.
    pub fn took(&mut self, answer: NotifyTakeAnswer) {
        (self.done, self.failure) = (None, None);
        if self.queue.is_empty() {
            self.known = answer.notices.is_empty().then_some(answer.known);
            self.queue.extend(answer.notices);
        }
    }

    /// The first `count` events were delivered; the next delivery is not before `pace` has passed.
    pub fn delivered(&mut self, count: usize, now_ms: i64, pace: Duration) {
        let mut gone = self.queue.drain(..count.min(self.queue.len()));
        self.done = gone.next_back().map(|notice| notice.number).or(self.done);
        self.failures = 0;
        self.not_before = now_ms.saturating_add(millis(pace));
    }

    /// The first event was not delivered. `random`: from 0 to 1.
    pub fn failed(&mut self, failure: &DeliveryFailure, now_ms: i64, random: f64) {
        let delay = self.delay(random);
        let asked = failure.retry_after.unwrap_or_default();
        let delay = delay.max(millis(asked.min(LONGEST_RETRY_AFTER)));
        self.failures = self.failures.saturating_add(1);
        self.not_before = now_ms.saturating_add(delay);
        self.is_over = failure.is_final;
        self.failure = Some(UnreportedFailure {
            why: failure.why.clone(),
            next_ms: (!failure.is_final).then_some(self.not_before),
        });
    }

    /// The delay in milliseconds after one more failure: exponential, capped and shortened at random.
    fn delay(&self, random: f64) -> i64 {
        let exponent = self.failures.min(64) as i32;
        let full = self.retry.initial_ms as f64 * self.retry.factor.max(1.0).powi(exponent);
        let full = full.min(self.retry.max_ms as f64);
        (full * (1.0 - JITTER * random.clamp(0.0, 1.0))) as i64
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirosu_protocol::{NoticeData, NoticeKind};

    const POLICY: RetryPolicy = RetryPolicy {
        initial_ms: 1000,
        max_ms: 60_000,
        factor: 2.0,
    };

    fn deliveries() -> Deliveries {
        Deliveries::new("ops".to_owned(), POLICY)
    }

    fn answer(numbers: &[i64]) -> NotifyTakeAnswer {
        let notice = |number: &i64| NoticeInfo {
            number: *number,
            id: format!("n{number}"),
            event: NoticeKind::Failed,
            at: 0.0,
            data: NoticeData::default(),
        };
        NotifyTakeAnswer {
            notices: numbers.iter().map(notice).collect(),
            known: numbers.last().copied().unwrap_or(9),
        }
    }

    fn taken(step: DeliveryStep) -> NotifyTakeParams {
        match step {
            DeliveryStep::Take(params) => params,
            step => panic!("{step:?}"),
        }
    }

    #[test]
    fn events_are_delivered_and_reported_one_after_another() {
        let mut it = deliveries();
        assert_eq!(taken(it.step(0)).wait_ms, 0);
        it.took(answer(&[3, 5]));
        assert_eq!(it.step(0), DeliveryStep::Deliver);
        it.delivered(1, 0, Duration::ZERO);
        let report = taken(it.step(0));
        assert_eq!((report.done, report.limit), (Some(3), Some(0)));
        // The hub could not be reached: the report is sent again before anything else.
        assert_eq!(taken(it.step(0)).done, Some(3));
        it.took(answer(&[]));
        assert_eq!(it.step(0), DeliveryStep::Deliver);
        it.delivered(1, 0, Duration::ZERO);
        let report = taken(it.step(0));
        assert_eq!((report.done, report.limit), (Some(5), Some(NOTICES_LIMIT)));
        it.took(answer(&[]));
        let wait = taken(it.step(0));
        assert_eq!((wait.known, wait.wait_ms), (Some(9), WAIT_MS));
    }

    #[test]
    fn a_failed_delivery_holds_the_later_ones_back_and_its_delays_double() {
        let mut it = deliveries();
        it.took(answer(&[1, 2]));
        let mut now = 0;
        for delay in [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000] {
            assert_eq!(it.step(now), DeliveryStep::Deliver);
            it.failed(&DeliveryFailure::new("refused"), now, 0.0);
            let report = taken(it.step(now));
            assert_eq!(report.error.as_deref(), Some("refused"));
            assert_eq!(report.next_ms, Some(now + delay));
            it.took(answer(&[]));
            assert_eq!(it.step(now), DeliveryStep::WaitUntil(now + delay));
            now += delay;
        }
        it.delivered(1, now, Duration::ZERO);
        assert_eq!(taken(it.step(now)).done, Some(1));
        it.took(answer(&[]));
        it.failed(&DeliveryFailure::new("refused"), now, 1.0);
        assert_eq!(
            taken(it.step(now)).next_ms,
            Some(now + 800),
            "from the start, and shortened"
        );
    }

    #[test]
    fn a_receiver_may_ask_for_a_pause_or_for_the_end() {
        let mut it = deliveries();
        it.took(answer(&[1]));
        let mut failure = DeliveryFailure::new("busy");
        failure.retry_after = Some(Duration::from_secs(120));
        it.failed(&failure, 0, 0.0);
        assert_eq!(taken(it.step(0)).next_ms, Some(120_000));
        it.took(answer(&[]));
        failure.retry_after = Some(Duration::MAX);
        it.failed(&failure, 0, 0.0);
        assert_eq!(taken(it.step(0)).next_ms, Some(3_600_000));
        it.took(answer(&[]));
        failure.is_final = true;
        it.failed(&failure, 0, 0.0);
        assert_eq!(taken(it.step(0)).next_ms, None);
        it.took(answer(&[]));
        assert_eq!(it.step(i64::MAX), DeliveryStep::Rest);
    }

    #[test]
    fn several_events_may_be_delivered_at_once_and_the_next_wait_for_the_pace() {
        let mut it = deliveries();
        it.took(answer(&[1, 2, 3]));
        it.delivered(3, 100, Duration::from_secs(5));
        assert_eq!(taken(it.step(100)).done, Some(3));
        it.took(answer(&[4]));
        assert_eq!(it.step(100), DeliveryStep::WaitUntil(5100));
        assert_eq!(it.step(5100), DeliveryStep::Deliver);
    }
}
