//! Screen 3: pools and the accounts of providers; the tasks that wait for them.

use super::{SIZES, choose, open};
use crate::common::{Setup, until};
use crate::lanes::{Does, Service, pool, provider};
use serde_json::json;
use std::time::Duration;

#[test]
fn pools_are_resized_and_paused_and_accounts_tell_when_they_are_back() {
    let limit = Does::Limits(Duration::from_secs(600));
    let service = Service::start(limit, Duration::ZERO);
    let mut setup = provider(Setup::new().up(), "svc", &service);
    setup = pool(setup, "one", "svc", "default", 2);
    let hub = pool(setup, "other", "echo", "aside", 1).start();
    let mut client = hub.client();
    for _ in 0..3 {
        client.enqueue("another");
    }
    let task = client.enqueue("one that waits");
    until("the account is parked", || {
        let waiting = client.task(task)["waiting"].take();
        (waiting["reason"] == "rate_limited").then_some(())
    });
    for size in SIZES {
        let tmux = open(&hub, size, "--screen pools");
        let screen = tmux.see(&[
            "QUEUED",
            "rate_limited",
            "parked: over its limit",
            "available",
            "in 9 min)",
            "Agents",
            "live",
        ]);
        println!("{screen}");
        tmux.keys(&["1"]);
        let screen = tmux.see(&["one that waits", "in 9 min: pool 'o"]);
        println!("{screen}");
        choose(&tmux, &["g"], "one that waits");
        tmux.keys(&["Enter"]);
        tmux.see(&[
            "waits: pool 'one' takes no tasks: its account is over the provider's limit",
            "(until ",
            "in 9 min)",
        ]);
    }
    let tmux = open(&hub, SIZES[0], "--screen pools");
    tmux.see(&["rate_limited"]);
    tmux.keys(&["+"]);
    tmux.see(&[
        "size of pool one, until the next start or reload",
        "+ - change",
    ]);
    tmux.keys(&["+", "+", "-", "Enter"]);
    tmux.see(&["pool one has size 4 until the next start"]);
    tmux.see(&["one    rate_limited     4 "]);
    tmux.keys(&["-", "C-u", "0", "Enter"]);
    tmux.see(&["pool one has size 0"]);
    tmux.keys(&["p"]);
    tmux.see(&["pause queues default, one?"]);
    tmux.keys(&["y"]);
    tmux.see(&["queues default, one paused"]);
    tmux.see(&["default (paused), one (paused)", "paused: default, one"]);
    tmux.keys(&["P", "y"]);
    tmux.see(&["queues default, one resumed"]);
    tmux.gone(&["default (paused)"]);
    // All queues, by another client.
    client.call("pause", json!({}));
    tmux.see(&["default (paused)", "aside (paused)"]);
    tmux.keys(&["P"]);
    tmux.see(&["resume all queues?"]);
    tmux.keys(&["y"]);
    tmux.gone(&["(paused)"]);
    choose(&tmux, &["j", "j"], "parked: over its limit");
    service.now(Does::Answers);
    tmux.keys(&["t", "y"]);
    tmux.see(&["the next task of svc tests whether it works again"]);
    client.call("pools", json!({"resize": {"pool": "one", "size": 2}}));
    // The probe succeeds: the account is open again and the tasks run, without a key.
    tmux.see(&["2 done", "available"]);
    tmux.gone(&["parked"]);
    tmux.keys(&["q"]);
    tmux.see(&["[exit 0]"]);
}
