//! The hub's key reaches no program of a run, by whichever variable the hub got it.

use crate::common::Setup;
use serde_json::json;

const KEY: &str = "topsecret";

#[test]
fn the_key_reaches_no_agent_hook_or_check() {
    for name in [
        "KIRO_SWARM_KEY",
        "KIROSU_HUB__KEY",
        "KIROSU_hub__key",
        "KIROSU_HUB__KEY_FILE",
    ] {
        let setup = Setup::new().up();
        let file = setup.directory.path().join("the-key-file");
        std::fs::write(&file, KEY).unwrap();
        let value = match name.ends_with("FILE") {
            true => file.to_str().unwrap(),
            false => KEY,
        };
        let hub = setup
            .environment(name, value)
            .environment("KIROSU_STORE__RETENTION", "9days")
            .environment("KIROSU_RUN", "of-another-hub")
            .environment("UNRELATED", "is-passed-on")
            .set("providers.sh.kind=command")
            .set("providers.sh.command=[\"sh\"]")
            .set("pool.p.provider=sh")
            .set("pool.p.accept_commands=true")
            .set("pool.p.hooks={ before = [\"env\"], after = [\"env\"] }")
            .start();
        let mut client = hub.client();
        let hello = json!({"session_id": "t", "name": "t", "auth_token": KEY});
        client.call("hello", hello);
        let id = client.enqueue_with(json!({"prompt": "env", "accept": {"command": ["env"]}}));
        client.call("wait", json!({"task_ids": [id], "timeout_seconds": 30}));
        let got = client.call("get", json!({"task_id": id, "output": true}));
        assert_eq!(got["task"]["status"], "done", "{got}");
        let text = got.to_string();
        // The result, and what the run, both hooks and the check printed.
        assert_eq!(text.matches("UNRELATED=is-passed-on").count(), 5, "{got}");
        for secret in [KEY, "the-key-file", "9days", "of-another-hub"] {
            assert!(!text.contains(secret), "{name}: {got}");
        }
    }
}

const SETTINGS: &str = r#"
[[pool]]
name = "p"
provider = "x"
env = { DB = "in-the-pool" }
hooks = { before = ["sh", "-c", "echo 'Authorization: Bearer in-a-hook-0123'"] }
[providers.x]
kind = "command"
command = ["sh", "--", "--token", "in-the-arguments", "postgres://me:in-a-dsn@db/x"]
env = { X = "in-the-provider" }
"#;

#[test]
fn settings_are_shown_without_secrets_unless_asked_for() {
    let setup = Setup::new();
    let file = setup.directory.path().join("kirosu.toml");
    std::fs::write(&file, SETTINGS).unwrap();
    let kirosu = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_kirosu"));
        command.args(arguments).arg("--config").arg(&file);
        let output = command
            .env("HOME", setup.directory.path())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
    };
    for arguments in [
        &["config", "show"][..],
        &["config", "show", "--json"],
        &["config", "check"],
        &["doctor"],
        &["doctor", "--json"],
    ] {
        let shown = kirosu(arguments);
        assert!(!shown.is_empty());
        let is_hidden = |part: &str| !shown.contains(part);
        assert!(
            is_hidden("in-the-") && is_hidden("in-a-"),
            "{arguments:?} {shown}"
        );
    }
    assert!(kirosu(&["config", "show"]).contains("env.DB = \"***\""));
    for more in [&[][..], &["--json"]] {
        let shown = kirosu(&[&["config", "show", "--secrets"], more].concat());
        assert_eq!(shown.matches("in-").count(), 5, "{shown}");
    }
}

#[test]
fn a_failed_hook_is_reported_without_its_secrets() {
    let hook = "pool.p.hooks={ before = [\"sh\", \"-c\", \"exit 3 # --token in-a-hook https://me:in-a-url@host\"] }";
    let hub = Setup::new()
        .up()
        .set("pool.p.provider=echo")
        .set(hook)
        .start();
    let mut client = hub.client();
    let id = client.enqueue("x");
    client.call("wait", json!({"task_ids": [id], "timeout_seconds": 30}));
    let got = client
        .call("get", json!({"task_id": id, "output": true}))
        .to_string();
    assert!(got.contains("exit 3 # --token ***"), "{got}");
    let said = got + &hub.log();
    assert!(
        !said.contains("in-a-hook") && !said.contains("in-a-url"),
        "{said}"
    );
}
