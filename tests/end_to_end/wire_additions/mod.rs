//! Additions to the protocol of the Python hub, over a real socket.

mod endings;
mod enqueue;
mod heartbeats;
mod hub;
mod leases;
mod one_commit;
mod sessions;
mod tasks;
mod watch;

use crate::common::{Client, until};
use serde_json::Value;

fn numbers(value: &Value) -> Vec<i64> {
    value
        .as_array()
        .unwrap_or_else(|| panic!("no list: {value}"))
        .iter()
        .map(|n| n.as_i64().unwrap())
        .collect()
}

/// The next event of a watch that says this.
fn event_with(watcher: &mut Client, field: &str, value: &str) -> Value {
    until(&format!("an event says {field}={value}"), || {
        let event = watcher.notice("event");
        (event[field] == value).then_some(event)
    })
}
