//! `--accept-*`: conditions that must hold before the task counts as done.

use crate::cli::{Failure, time};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// Maximum size of a schema file in bytes, including blanks and line ends.
const SCHEMA_BYTES: u64 = 4 << 20;
/// Words that only a shell interprets.
const SHELL: [&str; 8] = ["&&", "||", "|", ";", ">", ">>", "<", "&"];

/// The acceptance flags. All that are given must hold.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Done only if (docs/accept.md)")]
pub struct AcceptFlags {
    /// This file exists in the workspace; may be repeated
    #[arg(long, value_name = "PATH")]
    accept_file: Vec<String>,
    /// The run has changed something in its git checkout
    #[arg(long)]
    accept_diff: bool,
    /// The answer matches this regular expression
    #[arg(long, value_name = "REGEX")]
    accept_regex: Option<String>,
    /// The answer is JSON that matches the JSON schema in this file
    #[arg(long, value_name = "FILE")]
    accept_schema: Option<PathBuf>,
    /// This program exits with 0 in the workspace, such as 'cargo test'; it runs without a shell
    #[arg(long, value_name = "COMMAND", allow_hyphen_values = true)]
    accept_command: Option<String>,
    /// With --accept-command: maximum run time [default: 5m]
    #[arg(long, value_name = "TIME", requires = "accept_command", value_parser = time::read_span)]
    accept_timeout: Option<Duration>,
}

impl AcceptFlags {
    /// The value of the parameter `accept`; `None` if no flag is given.
    ///
    /// # Errors
    /// The schema cannot be read, or the command needs a shell.
    pub fn to_json(&self) -> Result<Option<Value>, Failure> {
        let mut clauses = Map::new();
        if !self.accept_file.is_empty() {
            clauses.insert("file".into(), json!(self.accept_file));
        }
        if self.accept_diff {
            clauses.insert("diff".into(), true.into());
        }
        if let Some(regex) = &self.accept_regex {
            clauses.insert("regex".into(), json!(regex));
        }
        if let Some(path) = &self.accept_schema {
            let shown = path.display();
            let text = kirosu_config::read_text(path, SCHEMA_BYTES)
                .map_err(|why| Failure::local(format!("cannot read the schema {shown}"), why))?;
            let schema: Value = serde_json::from_str(&text)
                .map_err(|why| Failure::Usage(format!("the schema {shown} is not JSON: {why}")))?;
            clauses.insert("schema".into(), schema);
        }
        if let Some(line) = &self.accept_command {
            clauses.insert("command".into(), json!(argv(line)?));
        }
        if let Some(timeout) = self.accept_timeout {
            clauses.insert("timeout_seconds".into(), json!(timeout.as_secs_f64()));
        }
        Ok((!clauses.is_empty()).then_some(Value::Object(clauses)))
    }
}

fn argv(line: &str) -> Result<Vec<String>, Failure> {
    let words = kirosu_config::words(line);
    match words.iter().find(|word| SHELL.contains(&word.as_str())) {
        None => Ok(words),
        Some(word) => Err(Failure::Usage(format!(
            "--accept-command runs without a shell, which {word} needs; write --accept-command \"sh -c '...'\""
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_split_into_words_and_shell_syntax_is_refused() {
        assert_eq!(argv("cargo test 'a b'").unwrap(), ["cargo", "test", "a b"]);
        assert_eq!(argv("sh -c 'a && b'").unwrap(), ["sh", "-c", "a && b"]);
        assert!(argv("a && b").is_err());
    }
}
