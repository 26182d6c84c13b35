//! `kirosu agent`: agents for a hub in another process.

use super::{Context, Failure, Globals, connect, whole};
use kirosu_config::{Flag, Loaded, Purpose, Settings};
use kirosu_protocol::POOL_SIZES;
use std::path::PathBuf;

/// The name of the pool that is made if neither `--pool` nor `--id` is given.
const DEFAULT_NAME: &str = "agent";

const EXAMPLES: &str = "\
Examples:
  kirosu agent                              one agent of the default provider, for the hub that the settings name
  kirosu agent --host hub.lan --provider codex --size 4
  kirosu agent --provider echo --id trial   answers each prompt with itself
  kirosu agent --pool coders                the pool `coders` from the settings file";

/// Runs agents that take tasks from a hub in another process
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A pool of the settings file to run; may be repeated
    #[arg(long, value_name = "NAME", conflicts_with = "id")]
    pool: Vec<String>,
    /// Name of these agents if no pool is named [default: agent]
    #[arg(long, value_name = "NAME")]
    id: Option<String>,
    /// The program that runs the tasks: kiro, codex, claude, gemini, another agent program, python, echo, or a provider
    /// of the settings
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// The provider's model
    #[arg(long)]
    model: Option<String>,
    /// Number of agents that run at the same time [default: 1, or the pool's size]
    #[arg(long, value_name = "NUMBER", value_parser = whole::<u32>(POOL_SIZES, 4))]
    size: Option<u32>,
    /// Runs agent programs without asking for permission, and runs code that anyone who can enqueue sends to this
    /// machine: python tasks, commands of accept clauses
    #[arg(long)]
    trust_all_tools: bool,
    /// Writes the log to a file instead of standard error
    #[arg(long, value_name = "FILE")]
    log_file: Option<PathBuf>,
}

/// Runs until a signal stops it.
///
/// # Errors
/// The settings have a fault, a pool or provider is unknown, or the agents cannot start.
pub fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let loaded = load(args, &context.globals)?;
    context.globals.log_as_server(&loaded)?;
    if loaded.settings.metrics.enabled {
        tracing::warn!(
            "`kirosu agent` serves no metrics, so [metrics] has no effect here; the hub counts the agent's runs"
        );
    }
    crate::boot::run(loaded, crate::boot::Role::Pools)?;
    Ok(0)
}

/// The settings, with only the selected pools.
fn load(args: &Args, globals: &Globals) -> Result<Loaded, Failure> {
    // The hub's address is resolved as for a client: a remote hub has a key of its own.
    let before = Settings::load(globals.load_options(Purpose::Agent, []))?;
    let written: Vec<&str> = before
        .settings
        .pools
        .iter()
        .map(|p| p.name.as_str())
        .collect();
    if let Some(missing) = args
        .pool
        .iter()
        .find(|name| !written.contains(&name.as_str()))
    {
        let known = match written.is_empty() {
            true => "they have none".to_owned(),
            false => format!("they have {}", written.join(", ")),
        };
        return Err(Failure::Usage(format!(
            "the settings have no pool {missing}: {known}; without --pool, `kirosu agent` makes a pool"
        )));
    }
    let names = match args.pool.as_slice() {
        [] => vec![pool_name(args.id.as_deref().unwrap_or(DEFAULT_NAME))],
        names => names.to_vec(),
    };
    let is_new = |name: &String| !written.contains(&name.as_str());
    let flags = names.iter().flat_map(|name| args.flags(name, is_new(name)));
    let flags: Vec<Flag> = flags.chain(args.log_file_flag()).collect();
    let mut loaded = globals.for_agent(flags)?;
    loaded
        .settings
        .pools
        .retain(|pool| names.contains(&pool.name));
    for pool in &loaded.settings.pools {
        if loaded.settings.provider_of(pool).is_none() {
            let known: Vec<&str> = loaded
                .settings
                .providers
                .keys()
                .map(String::as_str)
                .collect();
            return Err(Failure::Usage(format!(
                "there is no provider {}: name one of {}, or define it under [providers.{}]",
                pool.provider,
                known.join(", "),
                pool.provider
            )));
        }
    }
    connect::endpoint(&loaded)?;
    crate::boot::keep_code_to_python_tasks(&mut loaded.settings).map_err(Failure::Usage)?;
    Ok(loaded)
}

impl Args {
    fn flags(&self, pool: &str, is_new: bool) -> Vec<Flag> {
        let flag = |name: &str, key: &str, value: String| {
            Flag::new(name, format!("pool.{pool}.{key}"), value)
        };
        let mut flags = Vec::new();
        match self.size {
            Some(size) => flags.push(flag("--size", "size", size.to_string())),
            None if is_new => flags.push(flag("--size", "size", "1".into())),
            None => {}
        }
        if let Some(provider) = &self.provider {
            flags.push(flag("--provider", "provider", provider.clone()));
        }
        if let Some(model) = &self.model {
            flags.push(flag("--model", "model", model.clone()));
        }
        if self.trust_all_tools {
            flags.push(flag("--trust-all-tools", "trust_all_tools", "true".into()));
            // The hub decides for itself whether it accepts python tasks; this flag is the consent of this machine.
            flags.push(Flag::new(
                "--trust-all-tools",
                "hub.trust_all_tools",
                "true",
            ));
        }
        flags
    }

    fn log_file_flag(&self) -> Option<Flag> {
        let path = self.log_file.as_ref()?;
        Some(Flag::new("--log-file", "log.file", path.to_string_lossy()))
    }
}

/// Turns an agent id of earlier versions into a pool name: lower case, other characters become dashes, at most 64
/// characters.
fn pool_name(id: &str) -> String {
    let plain = |c: char| match c {
        'a'..='z' | '0'..='9' | '_' | '-' => c,
        'A'..='Z' => c.to_ascii_lowercase(),
        _ => '-',
    };
    id.chars().take(64).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        globals: Globals,
        #[command(flatten)]
        args: Args,
    }

    fn pools(line: &str) -> Result<Vec<(String, String, u32)>, Failure> {
        let words = std::iter::once("agent").chain(line.split_whitespace());
        let line = CommandLine::try_parse_from(words).unwrap();
        let loaded = load(&line.args, &line.globals)?;
        let pool = |p: kirosu_config::PoolSection| (p.name, p.provider, p.size);
        Ok(loaded.settings.pools.into_iter().map(pool).collect())
    }

    fn one(name: &str, provider: &str, size: u32) -> Vec<(String, String, u32)> {
        vec![(name.into(), provider.into(), size)]
    }

    #[test]
    fn runs_one_new_agent_or_the_named_pools() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("kirosu.toml");
        std::fs::write(
            &file,
            "[[pool]]\nname='a'\nprovider='codex'\nsize=5\n[[pool]]\nname='b'\n",
        )
        .unwrap();
        let file = file.display();
        let own = pools(&format!(
            "--config {file} --provider echo --id Trial.1 --host far.lan"
        ));
        assert_eq!(own.unwrap(), one("trial-1", "echo", 1));
        let named = pools(&format!("--config {file} --pool a")).unwrap();
        assert_eq!(named, one("a", "codex", 5));
        let changed = pools(&format!(
            "--config {file} --pool a --size 2 --provider echo"
        ))
        .unwrap();
        assert_eq!(changed, one("a", "echo", 2));
        let missing = pools(&format!("--config {file} --pool c"));
        assert!(matches!(missing, Err(Failure::Usage(text)) if text.contains("a, b")));
    }
}
