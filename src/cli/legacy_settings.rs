//! The settings of the Python version as settings of this one (`kirosu config import-legacy`).

use std::collections::BTreeSet;
use std::fmt::Write;
use toml::{Table, Value};

/// The settings as the text of a file. A key without a counterpart becomes a comment.
///
/// # Errors
/// The text is not TOML.
pub fn settings(text: &str, file: &str) -> Result<String, toml::de::Error> {
    let old: Table = text.parse()?;
    let mut new = format!(
        "# Made from {} by `kirosu config import-legacy`. `kirosu config check --config FILE` checks it.\n",
        quoted(file)
    );
    for (section, value) in &old {
        match (section.as_str(), value) {
            ("database", Value::Table(keys)) => database(keys, &mut new),
            ("agents", Value::Table(agents)) => pools(agents, &mut new),
            _ => unknown(&key(&[section]), value, &mut new),
        }
    }
    Ok(new)
}

fn database(keys: &Table, new: &mut String) {
    for (name, value) in keys {
        match (name.as_str(), value) {
            ("path", Value::String(path)) => {
                line(new, "");
                line(new, "# The store is a new file. The tasks come along with:");
                line(
                    new,
                    &format!("#   kirosu db import-legacy {}", quoted(path)),
                );
                line(new, "# [store]");
                line(new, "# path = \"~/.local/share/kirosu/kirosu.db\"");
            }
            _ => unknown(&key(&["database", name]), value, new),
        }
    }
}

/// An agent of the Python version was one process with one task at a time: a pool of one.
fn pools(agents: &Table, new: &mut String) {
    let mut taken = BTreeSet::new();
    for (agent, value) in agents {
        let Value::Table(keys) = value else {
            unknown(&key(&["agents", agent]), value, new);
            continue;
        };
        let name = pool_name(agent, &mut taken);
        line(new, "");
        line(new, "[[pool]]");
        if name != *agent {
            line(new, &format!("# {} in the Python version", quoted(agent)));
        }
        line(new, &format!("name = {}", quoted(&name)));
        line(
            new,
            "# Its agents had the queue to themselves, one task each; raise it for more at once.",
        );
        line(new, "size = 1");
        for (name, value) in keys {
            match (name.as_str(), value) {
                ("model", Value::String(model)) => {
                    line(new, &format!("model = {}", quoted(model)));
                }
                ("workdir", Value::String(workdir)) => folder(workdir, new),
                _ => unknown(&key(&["agents", agent, name]), value, new),
            }
        }
    }
}

/// The folder of a pool. Variables in it were meant to give each agent a folder of its own.
fn folder(workdir: &str, new: &mut String) {
    let Some((parent, _)) = workdir.split_once('$') else {
        line(new, &format!("workdir = {}", quoted(workdir)));
        return;
    };
    let parent = parent.rsplit_once('/').map_or("", |(folder, _)| folder);
    line(
        new,
        &format!(
            "# workdir was {}: each agent gets a folder of its own",
            quoted(workdir)
        ),
    );
    line(new, "workspace = \"isolated\"");
    if !parent.is_empty() {
        line(new, &format!("workdir = {}", quoted(parent)));
    }
}

/// A name that a pool may have and no other one has.
fn pool_name(agent: &str, taken: &mut BTreeSet<String>) -> String {
    let lower = agent.to_lowercase();
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    let name: String = lower
        .chars()
        .map(|c| if allowed(c) { c } else { '-' })
        .collect();
    let name = match name.trim_matches('-') {
        "" => "agent".to_owned(),
        name => name.to_owned(),
    };
    let mut free = name.clone();
    let mut number = 2;
    while !taken.insert(free.clone()) {
        free = format!("{name}-{number}");
        number += 1;
    }
    free
}

fn unknown(key: &str, value: &Value, new: &mut String) {
    line(new, &format!("# {key} has no counterpart here; it was:"));
    for text in value.to_string().lines() {
        line(new, &format!("#   {text}"));
    }
}

fn key(parts: &[&str]) -> String {
    let plain = |part: &str| {
        let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        match !part.is_empty() && part.chars().all(bare) {
            true => part.to_owned(),
            false => quoted(part),
        }
    };
    let parts: Vec<String> = parts.iter().map(|part| plain(part)).collect();
    parts.join(".")
}

fn quoted(text: &str) -> String {
    // A JSON text is one of TOML, too, and has one line.
    serde_json::Value::from(text)
        .to_string()
        .replace('\u{7f}', "\\u007f")
}

fn line(new: &mut String, text: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(new, "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_pools_are_allowed_and_different() {
        let mut taken = BTreeSet::new();
        let names = ["Bug Hunter", "bug-hunter", "bug hunter", "ÄÖ", "a_1"];
        let names = names.map(|name| pool_name(name, &mut taken));
        assert_eq!(
            names,
            ["bug-hunter", "bug-hunter-2", "bug-hunter-3", "agent", "a_1"]
        );
    }

    #[test]
    fn no_text_of_the_old_file_leaves_its_comment() {
        let old = "x = \"\"\"one\ntwo = 2\"\"\"\n\"k\\ny\" = 1\n[database]\npath = \"a\\nb\"";
        let new = settings(old, "config.toml").unwrap();
        let parsed: Table = new.parse().unwrap();
        assert!(parsed.is_empty(), "{new}");
    }
}
