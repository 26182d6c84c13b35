//! The log: lines that name task and session, as JSON and in the journal, and what must never be in it. The journal is a
//! stand-in: a socket at the journal's path, in a mount namespace of the test's own.

use crate::common::{Client, Hub, PATIENCE, Setup, until};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const PROMPT: &str = "the secret recipe";
const KEY: &str = "a-key-that-nobody-may-read";

/// A pool whose runs print their prompt and fail.
fn setup(format: &str) -> Setup {
    let argv = r#"providers.bad.command=["sh", "-c", "cat; echo the secret result; exit 3"]"#;
    Setup::new()
        .up()
        .environment("KIRO_SWARM_KEY", KEY)
        .set(&format!("log.format={format}"))
        .set("providers.bad.kind=command")
        .set(argv)
        .set("pool.p.provider=bad")
        .set("pool.p.size=1")
}

fn client(port: u16) -> Client {
    let mut client = Client::connect(port);
    client.call("hello", json!({"auth_token": KEY}));
    client
}

/// Lets a task fail; its id.
fn fail(port: u16) -> i64 {
    let mut client = client(port);
    let id = client.enqueue(PROMPT);
    let ended = client.call("wait", json!({"task_ids": [id], "timeout_seconds": 30}));
    assert_eq!(ended["tasks"][0]["status"], "failed");
    id
}

/// The lines of a JSON log; each must be an object.
fn lines(hub: &Hub) -> Vec<Value> {
    let log = hub.log();
    let read = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    log.lines().map(read).collect()
}

#[test]
fn json_lines_name_task_and_session_and_no_secret() {
    let hub = setup("json").set("log.level=debug").start();
    let id = fail(hub.port);
    let (began, failed) = until("the run's end is logged", || {
        let lines = lines(&hub);
        let find = |message: &str| lines.iter().find(|l| l["message"] == message).cloned();
        find("runs").zip(find("the run failed"))
    });
    for line in [&began, &failed] {
        assert_eq!(
            (&line["task_id"], &line["fence"]),
            (&json!(id), &json!(1)),
            "{line}"
        );
        assert_eq!(line["pool"], "p", "{line}");
        assert!(
            line["session"].as_str().unwrap().ends_with("/p/1"),
            "{line}"
        );
        assert!(
            line["worker"].as_str().unwrap().starts_with("p-1@"),
            "{line}"
        );
    }
    assert_eq!(
        (&failed["level"], &failed["class"]),
        (&json!("INFO"), &json!("provider_error"))
    );
    assert_eq!(failed["provider"], "bad");
    assert!(
        failed["timestamp"].as_str().unwrap().ends_with('Z'),
        "{failed}"
    );
    let log = hub.log();
    for secret in [PROMPT, "secret result", KEY] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[test]
fn a_lost_lease_is_named_and_the_level_changes_while_the_hub_runs() {
    let file = tempfile::tempdir().unwrap();
    let config = file.path().join("kirosu.toml");
    let level = |level: &str| format!("[log]\nformat = \"json\"\nlevel = \"{level}\"\n");
    std::fs::write(&config, level("error")).unwrap();
    let setup = Setup::new()
        .argument("--config")
        .argument(config.to_str().unwrap());
    let hub = setup.start();
    let mut client = hub.session("s-1");
    let quiet = client.enqueue("x");
    client.lease(json!({"lease_seconds": 1, "worker_id": "w"}));
    until("the lease is lost", || {
        (client.status(quiet) == "queued").then_some(())
    });
    assert_eq!(hub.log(), "", "only errors are wanted");

    std::fs::write(&config, level("error,kirosu_hub=warn,kirosu=info")).unwrap();
    hub.signal(Signal::HUP);
    until("the level is changed", || {
        hub.log().contains("reloaded").then_some(())
    });
    client.lease(json!({"lease_seconds": 1, "worker_id": "w"}));
    let lost = until("the loss is logged", || {
        lines(&hub)
            .into_iter()
            .find(|line| line["task_id"] == json!(quiet))
    });
    assert_eq!(
        (&lost["session"], &lost["worker"]),
        (&json!("s-1"), &json!("w")),
        "{lost}"
    );
    assert_eq!(
        (&lost["fence"], &lost["level"]),
        (&json!(2), &json!("WARN")),
        "{lost}"
    );
}

/// A process of our own that is gone when the test is.
struct Own(Child);

impl Drop for Own {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The hub in a mount namespace where `/run` holds nothing but, if given, this socket as the journal's.
fn with_journal(setup: &Setup, journal: Option<&Path>) -> Command {
    let hub = setup.command();
    let link = match journal {
        Some(path) => format!("ln -s '{}' /run/systemd/journal/socket &&", path.display()),
        None => String::new(),
    };
    let script = format!(
        "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && {link} exec \"$0\" \"$@\""
    );
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", &script]);
    command.arg(hub.get_program()).args(hub.get_args());
    command.env_clear().stdin(Stdio::null());
    command.current_dir(setup.directory.path());
    for (name, value) in hub.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command
}

/// An entry in the journal's own protocol: `NAME=value`, or the name, eight bytes of length, the value.
fn entry(mut bytes: &[u8]) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    while !bytes.is_empty() {
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
        let line = std::str::from_utf8(&bytes[..end]).unwrap();
        bytes = &bytes[end + 1..];
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None => {
                let (length, rest) = bytes.split_at(8);
                let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
                bytes = &rest[length + 1..];
                (line, String::from_utf8(rest[..length].to_vec()).unwrap())
            }
        };
        fields.insert(name.to_owned(), value);
    }
    fields
}

#[test]
fn the_journal_gets_fields() {
    let setup = setup("journald");
    let path = setup.directory.path().join("journal");
    let journal = UnixDatagram::bind(&path).unwrap();
    journal.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = with_journal(&setup, Some(&path));
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut hub = Own(piped.spawn().expect("unshare of util-linux can be started"));
    let mut first = String::new();
    let stdout = hub.0.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut first).unwrap();
    let port = first
        .trim()
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok());
    let port: u16 = port.unwrap_or_else(|| {
        let mut said = String::new();
        let _ = BufReader::new(hub.0.stderr.take().unwrap()).read_line(&mut said);
        panic!("the hub did not start in a mount namespace (which this test must be allowed to make): {said}")
    });
    let id = fail(port);
    let mut bytes = vec![0; 1 << 16];
    let failed = loop {
        let length = journal
            .recv(&mut bytes)
            .expect("the run's end is in the journal");
        let entry = entry(&bytes[..length]);
        if entry
            .get("MESSAGE")
            .is_some_and(|message| message == "the run failed")
        {
            break entry;
        }
    };
    let expected = [
        ("KIROSU_TASK_ID", id.to_string()),
        ("KIROSU_FENCE", "1".into()),
        ("KIROSU_POOL", "p".into()),
        ("KIROSU_CLASS", "provider_error".into()),
        ("PRIORITY", "6".into()),
        ("SYSLOG_IDENTIFIER", "kirosu".into()),
    ];
    for (name, value) in expected {
        assert_eq!(failed.get(name), Some(&value), "{name} in {failed:?}");
    }
    assert!(failed["KIROSU_SESSION"].ends_with("/p/1"), "{failed:?}");
}

#[test]
fn a_journal_that_is_not_there_is_an_error_that_says_so() {
    let output = with_journal(&setup("journald"), None).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("cannot log to the journal") && said.contains("/run/systemd/journal/socket"),
        "{said}"
    );
}
