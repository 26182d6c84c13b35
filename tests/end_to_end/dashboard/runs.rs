//! Screen 7: runs of plans.

use super::{SIZES, choose, hub, in_shape, open};
use crate::common::{Client, until};
use serde_json::json;

/// One item fails, one is held, one is done.
const PLAN: &str = "
name: three
pipeline:
  - id: each
    map: { over: ['fail now', 'hold on', 'third'], key: '{{ item }}', tolerate: 1 }
    prompt: '{{ item }}'
    pool: crew
    max_attempts: 1
";
const QUESTION: &str = "{name: asks, pipeline: [{id: ok, approve: {prompt: 'Go on?'}}]}";

fn start(client: &mut Client, plan: &str) -> i64 {
    client.enqueue_with(json!({"type": "plan", "prompt": plan}))
}

fn state(client: &mut Client, run: i64) -> String {
    let run = client.call("run", json!({"task_id": run}));
    run["state"].as_str().unwrap().to_owned()
}

#[test]
fn runs_are_followed_and_steered() {
    let hub = hub();
    let mut client = hub.client();
    let held = client.enqueue("hold this session");
    until("a session is held", || {
        (client.status(held) == "leased").then_some(())
    });
    let run = start(&mut client, PLAN);
    until("an item has failed and the next one runs", || {
        let leased = client.call("stats", json!({}))["stats"]["leased"].clone();
        let step = client.call("run", json!({"task_id": run}))["steps"][0].clone();
        (step["failed"] == 1 && leased == 3).then_some(())
    });
    for size in SIZES {
        let tmux = open(&hub, size, "--screen runs");
        let row = format!("{run}  open   three");
        let screen = tmux.see(&[&row, "STATE", "p pause", "live", "3 leased"]);
        in_shape_of_held(&screen, size);
        tmux.keys(&["Enter"]);
        let screen = tmux.see(&[
            &format!("run {run} three: open"),
            "└── each  map  open  0 of 3 done, 1 failed",
            "0 done · 1 failed",
        ]);
        in_shape_of_held(&screen, size);
        tmux.keys(&["q"]);
        tmux.see(&["[exit 0]"]);
    }
    let tmux = open(&hub, SIZES[0], "--screen runs");
    tmux.see(&["three"]);
    tmux.keys(&["p"]);
    tmux.see(&[&format!("pause run {run}?"), "y  yes, pause it"]);
    tmux.keys(&["y"]);
    // A message is shown for a few seconds, which a busy hub may need for the new list.
    tmux.see(&[&format!("run {run} paused")]);
    tmux.see(&["paused  three"]);
    tmux.keys(&["P", "y"]);
    tmux.see(&[&format!("run {run} goes on")]);
    tmux.see(&["open   three"]);
    // An event, not a key, changes the screen.
    let asks = start(&mut client, QUESTION);
    tmux.see(&[&format!("{asks}  waiting  asks")]);
    choose(&tmux, &["g"], "asks");
    tmux.keys(&["Enter"]);
    tmux.see(&["waits for a person: kirosu answer"]);
    tmux.keys(&["a"]);
    tmux.see(&["the step ok waits for a person"]);
    tmux.keys(&["y"]);
    tmux.see(&[&format!("run {asks} asks: done"), "ok  approve  done"]);
    tmux.keys(&["P", "y"]);
    tmux.see(&["cannot resume"]);
    // Together, as a busy machine delivers them.
    choose(&tmux, &["Escape", "G"], "three");
    tmux.keys(&["c", "y"]);
    tmux.see(&[&format!("run {run} cancelled")]);
    tmux.see(&["cancelled  three"]);
    assert_eq!(state(&mut client, run), "cancelled");
    tmux.keys(&["R"]);
    tmux.see(&["what failed is repeated"]);
    tmux.keys(&["y"]);
    tmux.see(&[&format!("run {run} repeats what failed")]);
    until("it is open again", || {
        (state(&mut client, run) == "open").then_some(())
    });
    tmux.keys(&["Enter"]);
    // Before the run is loaded there is no step to open.
    tmux.see(&["└── each"]);
    tmux.keys(&["/"]);
    tmux.see(&["this screen has no filter"]);
    tmux.keys(&["Enter"]);
    tmux.see(&[
        "step each: 3 items, those that failed first",
        "KEY",
        "hold on",
    ]);
    tmux.keys(&["Enter"]);
    tmux.see(&["Prompt", "fail now"]);
    tmux.keys(&["Escape"]);
    tmux.see(&["step each: 3 items"]);
    tmux.keys(&["Escape"]);
    tmux.see(&["└── each"]);
}

/// A run with a run below it, which has a step with many items that fail and one that waits for a person.
const INNER: &str = "{name: inner, pipeline: [\
    {id: ok, approve: {prompt: 'Go on?'}}, \
    {id: each, depends_on: [ok], map: {over: ['fail 1', 'fine', 'fail 2'], key: '{{ item }}', tolerate: 100%}, \
     prompt: '{{ item }}', pool: crew, max_attempts: 1}]}";

#[test]
fn a_run_below_another_is_steered_and_shows_its_end() {
    let hub = hub();
    let mut client = hub.client();
    let outer = "{name: outer, pipeline: [{id: sub, pipeline: inner}]}";
    let metadata = json!({"plans": {"inner": INNER}});
    let run = client.enqueue_with(json!({"type": "plan", "prompt": outer, "metadata": metadata}));
    let tmux = open(&hub, SIZES[0], "--screen runs");
    tmux.see(&[&format!("{run}  open"), "inner"]);
    choose(&tmux, &["G"], "outer");
    tmux.keys(&["Enter"]);
    tmux.see(&["└── sub  pipeline  open"]);
    tmux.keys(&["Enter"]);
    tmux.see(&["inner: waiting", "ok  approve  open"]);
    tmux.keys(&["p", "y"]);
    tmux.see(&[" paused", "inner: paused"]);
    tmux.keys(&["P", "y"]);
    tmux.see(&["goes on", "inner: waiting"]);
    tmux.keys(&["a"]);
    tmux.see(&["the step ok waits for a person"]);
    tmux.keys(&["y"]);
    tmux.see(&["each  map", "2 failed"]);
    let screen = tmux.see(&["inner: partial", "Result"]);
    assert!(screen.contains("answer to fine"), "{screen}");
    choose(&tmux, &["G"], "each");
    tmux.keys(&["Enter"]);
    let screen = tmux.see(&["step each: 3 items", "python3"]);
    let at = |text: &str| {
        screen
            .find(text)
            .unwrap_or_else(|| panic!("{text}: {screen}"))
    };
    assert!(at("fail 2") < at("fine"), "{screen}");
    tmux.keys(&["Escape", "R"]);
    tmux.see(&["what failed is repeated"]);
    tmux.keys(&["y"]);
    tmux.see(&["repeats what failed"]);
    tmux.keys(&["o"]);
    tmux.see(&["task ", "Prompt", "name: inner"]);
    tmux.keys(&["q"]);
    tmux.see(&["[exit 0]"]);
}

/// [`in_shape`] with a task, a run and an item that are leased.
fn in_shape_of_held(screen: &str, size: (usize, usize)) {
    in_shape(&screen.replacen("3 leased", "1 leased", 1), size);
}
