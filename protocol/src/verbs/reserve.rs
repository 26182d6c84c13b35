//! `reserve`: reserves a share of the budgets that a run counts against, before and during the run.
//!
//! ```text
//! {"id":1,"method":"reserve","params":{"task_id":42,"fence":1,"scopes":[{"scope":"pool:coders","tokens":1000000,"per_seconds":86400}],"want":{"tokens":50000}}}
//! {"id":1,"result":{"granted":true,"tokens":50000},"error":null}
//! ```
//!
//! The hub checks all scopes together, those of the task and of its trees too. The reservation is bound to the lease and is settled
//! when the lease ends. `want` is the amount for the whole run: a second request with more raises the reservation, and the
//! same request again changes nothing.

use crate::limits::DAY_SECONDS;
use crate::{Budget, Error, Fence, Limits, Method, Params, Scope, TaskId, Verb};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// A budget of the hub's or the worker's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ScopeLimit {
    /// `hub`, `pool:NAME` or `provider:NAME`.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub scope: Scope,
    /// The limit.
    #[serde(flatten)]
    pub limit: Budget,
    /// The length of its window in seconds: a divisor of a day. The first window of a day starts at midnight UTC.
    #[cfg_attr(feature = "schema", schema(required = false))]
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

/// The reservation of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ReserveParams {
    /// The task.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub task_id: TaskId,
    /// The lease's fence.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub fence: Fence,
    /// The configured budgets; the hub adds those of the task and its trees.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub scopes: Vec<ScopeLimit>,
    /// The amount for the whole run.
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub want: Budget,
    /// The amount that the run has used so far. It counts if the lease is lost without a report.
    #[serde(skip_serializing_if = "Budget::is_empty")]
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub used: Budget,
}

/// The budget that has nothing left.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BudgetRefusal {
    /// The scope of the budget.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub scope: Scope,
    /// Whether the budget is used up. If not, current runs have reserved the rest.
    pub exhausted: bool,
    /// Unix seconds from which a new request can succeed. `None` means that a person must raise the budget.
    pub retry_at: Option<f64>,
    /// The same as a sentence for a person.
    pub message: String,
}

/// The reservation after the request.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ReserveAnswer {
    /// Whether the run may start or continue.
    pub granted: bool,
    /// The amount that the run may use in total, also after a refusal. `None` means not limited.
    #[serde(flatten)]
    pub grant: Budget,
    /// The reason of a refusal.
    pub refused: Option<BudgetRefusal>,
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
        if let Some(twice) = scopes.iter().find(|it| !seen.insert(&it.scope)) {
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
