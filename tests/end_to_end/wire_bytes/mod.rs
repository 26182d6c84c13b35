//! Long answers, large texts and slow readers: what they cost is bounded by bytes, and others do not wait for them.
//!
//! Bounds are ratios within a run, or bytes: they hold on a busy machine, too.

mod leases;
mod lists;
mod texts;
mod watch;

use crate::common::Client;
use serde_json::json;

const MIB: u64 = 1 << 20;

/// A figure of the hub.
fn figure(client: &mut Client, name: &str) -> f64 {
    let metrics = client.call("metrics", json!({}));
    let all = metrics["metrics"].as_array().unwrap();
    let found = all.iter().find(|metric| metric["name"] == name);
    found.and_then(|metric| metric["value"].as_f64()).unwrap()
}

fn enqueue_many(client: &mut Client, count: usize, prompt: &str) {
    let tasks = vec![json!({"prompt": prompt}); count.min(5000)];
    for _ in 0..count / tasks.len() {
        client.call("enqueue_batch", json!({"tasks": tasks}));
    }
}
