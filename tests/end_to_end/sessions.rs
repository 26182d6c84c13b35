//! Sessions side by side: what one agent does is not felt by the others.

use crate::common::{Client, Hub, Setup};
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};

/// The output of an agent: 100 MB of text, or 40 MB of JSON lines, each with a piece of the answer.
const FLOOD: &[(&str, &str)] = &[
    (
        "text",
        r#"yes "all work and no play makes a dull agent" | head -c 100000000"#,
    ),
    (
        "jsonl",
        r#"yes '{"event":"say","text":"all work and no play makes a dull agent, all work and no play makes a dull agent\n"}' | head -n 350000; echo '{"event":"bye"}'"#,
    ),
];
const SHOWN: u64 = 256 << 10;

fn setup(form: &str, script: &str) -> Setup {
    let setup = Setup::new().up();
    let output = match form {
        "text" => "",
        _ => {
            "[providers.flood.output]\nformat = \"jsonl\"\n\
             text = { match = { \"/event\" = \"say\" }, value = \"/text\" }\n\
             done = { match = { \"/event\" = \"bye\" } }\n"
        }
    };
    let settings = format!(
        "[providers.flood]\nkind = \"command\"\ncommand = [\"sh\", \"-c\", {}]\n{output}\
         [[pool]]\nname = \"flood\"\nprovider = \"flood\"\nqueues = [\"flood\"]\nsize = 1\nmax_output = \"256 KiB\"\n\
         [[pool]]\nname = \"quick\"\nprovider = \"echo\"\nqueues = [\"quick\"]\nsize = 1\n",
        json!(script)
    );
    fs::write(setup.directory.path().join("kirosu.toml"), settings).unwrap();
    setup
}

/// How long small tasks of another pool take, one after the other, while `goes_on`; at least 20 of them.
fn latencies(client: &mut Client, mut goes_on: impl FnMut() -> bool) -> Vec<Duration> {
    let mut taken = Vec::new();
    while taken.len() < 20 || goes_on() {
        let begun = Instant::now();
        let id = client.enqueue_with(json!({"prompt": "hi", "queue": "quick"}));
        let ended = client.call("wait", json!({"task_ids": [id], "timeout_seconds": 30}));
        taken.push(begun.elapsed());
        assert_eq!(ended["finished"], true, "{ended}");
        if taken.len() == 5000 {
            break;
        }
    }
    taken.sort();
    taken
}

fn task(hub: &Hub, id: i64) -> Value {
    hub.client()
        .call("get", json!({"task_id": id, "output": true}))
}

#[test]
fn an_agent_that_prints_now_and_then_costs_next_to_nothing() {
    let script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do echo line $i; sleep 0.2; done";
    let hub = setup("text", script).start();
    let mut client = hub.client();
    let before = hub.processor_time();
    let id = client.enqueue_with(json!({"prompt": "x", "queue": "flood", "max_attempts": 1}));
    let ended = client.call("wait", json!({"task_ids": [id], "timeout_seconds": 25}));
    assert_eq!(ended["finished"], true, "{ended}");
    assert_eq!(task(&hub, id)["task"]["status"], "done");
    // A pump that spins between two pieces takes most of the 3 s.
    let taken = hub.processor_time() - before;
    assert!(taken < Duration::from_millis(800), "{taken:?}");
}

#[test]
fn a_flood_of_output_slows_nobody_else() {
    for (form, script) in FLOOD {
        let hub = setup(form, script).start();
        let mut client = hub.client();
        let before = latencies(&mut client, || false);
        let resident = hub.resident();
        let flood =
            client.enqueue_with(json!({"prompt": "x", "queue": "flood", "max_attempts": 1}));
        let begun = Instant::now();
        let mut watcher = hub.client();
        let beside = latencies(&mut client, || {
            matches!(watcher.status(flood).as_str(), "queued" | "leased")
        });
        let got = task(&hub, flood);
        eprintln!(
            "{form}: flood {:?}; before {:?} max {:?}; beside it {} tasks, median {:?}, max {:?}; +{} KiB",
            begun.elapsed(),
            before[before.len() / 2],
            before[before.len() - 1],
            beside.len(),
            beside[beside.len() / 2],
            beside[beside.len() - 1],
            (hub.resident().saturating_sub(resident)) >> 10,
        );
        assert_eq!(got["task"]["status"], "done", "{:.2000}", got.to_string());
        let result = got["task"]["result"].as_str().unwrap().len() as u64;
        assert!((SHOWN..SHOWN + 1024).contains(&result), "{result}");
        let shown = got["output"][0]["text"].as_str().unwrap().len() as u64;
        assert!(shown < SHOWN + 1024, "{shown}");
        // Far beyond what a loaded machine does to small tasks, far below what a flood in their way would.
        assert!(
            beside[beside.len() / 2] < Duration::from_millis(150),
            "{beside:?}"
        );
        assert!(
            beside[beside.len() - 1] < Duration::from_secs(2),
            "{beside:?}"
        );
        assert!(hub.resident() < resident + (64 << 20), "{}", hub.resident());
    }
}
