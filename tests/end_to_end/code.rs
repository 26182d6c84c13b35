//! Code of tasks runs only where both the hub and the agents have opted in, at the time of the lease, too.

use crate::common::{Hub, Setup, until};
use serde_json::json;
use std::process::{Child, Command, Stdio};

/// A process that is gone when the test is.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn agent(hub: &Hub, id: &str, arguments: &[&str]) -> Running {
    let home = hub.setup.directory.path();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kirosu"));
    command
        .args(["agent", "--id", id, "--port", &hub.port.to_string()])
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .current_dir(home)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let agent = Running(command.spawn().unwrap());
    let mut client = hub.client();
    until("the agent has connected", || {
        let agents = client.call("agents", json!({})).to_string();
        agents.contains(id).then_some(())
    });
    agent
}

#[test]
fn a_python_task_waits_while_the_hub_does_not_allow_code() {
    let setup = Setup::new();
    let hub = setup.clone().set("hub.trust_all_tools=true").start();
    let code = "open('ran', 'w').write('x')";
    let id = hub
        .client()
        .enqueue_with(json!({"prompt": code, "type": "python"}));
    let setup = Setup {
        arguments: setup.arguments,
        ..hub.kill()
    };
    let hub = setup.start();
    let mut client = hub.client();
    for asked in [
        json!({"worker_id": "w"}),
        json!({"worker_id": "w", "types": ["python"]}),
    ] {
        let leased = client.call("lease", asked);
        assert_eq!(leased["tasks"], json!([]), "{leased}");
    }
    let task = client.task(id);
    assert_eq!(task["waiting"]["reason"], "not_trusted", "{task}");
    // Once the hub opts in again, it is run.
    let hub = hub.kill().set("hub.trust_all_tools=true").start();
    let leased = hub.client().call("lease", json!({"worker_id": "w"}));
    assert_eq!(leased["tasks"][0]["task_id"], id, "{leased}");
}

#[test]
fn an_agent_runs_no_other_tasks_as_code() {
    let hub = Hub::start();
    let code = agent(&hub, "code", &["--provider", "python", "--trust-all-tools"]);
    let mut client = hub.client();
    let prompt = "open('ran', 'w').write('x')";
    let id = client.enqueue(prompt);
    let _echo = agent(&hub, "echo", &["--provider", "echo"]);
    client.call("wait", json!({"task_ids": [id], "timeout_seconds": 30}));
    assert_eq!(client.task(id)["result"], prompt);
    assert!(!hub.setup.directory.path().join("ran").exists());
    drop(code);
    let mut refused = Command::new(env!("CARGO_BIN_EXE_kirosu"));
    let refused = refused
        .args([
            "agent",
            "--provider",
            "python",
            "--trust-all-tools",
            "--pool",
            "p",
        ])
        .args([
            "--set",
            "pool.p.types=chat",
            "--port",
            "1",
            "--config",
            "/dev/null",
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("as code"),
        "{said}"
    );
}
