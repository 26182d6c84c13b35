//! `kirosu config`: checks and shows the settings.

use super::{Context, Failure, Paint, legacy_settings};
use clap::{Subcommand, ValueEnum};
use kirosu_config::{Loaded, SecretDisplay};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  kirosu config check --config kirosu.toml
  kirosu config show                        every value and its origin
  kirosu config example > kirosu.toml
  kirosu config example --profile batch
  kirosu config import-legacy ~/.kiro/config.toml > kirosu.toml";

/// Checks and shows the settings
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Lists every fault of the settings
    Check,
    /// Shows every value in force and its origin; secrets are hidden
    Show {
        /// Shows secrets: variables, headers, keys and passwords in arguments; never the hub's key
        #[arg(long)]
        secrets: bool,
    },
    /// Prints a commented file with every setting, or a profile
    Example {
        /// A ready-made file for one kind of work
        #[arg(long)]
        profile: Option<Profile>,
    },
    /// Prints the path of the settings file
    Path,
    /// Prints a config.toml of the Python version as a settings file
    ImportLegacy {
        /// The file, such as ~/.kiro/config.toml
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// Settings files for kinds of work.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Profile {
    /// Few agents that answer quickly
    Interactive,
    /// Many agents on long queues
    Batch,
    /// A small hub for monitoring
    Monitor,
}

impl Profile {
    fn text(self) -> &'static str {
        match self {
            Profile::Interactive => include_str!("../../config/profiles/interactive.toml"),
            Profile::Batch => include_str!("../../config/profiles/batch.toml"),
            Profile::Monitor => include_str!("../../config/profiles/monitor.toml"),
        }
    }
}

const EXAMPLE: &str = include_str!("../../config/kirosu.example.toml");

/// Runs the subcommand.
///
/// # Errors
/// The settings have a fault, or standard output fails.
pub fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let (screen, globals) = (&context.screen, &context.globals);
    match &args.command {
        ConfigCommand::Example { profile } => {
            screen.print(profile.map_or(EXAMPLE, Profile::text))?;
        }
        ConfigCommand::Check => check(&globals.for_reading()?, context)?,
        ConfigCommand::Show { secrets } => {
            let secrets = match secrets {
                true => SecretDisplay::Shown,
                false => SecretDisplay::Hidden,
            };
            let loaded = globals.for_reading()?;
            match screen.json {
                true => screen.json(&loaded.to_json(secrets))?,
                false => screen.print(loaded.to_toml(secrets).trim_start())?,
            }
        }
        ConfigCommand::ImportLegacy { file } => import_legacy(file, context)?,
        ConfigCommand::Path => path(&globals.for_client()?, context)?,
    }
    Ok(0)
}

fn import_legacy(file: &Path, context: &Context) -> Result<(), Failure> {
    let shown = file.display().to_string();
    let failed = |why: &dyn std::fmt::Display| Failure::local(format!("cannot read {shown}"), why);
    let text = fs::read_to_string(file).map_err(|why| failed(&why))?;
    let new = legacy_settings::settings(&text, &shown).map_err(|why| failed(&why))?;
    match context.screen.json {
        true => context.screen.json(&json!({ "toml": new })),
        false => context.screen.print(&new),
    }
}

fn check(loaded: &Loaded, context: &Context) -> Result<(), Failure> {
    let screen = &context.screen;
    let file = loaded.file.as_ref().map(|file| file.display().to_string());
    if screen.json {
        return screen.json(&json!({ "ok": true, "file": file, "warnings": loaded.warnings }));
    }
    for warning in &loaded.warnings {
        screen.print(&format!(
            "{}: {warning}",
            screen.paint(Paint::Attention, "warning")
        ))?;
    }
    let name = file.unwrap_or_else(|| "built-in settings (there is no file)".into());
    screen.print(&format!("{}: {name}", screen.paint(Paint::Good, "ok")))
}

fn path(loaded: &Loaded, context: &Context) -> Result<(), Failure> {
    let screen = &context.screen;
    match (&loaded.file, screen.json) {
        (file, true) => screen.json(&json!({ "file": file })),
        (Some(file), _) => screen.print(&file.display().to_string()),
        (None, _) => screen.note(
            "no file is read: there is no ./kirosu.toml, ~/.config/kirosu/kirosu.toml or /etc/kirosu/kirosu.toml",
        ),
    }
}
