//! `.kiro/settings/mcp.json`, and what a pool trusts its agents with, as an agent program gets them.

use crate::workspaces::field::{Agents, Field};
use std::os::unix::fs::PermissionsExt as _;

/// A claude that records its arguments.
const CLAUDE: &str = r#"#!/bin/sh
cat > /dev/null
printf '%s\n' "$@" > "$KEEP/args"
for arg in "$@"; do case "$arg" in --mcp-config=*) cp "${arg#*=}" "$KEEP/mcp"; echo "${arg#*=}" > "$KEEP/path";; esac; done
echo '{"type":"result","subtype":"success","is_error":false,"result":"fine"}'
"#;

fn start(field: &Field, pool: &str) -> Agents {
    let here = field.setup.directory.path();
    let program = here.join("claude");
    std::fs::write(&program, CLAUDE).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let setup = field
        .configured(
            "",
            &format!("{pool}\nenv.KEEP={}\nenv.TOKEN=geheim", here.display()),
        )
        .set("pool.p.provider=claude")
        .environment(
            "PATH",
            &format!("{}:{}", here.display(), std::env::var("PATH").unwrap()),
        );
    Agents { hub: setup.start() }
}

fn kept(field: &Field, name: &str) -> String {
    std::fs::read_to_string(field.setup.directory.path().join(name)).unwrap_or_default()
}

fn field() -> Field {
    let field = Field::new().file(
        ".kiro/settings/mcp.json",
        r#"{"mcpServers": {
            "files": {"command": "srv", "env": {"KEY": "${TOKEN}"}},
            "broken": {"command": "srv", "args": ["${NOWHERE}"]},
            "off": {"command": "srv", "disabled": true}
        }}"#,
    );
    field.commit("start");
    let home = field.setup.directory.path().join(".kiro/settings");
    std::fs::create_dir_all(&home).unwrap();
    let own =
        r#"{"mcpServers": {"mine": {"url": "http://127.0.0.1:1/mcp"}, "off": {"command": "x"}}}"#;
    std::fs::write(home.join("mcp.json"), own).unwrap();
    field
}

#[test]
fn servers_reach_the_agent_in_a_file_of_its_own_for_as_long_as_it_runs() {
    let field = field();
    let hub = start(&field, "trust=all");
    let id = hub.done("x");
    let told: serde_json::Value = serde_json::from_str(&kept(&field, "mcp")).unwrap();
    let servers = told["mcpServers"].as_object().unwrap();
    let names: Vec<&String> = servers.keys().collect();
    assert_eq!(names, ["files", "kirosu", "mine"], "{told}");
    let env = &told["mcpServers"]["files"]["env"];
    assert_eq!(env["KEY"], "geheim");
    assert_eq!(env["KIROSU_TASK_ID"], id.to_string());
    assert!(!kept(&field, "args").contains("geheim"));
    assert!(kept(&field, "args").contains("--dangerously-skip-permissions"));
    let path = kept(&field, "path");
    assert!(!std::path::Path::new(path.trim()).exists(), "{path}");
    let printed = hub.get(id)["printed"].to_string();
    assert!(
        printed.contains("broken: args: the variable NOWHERE is not set"),
        "{printed}"
    );
}

#[test]
fn a_folder_starts_no_programs_where_the_pool_does_not_trust_it() {
    let field = field();
    let hub = start(&field, "trust=edit");
    let id = hub.done("x");
    let told = kept(&field, "mcp");
    assert!(told.contains("mine") && !told.contains("srv"), "{told}");
    let printed = hub.get(id)["printed"].to_string();
    assert!(printed.contains("set workspace_mcp = true"), "{printed}");
    let args = kept(&field, "args");
    assert!(args.contains("--permission-mode\nacceptEdits\n"), "{args}");
    drop(hub);
    let hub = start(&field, "workspace_mcp=true");
    hub.done("x");
    assert!(kept(&field, "mcp").contains("srv"));
    assert!(!kept(&field, "args").contains("acceptEdits"));
}
