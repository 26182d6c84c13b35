//! `watch`: subscribes the connection to `event` notifications. Their numbers allow a client to resume after a reconnect.
//!
//! ```text
//! {"id":1,"method":"watch","params":{"since":118,"kinds":["task","output"],"task_id":42}}
//! {"id":1,"result":{"seq":120,"gap":false,"boot_id":"..."},"error":null}
//! {"jsonrpc":"2.0","method":"event","params":{"seq":119,"time":1760000000.0,"event":"task","task_id":42,"status":"leased",...}}
//! ```

use crate::{Error, Limits, Method, Params, TaskId, Verb};
use serde::{Deserialize, Serialize};

/// The events to send.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WatchParams {
    /// The last event's number that the client has; later events are sent first. `None` means only new events.
    pub since: Option<u64>,
    /// The `boot_id` that belongs to `since`. If the hub was restarted since, the numbers are not comparable: the answer has `gap`.
    pub boot_id: Option<String>,
    /// Only events of this task.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub task_id: Option<TaskId>,
    /// Only these kinds, names of [`EVENT_KINDS`]. Empty means all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub kinds: Vec<String>,
}

/// The state of the stream of events.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WatchAnswer {
    /// The newest event's number.
    pub seq: u64,
    /// Whether events after `since` are lost, because they are too old or the hub was restarted. The client must read the state
    /// again.
    pub gap: bool,
    /// Unique per start of the hub. Send it with the next `since`.
    #[serde(default)]
    pub boot_id: String,
}

impl Verb for WatchParams {
    const METHOD: Method = Method::Watch;
    type Answer = WatchAnswer;

    fn read(params: &Params<'_>, limits: &Limits) -> Result<WatchParams, Error> {
        let kinds = params.names("kinds", limits)?;
        if kinds
            .iter()
            .any(|kind| !EVENT_KINDS.contains(&kind.as_str()))
        {
            return Err(params.refuse("kinds", &format!("a list of {}", EVENT_KINDS.join(", "))));
        }
        Ok(WatchParams {
            since: params.opt_int("since", 0..=i64::MAX)?.map(|n| n as u64),
            boot_id: params.opt_name("boot_id", limits)?,
            task_id: params.opt_int("task_id", i64::MIN..=i64::MAX)?,
            kinds,
        })
    }
}

/// The kinds of events: the values of `kinds` and of the field `event`.
pub const EVENT_KINDS: [&str; 11] = [
    "task", "approval", "progress", "output", "session", "actor", "queue", "run", "step", "hub",
    "schedule",
];
