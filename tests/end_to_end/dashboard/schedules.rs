//! Screen 8: schedules.

use super::{SIZES, choose, dashboard, hub, open};
use crate::common::{Client, until};
use serde_json::{Value, json};

fn add(client: &mut Client, name: &str, times: Value) {
    let mut params = times;
    params["name"] = json!(name);
    params["task"] = json!({"prompt": format!("work of {name} 👩\u{200d}💻 \u{1b}[31m")});
    client.call("schedule_add", params);
}

fn three(client: &mut Client) {
    add(
        client,
        "links",
        json!({"cron": "0 3 * * *", "tz": "Europe/Berlin"}),
    );
    add(client, "often", json!({"every_seconds": 3600}));
    add(client, "zero", json!({"every_seconds": 1}));
    client.call("schedule_set", json!({"name": "zero", "paused": true}));
}

#[test]
fn schedules_are_listed_and_steered() {
    let hub = hub();
    let mut client = hub.client();
    three(&mut client);
    for size in SIZES {
        let tmux = open(&hub, size, "--screen schedules");
        let screen = tmux.see(&[
            "NAME",
            "NEXT",
            "0 3 * * *",
            "every 1 h",
            "paused",
            "live",
            "links: 0 3 * * * Europe/Berlin, next ",
            "chat in default: work of links",
        ]);
        assert_eq!(screen.trim_end_matches('\n').lines().count(), size.1);
        assert!(!screen.contains("[31m"), "{screen}");
        println!("{screen}");
    }
    let tmux = open(&hub, SIZES[0], "--screen schedules");
    tmux.see(&["often"]);
    choose(&tmux, &["j"], "often");
    tmux.keys(&["x"]);
    tmux.see(&["run schedule often?", "its next time stays"]);
    tmux.keys(&["y"]);
    tmux.see(&["schedule often added task 1"]);
    tmux.see(&["1  done"]);
    tmux.keys(&["p", "y"]);
    tmux.see(&["schedule often paused"]);
    // Another client changes the list; no key is pressed.
    client.call("schedule_set", json!({"name": "often", "paused": false}));
    tmux.see(&["often  every 1 h"]);
    add(&mut client, "added", json!({"every_seconds": 7200}));
    tmux.see(&["added", "every 2 h"]);
    until("the chosen one stays chosen", || {
        super::chosen(&tmux).contains("often").then_some(())
    });
    tmux.keys(&["p", "y"]);
    tmux.see(&["schedule often paused"]);
    tmux.keys(&["P", "y"]);
    tmux.see(&["schedule often goes on"]);
    tmux.keys(&["Enter"]);
    tmux.see(&["task 1 done", "work of often"]);
    tmux.keys(&["Escape"]);
    tmux.see(&["NAME", "often"]);
    tmux.keys(&["D"]);
    tmux.see(&["remove schedule often?", "its tasks stay"]);
    tmux.keys(&["n"]);
    tmux.see(&["nothing was done", "often"]);
    tmux.keys(&["D", "y"]);
    tmux.see(&["schedule often removed"]);
    tmux.gone(&["often   every"]);
    tmux.keys(&["/", "zero", "Enter"]);
    tmux.gone(&["links"]);
    tmux.keys(&["5"]);
    tmux.see(&["schedule often", "removed", "fired: task 1"]);
    tmux.keys(&["q"]);
    tmux.see(&["[exit 0]"]);
}

#[test]
fn screens_outlive_a_hub_and_a_key_without_the_right_is_refused() {
    let hub = hub();
    let port = hub.port;
    let mut client = hub.client();
    three(&mut client);
    let added = client.call("key_add", json!({"name": "looks-on", "role": "observe"}));
    let key = added["key"].as_str().unwrap().to_owned();
    let observer = |screen: &str| {
        let command = dashboard(port, &format!("--screen {screen}"));
        crate::common::tmux::Tmux::start(SIZES[0], &[("KIRO_SWARM_KEY", &key)], &command)
    };
    let schedules = observer("schedules");
    schedules.see(&["links", "live"]);
    for keys in [["p", "y"], ["x", "y"], ["D", "y"]] {
        schedules.keys(&keys);
        let screen = schedules.see(&["needs the right", "`observe`"]);
        assert!(screen.contains("links"), "{screen}");
        println!("{screen}");
        schedules.keys(&["Escape"]);
        schedules.gone(&["needs the right"]);
    }
    let pools = observer("pools");
    pools.see(&["crew", "live", "QUEUED"]);
    for keys in [["+", "Enter"], ["p", "y"], ["t", "y"]] {
        pools.keys(&keys);
        let screen = pools.see(&["needs the right", "`observe`"]);
        println!("{screen}");
        pools.keys(&["Escape"]);
        pools.gone(&["needs the right"]);
    }
    let mut setup = hub.kill();
    for tmux in [&schedules, &pools] {
        tmux.see(&["away", "not connected, next attempt in"]);
        tmux.keys(&["p"]);
        tmux.see(&["the hub is not connected"]);
    }
    setup.port = port;
    let hub = setup.start();
    schedules.see(&["live", "links"]);
    pools.see(&["live", "crew"]);
    add(&mut hub.client(), "after", json!({"every_seconds": 60}));
    schedules.see(&["after", "every 60 s"]);
    pools.keys(&["8"]);
    pools.see(&["after", "every 60 s"]);
}
