//! The rules that may change while the hub runs. What they are now outlives the actors that follow them.

use kirosu_protocol::RetryPolicy;
use kirosu_store::StoreOptions;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Rules in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// How long a session may be away before its leases are given back. Counts for those that go away from now on.
    pub session_grace: Duration,
    /// How long finished tasks are kept; none: for ever. Looked at once a minute.
    pub retention: Option<Duration>,
    /// Backoff of tasks that ask for several attempts and name no policy.
    pub retry: RetryPolicy,
    /// The share, 0 to 1, by which delays of retries are shortened at random.
    pub retry_jitter: f64,
    /// Whether every ack that comes after its lease's deadline is refused.
    pub strict_expiry: bool,
}

impl Rules {
    /// The options of a store that follows these rules.
    pub(crate) fn of_store(&self, options: &StoreOptions) -> StoreOptions {
        StoreOptions {
            retry_default: self.retry,
            retry_jitter: self.retry_jitter,
            strict_expiry: self.strict_expiry,
            ..options.clone()
        }
    }
}

/// The rules, shared. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Tuning(Arc<Mutex<Rules>>);

impl Tuning {
    pub fn new(rules: Rules) -> Tuning {
        Tuning(Arc::new(Mutex::new(rules)))
    }

    /// What is in force now.
    pub fn get(&self) -> Rules {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub fn set(&self, rules: Rules) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = rules;
    }
}
