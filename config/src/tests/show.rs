use super::Case;
use crate::SecretDisplay;

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
    let text = loaded.to_toml(SecretDisplay::Shown);
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
fn characters_that_a_terminal_hides_are_escaped_and_load_again() {
    let file = "[[pool]]\nname = \"a\"\nenv = { \"a\u{202e}b\" = 'quo\"te\\ \u{2066}x' }\n\
                [providers.mine]\nkind = \"command\"\ncommand = [\"run\", \"a\u{202e}b\", \"\\u001b[2J\"]\n";
    let case = Case::new(file);
    let loaded = case.load();
    let text = loaded.to_toml(SecretDisplay::Shown);
    let hidden = |text: &str| text.contains(['\u{202e}', '\u{2066}', '\u{1b}']);
    assert!(!hidden(&text), "{text}");
    assert!(text.contains(r#""a\u202Eb", "\u001B[2J"]"#), "{text}");
    assert_eq!(Case::new(&text).settings(), loaded.settings);
    for setting in loaded.of_file() {
        assert!(
            !hidden(&setting.key) && !hidden(&setting.value),
            "{setting:?}"
        );
    }
}

#[test]
fn the_json_has_the_same_values() {
    let json = Case::new(FILE)
        .env("KIRO_SWARM_PORT", "9")
        .load()
        .to_json(SecretDisplay::Shown);
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

#[test]
fn secrets_are_hidden() {
    let file = r#"
        [[pool]]
        name = "a"
        env = { DB = "in-the-pool" }
        hooks = { before = ["sh", "-c", "curl https://me:in-a-hook@h"] }
        [providers.mine]
        kind = "command"
        command = ["run", "--token", "in-the-arguments", "postgres://me:in-a-dsn@db"]
        env = { X = "in-the-provider" }
        [providers.api]
        kind = "openai"
        headers = { "X-Team" = "in-a-header" }
        body = { safety = { token = "in-the-body" } }
    "#;
    let loaded = Case::new(file).load();
    let hidden =
        loaded.to_toml(SecretDisplay::Hidden) + &loaded.to_json(SecretDisplay::Hidden).to_string();
    assert!(!hidden.contains("in-"), "{hidden}");
    for name in ["env.DB", "X-Team", "postgres://me:***@db", "--token"] {
        assert!(hidden.contains(name), "{name}: {hidden}");
    }
    let shown = loaded.to_toml(SecretDisplay::Shown);
    assert_eq!(shown.matches("\"in-").count(), 5, "{shown}");
}
