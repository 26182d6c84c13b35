//! A pool of real agents that run as another user, with a limit of memory: a tool that allocates without end ends its own
//! agent only.

use crate::agents::AGENT_PATIENCE;
use crate::agents::programs::GOOSE;
use crate::agents::user::{NAME_OF_NOBODY, own, reachable_path, set_mode};
use crate::agents::world::World;
use crate::common::{Setup, until_within};
use crate::{bounds, run_user};
use serde_json::json;
use std::fs;
use std::time::{Duration, Instant};

/// Longest time of an answer of the hub meanwhile, on a busy machine.
const ANSWER: Duration = Duration::from_secs(5);

#[test]
fn a_tool_that_allocates_without_end_ends_its_agent_alone() {
    if run_user::cannot() || bounds::cannot("memory") || bounds::cannot("kill") {
        return;
    }
    let world = World::new(&["codex", "goose"]);
    set_mode(world.folder(), 0o711);
    let agent_home = world.folder().join("home");
    let lab = tempfile::tempdir().unwrap();
    set_mode(lab.path(), 0o755);
    let setup = Setup::new().up();
    let home = setup.directory.path().to_owned();
    set_mode(&home, 0o711);
    let settings = format!(
        "data_dir = {}\n[providers.goose]\nkind = \"command\"\n{}\n\
         [[pool]]\nname = \"p\"\nsize = 2\nprovider = \"goose\"\ntrust_all_tools = true\nworkspace = \"isolated\"\n\
         user = \"{NAME_OF_NOBODY}\"\nmemory = \"400 MiB\"\nenv = {}\n",
        json!(home.join("data")),
        GOOSE.keys,
        GOOSE.environment(&agent_home, &world.url)
    );
    own(&agent_home);
    fs::write(home.join("kirosu.toml"), settings).unwrap();
    let hub = setup
        .environment("PATH", &reachable_path(lab.path()))
        .start();
    let mut client = hub.client();
    let started = lab.path().join("started");
    fs::create_dir(&started).unwrap();
    set_mode(&started, 0o777);
    let go = lab.path().join("go");
    let wait = format!(
        "touch {0}/patient; i=0; while [ ! -e {1} ] && [ $i -lt 1200 ]; do sleep 0.1; i=$((i+1)); done; echo well-done",
        started.display(),
        go.display()
    );
    let mut add =
        |shell: &str| client.enqueue_with(json!({"prompt": GOOSE.call(shell), "max_attempts": 1}));
    let patient = add(&wait);
    until_within(AGENT_PATIENCE, "the other agent uses its tool", || {
        started.join("patient").exists().then_some(())
    });
    // With cgroups of version 1 the kernel kills one process only: the tool makes it the agent's.
    let hog = "echo 1000 >/proc/$PPID/oom_score_adj; python3 -ISc 'x = []\nwhile True: x.append(bytearray(1 << 20))'";
    let hog = add(hog);
    let mut slowest = Duration::ZERO;
    let mut ended = |id: i64| {
        until_within(AGENT_PATIENCE, "the task ends", || {
            let begun = Instant::now();
            let got = client.call("get", json!({"task_id": id, "output": true}));
            slowest = slowest.max(begun.elapsed());
            let status = got["task"]["status"].as_str().unwrap_or_default();
            ["done", "failed"].contains(&status).then_some(got)
        })
    };
    let got = ended(hog);
    assert_eq!(got["task"]["status"], "failed", "{got:#}");
    assert_eq!(got["attempts"][0]["outcome"], "out_of_memory", "{got:#}");
    fs::write(&go, "").unwrap();
    let got = ended(patient);
    assert_eq!(got["task"]["status"], "done", "{got:#}");
    let result = got["task"]["result"].as_str().unwrap_or_default();
    assert!(result.contains("well-done"), "{got:#}");
    assert!(slowest < ANSWER, "the hub took {slowest:?} to answer");
    world.nothing_is_left(hub.pid());
}
