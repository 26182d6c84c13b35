//! `audit`: lists changes and refused requests, newest first: the client that sent each, and the tasks or names that it was
//! about.
//!
//! ```text
//! {"id":1,"method":"audit","params":{"who":"ci","limit":2}}
//! {"id":1,"result":{"entries":[{"id":8,"at":1790000060.0,"who":"ci","role":"enqueue","peer":"127.0.0.1:50112","method":"shutdown","code":"forbidden","count":3},...],"next":7},"error":null}
//! ```

use super::seconds_or_null;
use crate::limits::LAST_MS;
use crate::{Error, Limits, Method, Params, TaskId, Verb};
use serde::{Deserialize, Serialize};

/// The default of `limit`: entries per page.
pub const AUDIT_LIMIT: u32 = 100;
/// The greatest `limit`.
pub const AUDIT_LIMIT_MAX: u32 = 1000;

/// The entries to list.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AuditParams {
    /// Only of this client: the name of a key, `admin`, `keyless` or `kirosu`.
    pub who: Option<String>,
    /// Only about this task.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub task_id: Option<TaskId>,
    /// Unix milliseconds; only entries of this time or later.
    #[serde(rename = "since", serialize_with = "seconds_or_null")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<f64>))]
    pub since_ms: Option<i64>,
    /// The most entries, 1 to [`AUDIT_LIMIT_MAX`]. `None` means [`AUDIT_LIMIT`].
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 1000))]
    pub limit: Option<u32>,
    /// `next` of the previous answer. `None` means the newest entries.
    pub cursor: Option<i64>,
}

/// A page of the audit trail.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AuditAnswer {
    /// Newest first.
    pub entries: Vec<AuditLine>,
    /// `cursor` of the next page. `None` means that this is the last page.
    pub next: Option<i64>,
}

/// An entry of the audit trail.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AuditLine {
    /// Its number; later entries have higher numbers.
    pub id: i64,
    /// Unix seconds; of refusals the start of their minute.
    pub at: f64,
    /// The name of the key; `admin` for the hub's own key, `keyless` for a client without a key, `kirosu` for a part of the
    /// hub, `unknown` for a wrong key.
    pub who: String,
    /// The role of the key.
    pub role: Option<String>,
    /// The address of the connection; of several refusals the newest one.
    pub peer: String,
    /// The method.
    pub method: String,
    /// The task, or the first of several that one client added in a row.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub task_id: Option<TaskId>,
    /// The last of several tasks.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub last_task_id: Option<TaskId>,
    /// A queue, a permission request or the name of a key.
    pub target: Option<String>,
    /// The error code of a refusal. `None` means that the request succeeded.
    pub code: Option<String>,
    /// The number of refusals of this kind in the minute; 1 for a request that succeeded.
    pub count: i64,
}

impl Verb for AuditParams {
    const METHOD: Method = Method::Audit;
    type Answer = AuditAnswer;

    fn read(params: &Params<'_>, limits: &Limits) -> Result<AuditParams, Error> {
        let limit = params.opt_positive("limit", 1..=i64::from(AUDIT_LIMIT_MAX))?;
        Ok(AuditParams {
            who: params.opt_name("who", limits)?,
            task_id: params.opt_positive("task_id", 1..=i64::MAX)?,
            since_ms: params
                .opt_seconds("since", 0..=LAST_MS)?
                .map(|ms| ms as i64),
            limit: limit.map(|n| n as u32),
            cursor: params.opt_positive("cursor", 1..=i64::MAX)?,
        })
    }
}
