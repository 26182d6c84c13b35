//! The hub's key reaches no program of a run, by whichever variable the hub got it.

use crate::common::Setup;
use serde_json::json;

const KEY: &str = "topsecret";

#[test]
fn the_key_reaches_no_agent_hook_or_check() {
    for name in ["KIRO_SWARM_KEY", "KIROSU_HUB__KEY", "KIROSU_hub__key"] {
        let hub = Setup::new()
            .up()
            .environment(name, KEY)
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
        assert!(!text.contains(KEY), "{name}: {got}");
    }
}
