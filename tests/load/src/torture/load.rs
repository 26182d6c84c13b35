//! A speaker that asks, all the time, how many requests are under way: the hub's limit must hold at every instant.

use super::history::{Call, Event};
use super::link::{Link, Sending, Shared};
use serde_json::{Value, json};
use std::time::Duration;

/// The most requests under way at once: a little more than the clients fill that do not read, so that it is reached, and
/// not all the time.
const MOST: u64 = 540;

/// The most of one connection.
const MOST_OF_ONE: u64 = 64;

/// Between two questions.
const REST: Duration = Duration::from_millis(10);

/// The hub's settings for it.
pub fn settings() -> [String; 2] {
    [
        format!("limits.in_flight_total={MOST}"),
        format!("limits.in_flight_per_connection={MOST_OF_ONE}"),
    ]
}

/// Asks until the work is over.
pub fn run(shared: &Shared, speaker: u32) -> Vec<Event> {
    let mut link = Link::new(shared, speaker, None);
    while !shared.is_over() {
        link.say("metrics", &json!({}), Sending::Once, |answer| Call::Load {
            in_flight: answer.and_then(in_flight).unwrap_or(0),
            most: MOST,
        });
        std::thread::sleep(REST);
    }
    link.events
}

fn in_flight(answer: &Value) -> Option<u64> {
    let mut metrics = answer["metrics"].as_array()?.iter();
    let metric = metrics.find(|metric| metric["name"] == "kirosu_requests_in_flight")?;
    metric["value"].as_f64().map(|value| value as u64)
}
