//! `kirosu trust`: trusts the settings file of a folder.

use super::confirm::confirmed;
use super::{Context, Failure};
use kirosu_config::{Effect, FileSetting, LoadOptions, Purpose, Settings, TrustStore};
use kirosu_protocol::text::escape_hidden;
use serde_json::json;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  kirosu trust                              shows what ./kirosu.toml sets, and asks
  kirosu trust --yes                        does not ask
  kirosu trust --list
  kirosu trust --remove
A kirosu.toml that is only found in the current folder may belong to a repository of other people: it can start programs
and choose the hub that gets your key. Commands use it once you have trusted it, until it changes. A file that --config
or KIROSU_CONFIG names, and those in ~/.config/kirosu and /etc/kirosu, need no trust.";

/// The file of the working directory.
const FILE: &str = "kirosu.toml";

/// Trusts the settings file of this folder, after showing what it sets
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The file [default: ./kirosu.toml]
    #[arg(value_name = "FILE", conflicts_with = "list")]
    file: Option<PathBuf>,
    /// Trusts it without asking
    #[arg(short, long, conflicts_with_all = ["list", "remove"])]
    yes: bool,
    /// Lists the trusted files
    #[arg(long, conflicts_with = "remove")]
    list: bool,
    /// Trusts the file no more
    #[arg(long)]
    remove: bool,
}

/// Trusts, lists or removes.
///
/// # Errors
/// The file has faults, the user declines, or the record of trust cannot be read or written.
pub fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let named = args.file.as_ref().or(context.globals.config.as_ref());
    let file = named.map_or(Path::new(FILE), PathBuf::as_path);
    match (args.list, args.remove) {
        (true, _) => list(context),
        (_, true) => remove(file, context),
        _ => trust(file, args.yes, context),
    }
}

fn trust(file: &Path, yes: bool, context: &Context) -> Result<u8, Failure> {
    let screen = &context.screen;
    // A FIFO that a repository brings would hold this command.
    if file.metadata().is_ok_and(|found| !found.is_file()) {
        let message = format!("{}: it is not a regular file", shown(file));
        return Err(Failure::Local(message));
    }
    // Only what the file itself sets: no variable and no flag.
    let mut options = LoadOptions::from_process();
    options
        .env
        .retain(|(name, _)| name == "HOME" || name.starts_with("XDG_"));
    options.file = Some(file.to_owned());
    options.purpose = Purpose::Agent;
    let loaded = Settings::load(options)?;
    if !screen.json {
        screen.print(&page(file, &loaded.of_file()))?;
    }
    let otherwise = "add --yes if you trust this file";
    if !yes && !confirmed("Trust it, as it is now?", otherwise, context)? {
        return Err(Failure::Local("the file is not trusted".into()));
    }
    let record = loaded.trust();
    let record = record.map_err(|why| Failure::local("cannot record the trust", why))?;
    screen.answer(&json!({ "trusted": record }), || {
        screen.print(&format!(
            "trusted {} until it changes",
            shown(Path::new(&record.path))
        ))
    })
}

/// The settings of a file, those first that can do the most.
fn page(file: &Path, settings: &[FileSetting]) -> String {
    let mut page = format!("{} sets", shown(file));
    if settings.is_empty() {
        page.push_str(" nothing");
    }
    for (effect, heading) in [
        (Effect::Runs, "programs and services, and what they may do"),
        (Effect::Hub, "the hub and its key"),
        (Effect::Files, "files and folders"),
        (Effect::Other, "other settings"),
    ] {
        let mut ours = settings.iter().filter(|it| it.effect == effect).peekable();
        if ours.peek().is_some() {
            page.push_str(&format!("\n  {heading}:"));
        }
        for setting in ours {
            // A text of several lines must not look like further settings.
            let value = setting.value.replace('\n', "\n        ");
            page.push_str(&format!("\n    {} = {value}", setting.key));
        }
    }
    page
}

/// A path as the person sees it who decides: no character of it is hidden.
fn shown(path: &Path) -> String {
    escape_hidden(&path.display().to_string()).replace('\n', "\\n")
}

fn remove(file: &Path, context: &Context) -> Result<u8, Failure> {
    let removed = store()?.remove(file);
    let removed = removed.map_err(|why| Failure::local("cannot remove the trust", why))?;
    let shown = shown(file);
    if !removed {
        let text =
            format!("{shown} is not trusted: `kirosu trust --list` lists the files that are");
        return Err(Failure::Local(text));
    }
    let answer = json!({ "removed": file.to_string_lossy() });
    let screen = &context.screen;
    screen.answer(&answer, || {
        screen.print(&format!("{shown} is trusted no more"))
    })
}

fn list(context: &Context) -> Result<u8, Failure> {
    let records = store()?.list();
    let records = records.map_err(|why| Failure::local("cannot read the records of trust", why))?;
    let screen = &context.screen;
    screen.answer(&json!({ "trusted": records }), || {
        match records.is_empty() {
            true => screen.note("no files are trusted"),
            false => {
                let paths = records.iter().map(|it| shown(Path::new(&it.path)));
                screen.print(&paths.collect::<Vec<_>>().join("\n"))
            }
        }
    })
}

fn store() -> Result<TrustStore, Failure> {
    let missing = || Failure::Local("there is no home directory: set HOME".into());
    TrustStore::of(&LoadOptions::from_process()).ok_or_else(missing)
}
