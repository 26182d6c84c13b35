//! `reserve`: a worker asks, before and during a run, for a share of the budgets that the run counts against.
//!
//! ```text
//! {"id":1,"method":"reserve","params":{"task_id":42,"fence":1,"scopes":[{"scope":"pool:coders","tokens":1000000,"per_seconds":86400}],"want":{"tokens":50000}}}
//! {"id":1,"result":{"granted":true,"tokens":50000},"error":null}
//! ```
//!
//! All scopes are looked at together, those of the task itself and of its trees too, and the reservation is bound to the
//! lease: it is settled when the lease ends, whatever its end. `want` is for the whole run, so asking again with more
//! raises it, and asking twice with the same changes nothing.

use super::Verb;
use crate::budget::{Budget, Scope};
use crate::error::Error;
use crate::limits::Limits;
use crate::method::Method;
use crate::params::Params;
use crate::task::{Fence, TaskId};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Longest window of a budget, in seconds, and what windows must divide.
pub const DAY_SECONDS: u64 = 86_400;

/// A budget that the worker knows of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeLimit {
    /// `hub`, `pool:NAME` or `provider:NAME`.
    pub scope: Scope,
    /// The limit.
    #[serde(flatten)]
    pub limit: Budget,
    /// Length of its window in seconds: a divisor of a day. Windows begin at midnight UTC and its multiples.
    pub per_seconds: u64,
}

impl ScopeLimit {
    fn read(params: &Params<'_>, limits: &Limits) -> Result<ScopeLimit, Error> {
        let text = params.text("scope")?;
        let most = "provider:".len() + limits.name_bytes;
        let scope = Scope::parse(&text)
            .filter(|scope| !scope.is_of_tasks())
            .filter(|_| text.len() <= most)
            .ok_or_else(|| {
                let rule = format!(
                    "`hub`, `pool:NAME` or `provider:NAME`, with a name of at most {} bytes",
                    limits.name_bytes
                );
                params.refuse("scope", &rule)
            })?;
        let per_seconds = params
            .opt_int("per_seconds", 1..=DAY_SECONDS as i64)?
            .unwrap_or(DAY_SECONDS as i64) as u64;
        if !DAY_SECONDS.is_multiple_of(per_seconds) {
            return Err(params.refuse("per_seconds", "a divisor of 86400, the seconds of a day"));
        }
        Ok(ScopeLimit {
            scope,
            limit: Budget::fields(params)?,
            per_seconds,
        })
    }
}

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReserveParams {
    /// The task.
    pub task_id: TaskId,
    /// The lease's fence.
    pub fence: Fence,
    /// The budgets that the worker knows of; the hub adds those of the task and its trees.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<ScopeLimit>,
    /// What the whole run may need.
    pub want: Budget,
    /// What the run has used up to now; counted if its lease is lost without a word.
    #[serde(skip_serializing_if = "Budget::is_empty")]
    pub used: Budget,
}

/// Which budget has nothing left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// Whose budget.
    pub scope: Scope,
    /// Whether it is used up; else what is left is reserved by runs under way.
    pub exhausted: bool,
    /// Unix seconds of the moment from which asking again makes sense; none: a person has to raise the budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<f64>,
    /// The same in a sentence.
    pub message: String,
}

/// How it went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReserveAnswer {
    /// Whether the run may go on.
    pub granted: bool,
    /// What the run may use in all, refused or not; what is none is not limited.
    #[serde(flatten)]
    pub grant: Budget,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refusal>,
}

impl Verb for ReserveParams {
    const METHOD: Method = Method::Reserve;
    type Answer = ReserveAnswer;

    fn read(params: &Params<'_>, limits: &Limits) -> Result<ReserveParams, Error> {
        let scopes = params.objects("scopes", limits)?.unwrap_or_default();
        let scopes: Vec<ScopeLimit> = scopes
            .iter()
            .map(|scope| ScopeLimit::read(scope, limits))
            .collect::<Result<_, _>>()?;
        let mut seen = HashSet::new();
        if let Some(twice) = scopes.iter().find(|told| !seen.insert(&told.scope)) {
            return Err(Error::invalid_params(format!(
                "invalid params: `scopes` names {} twice",
                twice.scope
            )));
        }
        Ok(ReserveParams {
            task_id: params.task_id()?,
            fence: params.int("fence", 0..=i64::MAX)?,
            scopes,
            want: Budget::read(params, "want")?.unwrap_or_default(),
            used: Budget::read(params, "used")?.unwrap_or_default(),
        })
    }
}
