//! Accounts as people see them: in the log, and in the list of pools.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use kirosu_protocol::LaneInfo;
use kirosu_providers::AccountClosed;

use super::limiter::{AccountHealth, ParkReason};
use super::limits::QueueTime;
use super::queue::{AccountId, AllParked};
use super::{Accounts, AccountsInner, wall};

/// A change of an account's health, for the log.
pub(super) struct HealthLogLine {
    account: String,
    health: AccountHealth,
    text: String,
}

impl HealthLogLine {
    pub(super) fn write(&self) {
        let (account, text) = (self.account.as_str(), self.text.as_str());
        match self.health {
            AccountHealth::Open => tracing::info!(account, "the account works again"),
            AccountHealth::Probing { .. } => {
                tracing::info!(account, "one run probes the account");
            }
            AccountHealth::Parked { why, .. } => {
                tracing::warn!(
                    account,
                    state = why.as_str(),
                    "no tasks are taken for it: {text}"
                );
            }
        }
    }
}

impl AccountsInner {
    pub(super) fn line_of(&self, id: AccountId, now: QueueTime) -> HealthLogLine {
        HealthLogLine {
            account: self.queue.name(id).to_owned(),
            health: self.queue.health(id),
            text: self.why(id, now),
        }
    }

    /// Why an account is parked, and what ends that.
    fn why(&self, id: AccountId, now: QueueTime) -> String {
        let AccountHealth::Parked { why, until } = self.queue.health(id) else {
            return String::new();
        };
        let note = self.queue.note(id);
        let end = match until {
            Some(until) => {
                let left = until.saturating_sub(now).as_secs_f64().ceil();
                format!("tried again in {left} s")
            }
            None => format!("then run kirosu pool probe {}", self.queue.name(id)),
        };
        let what = match why {
            ParkReason::RateLimited => "rate limited",
            ParkReason::AuthRequired => "a login or a key is needed",
            ParkReason::Missing => "its program is missing",
            ParkReason::Network => "it cannot be reached",
        };
        match note.is_empty() {
            true => format!("{what}; {end}"),
            false => format!("{what} ({note}); {end}"),
        }
    }

    /// Why none of these accounts may be used.
    pub(super) fn closed(
        &self,
        accounts: &[AccountId],
        all_parked: AllParked,
        now: QueueTime,
    ) -> AccountClosed {
        let each = accounts
            .iter()
            .map(|id| format!("'{}' {}", self.queue.name(*id), self.why(*id, now)));
        AccountClosed {
            until: all_parked.until.and_then(|until| wall(until, now)),
            message: each.collect::<Vec<_>>().join("; "),
        }
    }
}

impl Accounts {
    /// Returns the accounts of these providers, each once.
    pub(crate) fn view(self: &Arc<Self>, providers: &[String]) -> Vec<LaneInfo> {
        self.with(|inner, now| {
            let mut ids: Vec<AccountId> = Vec::new();
            for name in providers {
                let id = inner.account(name);
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
            ids.iter().map(|id| inner.info(*id, now)).collect()
        })
    }
}

impl AccountsInner {
    fn info(&self, id: AccountId, now: QueueTime) -> LaneInfo {
        let health = self.queue.health(id);
        let limits = self.queue.limits(id);
        let (state, until) = match health {
            AccountHealth::Open => ("open", None),
            AccountHealth::Probing { .. } => ("probing", None),
            AccountHealth::Parked { why, until } => (why.as_str(), until),
        };
        let unix = until
            .and_then(|until| wall(until, now))
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        LaneInfo {
            account: self.queue.name(id).to_owned(),
            state: state.to_owned(),
            until: unix.map(|since| since.as_secs()),
            note: Some(self.why(id, now)).filter(|note| !note.is_empty()),
            running: self.queue.running(id),
            waiting: u32::try_from(self.queue.waiting(id)).unwrap_or(u32::MAX),
            concurrency: limits.concurrency,
            requests_per_minute: limits.requests_per_minute,
            tokens_per_minute: limits.tokens_per_minute,
        }
    }
}
