//! A map and a reduce over files of this repository, by a `kirosu map` that waits, on agents in processes of their own. The hub and
//! each agent are killed on the way.

use super::{ended, newest, shown, step};
use crate::common::{Client, Hub, Setup, until, until_within};
use crate::people::kit::{command, parts};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Sources of this repository: more than 1,000 files.
const GLOB: &str = "{actors,config,plan,protocol,src,store}/**/*.rs";
const PROMPT: &str = "FILE\n{{ item.path }}\n{{ item.text }}";
const REDUCE: &str = "MERGE\n{% for r in results %}{{ r.result }}\n{% endfor %}";
/// A stand-in for an agent program. Of a file it answers with the path and the number of lines, of results with these themselves. It
/// records each of its runs.
const AGENT: &str = r#"read -r kind
if [ "$kind" = FILE ]; then
  read -r path
  echo "$path" >> "$RUNS"
  echo "$path $(wc -l)"
else
  echo merge >> "$RUNS"
  grep -v '^$'
fi
"#;
/// Each agent has one session.
const AGENTS: usize = 3;

/// A `kirosu agent`, which ends with the test.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn agent(hub: &Hub, number: usize, life: u32) -> Agent {
    let home = hub.setup.directory.path();
    let script = home.join("agent.sh");
    let log = fs::File::create(home.join(format!("agent-{number}-{life}.log"))).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kirosu"));
    command
        .args(["agent", "--id", &format!("agent-{number}")])
        .args(["--provider", "script", "--port", &hub.port.to_string()])
        .args(["--set", "providers.script.kind=command"])
        .args([
            "--set",
            &format!("providers.script.command={}", json!(["sh", script])),
        ])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("RUNS", home.join("runs"))
        .current_dir(home)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    Agent(command.spawn().expect("the binary starts"))
}

/// Waits until an agent works on a task.
fn works(client: &mut Client, number: usize) {
    let name = format!("agent-{number}");
    until("the agent has a lease", || {
        let agents = client.call("agents", json!({}));
        let mut agents = agents["agents"].as_array().unwrap().iter();
        let is_busy = |it: &Value| {
            it["name"].as_str().is_some_and(|it| it.starts_with(&name))
                && it["connected"] == true
                && it["leases"].as_array().is_some_and(|it| !it.is_empty())
        };
        agents.any(is_busy).then_some(())
    });
}

#[test]
fn a_thousand_files_survive_kills_of_the_hub_and_of_each_session() {
    // A hub that comes back gives its sessions time to connect; a session that is gone loses its lease soon.
    let setup = Setup::new()
        .set("lease.heartbeat_grace=20s")
        .set("lease.session_grace=1s");
    let home = setup.directory.path().canonicalize().unwrap();
    fs::write(home.join("agent.sh"), AGENT).unwrap();
    let mut hub = setup.start();
    hub.setup.port = hub.port;
    let mut agents: Vec<Agent> = (0..AGENTS).map(|number| agent(&hub, number, 0)).collect();
    let words = [
        "map", "--files", GLOB, "--prompt", PROMPT, "--reduce", REDUCE,
    ];
    let map = command(&hub, &words)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut client = hub.client();
    let id = until_within(Duration::from_secs(60), "the run has begun", || {
        newest(&mut client)
    });
    let total = until("its items are known", || {
        shown(&mut client, id)["steps"][0]["total"].as_u64()
    });
    assert!(total >= 1000, "{total} files");

    for (turn, done) in [100, 220, 350, 480, 620, 780].into_iter().enumerate() {
        until_within(Duration::from_secs(60), "more items are done", || {
            (shown(&mut client, id)["steps"][0]["done"].as_i64() >= Some(done)).then_some(())
        });
        let number = turn / 2;
        if turn % 2 == 0 {
            hub = hub.kill().start();
            client = hub.client();
        } else {
            works(&mut client, number);
            agents[number].0.kill().unwrap();
            agents[number].0.wait().unwrap();
            agents[number] = agent(&hub, number, 1);
        }
    }

    let run = ended(&mut client, id);
    assert_eq!(run["state"], "done", "{run:#}");
    let (code, out, err) = parts(&map.wait_with_output().unwrap());
    assert_eq!(code, 0, "{err}");
    let lines: Vec<&str> = out.lines().collect();
    let paths: BTreeSet<&str> = lines.iter().map(|line| path_of(line)).collect();
    assert_eq!(
        (lines.len() as u64, paths.len() as u64),
        (total, total),
        "each item once"
    );
    for line in lines {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path_of(line)));
        let expected = text.unwrap().lines().count();
        assert!(
            line.ends_with(&format!(" {expected}")),
            "{line}, and not {expected}"
        );
    }

    // One task per item and merge; of the sessions that were killed one run each was repeated.
    let merges = step(&run, "reduce")["total"].as_u64().unwrap();
    assert_eq!(run["made"], total + merges, "{run:#}");
    let runs = || {
        fs::read_to_string(home.join("runs"))
            .unwrap()
            .lines()
            .count() as u64
    };
    let ran = runs();
    let least = total + merges;
    assert!(
        (least..=least + AGENTS as u64).contains(&ran),
        "{ran} runs, {least} tasks"
    );
    // Nothing runs after the end: all agents live and wait, and no task is left.
    let stats = client.call("stats", json!({}))["stats"].take();
    assert_eq!(
        (&stats["queued"], &stats["leased"]),
        (&json!(0), &json!(0)),
        "{stats}"
    );
    let own = client.enqueue("MERGE\nlast\n");
    until("a session takes the next task", || {
        (client.status(own) == "done").then_some(())
    });
    assert_eq!(runs(), ran + 1, "only the task that came after the run");
    for agent in &mut agents {
        assert!(agent.0.try_wait().unwrap().is_none());
    }
}

fn path_of(line: &str) -> &str {
    line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}")).0
}
