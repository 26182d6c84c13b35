//! Budgets: how much may be used, by whom, in which time.
//!
//! Tokens here are those that no cache served: input, input written to a cache, and output. Money is in millionths of a
//! US dollar inside, in dollars on the wire.

use crate::error::Error;
use crate::params::Params;
use crate::task::{TaskId, Usage};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Most dollars that a budget can name.
const MOST_USD: f64 = 1e9;
/// Most tokens that a budget can name.
const MOST_TOKENS: i64 = 1_000_000_000_000_000;

/// Tokens and money; what is none is not limited, or not said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Tokens that no cache served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Millionths of a US dollar; on the wire `usd`, in dollars.
    #[serde(
        rename = "usd",
        default,
        with = "dollars",
        skip_serializing_if = "Option::is_none"
    )]
    pub micros: Option<u64>,
}

impl Budget {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Budget::default()
    }

    /// What a run consumed, as budgets count it.
    pub fn of(usage: &Usage) -> Budget {
        let tokens = usage
            .input_tokens
            .saturating_add(usage.cache_write_tokens)
            .saturating_add(usage.output_tokens);
        Budget {
            tokens: Some(tokens),
            micros: usage.cost_usd.map(micros_of),
        }
    }

    /// Reads `name`; none when it is missing.
    pub fn read(params: &Params<'_>, name: &str) -> Result<Option<Budget>, Error> {
        params
            .object(name)?
            .as_ref()
            .map(Budget::fields)
            .transpose()
    }

    /// Reads `tokens` and `usd` of an object.
    pub fn fields(params: &Params<'_>) -> Result<Budget, Error> {
        Ok(Budget {
            tokens: params
                .opt_int("tokens", 0..=MOST_TOKENS)?
                .map(|tokens| tokens as u64),
            micros: params.opt_float("usd", 0.0, MOST_USD)?.map(micros_of),
        })
    }
}

/// Dollars as millionths, rounded; below zero is zero.
pub fn micros_of(usd: f64) -> u64 {
    // A cast from a float saturates.
    (usd * 1e6).round() as u64
}

/// Millionths as dollars.
pub fn usd_of(micros: u64) -> f64 {
    micros as f64 / 1e6
}

mod dollars {
    use super::{micros_of, usd_of};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        micros: &Option<u64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        micros.map(usd_of).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<u64>, D::Error> {
        Ok(Option::<f64>::deserialize(deserializer)?.map(micros_of))
    }
}

/// The budget that a task is enqueued with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskBudget {
    /// Of the task itself, over all its attempts.
    #[serde(flatten)]
    pub own: Budget,
    /// Of the task and all that descend from it by `parent_id`, together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<Budget>,
}

impl TaskBudget {
    /// Reads `budget` of an enqueue; one that limits nothing is refused.
    pub fn read(params: &Params<'_>) -> Result<Option<TaskBudget>, Error> {
        let Some(fields) = params.object("budget")? else {
            return Ok(None);
        };
        let budget = TaskBudget {
            own: Budget::fields(&fields)?,
            tree: Budget::read(&fields, "tree")?,
        };
        let says_nothing = |budget: Budget| budget.is_empty();
        if budget.tree.is_none_or(says_nothing) && budget.own.is_empty() {
            return Err(params.refuse(
                "budget",
                "an object with `tokens`, `usd`, or a `tree` with these",
            ));
        }
        Ok(Some(budget))
    }
}

/// Who shares a budget.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// All that this hub's pools run.
    Hub,
    /// The runs of a pool.
    Pool(String),
    /// The runs of a provider, of all pools.
    Provider(String),
    /// One task, over all its attempts.
    Task(TaskId),
    /// A task and all that descend from it.
    Tree(TaskId),
}

impl Scope {
    /// The scope that a text names, as `pool:coders`; none for any other text.
    pub fn parse(text: &str) -> Option<Scope> {
        if text == "hub" {
            return Some(Scope::Hub);
        }
        let (kind, name) = text.split_once(':').filter(|(_, name)| !name.is_empty())?;
        match kind {
            "pool" => Some(Scope::Pool(name.to_owned())),
            "provider" => Some(Scope::Provider(name.to_owned())),
            "task" => name.parse().ok().map(Scope::Task),
            "tree" => name.parse().ok().map(Scope::Tree),
            _ => None,
        }
    }

    /// Whether it is one task's or one tree's: it has no window of time, and a person may raise it.
    pub fn is_of_tasks(&self) -> bool {
        matches!(self, Scope::Task(_) | Scope::Tree(_))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Hub => f.write_str("hub"),
            Scope::Pool(name) => write!(f, "pool:{name}"),
            Scope::Provider(name) => write!(f, "provider:{name}"),
            Scope::Task(id) => write!(f, "task:{id}"),
            Scope::Tree(id) => write!(f, "tree:{id}"),
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Scope, D::Error> {
        let text = String::deserialize(deserializer)?;
        Scope::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("no scope of budgets: {text}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_as_they_are_written() {
        for text in ["hub", "pool:a:b", "provider:claude", "task:7", "tree:7"] {
            assert_eq!(
                Scope::parse(text).map(|s| s.to_string()).as_deref(),
                Some(text)
            );
        }
        for text in ["", "pool", "pool:", "task:x", "day:1"] {
            assert_eq!(Scope::parse(text), None, "{text}");
        }
    }
}
