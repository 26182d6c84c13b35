//! Clients that send no key: whose they are decides, and the settings.

use crate::common::{Client, Hub, Setup, sentence, until, word};
use serde_json::{Value, json};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// The user of no file and no hub here.
const NOBODY: u32 = 65_534;

/// Without the setting that the other tests have.
fn setup() -> Setup {
    Setup::new().environment("KIROSU_HUB__KEYLESS", "")
}

fn own_key(hub: &Hub) -> String {
    let path = hub
        .setup
        .directory
        .path()
        .join(".local/share/kirosu/hub.key");
    assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
    std::fs::read_to_string(path).unwrap().trim().to_owned()
}

/// The answer to one request of a process of another user.
fn as_nobody(hub: &Hub, request: &Value) -> Value {
    let script = "import socket,sys; s=socket.create_connection(('127.0.0.1',int(sys.argv[1]))); \
                  s.sendall(sys.argv[2].encode()+b'\\n'); print(s.makefile().readline())";
    let output = Command::new("python3")
        .args(["-c", script, &hub.port.to_string(), &request.to_string()])
        .uid(NOBODY)
        .gid(NOBODY)
        .current_dir("/")
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A task of each kind that waits for a person.
fn waiting(client: &mut Client) -> (i64, i64) {
    let human = client.enqueue_with(json!({"prompt": "Which colour?", "type": "human"}));
    let gated = client.enqueue_with(json!({"prompt": "p", "requires_approval": true}));
    (human, gated)
}

#[test]
fn a_process_of_another_user_is_refused_unless_the_settings_say_otherwise() {
    if !rustix::process::geteuid().is_root() {
        println!("only root can start a process of another user");
        return;
    }
    let stats = json!({"id": 1, "method": "stats", "params": {}});
    let hub = setup().start();
    let refused = as_nobody(&hub, &stats);
    assert_eq!(word(&refused["error"]), "unauthorized", "{refused}");
    let mut with_key = stats.clone();
    with_key["params"]["auth_token"] = json!(own_key(&hub));
    assert_eq!(as_nobody(&hub, &with_key)["result"]["stats"]["queued"], 0);
    drop(hub);
    let hub = setup().set("hub.keyless=any-local-user").start();
    assert_eq!(as_nobody(&hub, &stats)["result"]["stats"]["queued"], 0);
    assert!(hub.log().contains("any-local-user"), "{}", hub.log());
    let more = json!({"id": 1, "method": "watch", "params": {}});
    assert_eq!(word(&as_nobody(&hub, &more)["error"]), "forbidden");
}

#[test]
fn a_client_of_the_hubs_user_has_the_methods_of_the_python_version() {
    let hub = setup().set("hub.keyless=owner").start();
    let (key, mut keyed, mut client) = (own_key(&hub), hub.client(), hub.client());
    keyed.call("hello", json!({"auth_token": key}));
    let id = client.enqueue("p");
    client.lease(json!({}));
    client.call(
        "ack",
        json!({"task_id": id, "status": "done", "result": "r"}),
    );
    assert_eq!(client.call("list", json!({}))["tasks"][0]["result"], "r");
    client.call("stats", json!({}));
    client.call("retry_failed", json!({}));
    let (human, gated) = waiting(&mut client);
    client.call("approve", json!({"task_id": human}));
    // Requests that the Python version did not have.
    for (method, params, right) in [
        ("approve", json!({"task_id": gated}), "person"),
        ("approve", json!({"approval_id": 1}), "person"),
        ("watch", json!({}), "observe"),
        ("pools", json!({}), "observe"),
        ("drain", json!({}), "admin"),
        ("hello", json!({"session_id": "s"}), "connect"),
        ("cancel", json!({"task_id": gated}), "enqueue"),
    ] {
        let refused = client.refused(method, params);
        assert_eq!(word(&refused), "forbidden", "{method}");
        assert!(sentence(&refused).contains(right), "{refused}");
    }
    keyed.call("approve", json!({"task_id": gated}));
    client.call("shutdown", json!({}));
}

#[test]
fn a_key_that_is_set_closes_the_door_and_off_does_so_too() {
    for setup in [
        setup().environment("KIRO_SWARM_KEY", "the-key-of-this-hub"),
        setup().set("hub.keyless=off"),
    ] {
        let hub = setup.start();
        let refused = hub.client().refused("stats", json!({}));
        assert_eq!(word(&refused), "unauthorized");
    }
}

/// The status of a request for this path by a process of another user.
fn status_for_nobody(address: &str, path: &str, key: &str) -> String {
    let url = format!("http://{address}{path}");
    let header = format!("x-kiro-key: {key}");
    let format = "%{http_code}";
    let output = Command::new("curl")
        .args(["-s", "-o", "/dev/null", "-w", format, "-H", &header, &url])
        .uid(NOBODY)
        .gid(NOBODY)
        .current_dir("/")
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn rest_serves_its_own_user_and_whoever_has_the_key() {
    if !rustix::process::geteuid().is_root() {
        println!("only root can start a process of another user");
        return;
    }
    let settings = ["gateway.enabled=true", "gateway.port=0"];
    let hub = settings.into_iter().fold(setup(), Setup::set).start();
    let address = until("the gateway says where it is", || {
        let log = hub.log();
        let line = log.lines().find(|line| line.contains("REST is served"))?;
        let address = line.split("address=").nth(1)?.split_whitespace().next()?;
        Some(address.to_owned())
    });
    assert_eq!(status_for_nobody(&address, "/tasks", ""), "403");
    assert_eq!(status_for_nobody(&address, "/healthz", ""), "200");
    let own = Command::new("curl")
        .args(["-s", &format!("http://{address}/tasks")])
        .output()
        .unwrap();
    let answer: Value = serde_json::from_slice(&own.stdout).unwrap();
    assert_eq!(answer["tasks"], json!([]));
    assert_eq!(status_for_nobody(&address, "/tasks", &own_key(&hub)), "200");
}
