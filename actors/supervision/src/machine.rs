//! The rules of restarting as a pure machine: no clock, no actor, no I/O.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::backoff::Delays;
use crate::exit::ExitReason;

/// Which ends of a child lead to a restart.
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

/// Which children are restarted when one of them ends.
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

/// How many restarts a supervisor bears in a period; one more and it gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Intensity {
    /// Restarts allowed within `period`. Zero: the first abnormal end is one too many.
    pub restarts: u32,
    /// Length of the sliding window.
    pub period: Duration,
}

impl Default for Intensity {
    /// Ten restarts in a minute.
    fn default() -> Self {
        Self {
            restarts: 10,
            period: Duration::from_secs(60),
        }
    }
}

/// What a supervisor does about a child that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Restart it (and those its strategy names) after this delay.
    Restart {
        /// The delay, from the child's backoff policy.
        after: Duration,
    },
    /// Leave it ended.
    Leave,
    /// Stop all children and end with [`ExitReason::GaveUp`]; the text says why.
    GiveUp(String),
}

/// How a child ended, as the machine needs to know it.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    /// Name of the child, for the text of a give-up.
    pub child: &'a str,
    /// Its restart policy.
    pub restart: Restart,
    /// How it ended.
    pub reason: &'a ExitReason,
    /// How long it had been up.
    pub up_for: Duration,
    /// From which time up its backoff is forgotten.
    pub healthy_after: Duration,
}

/// Counts restarts of one supervisor in a sliding window and passes verdicts.
#[derive(Debug)]
pub struct RestartMachine {
    intensity: Intensity,
    /// Times of the restarts inside the window, oldest first; never more than `restarts`.
    recent: VecDeque<Instant>,
}

impl RestartMachine {
    /// A machine that has seen no restart yet.
    pub fn new(intensity: Intensity) -> Self {
        Self {
            intensity,
            recent: VecDeque::new(),
        }
    }

    /// The verdict on a child that ended at `now`. `delays` is that child's own backoff.
    pub fn on_exit(&mut self, ended: &Ended<'_>, delays: &mut Delays, now: Instant) -> Verdict {
        let restarts = match ended.restart {
            Restart::Permanent => true,
            Restart::Transient => ended.reason.is_abnormal(),
            Restart::Temporary => false,
        };
        if !restarts {
            return Verdict::Leave;
        }
        if !self.admit(now) {
            return Verdict::GiveUp(self.complaint(ended));
        }
        if ended.up_for >= ended.healthy_after {
            delays.reset();
        }
        Verdict::Restart {
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

    fn complaint(&self, ended: &Ended<'_>) -> String {
        format!(
            "more than {} restarts in {:?}, the last one wanted by {} ({})",
            self.intensity.restarts, self.intensity.period, ended.child, ended.reason
        )
    }
}
