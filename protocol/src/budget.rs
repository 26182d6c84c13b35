//! Budgets: limits on the tokens and the money that runs use.
//!
//! Tokens that a cache served do not count: only input, input that is written to a cache, and output. Money is in millionths
//! of a US dollar in these types, in US dollars on the wire.

use crate::limits::{TOKENS_MAX, USD_MAX};
use crate::{Error, Params, TaskId, Usage};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// An amount of tokens and money. `None` means not limited, or not known.
#[serde_with::skip_serializing_none]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Budget {
    /// Tokens that were not served from a cache.
    pub tokens: Option<u64>,
    /// Millionths of a US dollar. On the wire `usd`, in US dollars.
    #[serde(rename = "usd", default, with = "dollars")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<f64>))]
    pub micros: Option<u64>,
}

impl Budget {
    /// Whether it has neither tokens nor money.
    pub fn is_empty(&self) -> bool {
        *self == Budget::default()
    }

    /// The amount of a run's usage that counts for budgets.
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

    /// Reads the parameter `name`. `None` if it is missing.
    ///
    /// # Errors
    /// As [`Budget::fields`].
    pub fn read(params: &Params<'_>, name: &str) -> Result<Option<Budget>, Error> {
        params
            .object(name)?
            .as_ref()
            .map(Budget::fields)
            .transpose()
    }

    /// Reads `tokens` and `usd` of an object.
    ///
    /// # Errors
    /// `invalid_params` for a number below 0 or above [`TOKENS_MAX`] or [`USD_MAX`].
    pub fn fields(params: &Params<'_>) -> Result<Budget, Error> {
        Ok(Budget {
            tokens: params
                .opt_int("tokens", 0..=TOKENS_MAX as i64)?
                .map(|tokens| tokens as u64),
            micros: params.opt_float("usd", 0.0, USD_MAX)?.map(micros_of),
        })
    }
}

/// US dollars as millionths of a US dollar, rounded. A negative number becomes 0.
pub fn micros_of(usd: f64) -> u64 {
    // A cast from a float saturates.
    (usd * 1e6).round() as u64
}

/// Millionths of a US dollar as US dollars.
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
#[serde_with::skip_serializing_none]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TaskBudget {
    /// The budget of all attempts of the task together.
    #[serde(flatten)]
    pub own: Budget,
    /// The budget of the task and of all its descendants by `parent_id` together.
    pub tree: Option<Budget>,
}

impl TaskBudget {
    /// Reads `budget` of an enqueue.
    ///
    /// # Errors
    /// As [`Budget::fields`]; `invalid_params` for a budget that limits nothing.
    pub fn read(params: &Params<'_>) -> Result<Option<TaskBudget>, Error> {
        let Some(fields) = params.object("budget")? else {
            return Ok(None);
        };
        let budget = TaskBudget {
            own: Budget::fields(&fields)?,
            tree: Budget::read(&fields, "tree")?,
        };
        if budget.tree.is_none_or(|tree| tree.is_empty()) && budget.own.is_empty() {
            return Err(params.refuse(
                "budget",
                "an object with `tokens`, `usd`, or a `tree` with these",
            ));
        }
        Ok(Some(budget))
    }
}

/// The runs that share a budget.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// All runs of this hub's pools.
    Hub,
    /// The runs of a pool.
    Pool(String),
    /// The runs of a provider, over all pools.
    Provider(String),
    /// All attempts of a task.
    Task(TaskId),
    /// A task and all its descendants.
    Tree(TaskId),
}

impl Scope {
    /// Reads a scope, such as `pool:coders`. `None` if the text is not a scope.
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

    /// Whether it is the scope of a task or a tree. Such a budget has no time window, and a person may raise it.
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
            .ok_or_else(|| serde::de::Error::custom(format!("not a scope of budgets: {text}")))
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
