//! Hands a job's MCP servers to a program, as its definition says. What may be a secret goes by a file of the owner alone
//! or by the environment, never by an argument.

use std::error::Error;
use std::io::Write as _;

use serde_json::{Map, Value, json};
use tempfile::NamedTempFile;

use crate::definition::{Definition, McpForm};
use crate::job::{Job, TrustLevel};
use crate::mcp::{McpServer, McpTransport};
use crate::outcome::{FailureKind, RunFailure};
use crate::shortage;

/// The place in a command that stands for the arguments.
const PLACE: &str = "{mcp_args}";

/// What a call gets for the servers. The files go when it does.
#[derive(Debug, Default)]
pub(super) struct McpHandover {
    /// Stands for `{mcp_args}`.
    pub(super) args: Vec<String>,
    /// More environment.
    pub(super) env: Vec<(String, String)>,
    /// What could not be handed over, for a person.
    pub(super) warning: Option<String>,
    files: Vec<NamedTempFile>,
}

/// Makes it. `env` is what the program gets otherwise. Writes a small file.
///
/// # Errors
/// The file cannot be written.
pub(super) fn hand_over(
    definition: &Definition,
    job: &Job,
    env: &[(String, String)],
) -> Result<McpHandover, RunFailure> {
    let mut handed = McpHandover::default();
    let way = &definition.mcp;
    if job.mcp.is_empty() || way.form == McpForm::Own {
        return Ok(handed);
    }
    let placed = way.args.is_empty() && way.form != McpForm::Codex
        || definition.command.iter().any(|it| it == PLACE);
    if way.form == McpForm::None || !placed {
        let names: Vec<&str> = job.mcp.iter().map(|server| server.name.as_str()).collect();
        handed.warning = Some(format!(
            "[kirosu: {} cannot be told of MCP servers; it runs without {}]\n",
            definition.command.first().map_or("it", String::as_str),
            names.join(", ")
        ));
        return Ok(handed);
    }
    let document = match way.form {
        McpForm::Opencode => opencode(&job.mcp, variable(env, "OPENCODE_CONFIG_CONTENT")),
        McpForm::Settings => {
            let names = way.env.keys();
            let before = names.filter_map(|name| variable(env, name)).next();
            settings(&job.mcp, before.as_deref(), job.trust)?
        }
        McpForm::Codex => {
            codex(&job.mcp, job.trust, &mut handed);
            return Ok(handed);
        }
        form => json!({ "mcpServers": servers(&job.mcp, form == McpForm::Copilot) }),
    };
    let text = document.to_string();
    let wants_file = way.args.iter().chain(way.env.values());
    let mut path = String::new();
    if wants_file.into_iter().any(|it| it.contains("{mcp_file}")) {
        let file =
            write(&text).map_err(|error| cannot("write the MCP servers to a file", &error))?;
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

/// Puts the system prompt into a file, where the definition has a variable for it, and takes it from the job.
///
/// # Errors
/// The file cannot be written.
pub(super) fn system_file(
    definition: &Definition,
    job: &mut Job,
) -> Result<Option<NamedTempFile>, RunFailure> {
    let (Some(name), Some(text)) = (&definition.system_file_env, &job.system_prompt) else {
        return Ok(None);
    };
    let file = write(text).map_err(|error| cannot("write the system prompt to a file", &error))?;
    let path = file.path().to_string_lossy().into_owned();
    job.env.push((name.clone(), path));
    job.system_prompt = None;
    Ok(Some(file))
}

/// A file with this text that only its owner can read.
pub(super) fn write(text: &str) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix("kirosu-");
    // Its owner's alone and gone with the session, where there is one.
    let mut file = match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(dir) => builder.tempfile_in(dir).or_else(|_| builder.tempfile())?,
        None => builder.tempfile()?,
    };
    file.write_all(text.as_bytes())?;
    Ok(file)
}

/// A run that is not started because something could not be done for it on this machine.
pub(super) fn cannot(what: &str, error: &(dyn Error + 'static)) -> RunFailure {
    let class = match shortage::within(error) {
        true => FailureKind::Shortage,
        false => FailureKind::ProviderError,
    };
    RunFailure::new(class, format!("cannot {what}: {error}"))
}

/// What the program will see under this name.
pub(super) fn variable(env: &[(String, String)], name: &str) -> Option<String> {
    let given = env.iter().rev().find(|(it, _)| it == name);
    given
        .map(|(_, value)| value.clone())
        .or_else(|| std::env::var(name).ok())
}

/// Each server under its name.
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
        let said = std::fs::read_to_string(path);
        let said = said.map_err(|error| cannot(&format!("read the settings {path}"), &error))?;
        document = serde_json::from_str(&said)
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

/// Adds entries to a table of a document; what it has already stays.
fn lay_under(document: &mut Map<String, Value>, key: &str, ours: Value) {
    let table = document.entry(key).or_insert_with(|| json!({}));
    let (Some(table), Value::Object(ours)) = (table.as_object_mut(), ours) else {
        return;
    };
    for (name, entry) in ours {
        table.entry(name).or_insert(entry);
    }
}

/// A `-c` key a server: values of variables and headers go by codex's own environment, under names of ours.
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
        // Its keys are split at every dot, quoted or not.
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let name = server.name.replace(|c| !plain(c), "_");
        let argument = format!("mcp_servers.{name}={}", toml_of(&table));
        handed.args.extend(["-c".to_owned(), argument]);
    }
}

/// A value of JSON as TOML writes it inline.
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
        // Good as a basic string of TOML too, but for DEL, which JSON leaves as it is.
        plain => plain.to_string().replace('\u{7f}', "\\u007f"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
            let handed = hand_over(&definition, &job(TrustLevel::Safe), &[]).unwrap();
            assert_eq!(handed.warning, None, "{name}");
            let argv = argv_with(&definition, &job(TrustLevel::Safe), &handed.args).unwrap();
            assert!(
                !argv.iter().any(|it| it.contains("geheim") || it == PLACE),
                "{name}: {argv:?}"
            );
            let mut told: Vec<String> = argv;
            told.extend(handed.env.iter().map(|(_, value)| value.clone()));
            for file in &handed.files {
                let mode = file.as_file().metadata().unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o600, "{name}");
                told.push(std::fs::read_to_string(file.path()).unwrap());
            }
            let told = told.join("\n");
            for word in [
                "files",
                "srv",
                "geheim",
                "http://127.0.0.1:1/mcp",
                "Authorization",
            ] {
                assert!(told.contains(word), "{name} lacks {word}: {told}");
            }
            let paths: Vec<_> = handed.files.iter().map(|it| it.path().to_owned()).collect();
            drop(handed);
            assert!(paths.iter().all(|it| !it.exists()), "{name}");
        }
    }

    #[test]
    fn codex_reads_what_it_is_told_as_toml() {
        let handed = hand_over(&preset("codex"), &job(TrustLevel::All), &[]).unwrap();
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
        let before = write(r#"{"theme":"x","mcpServers":{"web":{"httpUrl":"mine"}}}"#).unwrap();
        let path = before.path().to_string_lossy().into_owned();
        let env = [("QWEN_CODE_SYSTEM_SETTINGS_PATH".to_owned(), path)];
        let handed = hand_over(&preset("qwen"), &job(TrustLevel::All), &env).unwrap();
        let said = std::fs::read_to_string(handed.files[0].path()).unwrap();
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(
            (&said["theme"], &said["mcpServers"]["web"]["httpUrl"]),
            (&json!("x"), &json!("mine"))
        );
        assert_eq!(said["mcpServers"]["files.x"]["trust"], json!(true));
    }

    #[test]
    fn who_cannot_be_told_says_so_and_who_reads_them_itself_does_not() {
        let goose = hand_over(&preset("goose"), &job(TrustLevel::Safe), &[]).unwrap();
        assert!(
            goose
                .warning
                .unwrap()
                .contains("goose cannot be told of MCP servers")
        );
        let kiro = hand_over(&preset("kiro"), &job(TrustLevel::Safe), &[]).unwrap();
        assert_eq!(kiro.warning, None);
    }
}
