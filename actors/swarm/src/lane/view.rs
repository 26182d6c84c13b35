//! Lanes as people see them: in the log, and beside the pools.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use kirosu_protocol::verbs::pools::LaneInfo;
use kirosu_providers::AccountClosed;

use super::house::{LaneId, Shut};
use super::limits::Moment;
use super::standing::{Standing, Why};
use super::{Inner, Lanes, wall};

/// One change of a lane, for the log.
pub(super) struct Line {
    account: String,
    standing: Standing,
    text: String,
}

impl Line {
    pub(super) fn write(&self) {
        let (account, text) = (self.account.as_str(), self.text.as_str());
        match self.standing {
            Standing::Open => tracing::info!(account, "the account works again"),
            Standing::Probing { .. } => {
                tracing::info!(account, "one run finds out whether the account works again");
            }
            Standing::Parked { why, .. } => {
                tracing::warn!(
                    account,
                    state = why.as_str(),
                    "no tasks are taken for it: {text}"
                );
            }
        }
    }
}

impl Inner {
    pub(super) fn line_of(&self, id: LaneId, now: Moment) -> Line {
        Line {
            account: self.house.account(id).to_owned(),
            standing: self.house.standing(id),
            text: self.why(id, now),
        }
    }

    /// Why a lane is parked and what ends that.
    fn why(&self, id: LaneId, now: Moment) -> String {
        let Standing::Parked { why, until } = self.house.standing(id) else {
            return String::new();
        };
        let note = self.house.note(id);
        let end = match until {
            Some(until) => {
                let left = until.saturating_sub(now).as_secs_f64().ceil();
                format!("tried again in {left} s")
            }
            None => format!("then say so: kirosu pool probe {}", self.house.account(id)),
        };
        let what = match why {
            Why::RateLimited => "rate limited",
            Why::AuthRequired => "a login or a key is needed",
            Why::Missing => "its program is missing",
            Why::Network => "it cannot be reached",
        };
        match note.is_empty() {
            true => format!("{what}; {end}"),
            false => format!("{what} ({note}); {end}"),
        }
    }

    /// Why none of these lanes may be used.
    pub(super) fn closed(&self, lanes: &[LaneId], shut: Shut, now: Moment) -> AccountClosed {
        let each = lanes
            .iter()
            .map(|id| format!("'{}' {}", self.house.account(*id), self.why(*id, now)));
        AccountClosed {
            until: shut.until.and_then(|until| wall(until, now)),
            message: each.collect::<Vec<_>>().join("; "),
        }
    }
}

impl Lanes {
    /// The lanes of these providers, each once.
    pub(crate) fn view(self: &Arc<Self>, providers: &[String]) -> Vec<LaneInfo> {
        self.with(|inner, now| {
            let mut ids: Vec<LaneId> = Vec::new();
            for name in providers {
                let id = inner.lane(name);
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
            ids.iter().map(|id| inner.info(*id, now)).collect()
        })
    }
}

impl Inner {
    fn info(&self, id: LaneId, now: Moment) -> LaneInfo {
        let standing = self.house.standing(id);
        let limits = self.house.limits(id);
        let (state, until) = match standing {
            Standing::Open => ("open", None),
            Standing::Probing { .. } => ("probing", None),
            Standing::Parked { why, until } => (why.as_str(), until),
        };
        let unix = until
            .and_then(|until| wall(until, now))
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        LaneInfo {
            account: self.house.account(id).to_owned(),
            state: state.to_owned(),
            until: unix.map(|since| since.as_secs()),
            note: Some(self.why(id, now)).filter(|note| !note.is_empty()),
            running: self.house.running(id),
            waiting: u32::try_from(self.house.waiting(id)).unwrap_or(u32::MAX),
            concurrency: limits.concurrency,
            requests_per_minute: limits.requests_per_minute,
            tokens_per_minute: limits.tokens_per_minute,
        }
    }
}
