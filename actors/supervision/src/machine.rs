//! The restart rules as a pure state machine: no clock, no actor, no I/O.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::backoff::RestartDelays;
use crate::exit::ExitReason;

/// The ends of a child after which it is restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// Always restarted, however it ended.
    #[default]
    Permanent,
    /// Restarted only when it ended abnormally ([`ExitReason::is_abnormal`]).
    Transient,
    /// Never restarted; it leaves the tree when it ends.
    Temporary,
}

/// The children that are restarted when one of them ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Only the one that ended.
    #[default]
    OneForOne,
    /// All of them: stopped in reverse order, started in order.
    OneForAll,
    /// The one that ended and those that started after it.
    RestForOne,
}

impl Strategy {
    /// Positions of the children that are restarted when the child at `failed` of `len` ended.
    pub fn affected(self, failed: usize, len: usize) -> Range<usize> {
        match self {
            Self::OneForOne => failed..(failed + 1).min(len),
            Self::OneForAll => 0..len,
            Self::RestForOne => failed.min(len)..len,
        }
    }
}

/// Maximum number of restarts within a period. One more makes the supervisor give up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Intensity {
    /// Restarts allowed within `period`. Zero means that the first needed restart is too many.
    pub restarts: u32,
    /// Length of the sliding window.
    pub period: Duration,
}

impl Intensity {
    /// No number of restarts is too many: the supervisor never gives up.
    pub const UNLIMITED: Self = Self {
        restarts: u32::MAX,
        period: Duration::from_secs(1),
    };
}

impl Default for Intensity {
    /// 10 restarts in 60 seconds.
    fn default() -> Self {
        Self {
            restarts: 10,
            period: Duration::from_secs(60),
        }
    }
}

/// The supervisor's reaction to the end of a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestartDecision {
    /// Restart it, and the siblings that the strategy includes, after this delay.
    Restart {
        /// The delay, from the child's backoff policy.
        after: Duration,
    },
    /// Leave it ended.
    Leave,
    /// Stop all children and end with [`ExitReason::GaveUp`]. The text states the reason.
    GiveUp(String),
}

/// Input of [`RestartMachine::on_exit`]: the end of a child and its policy.
#[derive(Debug, Clone, Copy)]
pub struct ChildExit<'a> {
    /// Path of the child, for the text of [`RestartDecision::GiveUp`].
    pub child: &'a str,
    /// Its restart policy.
    pub restart: Restart,
    /// How it ended.
    pub reason: &'a ExitReason,
    /// How long it had been up.
    pub up_for: Duration,
    /// Uptime after which its delays are reset ([`BackoffPolicy`](crate::BackoffPolicy)).
    pub healthy_after: Duration,
}

/// Counts the restarts of one supervisor in a sliding window and decides on further ones.
#[derive(Debug)]
pub struct RestartMachine {
    intensity: Intensity,
    /// Times of the restarts inside the window, oldest first; never more than `restarts`.
    recent: VecDeque<Instant>,
}

impl RestartMachine {
    /// A machine without restarts in its window.
    pub fn new(intensity: Intensity) -> Self {
        Self {
            intensity,
            recent: VecDeque::new(),
        }
    }

    /// Decides on a child that ended at `now`. `delays` are the child's own restart delays.
    pub fn on_exit(
        &mut self,
        ended: &ChildExit<'_>,
        delays: &mut RestartDelays,
        now: Instant,
    ) -> RestartDecision {
        let restarts = match ended.restart {
            Restart::Permanent => true,
            Restart::Transient => ended.reason.is_abnormal(),
            Restart::Temporary => false,
        };
        if !restarts {
            return RestartDecision::Leave;
        }
        if !self.admit(now) {
            return RestartDecision::GiveUp(self.give_up_text(ended));
        }
        if ended.up_for >= ended.healthy_after {
            delays.reset();
        }
        RestartDecision::Restart {
            after: delays.next().unwrap_or_default(),
        }
    }

    /// Counts one restart, unless the window is full.
    fn admit(&mut self, now: Instant) -> bool {
        while let Some(oldest) = self.recent.front() {
            if now.saturating_duration_since(*oldest) < self.intensity.period {
                break;
            }
            self.recent.pop_front();
        }
        if self.recent.len() >= self.intensity.restarts as usize {
            return false;
        }
        self.recent.push_back(now);
        true
    }

    fn give_up_text(&self, ended: &ChildExit<'_>) -> String {
        format!(
            "more than {} restarts in {:?}, the last one needed by {} ({})",
            self.intensity.restarts, self.intensity.period, ended.child, ended.reason
        )
    }
}
