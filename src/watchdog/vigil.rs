//! What follows from a round of signs of life: whether all is well, and what to say.

use kirosu_supervision::ThreadPulse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Which threads are silent, and since when.
#[derive(Debug, Default)]
pub struct Vigil {
    silent: BTreeMap<Arc<str>, Instant>,
}

/// What a round brought.
#[derive(Debug, PartialEq, Eq)]
pub struct Round {
    /// Signs of life that were not given.
    pub owed: usize,
    /// What has changed.
    pub findings: Vec<Finding>,
}

/// Something to tell.
#[derive(Debug, PartialEq, Eq)]
pub enum Finding {
    /// A thread has fallen silent.
    Silent {
        /// The thread.
        thread: Arc<str>,
        /// Since it was asked.
        lasting: Duration,
    },
    /// A silent thread answers again.
    Back {
        /// The thread.
        thread: Arc<str>,
        /// Since it was asked for the first time without an answer.
        lasting: Duration,
    },
}

impl Round {
    /// Whether every thread gave a sign of life. Only then is systemd fed.
    pub fn is_well(&self) -> bool {
        self.owed == 0
    }
}

impl Vigil {
    /// Judges the answers to a round that was asked at `asked`; now it is `now`.
    pub fn round(&mut self, pulses: &[ThreadPulse], asked: Instant, now: Instant) -> Round {
        let findings = pulses.iter().filter_map(|pulse| {
            let thread = pulse.thread.clone();
            match (pulse.after_ms, self.silent.get(&pulse.thread).copied()) {
                (None, None) => {
                    self.silent.insert(thread.clone(), asked);
                    let lasting = now - asked;
                    Some(Finding::Silent { thread, lasting })
                }
                (Some(_), Some(since)) => {
                    self.silent.remove(&thread);
                    let lasting = now - since;
                    Some(Finding::Back { thread, lasting })
                }
                _ => None,
            }
        });
        let findings = findings.collect();
        let owed = pulses.iter().filter(|pulse| pulse.after_ms.is_none());
        Round {
            owed: owed.count(),
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
    fn one_silent_thread_is_enough_and_is_told_once() {
        let second = Duration::from_secs(1);
        let start = Instant::now();
        let mut vigil = Vigil::default();
        let mut round = |signs, at: u32| {
            let asked = start + second * at;
            vigil.round(&pulses(signs), asked, asked + second)
        };
        let thread: Arc<str> = "store".into();
        let quiet = |owed| Round {
            owed,
            findings: Vec::new(),
        };
        assert!(round([true, true], 0).is_well());
        let fell = round([true, false], 1);
        assert!(!fell.is_well());
        let silent = Finding::Silent {
            thread: thread.clone(),
            lasting: second,
        };
        assert_eq!(fell.findings, [silent]);
        assert_eq!(round([true, false], 2), quiet(1));
        let back = Finding::Back {
            thread,
            lasting: second * 3,
        };
        assert_eq!(round([true, true], 3).findings, [back]);
        assert_eq!(round([true, true], 4), quiet(0));
    }
}
