use super::Case;

const FILE: &str = r#"
    [hub]
    key = "very secret"
    [store]
    retention = "2h"
    [[pool]]
    name = "a"
    env = { "odd name" = "x\"y" }
    [providers.mine]
    kind = "command"
    command = ["run", "it"]
"#;

#[test]
fn the_text_has_values_and_origins_and_loads_again() {
    let loaded = Case::new(FILE).env("KIROSU_HUB__PORT", "9").load();
    let text = loaded.to_toml();
    for line in [
        "port = 9 # environment KIROSU_HUB__PORT",
        "host = \"127.0.0.1\" # default",
        "# socket is not set",
        "line_bytes = \"16 MiB\" # default",
        "lease = \"5m\" # default, from lease.default",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(
        text.contains("key = \"***\" # ") && !text.contains("very secret"),
        "{text}"
    );
    let mut again = Case::new(&text).settings();
    again.hub.key = loaded.settings.hub.key.clone();
    assert_eq!(again, loaded.settings);
}

#[test]
fn the_json_has_the_same_values() {
    let json = Case::new(FILE).env("KIRO_SWARM_PORT", "9").load().to_json();
    assert_eq!(json["hub"]["port"]["value"], 9);
    assert_eq!(json["hub"]["port"]["layer"], "env");
    assert_eq!(json["hub"]["port"]["origin"], "environment KIRO_SWARM_PORT");
    assert_eq!(json["hub"]["key"]["value"], "***");
    assert_eq!(json["hub"]["socket"]["value"], serde_json::Value::Null);
    assert_eq!(json["pool"]["a"]["size"]["value"], 2);
    assert_eq!(json["pool"]["a"]["env"]["odd name"]["value"], "x\"y");
    assert_eq!(json["providers"]["mine"]["command"]["layer"], "file");
    assert_eq!(json["data_dir"]["value"], "/home/me/.local/share/kirosu");
    assert!(!json.to_string().contains("very secret"));
}
