//! Whether a pool's provider can run anything now, and what to say when it cannot.

use std::time::Duration;

use tokio::time::Instant;

/// The pool's standing with its provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PoolHealth {
    /// Nobody has looked yet; no task is taken.
    Unknown,
    /// Tasks are taken.
    Ready,
    /// No task is taken.
    Blocked {
        /// Why, in one word of the protocol's pool states.
        reason: BlockReason,
        /// What a person should know or do.
        note: String,
        /// When to go on without having looked; none: only a look or a change of options ends it.
        until: Option<Instant>,
    },
}

/// Why a pool takes no tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockReason {
    /// The provider's program is not there.
    Missing,
    /// The folder that its runs work in cannot be used.
    NoFolder,
    /// A budget is used up until a time.
    BudgetExhausted,
    /// It would run code of tasks, and the pool has not opted in.
    NotTrusted,
}

impl BlockReason {
    /// The word on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Missing | Self::NoFolder => "missing",
            Self::BudgetExhausted => "budget_exhausted",
            Self::NotTrusted => "not_trusted",
        }
    }
}

/// What a run told about the pool, beyond its own end. What it told about the provider's account is the lane's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RunSymptom {
    /// It works.
    Fine,
    /// Its program is not there.
    Missing(String),
    /// The folder that it is to work in cannot be used.
    NoFolder(String),
    /// The machine was short of something, so that a run was not started: which thing.
    Short(String),
    /// A budget that counts for its runs is used up for so long.
    BudgetExhausted(Duration, String),
}

impl PoolHealth {
    /// Whether tasks may be taken.
    pub(crate) fn is_ready(&self) -> bool {
        *self == Self::Ready
    }

    /// The standing after a run told this.
    pub(crate) fn after(symptom: RunSymptom, now: Instant) -> Self {
        let blocked = |reason, note, until| Self::Blocked {
            reason,
            note,
            until,
        };
        match symptom {
            // A shortage limits the sessions (`allowance`), and takes no pool out of service.
            RunSymptom::Fine | RunSymptom::Short(_) => Self::Ready,
            RunSymptom::Missing(note) => blocked(BlockReason::Missing, note, None),
            RunSymptom::NoFolder(note) => blocked(BlockReason::NoFolder, note, None),
            RunSymptom::BudgetExhausted(wait, note) => {
                blocked(BlockReason::BudgetExhausted, note, Some(now + wait))
            }
        }
    }
}
