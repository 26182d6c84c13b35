//! Files and conversation of a task belong together.

use crate::common::until;
use crate::workspaces::field::{Agents, Field};
use serde_json::json;

/// An agent with conversations, which runs its prompt as a shell script; `RESUMED` is the conversation that it goes on with.
const AGENT: &str = "cat > \"$0.$$\"; printf '{\"e\":\"session\",\"id\":\"c1\"}\\n'; RESUMED=$2; . \"$0.$$\"; printf '{\"e\":\"done\",\"text\":\"%s\"}\\n' \"conversation: ${RESUMED:-new}, files: $(ls | tr '\\n' ' ')\"";

fn talking(field: &Field) -> Agents {
    let output = "{ format = \"jsonl\", session = { match = { \"/e\" = \"session\" }, value = \"/id\" }, result = { match = { \"/e\" = \"done\" }, value = \"/text\" }, done = { match = { \"/e\" = \"done\" } } }";
    let script = field.setup.directory.path().join("agent.sh");
    std::fs::write(&script, AGENT).unwrap();
    let setup = field
        .configured("", "size=1")
        .set("providers.talk.kind=command")
        .set(&format!(
            "providers.talk.command=[\"sh\", \"{}\", \"{{resume_args}}\"]",
            script.display()
        ))
        .set("providers.talk.resume_args=[\"--resume\", \"{session}\"]")
        .set(&format!("providers.talk.output={output}"))
        .set("pool.p.provider=talk")
        .set("shutdown.drain=0s");
    Agents { hub: setup.start() }
}

const BOTH: &str = "conversation: c1, files: a.txt half ";
const NEITHER: &str = "conversation: new, files: a.txt ";

#[test]
fn files_and_conversation_go_on_together_or_begin_anew_together() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    let hub = talking(&field);
    let first = |end: &str| format!("if [ $KIROSU_FENCE = 1 ]; then echo half > half; {end}; fi");
    for (end, expected) in [
        ("kill -9 $$", BOTH),
        ("sleep 600", BOTH),
        ("exit 3", NEITHER),
        ("w=$PWD; cd /; rm -rf $w; kill -9 $$", NEITHER),
        ("mv .git git; mkdir .git; kill -9 $$", NEITHER),
    ] {
        let id =
            hub.enqueue(json!({"prompt": first(end), "max_attempts": 2, "timeout_seconds": 2}));
        let task = hub.ended(id);
        assert_eq!(task["result"], expected, "{end}: {task}");
        let printed = task["printed"].to_string();
        let kept = printed.contains(&format!("kept as refs/kirosu/task-{id}/1"));
        assert_eq!(kept, end == "exit 3", "{end}: {printed}");
    }
    // By hand, after the last attempt.
    let id = hub.enqueue(json!({"prompt": first("sleep 600"), "timeout_seconds": 1}));
    assert_eq!(hub.ended(id)["status"], "failed");
    hub.hub.client().call("retry", json!({"task_id": id}));
    assert_eq!(hub.ended(id)["result"], NEITHER);
    let half = field.git(&format!("show refs/kirosu/task-{id}/1:half"));
    assert_eq!(half, "half");
    // By hand, after a cancel.
    let id = hub.enqueue(json!({"prompt": first("sleep 600")}));
    let half = field
        .setup
        .directory
        .path()
        .join(format!("data/workspaces/p/task-{id}/half"));
    until("it works", || half.exists().then_some(()));
    hub.hub.client().call("cancel", json!({"task_id": id}));
    assert_eq!(hub.ended(id)["status"], "cancelled");
    hub.hub.client().call("retry", json!({"task_id": id}));
    assert_eq!(hub.ended(id)["result"], NEITHER);
}

#[test]
fn both_go_on_after_kirosu_itself_was_killed_or_stopped() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    let mut hub = talking(&field);
    for stop in ["kill", "stop"] {
        let script = "if [ ! -e half ]; then echo half > half; sleep 600; fi";
        let id = hub.enqueue(json!({"prompt": script, "max_attempts": 3}));
        let folder = field.setup.directory.path().join("data/workspaces/p");
        until("it works", || {
            let half = folder.join(format!("task-{id}/half")).exists();
            let record = std::fs::read_to_string(folder.join(format!("task-{id}.json"))).ok()?;
            (half && record.contains("\"c1\"")).then_some(())
        });
        let setup = match stop {
            "kill" => hub.hub.kill(),
            _ => {
                let mut one = hub.hub;
                one.signal(rustix::process::Signal::INT);
                assert!(one.ended().success());
                one.setup.clone()
            }
        };
        hub = Agents { hub: setup.start() };
        let task = hub.ended(id);
        assert_eq!(task["result"], BOTH, "{stop}: {task}");
    }
}
