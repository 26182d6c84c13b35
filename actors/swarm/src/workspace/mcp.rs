//! `.kiro/settings/mcp.json`: the MCP servers for agents, from the folder and from the user.
//!
//! A server is a program to start, or an address that receives the agent's data. Anyone who can write to the
//! repository can write the folder's file, so it applies only if the pool allows it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use kirosu_protocol::TaskId;
use kirosu_providers::{AgentFile, McpServer, McpTransport, RunHub, containment};
use serde_json::{Map, Value};

use crate::options::PoolOptions;

/// Maximum size of a file in bytes.
const FILE_BYTES: u64 = 1 << 20;
const FILE: &str = ".kiro/settings/mcp.json";

/// The servers for a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct McpServers {
    /// The servers, with unique names.
    pub(crate) servers: Vec<McpServer>,
    /// Warnings for people, one per line.
    pub(crate) warnings: Vec<String>,
}

/// Returns the servers for the run `(task, fence)` in `dir`: the nearest file from there up to `root`, then the
/// user's own. Programs get the run's ids as variables, which agents do not always pass on. Blocks on the file
/// system.
pub(crate) fn servers(
    options: &PoolOptions,
    run: (TaskId, i64),
    hub: Option<&RunHub>,
    dir: &Path,
    root: &Path,
) -> McpServers {
    let run = run_variables(run, hub);
    let variable = |name: &str| {
        if let Some((_, value)) = run.iter().find(|(it, _)| *it == name) {
            return Some(value.clone());
        }
        let own = options.env.iter().rev().find(|(it, _)| it == name);
        let own = own.map(|(_, value)| value.clone());
        own.or_else(|| match containment::is_withheld(name) {
            true => None,
            false => std::env::var(name).ok(),
        })
    };
    let mut found = McpServers::default();
    let mut taken = BTreeSet::new();
    let within = dir.ancestors().take_while(|it| it.starts_with(root));
    let near = within
        .map(|it| it.join(FILE))
        .find(|it| it.symlink_metadata().is_ok());
    if let Some(path) = near.clone() {
        let open = || AgentFile::beneath(root, path.strip_prefix(root).unwrap_or(&path));
        match options.workspace_mcp {
            true => take(&path, open(), &variable, &mut taken, &mut found),
            false => found.warnings.push(format!(
                "{} is not used: it can start programs, and pool '{}' does not trust its folder with that; set workspace_mcp = true on the pool if it may",
                path.display(),
                options.name
            )),
        }
    }
    let home = variable("HOME").map(|home| Path::new(&home).join(FILE));
    if let Some(path) = home.filter(|it| near.as_ref() != Some(it)) {
        match AgentFile::through_links(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => take(&path, opened, &variable, &mut taken, &mut found),
        }
    }
    for server in &mut found.servers {
        if let McpTransport::Stdio { env, .. } = &mut server.transport {
            for (name, value) in &run {
                env.entry((*name).to_owned())
                    .or_insert_with(|| value.clone());
            }
        }
    }
    found
}

/// Variables with the ids of the run, and with its access to the hub.
fn run_variables((task, fence): (TaskId, i64), hub: Option<&RunHub>) -> Vec<(&str, String)> {
    let mut variables = vec![
        ("KIROSU_TASK_ID", task.to_string()),
        ("KIROSU_FENCE", fence.to_string()),
    ];
    if let Some(hub) = hub {
        variables.extend(hub.variables());
    }
    variables
}

fn take(
    path: &Path,
    opened: io::Result<AgentFile>,
    variable: &dyn Fn(&str) -> Option<String>,
    taken: &mut BTreeSet<String>,
    found: &mut McpServers,
) {
    let mut faults = Vec::new();
    match read(opened) {
        Ok(table) => {
            for (name, entry) in table {
                // A server disabled here is disabled even if the user's file has it.
                if !taken.insert(name.clone()) {
                    continue;
                }
                match server(&name, &entry, variable) {
                    Ok(server) => found.servers.extend(server),
                    Err(fault) => faults.push(format!("{name}: {fault}")),
                }
            }
        }
        Err(fault) => {
            tracing::warn!(file = %path.display(), %fault, "a file of MCP servers is not used");
            faults.push(fault);
        }
    }
    if !faults.is_empty() {
        let (path, faults) = (path.display(), faults.join("; "));
        found.warnings.push(format!("{path}: {faults}"));
    }
}

fn read(opened: io::Result<AgentFile>) -> Result<Map<String, Value>, String> {
    let text = opened.and_then(|file| file.text(FILE_BYTES));
    let text = text.map_err(|error| format!("is ignored: {error}"))?;
    let document: Value =
        serde_json::from_str(&text).map_err(|error| format!("is not JSON: {error}"))?;
    match document.get("mcpServers") {
        None if document.is_object() => Ok(Map::new()),
        Some(Value::Object(servers)) => Ok(servers.clone()),
        _ => Err("has no table mcpServers".to_owned()),
    }
}

/// Returns `None` if the server is disabled.
fn server(
    name: &str,
    entry: &Value,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<McpServer>, String> {
    let table = entry.as_object().ok_or("is no table")?;
    if table.get("disabled") == Some(&Value::Bool(true)) {
        return Ok(None);
    }
    let filled = |value: &Value, key: &str| match value {
        Value::String(text) => fill(text, variable).map_err(|fault| format!("{key}: {fault}")),
        _ => Err(format!("{key}: must be a string")),
    };
    let texts = |key: &str| -> Result<BTreeMap<String, String>, String> {
        match table.get(key) {
            None => Ok(BTreeMap::new()),
            Some(Value::Object(pairs)) => {
                let pairs = pairs.iter();
                let one = |(name, value): (&String, &Value)| {
                    Ok((name.clone(), filled(value, &format!("{key}.{name}"))?))
                };
                pairs.map(one).collect()
            }
            Some(_) => Err(format!("{key}: must be a table of strings")),
        }
    };
    let transport = match (table.get("command"), table.get("url")) {
        (Some(command), None) => McpTransport::Stdio {
            command: filled(command, "command")?,
            args: match table.get("args") {
                None => Vec::new(),
                Some(Value::Array(args)) => {
                    let args = args.iter().map(|it| filled(it, "args"));
                    args.collect::<Result<_, _>>()?
                }
                Some(_) => return Err("args: expected a list of strings".to_owned()),
            },
            env: texts("env")?,
        },
        (None, Some(_)) if table.get("type").and_then(Value::as_str) == Some("sse") => {
            return Err("type: sse is not supported; use the server's streamable HTTP".to_owned());
        }
        (None, Some(url)) => McpTransport::Http {
            url: filled(url, "url")?,
            headers: texts("headers")?,
        },
        _ => return Err("needs either command or url".to_owned()),
    };
    Ok(Some(McpServer {
        name: name.to_owned(),
        transport,
    }))
}

/// Replaces `${NAME}` by the variable, and `${NAME:-text}` by the text if the variable is unset.
fn fill(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, from)) = rest.split_once("${") {
        filled.push_str(before);
        let (place, after) = from.split_once('}').ok_or("a ${ without its }")?;
        let (name, usual) = match place.split_once(":-") {
            Some((name, usual)) => (name, Some(usual)),
            None => (place, None),
        };
        let value = variable(name).or_else(|| usual.map(str::to_owned));
        let value = value.ok_or_else(|| format!("the variable {name} is not set"))?;
        filled.push_str(&value);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn variable(name: &str) -> Option<String> {
        (name == "TOKEN").then(|| "t0${TOKEN}".to_owned())
    }

    fn taken(files: &[Value]) -> McpServers {
        let dir = tempfile::tempdir().unwrap();
        let (mut names, mut found) = (BTreeSet::new(), McpServers::default());
        for (number, file) in files.iter().enumerate() {
            let path = dir.path().join(number.to_string());
            std::fs::write(&path, file.to_string()).unwrap();
            take(
                &path,
                AgentFile::at(&path),
                &variable,
                &mut names,
                &mut found,
            );
        }
        found
    }

    #[test]
    fn the_nearer_file_wins_and_can_switch_a_server_off() {
        let near = json!({"mcpServers": {
            "a": {"command": "near", "args": ["--k=${TOKEN}"], "autoApprove": ["x"]},
            "off": {"command": "near", "disabled": true},
        }});
        let user = json!({"mcpServers": {
            "a": {"command": "user"},
            "off": {"command": "user"},
            "b": {"url": "http://h/${PART:-mcp}", "headers": {"X": "${TOKEN}"}},
        }});
        let found = taken(&[near, user]);
        assert_eq!(found.warnings, Vec::<String>::new());
        let names: Vec<&str> = found.servers.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        let stdio = |it: &McpTransport| match it {
            McpTransport::Stdio { command, args, .. } => format!("{command} {}", args.join(" ")),
            McpTransport::Http { url, headers } => format!("{url} {}", headers["X"]),
        };
        // The value of a variable is not expanded again.
        assert_eq!(stdio(&found.servers[0].transport), "near --k=t0${TOKEN}");
        assert_eq!(
            stdio(&found.servers[1].transport),
            "http://h/mcp t0${TOKEN}"
        );
    }

    #[test]
    fn all_faults_are_one_warning_and_the_sound_ones_count() {
        let found = taken(&[json!({"mcpServers": {
            "a": {"command": "x", "env": {"K": "${NOWHERE}"}},
            "b": {"args": []},
            "c": {"command": "x", "args": "y"},
            "d": {"url": "http://h", "type": "sse"},
            "e": 3,
            "f": {"command": "${OPEN"},
            "good": {"command": "x"},
        }})]);
        assert_eq!(found.servers.len(), 1);
        let [warning] = found.warnings.as_slice() else {
            panic!("{:?}", found.warnings);
        };
        for part in [
            "a: env.K: the variable NOWHERE is not set",
            "b: needs either command or url",
            "c: args: expected a list",
            "d: type: sse",
            "e: is no table",
            "f: command: a ${ without",
        ] {
            assert!(warning.contains(part), "{warning} lacks {part}");
        }
        assert!(taken(&[json!([])]).warnings[0].contains("no table mcpServers"));
        assert_eq!(taken(&[json!({})]), McpServers::default());
    }
}
