//! The code of the demo's tasks, and its settings.

use super::files::FileBatch;
use kirosu_protocol::TaskId;
use std::net::SocketAddr;
use std::path::Path;

/// Name of the pool.
pub const POOL: &str = "demo";

const COUNT: &str = include_str!("count.py");
const REDUCE: &str = include_str!("reduce.py");

/// Python code that counts a batch of files.
pub fn map(batch: &FileBatch) -> String {
    format!("FILES = {}\n{COUNT}", json(batch))
}

/// Python code that adds up the results of other tasks, which it requests from the hub.
pub fn reduce(tasks: &[TaskId], hub: SocketAddr) -> String {
    let (host, port) = (json(&hub.ip().to_string()), hub.port());
    format!(
        "HOST, PORT, TASKS = {host}, {port}, {}\n{REDUCE}",
        json(&tasks)
    )
}

/// JSON lists, texts and numbers are Python literals too.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// The settings file of the demo: a hub on any free port, and one pool that may run Python.
pub fn settings(folder: &Path, data: &Path, sessions: u32) -> String {
    let text = |path: &Path| json(&path.to_string_lossy());
    format!(
        r#"# The settings that `kirosu demo` ran with.
data_dir = {data}

[hub]
port = 0
trust_all_tools = true

[store]
path = {db}

[supervision]
initial = "300ms"

[shutdown]
drain = "0s"

[[pool]]
name = "{POOL}"
provider = "python"
types = ["python"]
size = {sessions}
workspace = "shared"
workdir = {folder}
trust_all_tools = true
timeout = "30s"
"#,
        data = text(data),
        db = text(&data.join("kirosu.db")),
        folder = text(folder),
    )
}
