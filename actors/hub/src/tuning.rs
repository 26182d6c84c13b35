//! The rules that may change while the hub runs. They survive restarts of the actors that follow them.

use kirosu_protocol::settings::ChildRules;
use kirosu_protocol::{NotifyTarget, RetryPolicy, ScopeLimit};
use kirosu_store::StoreOptions;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Rules in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// How long a session may be disconnected before its leases are given back. A change applies to sessions that disconnect
    /// from then on.
    pub session_grace: Duration,
    /// How long finished tasks are kept; checked once a minute. `None` keeps them without limit.
    pub retention: Option<Duration>,
    /// How long entries of the audit trail are kept; checked once a minute.
    pub audit_retention: Duration,
    /// The backoff of tasks that have several attempts and no policy of their own.
    pub retry: RetryPolicy,
    /// The largest part, from 0 to 1, by which delays of retries are shortened at random.
    pub retry_jitter: f64,
    /// Whether an ack after its lease's deadline is always refused.
    pub strict_expiry: bool,
    /// The budgets of the hub's own settings: they replace the limits that an agent host reports for them.
    pub budgets: Vec<ScopeLimit>,
    /// The tasks that runs may add.
    pub children: ChildRules,
    /// The targets of notifications.
    pub notify: Arc<Vec<NotifyTarget>>,
    /// How long events wait for a target that does not get them; checked once a minute.
    pub notify_retention: Duration,
}

impl Rules {
    /// The store options with these rules.
    pub fn of_store(&self, options: &StoreOptions) -> StoreOptions {
        StoreOptions {
            retry_default: self.retry,
            retry_jitter: self.retry_jitter,
            strict_expiry: self.strict_expiry,
            children: self.children.clone(),
            notify: self.notify.clone(),
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

    /// The rules in force now.
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
