//! Clients that send no key: whose they are decides, and the settings.

use crate::common::http::with;
use crate::common::process::Api;
use crate::common::{Client, Hub, Setup, sentence, until, word};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

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

/// A server of another user that records what it receives.
struct ForeignServer {
    process: Child,
    received: PathBuf,
}

impl ForeignServer {
    /// Listens on an address of Python's `socket`.
    fn start(folder: &Path, family: &str, address: &str) -> ForeignServer {
        let script = format!(
            "import os,socket\n\
             s=socket.socket(socket.{family})\ns.bind({address})\ns.listen()\n\
             open('ready','w').write(str(s.getsockname()[-1]))\n\
             while True:\n  c=s.accept()[0]; c.settimeout(30)\n  open('received','ab').write(c.recv(65536)); c.close()\n"
        );
        std::fs::create_dir(folder).unwrap();
        std::os::unix::fs::chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
        let process = Command::new("python3")
            .args(["-c", &script])
            .uid(NOBODY)
            .gid(NOBODY)
            .current_dir(folder)
            .spawn()
            .unwrap();
        let received = folder.join("received");
        ForeignServer { process, received }
    }

    /// The bytes that its clients have sent, once there are some.
    fn received(&self) -> String {
        until("the server has received something", || {
            let text = std::fs::read_to_string(&self.received).unwrap_or_default();
            (!text.is_empty()).then_some(text)
        })
    }
}

impl Drop for ForeignServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_key_that_is_found_is_not_sent_to_a_server_of_another_user() {
    if !rustix::process::geteuid().is_root() {
        println!("only root can start a process of another user");
        return;
    }
    let hub = setup().start();
    let key = own_key(&hub);
    assert!(hub.cli(&["stats"]).status.success());
    let setup = hub.kill();
    let home = setup.directory.path();
    let mode = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(home, mode(0o711)).unwrap();

    let stats = |address: [&str; 2], key: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kirosu"));
        command
            .arg("stats")
            .args(address)
            .env_clear()
            .env("HOME", home)
            .envs(key.map(|key| ("KIRO_SWARM_KEY", key)))
            .current_dir(home)
            .stdin(Stdio::null());
        command.output().unwrap()
    };
    for (family, address) in [("AF_INET", "('127.0.0.1',0)"), ("AF_UNIX", "'sock'")] {
        let folder = home.join(family);
        let server = ForeignServer::start(&folder, family, address);
        let ready = until("the server listens", || {
            let text = std::fs::read_to_string(folder.join("ready")).ok()?;
            (!text.is_empty()).then_some(text)
        });
        let socket = folder.join("sock").to_string_lossy().into_owned();
        let address = match family {
            "AF_INET" => ["--port", &ready],
            _ => ["--socket", &socket],
        };
        let refused = stats(address, None);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("is not one of this user"), "{said}");
        assert_eq!(refused.status.code(), Some(5), "{said}");
        // A key that is given for this address is sent: so the server would have received the other one.
        stats(address, Some("a-key-that-was-given"));
        let received = server.received();
        assert!(received.contains("a-key-that-was-given"), "{received}");
        assert!(!received.contains(&key), "{received}");
    }
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
    let mut client = hub.client();
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
    client.call("shutdown", json!({}));
}

/// The output of a command on a terminal of its own.
fn on_a_terminal(hub: &Hub, arguments: &str) -> String {
    let command = format!(
        "{} {arguments} --port {}",
        env!("CARGO_BIN_EXE_kirosu"),
        hub.port
    );
    let output = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", hub.setup.directory.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_hubs_key_decides_as_a_person_only_from_a_terminal() {
    let hub = setup().start();
    let (key, mut keyed) = (own_key(&hub), hub.client());
    keyed.call("hello", json!({"auth_token": key}));
    let (human, gated) = waiting(&mut keyed);
    for (method, params) in [
        ("approve", json!({"approval_id": 1})),
        ("reject", json!({"task_id": gated})),
        ("answer", json!({"task_id": human, "text": "blue"})),
    ] {
        let refused = keyed.refused(method, params);
        assert_eq!(word(&refused), "forbidden", "{method}");
        assert!(sentence(&refused).contains("--role person"), "{refused}");
    }
    assert_eq!(
        word(&keyed.refused("approve", json!({"task_id": gated}))),
        "forbidden"
    );
    // As clients of the Python version do.
    keyed.call("approve", json!({"task_id": human}));
    assert_eq!(keyed.status(gated), "awaiting_approval");
    let said = on_a_terminal(&hub, &format!("approve {gated}"));
    assert_eq!(keyed.status(gated), "queued", "{said}");
}

/// Ways of a program to reach the hub without the token of its run. Each prints a line with what the hub said.
const TRIES: &str = r#"
import json, os, pathlib, socket, subprocess, sys, urllib.request
host, port = os.environ["KIROSU_HUB"].rsplit(":", 1)
home, rest, gated = sys.argv[1], sys.argv[2], int(sys.argv[3])
key = pathlib.Path(home, ".local/share/kirosu/hub.key").read_text().strip()
clean = {"PATH": os.environ["PATH"], "HOME": home, "KIROSU_HUB__PORT": port}

def ask(method, key=None, **params):
    if key is not None:
        params["auth_token"] = key
    with socket.create_connection((host, int(port))) as s:
        s.sendall(json.dumps({"id": 1, "method": method, "params": params}).encode() + b"\n")
        return s.makefile().readline().strip()

def http(path, body=None, **headers):
    try:
        return urllib.request.urlopen(urllib.request.Request(f"http://{rest}{path}", body, headers), timeout=10).read()
    except urllib.error.HTTPError as refused:
        return refused.read()

print("stats", ask("stats"))
print("any key", ask("stats", key="x"))
print("key", ask("list", key=key))
print("approve", ask("approve", key=key, task_id=gated, by="ada"))
print("rest", http("/tasks"))
print("rest key", http(f"/tasks/{gated}/approve", b"{}", **{"x-kiro-key": key}))
kirosu = sys.argv[4]
print("cli", subprocess.run([kirosu, "approve", str(gated)], env=clean, capture_output=True, text=True))
print("terminal", subprocess.run(["script", "-qec", f"{kirosu} approve {gated}", "/dev/null"], env=clean, stdin=subprocess.DEVNULL, capture_output=True, text=True))
code = "import os,sys,subprocess\nif os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\nsubprocess.run(sys.argv[1:])"
print("away", subprocess.run([sys.executable, "-c", code, kirosu, "approve", str(gated)], env=clean, capture_output=True, text=True))
# One that is gone before the hub can look at it.
s = socket.create_connection((host, int(port)))
s.sendall(json.dumps({"id": 1, "method": "approve", "params": {"task_id": gated, "auth_token": key}}).encode() + b"\n")
s.close()
"#;

#[test]
fn a_program_of_a_run_has_no_other_way_to_the_hub_than_its_token() {
    let hub = setup()
        .up()
        .set("gateway.enabled=true")
        .set("gateway.port=0")
        .set("providers.tries.kind=command")
        .set("providers.tries.command=[\"sh\"]")
        .set("pool.p.provider=tries")
        .start();
    let rest = crate::common::process::address(&hub);
    let home = hub.setup.directory.path();
    let file = home.join("tries.py");
    std::fs::write(&file, TRIES).unwrap();
    let mut keyed = hub.client();
    keyed.call("hello", json!({"auth_token": own_key(&hub)}));
    let gated = keyed.enqueue_with(json!({"prompt": "p", "requires_approval": true, "queue": "z"}));
    let script = format!(
        "python3 {} {} {rest} {gated} {} 2>&1",
        file.display(),
        home.display(),
        env!("CARGO_BIN_EXE_kirosu")
    );
    let id = keyed.enqueue_with(json!({"prompt": script, "max_attempts": 1}));
    keyed.call("wait", json!({"task_ids": [id], "timeout_seconds": 120}));
    let task = keyed.task(id);
    assert_eq!(task["status"], "done", "{task}");
    let said = task["result"].as_str().unwrap();
    for name in [
        "stats", "any key", "key", "approve", "rest", "rest key", "cli", "terminal", "away",
    ] {
        let line = said
            .lines()
            .find(|line| line.starts_with(&format!("{name} ")));
        let line = line.unwrap_or_else(|| panic!("{name}: {said}"));
        assert!(line.contains("KIROSU_TOKEN"), "{line}");
    }
    assert_eq!(keyed.status(gated), "awaiting_approval", "{said}");
}

#[test]
fn a_gateway_asks_the_hub_for_a_client_without_a_key_only_when_one_comes() {
    let settings = ["gateway.enabled=true", "gateway.port=0", "hub.keyless=off"];
    let hub = settings.into_iter().fold(setup(), Setup::set).start();
    let address = crate::common::process::address(&hub);
    let get = |path| crate::common::http::get(&address, path).status;
    assert_eq!(get("/healthz"), 200);
    let mut keyed = hub.client();
    keyed.call("hello", json!({"auth_token": own_key(&hub)}));
    let mut refused = || -> i64 {
        let entries = keyed.call("audit", json!({}))["entries"].take();
        let entries = entries.as_array().unwrap().iter();
        let refused = entries.filter(|entry| entry["code"] == "unauthorized");
        refused.map(|entry| entry["count"].as_i64().unwrap()).sum()
    };
    assert_eq!(refused(), 0);
    assert_eq!(get("/tasks"), 403);
    until("the refusal is recorded", || (refused() > 0).then_some(()));
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

#[test]
fn one_address_of_unknown_clients_does_not_take_all_connections() {
    if !rustix::process::geteuid().is_root() {
        println!("only root can start a process of another user");
        return;
    }
    let hub = setup().set("limits.connections=40").start();
    // It connects again whenever it is turned away.
    let script = "import os,socket,sys,time\n\
                  end=time.time()+60; held=[]\n\
                  while time.time()<end and os.getppid()!=1:\n\
                  \x20 s=socket.create_connection(('127.0.0.1',int(sys.argv[1]))); held.append(s); held=held[-100:]\n\
                  \x20 if len(held)==100: print(flush=True); time.sleep(0.01)\n";
    let mut crowd = Command::new("python3")
        .args(["-c", script, &hub.port.to_string()])
        .uid(NOBODY)
        .gid(NOBODY)
        .current_dir("/")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let output = crowd.stdout.take().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    let key = own_key(&hub);
    for _ in 0..20 {
        let mut client = hub.client();
        client.call("hello", json!({"auth_token": key}));
        client.call("stats", json!({}));
    }
    crowd.kill().unwrap();
    crowd.wait().unwrap();
    let log = hub.log();
    assert!(log.contains("too many connections from one place"), "{log}");
    assert!(log.matches("too many connections").count() < 5, "{log}");
}

#[test]
fn a_client_that_is_gone_is_served_where_every_user_of_the_machine_is() {
    let hub = setup().set("hub.keyless=any-local-user").start();
    const TASKS: i64 = 50;
    for _ in 0..TASKS {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", hub.port)).unwrap();
        stream
            .write_all(b"{\"method\":\"enqueue\",\"params\":{\"prompt\":\"p\"}}\n")
            .unwrap();
    }
    let mut client = hub.client();
    until("all tasks are there", || {
        let stats = client.call("stats", json!({}));
        (stats["stats"]["total_tasks"] == TASKS).then_some(())
    });
}

#[test]
fn a_gateway_of_its_own_takes_no_wrong_key_for_none() {
    if !rustix::process::geteuid().is_root() {
        println!("only root can start a process of another user");
        return;
    }
    let hub = setup().start();
    let api = Api::start(&hub.setup, hub.port, &[]);
    let wrong = "krs_0123456789012345678901234567890123456789012";
    assert_eq!(status_for_nobody(&api.address, "/tasks", wrong), "403");
    assert_eq!(status_for_nobody(&api.address, "/tasks", ""), "403");
    // Neither where clients of the own user have every right without a key.
    let hub = setup().set("hub.keyless=all").start();
    let api = Api::start(&hub.setup, hub.port, &[]);
    assert_eq!(status_for_nobody(&api.address, "/tasks", wrong), "403");
    assert_eq!(with(&api.address, "GET", "/tasks", "", "").status, 200);
}
