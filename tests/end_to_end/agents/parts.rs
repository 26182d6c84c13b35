//! Agent programs that divide their work: they add tasks, wait for them without occupying an agent, and go on in the same
//! conversation and folder with the results.

use crate::agents::programs::{CLAUDE, CODEX, Program};
use crate::agents::world::World;
use crate::agents::{AGENT_PATIENCE, path_with_programs};
use crate::common::{Setup, until_within};
use serde_json::json;
use std::fs;

fn divides(program: Program) {
    let world = World::new(&[program.name]);
    let setup = Setup::new().up();
    let home = world.folder().join("home");
    let env = program.environment(&home, &world.url);
    let name = program.name;
    // One agent: while the first run waits, it does the part.
    let settings = format!(
        "data_dir = {}\n[providers.{name}]\nkind = \"command\"\n{}\n\
         [[pool]]\nname = \"p\"\nqueues = [\"default\"]\nsize = 1\nprovider = \"{name}\"\ntrust_all_tools = true\n\
         workspace = \"isolated\"\nenv = {env}\n",
        json!(setup.directory.path().join("data")),
        program.keys
    );
    fs::write(setup.directory.path().join("kirosu.toml"), settings).unwrap();
    let hub = setup.environment("PATH", &path_with_programs()).start();
    let mut client = hub.client();
    let kirosu = env!("CARGO_BIN_EXE_kirosu");
    let shell = format!(
        "if [ -e begun ]; then echo went-on; else touch begun; {kirosu} enqueue 'the part' && {kirosu} wait --children; fi"
    );
    let id = client.enqueue_with(json!({"prompt": program.call(&shell), "max_attempts": 1}));
    let got = until_within(AGENT_PATIENCE, "the task ends", || {
        let got = client.call("get", json!({"task_id": id, "output": true}));
        let status = got["task"]["status"].as_str().unwrap_or_default();
        ["done", "failed"].contains(&status).then_some(got)
    });
    assert_eq!(got["task"]["status"], "done", "{name}: {got:#}");
    assert_eq!(got["attempts"][0]["outcome"], "parked", "{name}: {got:#}");
    let result = got["task"]["result"].as_str().unwrap();
    assert!(result.contains("went-on"), "{name}: {got:#}");
    // The last request to the model has the turn before and the result of the part.
    let asked = world.asked();
    let last = asked.last().unwrap();
    assert_eq!(last["turn"], 2, "{name}: {asked:#?}");
    world.nothing_is_left(hub.pid());
}

#[test]
fn codex_waits_for_its_parts_and_goes_on() {
    divides(CODEX);
}

#[test]
fn claude_waits_for_its_parts_and_goes_on() {
    divides(CLAUDE);
}
