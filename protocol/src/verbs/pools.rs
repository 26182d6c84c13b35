//! `pools`: the pools of agents, and their size, which can be changed.
//!
//! ```text
//! {"id":1,"method":"pools","params":{"resize":{"pool":"claude","size":8}}}
//! {"id":1,"result":{"pools":[{"name":"claude","provider":"claude","size":8,"busy":3,"state":"running"}]},"error":null}
//! ```

use super::Verb;
use crate::error::Error;
use crate::limits::Limits;
use crate::method::Method;
use crate::params::Params;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// Sizes that a pool may have, in sessions.
pub const SIZES: RangeInclusive<i64> = 0..=10_000;

/// A new size for a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Resize {
    /// The pool's name.
    pub pool: String,
    /// Its sessions, 0 to 10,000.
    pub size: u32,
}

/// Read the pools, after resizing one or trying a parked account again, where asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PoolsParams {
    /// The change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize: Option<Resize>,
    /// A pool, or a provider account: where it is parked, its next task finds out whether it works again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<String>,
}

/// A pool as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolInfo {
    /// Its name.
    pub name: String,
    /// The provider its sessions run.
    pub provider: String,
    /// The model, where one is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The queues it takes from.
    #[serde(default)]
    pub queues: Vec<String>,
    /// The types it takes; empty: all but `human`, and `python` only with the member of that name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// Whether it takes tasks of type `python`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub python: bool,
    /// Sessions wanted.
    pub size: u32,
    /// Sessions with a running invocation.
    pub busy: u32,
    /// `running`, `paused`, `draining`, or why it cannot run (`missing`, `auth_required`, `rate_limited`, `gave_up`).
    pub state: String,
    /// What a person should know or do about that state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Whether dangerous execution is opted into.
    #[serde(default)]
    pub trusted: bool,
    /// The accounts that its provider may use, in the order in which they are tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lanes: Vec<LaneInfo>,
}

/// A provider account as it is now, for all pools that use it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneInfo {
    /// Its name.
    pub account: String,
    /// `open`, `probing` (one run finds out whether it works again), or why it is parked (`rate_limited`,
    /// `auth_required`, `missing`, `network`).
    pub state: String,
    /// Unix seconds at which it is tried again, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// What a person should know or do about that state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Runs under way.
    pub running: u32,
    /// Sessions and runs that wait for it.
    pub waiting: u32,
    /// Most runs side by side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Most runs begun within a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// Tokens a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
}

/// All pools of this hub's process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolsAnswer {
    /// In the order of the configuration.
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
        let size = fields.int("size", SIZES)? as u32;
        Ok(PoolsParams {
            resize: Some(Resize { pool, size }),
            probe,
        })
    }
}
