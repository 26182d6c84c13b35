//! `pools`: lists the pools of agents; optionally resizes one or probes a provider account first.
//!
//! ```text
//! {"id":1,"method":"pools","params":{"resize":{"pool":"claude","size":8}}}
//! {"id":1,"result":{"pools":[{"name":"claude","provider":"claude","size":8,"busy":3,"state":"running"}]},"error":null}
//! ```

use crate::{Error, Limits, Method, Params, Verb};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// The range of a pool's size, in sessions.
pub const POOL_SIZES: RangeInclusive<i64> = 0..=10_000;

/// A new size for a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Resize {
    /// The pool's name.
    pub pool: String,
    /// The number of sessions, within [`POOL_SIZES`].
    #[cfg_attr(feature = "schema", schema(minimum = 0, maximum = 10000))]
    pub size: u32,
}

/// Changes to make before the pools are listed.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PoolsParams {
    /// The pool to resize. The size holds until the next start or reload.
    pub resize: Option<Resize>,
    /// A pool or a provider account. If it is parked, its next task tests whether it works again.
    pub probe: Option<String>,
}

/// A pool.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PoolInfo {
    /// The pool's name.
    pub name: String,
    /// The provider that its sessions run.
    pub provider: String,
    /// The model, if configured.
    pub model: Option<String>,
    /// The queues that it leases from.
    #[serde(default)]
    pub queues: Vec<String>,
    /// The types that it leases. Empty means every type except `human`, and except `python` unless `python` is true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// Whether it runs tasks of type `python`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub python: bool,
    /// The configured number of sessions.
    pub size: u32,
    /// The number of sessions with a run.
    pub busy: u32,
    /// `running`, `paused`, `draining`, or the reason why it cannot run tasks, such as `missing`, `auth_required`,
    /// `rate_limited` or `gave_up`.
    pub state: String,
    /// Advice for a person about the state.
    pub note: Option<String>,
    /// Whether the pool has opted in to the execution of code.
    #[serde(default)]
    pub trusted: bool,
    /// The accounts that its provider may use, in the order of preference.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lanes: Vec<LaneInfo>,
}

/// A provider account. All pools that use it share its limits.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LaneInfo {
    /// The account's name.
    pub account: String,
    /// `open`, `probing` (one run tests whether it works again), or the reason why it is parked: `rate_limited`,
    /// `auth_required`, `missing` or `network`.
    pub state: String,
    /// Unix seconds of the next try, if known.
    pub until: Option<u64>,
    /// Advice for a person about the state.
    pub note: Option<String>,
    /// The number of runs.
    pub running: u32,
    /// The number of sessions and runs that wait for the account.
    pub waiting: u32,
    /// The most concurrent runs.
    pub concurrency: Option<u32>,
    /// The most runs started per minute.
    pub requests_per_minute: Option<u32>,
    /// The most tokens per minute.
    pub tokens_per_minute: Option<u64>,
}

/// The pools of the hub's process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PoolsAnswer {
    /// The pools, in the order of the configuration.
    pub pools: Vec<PoolInfo>,
}

impl Verb for PoolsParams {
    const METHOD: Method = Method::Pools;
    type Answer = PoolsAnswer;

    fn read(params: &Params<'_>, limits: &Limits) -> Result<PoolsParams, Error> {
        let probe = params.opt_name("probe", limits)?;
        let Some(fields) = params.object("resize")? else {
            return Ok(PoolsParams {
                resize: None,
                probe,
            });
        };
        let pool = fields
            .opt_name("pool", limits)?
            .ok_or_else(|| fields.refuse("pool", "a pool's name"))?;
        let size = fields.int("size", POOL_SIZES)? as u32;
        Ok(PoolsParams {
            resize: Some(Resize { pool, size }),
            probe,
        })
    }
}
