//! Whether a pool's provider can run tasks now, and the message if it cannot.

use std::time::Duration;

use tokio::time::Instant;

/// The health of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PoolHealth {
    /// The probe has not finished its first check; no task is taken.
    Unknown,
    /// Tasks are taken.
    Ready,
    /// No task is taken.
    Blocked {
        /// The reason.
        reason: BlockReason,
        /// Explanation or advice, for people.
        note: String,
        /// When to take tasks again without a check; `None` means after a successful check or a change of the
        /// options.
        until: Option<Instant>,
    },
}

/// Why a pool takes no tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockReason {
    /// The provider's program is missing.
    Missing,
    /// The folder for runs cannot be used.
    NoFolder,
    /// A budget is used up.
    BudgetExhausted,
    /// The provider runs code of tasks, and the pool is not trusted.
    NotTrusted,
}

impl BlockReason {
    /// Returns the name of the pool state on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Missing | Self::NoFolder => "missing",
            Self::BudgetExhausted => "budget_exhausted",
            Self::NotTrusted => "not_trusted",
        }
    }
}

/// The effect of a run on its pool's health. Its effect on the account is separate (`account/verdict.rs`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RunSymptom {
    /// No effect.
    Fine,
    /// The provider's program is missing.
    Missing(String),
    /// The folder for the run cannot be used.
    NoFolder(String),
    /// The run was not started for lack of the named resource.
    Short(String),
    /// A budget is used up for this time.
    BudgetExhausted(Duration, String),
}

impl PoolHealth {
    /// Whether tasks may be taken.
    pub(crate) fn is_ready(&self) -> bool {
        *self == Self::Ready
    }

    /// The health after this symptom.
    pub(crate) fn after(symptom: RunSymptom, now: Instant) -> Self {
        let blocked = |reason, note, until| Self::Blocked {
            reason,
            note,
            until,
        };
        match symptom {
            // A shortage limits the number of sessions (`allowance.rs`); the pool stays in service.
            RunSymptom::Fine | RunSymptom::Short(_) => Self::Ready,
            RunSymptom::Missing(note) => blocked(BlockReason::Missing, note, None),
            RunSymptom::NoFolder(note) => blocked(BlockReason::NoFolder, note, None),
            RunSymptom::BudgetExhausted(wait, note) => {
                blocked(BlockReason::BudgetExhausted, note, Some(now + wait))
            }
        }
    }
}
