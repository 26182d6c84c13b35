//! Passes a job's MCP servers to a program in the form of its definition. Values that may be secrets are passed in a file
//! that only its owner can read, or in the environment, never as an argument.

use std::error::Error;
use std::io::Write as _;

use serde_json::{Map, Value, json};
use tempfile::NamedTempFile;

use crate::containment::Containment;
use crate::definition::{Definition, McpForm};
use crate::job::{Job, TrustLevel};
use crate::mcp::{McpServer, McpTransport};
use crate::outcome::{FailureKind, RunFailure};
use crate::shortage;

/// The placeholder for the arguments in a command.
const PLACE: &str = "{mcp_args}";

/// The parts of a call that pass the servers. Dropping it removes the files.
#[derive(Debug, Default)]
pub(super) struct McpHandover {
    /// The value of `{mcp_args}`.
    pub(super) args: Vec<String>,
    /// Further environment variables.
    pub(super) env: Vec<(String, String)>,
    /// A warning about servers that could not be passed.
    pub(super) warning: Option<String>,
    files: Vec<NamedTempFile>,
}

/// Passes the job's servers, by a small file where the definition wants one. `env` is the rest of the program's environment.
///
/// # Errors
/// When the file cannot be written, or the program's own settings cannot be read.
pub(super) fn hand_over(
    definition: &Definition,
    job: &Job,
    env: &[(String, String)],
    containment: &Containment,
) -> Result<McpHandover, RunFailure> {
    let mut handed = McpHandover::default();
    let way = &definition.mcp;
    if way.form == McpForm::Own {
        return Ok(handed);
    }
    let placed = way.args.is_empty() && way.form != McpForm::Codex
        || definition.command.iter().any(|it| it == PLACE);
    if way.form == McpForm::None || !placed {
        if job.mcp.is_empty() {
            return Ok(handed);
        }
        let names: Vec<&str> = job.mcp.iter().map(|server| server.name.as_str()).collect();
        handed.warning = Some(format!(
            "[kirosu: {} takes no MCP servers; it runs without {}]\n",
            definition.command.first().map_or("it", String::as_str),
            names.join(", ")
        ));
        return Ok(handed);
    }
    let mcp = job.servers();
    if mcp.is_empty() {
        return Ok(handed);
    }
    let document = match way.form {
        McpForm::Opencode => opencode(&mcp, variable(env, "OPENCODE_CONFIG_CONTENT")),
        McpForm::Settings => {
            let names = way.env.keys();
            let before = names.filter_map(|name| variable(env, name)).next();
            settings(&mcp, before.as_deref(), job.trust)?
        }
        McpForm::Codex => {
            codex(&mcp, job.trust, &mut handed);
            return Ok(handed);
        }
        form => json!({ "mcpServers": servers(&mcp, form == McpForm::Copilot) }),
    };
    let text = document.to_string();
    let wants_file = way.args.iter().chain(way.env.values());
    let mut path = String::new();
    if wants_file.into_iter().any(|it| it.contains("{mcp_file}")) {
        let file = write(&text, containment)
            .map_err(|error| cannot("write the MCP servers to a file", &error))?;
        path = file.path().to_string_lossy().into_owned();
        handed.files.push(file);
    }
    let fill = |it: &String| match it.as_str() {
        "{mcp_json}" => text.clone(),
        it => it.replace("{mcp_file}", &path),
    };
    handed.args = way.args.iter().map(fill).collect();
    handed.env = way
        .env
        .iter()
        .map(|(name, it)| (name.clone(), fill(it)))
        .collect();
    Ok(handed)
}

/// Writes the system prompt to a file, where the definition has a variable for it, and takes it out of the job.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn system_file(
    definition: &Definition,
    job: &mut Job,
    containment: &Containment,
) -> Result<Option<NamedTempFile>, RunFailure> {
    let (Some(name), Some(text)) = (&definition.system_file_env, &job.system_prompt) else {
        return Ok(None);
    };
    let file = write(text, containment)
        .map_err(|error| cannot("write the system prompt to a file", &error))?;
    let path = file.path().to_string_lossy().into_owned();
    job.env.push((name.clone(), path));
    job.system_prompt = None;
    Ok(Some(file))
}

/// Writes a temporary file that only its owner can read: the user of the run.
pub(super) fn write(text: &str, containment: &Containment) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix("kirosu-");
    // This folder belongs to the user alone and is removed with the login session.
    let own = std::env::var_os("XDG_RUNTIME_DIR").filter(|_| !containment.has_other_user());
    let mut file = match own {
        Some(dir) => builder.tempfile_in(dir).or_else(|_| builder.tempfile())?,
        None => builder.tempfile()?,
    };
    file.write_all(text.as_bytes())?;
    containment.give(file.path())?;
    Ok(file)
}

/// The failure of a run that could not be prepared on this machine: a shortage, or the provider's error.
pub(super) fn cannot(what: &str, error: &(dyn Error + 'static)) -> RunFailure {
    let class = match shortage::within(error) {
        true => FailureKind::Shortage,
        false => FailureKind::ProviderError,
    };
    RunFailure::new(class, format!("cannot {what}: {error}"))
}

/// The value of a variable in the program's environment.
pub(super) fn variable(env: &[(String, String)], name: &str) -> Option<String> {
    let given = env.iter().rev().find(|(it, _)| it == name);
    given
        .map(|(_, value)| value.clone())
        .or_else(|| std::env::var(name).ok())
}

/// The servers as an object, by name.
fn servers(servers: &[McpServer], with_tools: bool) -> Value {
    let entry = |server: &McpServer| {
        let mut entry = match &server.transport {
            McpTransport::Stdio { command, args, env } => {
                json!({ "type": "stdio", "command": command, "args": args, "env": env })
            }
            McpTransport::Http { url, headers } => {
                json!({ "type": "http", "url": url, "headers": headers })
            }
        };
        if with_tools {
            entry["tools"] = json!(["*"]);
        }
        (server.name.clone(), entry)
    };
    Value::Object(servers.iter().map(entry).collect())
}

fn settings(
    mcp: &[McpServer],
    before: Option<&str>,
    trust: TrustLevel,
) -> Result<Value, RunFailure> {
    let mut document = Map::new();
    if let Some(path) = before {
        let stated = std::fs::read_to_string(path);
        let stated =
            stated.map_err(|error| cannot(&format!("read the settings {path}"), &error))?;
        document = serde_json::from_str(&stated)
            .map_err(|error| cannot(&format!("read the settings {path} as JSON"), &error))?;
    }
    let trusted = trust == TrustLevel::All;
    let entry = |server: &McpServer| {
        let entry = match &server.transport {
            McpTransport::Stdio { command, args, env } => {
                json!({ "command": command, "args": args, "env": env, "trust": trusted })
            }
            McpTransport::Http { url, headers } => {
                json!({ "httpUrl": url, "headers": headers, "trust": trusted })
            }
        };
        (server.name.clone(), entry)
    };
    let ours = Value::Object(mcp.iter().map(entry).collect());
    lay_under(&mut document, "mcpServers", ours);
    Ok(Value::Object(document))
}

fn opencode(mcp: &[McpServer], before: Option<String>) -> Value {
    let before = before.and_then(|text| serde_json::from_str(&text).ok());
    let mut document: Map<String, Value> = before.unwrap_or_default();
    let entry = |server: &McpServer| {
        let entry = match &server.transport {
            McpTransport::Stdio { command, args, env } => {
                let line: Vec<&String> = std::iter::once(command).chain(args).collect();
                json!({ "type": "local", "command": line, "environment": env, "enabled": true })
            }
            McpTransport::Http { url, headers } => {
                json!({ "type": "remote", "url": url, "headers": headers, "enabled": true })
            }
        };
        (server.name.clone(), entry)
    };
    let ours = Value::Object(mcp.iter().map(entry).collect());
    lay_under(&mut document, "mcp", ours);
    Value::Object(document)
}

/// Adds entries to a table of a document. Existing entries stay.
fn lay_under(document: &mut Map<String, Value>, key: &str, ours: Value) {
    let table = document.entry(key).or_insert_with(|| json!({}));
    let (Some(table), Value::Object(ours)) = (table.as_object_mut(), ours) else {
        return;
    };
    for (name, entry) in ours {
        table.entry(name).or_insert(entry);
    }
}

/// Adds one `-c` key per server. Values of variables and headers go into codex's environment, under names of our own.
fn codex(mcp: &[McpServer], trust: TrustLevel, handed: &mut McpHandover) {
    for (number, server) in mcp.iter().enumerate() {
        let mut table = match &server.transport {
            McpTransport::Stdio { command, args, env } => {
                let names: Vec<&String> = env.keys().collect();
                handed.env.extend(env.clone());
                json!({ "command": command, "args": args, "env_vars": names })
            }
            McpTransport::Http { url, headers } => {
                let mut by_variable = Map::new();
                for (at, (header, value)) in headers.iter().enumerate() {
                    let variable = format!("KIROSU_MCP_{number}_{at}");
                    by_variable.insert(header.clone(), variable.as_str().into());
                    handed.env.push((variable, value.clone()));
                }
                json!({ "url": url, "env_http_headers": by_variable })
            }
        };
        if trust == TrustLevel::All {
            table["default_tools_approval_mode"] = "approve".into();
        }
        // codex splits its keys at every dot, quoted or not.
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let name = server.name.replace(|c| !plain(c), "_");
        let argument = format!("mcp_servers.{name}={}", toml_of(&table));
        handed.args.extend(["-c".to_owned(), argument]);
    }
}

/// A JSON value as an inline TOML value.
fn toml_of(value: &Value) -> String {
    match value {
        Value::Object(table) => {
            let entry = |(name, value): (&String, &Value)| {
                format!("{} = {}", toml_of(&name.as_str().into()), toml_of(value))
            };
            let entries: Vec<String> = table.iter().map(entry).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(toml_of).collect();
            format!("[{}]", items.join(", "))
        }
        // Valid as a TOML basic string too, except for DEL, which JSON does not escape.
        plain => plain.to_string().replace('\u{7f}', "\\u007f"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::containment::RunnerCommand;

    fn here() -> Containment {
        Containment::new(RunnerCommand::this_executable("none"), "test")
    }
    use crate::adapters::arguments::argv_with;
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt as _;

    fn job(trust: TrustLevel) -> Job {
        let pairs = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let mut job = Job::new("p", "/w");
        job.trust = trust;
        job.mcp = vec![
            McpServer {
                name: "files.x".to_owned(),
                transport: McpTransport::Stdio {
                    command: "srv".to_owned(),
                    args: vec!["a\"b".to_owned()],
                    env: pairs("TOKEN", "geheim"),
                },
            },
            McpServer {
                name: "web".to_owned(),
                transport: McpTransport::Http {
                    url: "http://127.0.0.1:1/mcp".to_owned(),
                    headers: pairs("Authorization", "Bearer geheim"),
                },
            },
        ];
        job
    }

    fn preset(name: &str) -> Definition {
        Definition::read(Some(name), &Map::new()).unwrap()
    }

    #[test]
    fn every_preset_gets_the_servers_and_no_secret_is_an_argument() {
        for name in ["claude", "copilot", "qwen", "opencode", "codex"] {
            let definition = preset(name);
            let handed = hand_over(&definition, &job(TrustLevel::Safe), &[], &here()).unwrap();
            assert_eq!(handed.warning, None, "{name}");
            let argv = argv_with(&definition, &job(TrustLevel::Safe), &handed.args).unwrap();
            assert!(
                !argv.iter().any(|it| it.contains("geheim") || it == PLACE),
                "{name}: {argv:?}"
            );
            let mut reported: Vec<String> = argv;
            reported.extend(handed.env.iter().map(|(_, value)| value.clone()));
            for file in &handed.files {
                let mode = file.as_file().metadata().unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o600, "{name}");
                reported.push(std::fs::read_to_string(file.path()).unwrap());
            }
            let reported = reported.join("\n");
            for word in [
                "files",
                "srv",
                "geheim",
                "http://127.0.0.1:1/mcp",
                "Authorization",
            ] {
                assert!(reported.contains(word), "{name} lacks {word}: {reported}");
            }
            let paths: Vec<_> = handed.files.iter().map(|it| it.path().to_owned()).collect();
            drop(handed);
            assert!(paths.iter().all(|it| !it.exists()), "{name}");
        }
    }

    #[test]
    fn codex_arguments_are_valid_toml() {
        let handed = hand_over(&preset("codex"), &job(TrustLevel::All), &[], &here()).unwrap();
        let keys = handed.args.chunks(2).map(|pair| pair[1].clone());
        let text = keys.collect::<Vec<_>>().join("\n");
        let read: toml::Table = text.parse().unwrap();
        let server = &read["mcp_servers"]["files_x"];
        assert_eq!(server["args"][0].as_str(), Some("a\"b"));
        assert_eq!(server["env_vars"][0].as_str(), Some("TOKEN"));
        assert_eq!(
            server["default_tools_approval_mode"].as_str(),
            Some("approve")
        );
        let header = &read["mcp_servers"]["web"]["env_http_headers"]["Authorization"];
        let value = handed
            .env
            .iter()
            .find(|(name, _)| Some(name.as_str()) == header.as_str());
        assert_eq!(value.unwrap().1, "Bearer geheim");
    }

    #[test]
    fn settings_that_are_there_stay_and_win() {
        let before = write(
            r#"{"theme":"x","mcpServers":{"web":{"httpUrl":"mine"}}}"#,
            &here(),
        )
        .unwrap();
        let path = before.path().to_string_lossy().into_owned();
        let env = [("QWEN_CODE_SYSTEM_SETTINGS_PATH".to_owned(), path)];
        let handed = hand_over(&preset("qwen"), &job(TrustLevel::All), &env, &here()).unwrap();
        let stated = std::fs::read_to_string(handed.files[0].path()).unwrap();
        let stated: Value = serde_json::from_str(&stated).unwrap();
        assert_eq!(
            (&stated["theme"], &stated["mcpServers"]["web"]["httpUrl"]),
            (&json!("x"), &json!("mine"))
        );
        assert_eq!(stated["mcpServers"]["files.x"]["trust"], json!(true));
    }

    #[test]
    fn a_program_without_mcp_warns_and_one_that_reads_the_files_does_not() {
        let goose = hand_over(&preset("goose"), &job(TrustLevel::Safe), &[], &here()).unwrap();
        assert!(
            goose
                .warning
                .unwrap()
                .contains("goose takes no MCP servers")
        );
        let kiro = hand_over(&preset("kiro"), &job(TrustLevel::Safe), &[], &here()).unwrap();
        assert_eq!(kiro.warning, None);
    }
}
