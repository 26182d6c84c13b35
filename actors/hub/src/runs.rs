//! The tokens of runs: credentials for the requests of an agent, bound to its lease.
//!
//! A token names its task and fence and has a code that only this hub can make, so none is stored. It is valid as long as the
//! lease is live.

use hmac::{Hmac, KeyInit, Mac};
use kirosu_protocol::access::RUN_TOKEN_PREFIX;
use kirosu_protocol::{Fence, TaskId, TaskRun};
use sha2::Sha256;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// The live leases of sessions, by task. The registry of leases changes them, the connections read them. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct LiveRuns(Arc<Mutex<HashMap<TaskId, Fence>>>);

impl LiveRuns {
    pub fn insert(&self, run: TaskRun) {
        self.lock().insert(run.task_id, run.fence);
    }

    /// Removes a lease, unless the task has another one by now.
    pub fn remove(&self, run: TaskRun) {
        let mut live = self.lock();
        if live.get(&run.task_id) == Some(&run.fence) {
            live.remove(&run.task_id);
        }
    }

    /// Removes all but these.
    pub fn retain(&self, is_live: impl Fn(TaskRun) -> bool) {
        self.lock().retain(|task_id, fence| {
            is_live(TaskRun {
                task_id: *task_id,
                fence: *fence,
            })
        });
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Whether the lease of a run is live.
    pub fn has(&self, run: TaskRun) -> bool {
        self.lock().get(&run.task_id) == Some(&run.fence)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<TaskId, Fence>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for LiveRuns {
    fn eq(&self, other: &LiveRuns) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for LiveRuns {}

/// Makes and reads tokens.
#[derive(Clone)]
pub(crate) struct RunTokens(Hmac<Sha256>);

impl RunTokens {
    /// `secret`: random, and the same after a restart of the hub, because runs go on meanwhile.
    pub fn new(secret: &str) -> RunTokens {
        RunTokens(match Hmac::new_from_slice(secret.as_bytes()) {
            Ok(code) => code,
            // HMAC takes keys of any length.
            Err(_) => Hmac::new(&Default::default()),
        })
    }

    /// The token of a run: `krt_TASK.FENCE.CODE`.
    pub fn token(&self, run: TaskRun) -> String {
        let mut token = name(run);
        for byte in self.code(&token).finalize().into_bytes() {
            // Writing to a string does not fail.
            let _ = write!(token, "{byte:02x}");
        }
        token
    }

    /// The run of a token. `None`: this hub has not made it.
    pub fn run(&self, token: &str) -> Option<TaskRun> {
        let mut parts = token.strip_prefix(RUN_TOKEN_PREFIX)?.split('.');
        let run = TaskRun {
            task_id: parts.next()?.parse().ok()?,
            fence: parts.next()?.parse().ok()?,
        };
        let code = read_hex(parts.next()?)?;
        if parts.next().is_some() {
            return None;
        }
        // In constant time.
        self.code(&name(run)).verify_slice(&code).ok().map(|()| run)
    }

    fn code(&self, name: &str) -> Hmac<Sha256> {
        self.0.clone().chain_update(name)
    }
}

fn name(run: TaskRun) -> String {
    format!("{RUN_TOKEN_PREFIX}{}.{}.", run.task_id, run.fence)
}

fn read_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    let digits = (0..text.len()).step_by(2).map(|at| &text[at..at + 2]);
    digits.map(|it| u8::from_str_radix(it, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: TaskRun = TaskRun {
        task_id: 42,
        fence: 7,
    };

    #[test]
    fn a_token_is_read_by_its_hub_alone_and_cannot_be_changed() {
        let tokens = RunTokens::new("secret");
        let token = tokens.token(RUN);
        assert!(token.starts_with("krt_42.7."), "{token}");
        assert_eq!(tokens.run(&token), Some(RUN));
        assert_eq!(RunTokens::new("secret").run(&token), Some(RUN));
        assert_eq!(RunTokens::new("other").run(&token), None);
        for bad in [
            token.replacen("42.7", "43.7", 1),
            token.replacen("42.7", "42.8", 1),
            token.replacen("krt_", "krs_", 1),
            format!("{token}00"),
            format!("{token}.0"),
            token[..token.len() - 2].to_owned(),
            "krt_42.7.".to_owned(),
            "krt_42.7.é0".to_owned(),
            "krt_".to_owned(),
        ] {
            assert_eq!(tokens.run(&bad), None, "{bad}");
        }
    }

    #[test]
    fn a_run_is_live_until_its_lease_ends_or_another_begins() {
        let runs = LiveRuns::default();
        let next = TaskRun { fence: 8, ..RUN };
        runs.insert(RUN);
        assert!(runs.has(RUN) && !runs.has(next));
        runs.insert(next);
        runs.remove(RUN);
        assert!(!runs.has(RUN) && runs.has(next));
        runs.retain(|run| run != next);
        assert!(!runs.has(next));
    }
}
