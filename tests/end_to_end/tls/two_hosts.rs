//! Agents on another host: two network namespaces that a pair of virtual interfaces joins.

use super::kit::{self, Files};
use crate::common::{Setup, until, until_within};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const HUB: &str = "10.231.7.1";
const AGENT: &str = "10.231.7.2";
const KEY: &str = "a-key-of-more-than-32-characters-in-all";

/// Two namespaces, removed with the value.
struct TwoHosts {
    hub: String,
    agent: String,
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(arguments).output();
    let output = output.map_err(|error| format!("ip cannot be run: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

impl TwoHosts {
    fn new() -> Result<TwoHosts, String> {
        let id = std::process::id();
        let hosts = TwoHosts {
            hub: format!("kirosu-hub-{id}"),
            agent: format!("kirosu-agent-{id}"),
        };
        let (hub, agent) = (hosts.hub.as_str(), hosts.agent.as_str());
        ip(&["netns", "add", hub])?;
        ip(&["netns", "add", agent])?;
        ip(&[
            "link", "add", "net0", "netns", hub, "type", "veth", "peer", "name", "net0", "netns",
            agent,
        ])?;
        for (host, address) in [(hub, HUB), (agent, AGENT)] {
            ip(&[
                "-n",
                host,
                "addr",
                "add",
                &format!("{address}/24"),
                "dev",
                "net0",
            ])?;
            ip(&["-n", host, "link", "set", "net0", "up"])?;
            ip(&["-n", host, "link", "set", "lo", "up"])?;
        }
        Ok(hosts)
    }
}

impl Drop for TwoHosts {
    fn drop(&mut self) {
        for host in [&self.hub, &self.agent] {
            let _ = ip(&["netns", "delete", host]);
        }
    }
}

struct Agent(Child, PathBuf);

impl Agent {
    /// One agent that answers each task once the file `go` is in its home.
    fn start(home: &Path, host: &str, log: &str, arguments: &[&str], key: Option<&str>) -> Agent {
        let log = home.join(log);
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", host, env!("CARGO_BIN_EXE_kirosu"), "agent"])
            .args(["--provider", "slow", "--size", "1"])
            .args(["--set", "providers.slow.kind=command"])
            .args(["--set", r#"providers.slow.command=["sh", "-c", "until [ -e go ]; do sleep 0.05; done; cat"]"#])
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home)
            .envs(key.map(|key| ("KIRO_SWARM_KEY", key)))
            .current_dir(home)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap());
        Agent(command.spawn().unwrap(), log)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.1).unwrap_or_default();
            eprintln!("the agent's log:\n{log}");
        }
    }
}

#[test]
fn a_revoked_host_gets_no_work_and_its_leases_come_back() {
    let hosts = match TwoHosts::new() {
        Ok(hosts) => hosts,
        Err(why) => {
            eprintln!("skipped: network namespaces cannot be made here, which needs root: {why}");
            return;
        }
    };
    let setup = Setup::new();
    let home = setup.directory.path().to_owned();
    let far = tempfile::tempdir().unwrap();
    let files = Files::new(&home, "hub", &[HUB]);
    let host = Files::new(far.path(), "host", &["gpu-1"]);
    let setup = setup.environment("KIRO_SWARM_KEY", KEY);
    let setup = kit::tls(setup.argument("--host").argument(HUB), &files);
    let hub = setup.under(&["ip", "netns", "exec", &hosts.hub]).start();
    let port = hub.port.to_string();
    let address = [
        "--host",
        HUB,
        "--port",
        &port,
        "--tls-fingerprint",
        &files.fingerprint,
    ];
    let person = |arguments: &[&str]| -> Output {
        let output = Command::new("ip")
            .args(["netns", "exec", &hosts.hub, env!("CARGO_BIN_EXE_kirosu")])
            .args(arguments)
            .args(address)
            .env_clear()
            .env("HOME", &home)
            .env("KIRO_SWARM_KEY", KEY)
            .current_dir(&home)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?} {output:?}");
        output
    };
    let task = |id: u32| -> Value {
        let output = person(&["get", &id.to_string(), "--json"]);
        let mut answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        match answer["task"].is_object() {
            true => answer["task"].take(),
            false => answer,
        }
    };
    let is = |id: u32, status: &str| {
        until(&format!("task {id} is {status}"), || {
            (task(id)["status"] == *status).then_some(())
        });
    };
    person(&[
        "key",
        "add",
        "gpu-1",
        "--role",
        "work",
        "--certificate",
        &host.certificate,
    ]);
    let go = far.path().join("go");
    std::fs::write(&go, "").unwrap();
    let agent = Agent::start(
        far.path(),
        &hosts.agent,
        "agent.log",
        &[&address[..], &host.identity()].concat(),
        None,
    );
    person(&["enqueue", "first"]);
    is(1, "done");
    assert_eq!(task(1)["result"], "first");

    std::fs::remove_file(&go).unwrap();
    person(&["enqueue", "second"]);
    is(2, "leased");
    let trail = person(&["agents", "--json", "--all"]);
    assert!(
        String::from_utf8_lossy(&trail.stdout).contains(AGENT),
        "{trail:?}"
    );
    let begun = Instant::now();
    person(&["key", "revoke", "gpu-1"]);
    is(2, "queued");
    // Its lease would have lasted five minutes, and its session another ten seconds.
    let taken = begun.elapsed();
    assert!(taken < Duration::from_secs(5), "{taken:?}");
    person(&["enqueue", "third"]);
    std::fs::write(&go, "").unwrap();
    until_within(
        Duration::from_secs(60),
        "the agent has been refused again",
        || {
            let log = std::fs::read_to_string(&agent.1).unwrap_or_default();
            log.contains("is not a credential of this hub")
                .then_some(())
        },
    );
    for id in [2, 3] {
        assert_eq!(task(id)["status"], "queued", "{}", task(id));
    }

    // Another host, with a key, takes over.
    let near = tempfile::tempdir().unwrap();
    std::fs::write(near.path().join("go"), "").unwrap();
    let _other = Agent::start(near.path(), &hosts.hub, "other.log", &address, Some(KEY));
    is(2, "done");
    is(3, "done");
}
