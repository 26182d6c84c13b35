//! The three time limits of a run.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::job::Timeouts;
use crate::outcome::TimeoutKind;

/// Measures the time since the start and since the last sign of life.
#[derive(Debug)]
pub(crate) struct RunClock {
    limits: Timeouts,
    begin: Instant,
    /// Microseconds from the beginning to the last sign of life; 0 before the first.
    last: AtomicU64,
    /// Pumps that wait for space in the event channel. The program is not responsible for silence in that time.
    waiting: AtomicU32,
}

impl RunClock {
    pub(crate) fn start(limits: Timeouts) -> Self {
        Self {
            limits,
            begin: Instant::now(),
            last: AtomicU64::new(0),
            waiting: AtomicU32::new(0),
        }
    }

    /// Notes a sign of life.
    pub(crate) fn touch(&self) {
        let micros = u64::try_from(self.begin.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.last.store(micros.max(1), Ordering::Relaxed);
    }

    /// Runs `future`. The silence limit does not count in that time.
    pub(crate) async fn excused<T>(&self, future: impl Future<Output = T>) -> T {
        let _excuse = Excuse::new(self);
        future.await
    }

    /// Resolves when a limit ran out. Cancel safe.
    pub(crate) async fn expired(&self) -> TimeoutKind {
        loop {
            let Some((deadline, which)) = self.next() else {
                return std::future::pending().await;
            };
            let now = Instant::now();
            if deadline > now {
                sleep_until(deadline).await;
            } else if which == TimeoutKind::Silence && self.waiting.load(Ordering::Relaxed) > 0 {
                self.touch();
            } else {
                return which;
            }
        }
    }

    fn next(&self) -> Option<(Instant, TimeoutKind)> {
        let last = self.last.load(Ordering::Relaxed);
        let outcome = last > 0;
        // Without a start limit, the start itself counts as a sign of life.
        let silence = self
            .limits
            .silence
            .filter(|_| outcome || self.limits.start.is_none());
        let start = self.limits.start.filter(|_| !outcome);
        let last = self.begin + Duration::from_micros(last);
        [
            start.map(|it| (self.begin + it, TimeoutKind::Start)),
            silence.map(|it| (last + it, TimeoutKind::Silence)),
            self.limits
                .total
                .map(|it| (self.begin + it, TimeoutKind::Total)),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|(deadline, _)| *deadline)
    }
}

/// Suspends the silence limit until it is dropped, because a future may be dropped before its end.
struct Excuse<'c>(&'c RunClock);

impl<'c> Excuse<'c> {
    fn new(clock: &'c RunClock) -> Self {
        clock.waiting.fetch_add(1, Ordering::Relaxed);
        Self(clock)
    }
}

impl Drop for Excuse<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        self.0.touch();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn each_limit_has_its_turn() {
        let limits = Timeouts {
            start: Some(secs(30)),
            silence: Some(secs(5)),
            total: Some(secs(60)),
        };
        let clock = RunClock::start(limits);
        assert_eq!(clock.expired().await, TimeoutKind::Start);
        assert_eq!(clock.begin.elapsed().as_secs(), 30);
        clock.touch();
        assert_eq!(clock.expired().await, TimeoutKind::Silence);
        assert_eq!(clock.begin.elapsed().as_secs(), 35);
        // While our own reader blocks the program, only the total limit counts.
        clock.touch();
        let which = tokio::select! {
            biased;
            () = clock.excused(std::future::pending()) => None,
            which = clock.expired() => Some(which),
        };
        assert_eq!(which, Some(TimeoutKind::Total));
        assert_eq!(clock.begin.elapsed().as_secs(), 60);
    }
}
