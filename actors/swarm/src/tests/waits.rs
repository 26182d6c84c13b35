//! Agents that wait for tasks below their own: their pool has a session more.

use std::time::Duration;

use serde_json::json;

use super::kit::{Call, Swarm, echo, eventually, grant, run, task};

const SECOND: &str = "root/pools/p/sessions/2";

/// Sends, in answer to a heartbeat of its run, that the agent of task 4 begins or ends a wait.
fn notify(beat: &Call, waiting: bool) {
    let params = json!({"task_id": 4, "fence": 2, "waiting": waiting});
    beat.notify("waiting", params);
}

fn answer(beat: Call) {
    beat.answer(json!({"ok": true, "leased_until": 0.0}));
}

/// A swarm with one pool of one session whose run of task 4 waits once.
async fn waiting() -> Swarm {
    let mut swarm = Swarm::start(vec![echo(Duration::from_secs(3600))]);
    swarm.hub.park().await.answer(grant(task(4, 2, "x")));
    let beat = swarm.hub.expect("heartbeat").await;
    notify(&beat, true);
    answer(beat);
    swarm.hub.park().await;
    assert!(!swarm.lacks(SECOND));
    swarm
}

#[test]
fn another_start_of_the_hub_knows_of_no_wait() {
    run(async {
        let mut swarm = waiting().await;
        swarm.hub.boot = "c";
        swarm.hub.expect("heartbeat").await.cut();
        assert!(swarm.hub.welcome(&[(4, 2)]).await.resume);
        eventually("the session more is gone", || swarm.lacks(SECOND)).await;
        // The agent waits again. It counts from nothing: the end of this wait is the end of all.
        let beat = swarm.hub.expect("heartbeat").await;
        notify(&beat, true);
        answer(beat);
        eventually("the pool has a session more", || !swarm.lacks(SECOND)).await;
        let beat = swarm.hub.expect("heartbeat").await;
        notify(&beat, false);
        answer(beat);
        eventually("the session more is gone", || swarm.lacks(SECOND)).await;
        swarm.kill().await;
    });
}

#[test]
fn a_wait_goes_on_over_a_break_of_the_connection() {
    run(async {
        let mut swarm = waiting().await;
        swarm.hub.expect("heartbeat").await.cut();
        assert!(swarm.hub.welcome(&[(4, 2)]).await.resume);
        let beat = swarm.hub.expect("heartbeat").await;
        assert!(!swarm.lacks(SECOND));
        // Another wait begins and ends, and the first one goes on.
        notify(&beat, true);
        notify(&beat, false);
        answer(beat);
        let beat = swarm.hub.expect("heartbeat").await;
        assert!(!swarm.lacks(SECOND));
        notify(&beat, false);
        answer(beat);
        eventually("the session more is gone", || swarm.lacks(SECOND)).await;
        swarm.kill().await;
    });
}
