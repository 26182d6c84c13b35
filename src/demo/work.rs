//! The plan of the demo, its agent, and its settings.

use serde_json::json;
use std::path::Path;

/// Name of the pool.
pub const POOL: &str = "demo";
/// The step whose items are the files.
pub const MAP: &str = "count";
/// File name of the agent in the data folder.
pub const AGENT: &str = "agent.py";
/// A program that answers the prompts of the plan.
pub const AGENT_CODE: &str = include_str!("agent.py");

/// The plan: a map with `batch` files per task, and a reduce that adds up the counts.
pub fn plan(batch: usize) -> String {
    let files = match batch {
        // Without a batch a task has one item, which is no list.
        1 => "[item]",
        _ => "items",
    };
    let mut map = json!({"over": {"jsonl": "files"}});
    if batch > 1 {
        map["batch"] = batch.into();
    }
    let plan = json!({
        "name": "demo",
        // Counts of very many kinds of files are long.
        "limits": {"max_insert": "8 MiB"},
        "pipeline": [
            {"id": MAP, "map": map, "pool": POOL, "prompt": format!("{{\"count\": {{{{ {files} | tojson }}}}}}")},
            {
                "id": "add",
                "reduce": {"of": MAP},
                "pool": POOL,
                "prompt": "{\"add\": {{ results | map(attribute='json') | list | tojson }}}",
            },
        ],
    });
    format!("{plan:#}")
}

/// The settings file of the demo: a hub on any free port, and one pool whose provider is the agent.
pub fn settings(folder: &Path, data: &Path, sessions: u32) -> String {
    // A JSON text is a TOML text, too.
    let text = |path: &Path| json!(path.to_string_lossy()).to_string();
    format!(
        r#"# The settings that `kirosu demo` ran with.
data_dir = {data}

[hub]
port = 0

[gateway]
enabled = false

[store]
path = {db}

[supervision]
initial = "300ms"

[shutdown]
drain = "0s"

[providers.counter]
kind = "command"
command = ["python3", {agent}]

[[pool]]
name = "{POOL}"
provider = "counter"
size = {sessions}
workspace = "shared"
workdir = {folder}
timeout = "30s"
"#,
        data = text(data),
        db = text(&data.join("kirosu.db")),
        agent = text(&data.join(AGENT)),
        folder = text(folder),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirosu_plan::{PlanFormat, compile};

    #[test]
    fn the_plan_has_no_fault() {
        for batch in [1, 7] {
            let compiled = compile(&plan(batch), PlanFormat::Yaml);
            assert!(compiled.is_ok(), "{:?}", compiled.err());
        }
    }
}
