//! `notify_take`: reports deliveries to a target of notifications, and returns the next events for it, oldest first. The hub's
//! own deliveries use it.
//!
//! ```text
//! {"id":1,"method":"notify_take","params":{"name":"ops","done":17}}
//! {"id":1,"result":{"notices":[{"number":18,"id":"n18-9f3c1d2e4b5a6978","event":"failed","at":1790000000.0,"data":{"task_id":42,"status":"failed","queue":"default","type":"chat","attempts":3,"error":"exit code 1"}}],"known":18},"error":null}
//! ```
//!
//! An event is returned again until `done` has reached its number.

use super::key_add::key_name;
use super::{seconds, seconds_or_null, skip_zero};
use crate::limits::LAST_MS;
use crate::notify::NoticeInfo;
use crate::{Error, Limits, Method, Params, Verb};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The default of `limit`: events per answer.
pub const NOTICES_LIMIT: u32 = 100;
/// The greatest `limit`.
pub const NOTICES_LIMIT_MAX: u32 = 1000;
/// The most bytes of `error`; the rest is cut.
pub const NOTIFY_ERROR_BYTES: usize = 500;

/// The target, what happened to its last events, and how long to wait for the next.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NotifyTakeParams {
    /// The target's name.
    pub name: String,
    /// The number of the last event that was delivered.
    pub done: Option<i64>,
    /// Why the delivery of the next event failed.
    pub error: Option<String>,
    /// With `error`: Unix milliseconds of the next try. `None` means that there is none.
    #[serde(rename = "next_at", serialize_with = "seconds_or_null")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<f64>))]
    pub next_ms: Option<i64>,
    /// The most events, 0 to [`NOTICES_LIMIT_MAX`]. `None` means [`NOTICES_LIMIT`].
    pub limit: Option<u32>,
    /// `known` of the last answer, which was empty.
    pub known: Option<i64>,
    /// How long to wait for an event with a number above `known`. Without that there is no wait.
    #[serde(
        rename = "wait_seconds",
        serialize_with = "seconds",
        skip_serializing_if = "skip_zero"
    )]
    #[cfg_attr(feature = "schema", schema(value_type = f64, required = false))]
    pub wait_ms: u64,
}

/// The next events for the target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NotifyTakeAnswer {
    /// Oldest first.
    pub notices: Vec<NoticeInfo>,
    /// The number of the newest event of the hub, for any target.
    pub known: i64,
}

impl Verb for NotifyTakeParams {
    const METHOD: Method = Method::NotifyTake;
    type Answer = NotifyTakeAnswer;

    fn read(params: &Params<'_>, limits: &Limits) -> Result<NotifyTakeParams, Error> {
        let limit = params.opt_int("limit", 0..=i64::from(NOTICES_LIMIT_MAX))?;
        Ok(NotifyTakeParams {
            name: key_name(params)?,
            done: params.opt_positive("done", 1..=i64::MAX)?,
            error: params.opt_text_within("error", NOTIFY_ERROR_BYTES)?,
            next_ms: params
                .opt_seconds("next_at", 0..=LAST_MS)?
                .map(|ms| ms as i64),
            limit: limit.map(|n| n as u32),
            known: params.opt_int("known", 0..=i64::MAX)?,
            wait_ms: params
                .opt_seconds("wait_seconds", 0..=limits.wait_ms_max)?
                .unwrap_or(0),
        })
    }

    fn parked(&self) -> Duration {
        Duration::from_millis(self.wait_ms)
    }
}
