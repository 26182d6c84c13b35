//! Evaluation of the threads' responses: missing responses, and threads whose state has changed.

use kirosu_supervision::ThreadPulse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The threads that do not respond, with the time of their first probe without a response.
#[derive(Debug, Default)]
pub struct Heartbeats {
    silent: BTreeMap<Arc<str>, Instant>,
}

/// Result of one round of probes.
#[derive(Debug, PartialEq, Eq)]
pub struct HeartbeatRound {
    /// Number of threads without a response.
    pub missing: usize,
    /// Threads that have stopped to respond, or respond again.
    pub findings: Vec<ThreadFinding>,
}

/// A change of a thread, to be logged.
#[derive(Debug, PartialEq, Eq)]
pub enum ThreadFinding {
    /// The thread does not respond.
    Silent {
        /// Label of the thread.
        thread: Arc<str>,
        /// Time since the probe.
        lasting: Duration,
    },
    /// The thread responds again.
    Responds {
        /// Label of the thread.
        thread: Arc<str>,
        /// Time since the first probe without a response.
        lasting: Duration,
    },
}

impl HeartbeatRound {
    /// Whether every thread has responded.
    pub fn is_complete(&self) -> bool {
        self.missing == 0
    }
}

impl Heartbeats {
    /// Evaluates the responses at `now` to the probes that were sent at `probed`.
    pub fn round(
        &mut self,
        pulses: &[ThreadPulse],
        probed: Instant,
        now: Instant,
    ) -> HeartbeatRound {
        let findings = pulses.iter().filter_map(|pulse| {
            let thread = pulse.thread.clone();
            match (pulse.after_ms, self.silent.get(&pulse.thread).copied()) {
                (None, None) => {
                    self.silent.insert(thread.clone(), probed);
                    let lasting = now - probed;
                    Some(ThreadFinding::Silent { thread, lasting })
                }
                (Some(_), Some(since)) => {
                    self.silent.remove(&thread);
                    let lasting = now - since;
                    Some(ThreadFinding::Responds { thread, lasting })
                }
                _ => None,
            }
        });
        let findings = findings.collect();
        let missing = pulses.iter().filter(|pulse| pulse.after_ms.is_none());
        HeartbeatRound {
            missing: missing.count(),
            findings,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pulses(signs: [bool; 2]) -> Vec<ThreadPulse> {
        let pulse = |(name, sign): (&str, bool)| ThreadPulse {
            thread: name.into(),
            after_ms: sign.then_some(0),
        };
        ["main", "store"]
            .into_iter()
            .zip(signs)
            .map(pulse)
            .collect()
    }

    #[test]
    fn a_silent_thread_is_reported_once() {
        let second = Duration::from_secs(1);
        let start = Instant::now();
        let mut heartbeats = Heartbeats::default();
        let mut round = |signs, at: u32| {
            let probed = start + second * at;
            heartbeats.round(&pulses(signs), probed, probed + second)
        };
        let thread: Arc<str> = "store".into();
        let unchanged = |missing| HeartbeatRound {
            missing,
            findings: Vec::new(),
        };
        assert!(round([true, true], 0).is_complete());
        let first = round([true, false], 1);
        assert!(!first.is_complete());
        let silent = ThreadFinding::Silent {
            thread: thread.clone(),
            lasting: second,
        };
        assert_eq!(first.findings, [silent]);
        assert_eq!(round([true, false], 2), unchanged(1));
        let back = ThreadFinding::Responds {
            thread,
            lasting: second * 3,
        };
        assert_eq!(round([true, true], 3).findings, [back]);
        assert_eq!(round([true, true], 4), unchanged(0));
    }
}
