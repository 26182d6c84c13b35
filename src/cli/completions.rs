//! `kirosu completions`: completions for a shell.

use super::{Context, Failure};
use clap::builder::PossibleValuesParser;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use kirosu_config::Settings;
use kirosu_protocol::{AccessRole, PermissionState, Status, UsageBy};
use std::collections::BTreeSet;

const EXAMPLES: &str = "\
Examples:
  kirosu completions bash > ~/.local/share/bash-completion/completions/kirosu
  kirosu completions zsh > ~/.zfunc/_kirosu
  kirosu completions fish > ~/.config/fish/completions/kirosu.fish

Queues, pools and providers are completed as the settings name them now. Print the completions again after a change.";

/// Prints completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The shell
    shell: Shell,
}

/// Prints the completions.
///
/// # Errors
/// Standard output fails.
pub fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    // Settings with a fault offer no names; all other completions still work.
    let loaded = context.globals.for_client().ok();
    let mut command = command(loaded.as_ref().map(|loaded| &loaded.settings));
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command, "kirosu", &mut text);
    context.screen.print(&String::from_utf8_lossy(&text))?;
    Ok(0)
}

/// The values that an argument can have.
#[derive(Clone, Copy, Debug)]
enum Values {
    Status,
    PermissionState,
    UsageBy,
    TaskType,
    OnLost,
    AccessRole,
    Queue,
    Pool,
    Provider,
}

/// Arguments whose parsers do not list their values: the verb, the argument's name in its struct, and the values.
const ARGUMENTS: &[(&[&str], &str, Values)] = &[
    (&["list"], "status", Values::Status),
    (&["list"], "queue", Values::Queue),
    (&["list"], "task_type", Values::TaskType),
    (&["status"], "status", Values::Status),
    (&["approvals"], "state", Values::PermissionState),
    (&["usage"], "by", Values::UsageBy),
    (&["enqueue"], "task_type", Values::TaskType),
    (&["enqueue"], "queue", Values::Queue),
    (&["enqueue"], "provider", Values::Provider),
    (&["enqueue"], "on_lost", Values::OnLost),
    (&["task", "add"], "task_type", Values::TaskType),
    (&["task", "add"], "queue", Values::Queue),
    (&["task", "add"], "provider", Values::Provider),
    (&["task", "add"], "on_lost", Values::OnLost),
    (&["retry"], "queue", Values::Queue),
    (&["pause"], "queue", Values::Queue),
    (&["resume"], "queue", Values::Queue),
    (&["pool", "resize"], "name", Values::Pool),
    (&["pool", "probe"], "name", Values::Pool),
    (&["key", "add"], "role", Values::AccessRole),
    (&["key", "add"], "queues", Values::Queue),
    (&["key", "add"], "types", Values::TaskType),
    (&["key", "add"], "pools", Values::Pool),
    (&["schedule", "add"], "queue", Values::Queue),
    (&["schedule", "add"], "task_type", Values::TaskType),
    (&["schedule", "add"], "provider", Values::Provider),
    (&["agent"], "pool", Values::Pool),
    (&["agent"], "provider", Values::Provider),
    (&["doctor"], "provider", Values::Provider),
];

impl Values {
    fn words(self, settings: Option<&Settings>) -> BTreeSet<String> {
        let own = |words: &[&str]| words.iter().map(ToString::to_string).collect();
        let pools = settings.map_or(&[][..], |settings| &settings.pools);
        match self {
            Values::Status => own(&Status::ALL.map(Status::as_str)),
            Values::PermissionState => {
                let states = PermissionState::ALL.map(PermissionState::as_str);
                states
                    .into_iter()
                    .chain(["any"])
                    .map(str::to_owned)
                    .collect()
            }
            Values::UsageBy => own(&UsageBy::ALL.map(UsageBy::as_str)),
            Values::TaskType => {
                let types = pools.iter().flat_map(|pool| pool.types.iter().cloned());
                let builtin = ["chat", "human", "python"].map(str::to_owned);
                types.chain(builtin).collect()
            }
            Values::OnLost => own(&["retry", "fail", "ask"]),
            Values::AccessRole => own(&AccessRole::ALL.map(AccessRole::as_str)),
            Values::Queue => pools
                .iter()
                .flat_map(|pool| pool.queues.iter().cloned())
                .collect(),
            Values::Pool => pools.iter().map(|pool| pool.name.clone()).collect(),
            Values::Provider => {
                let names = settings.map(|settings| settings.providers.keys().cloned());
                names.into_iter().flatten().collect()
            }
        }
    }
}

/// The command line for completions: with its values, without its hidden verbs.
fn command(settings: Option<&Settings>) -> Command {
    let whole = super::Cli::command();
    let verbs = whole.get_subcommands().filter(|verb| !verb.is_hide_set());
    let mut command = Command::new("kirosu")
        .args(whole.get_arguments().cloned())
        .subcommands(verbs.cloned());
    for (path, argument, values) in ARGUMENTS {
        let words = values.words(settings);
        if !words.is_empty() {
            command = listed(command, path, argument, words);
        }
    }
    command
}

fn listed(
    command: Command,
    path: &[&str],
    argument: &'static str,
    words: BTreeSet<String>,
) -> Command {
    match path {
        [] => command.mut_arg(argument, |it| {
            it.value_parser(PossibleValuesParser::new(words))
        }),
        [verb, rest @ ..] => {
            let verb = (*verb).to_owned();
            command.mut_subcommand(verb, |it| listed(it, rest, argument, words))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirosu_config::{Flag, LoadOptions};

    fn bash(settings: Option<&Settings>) -> String {
        let mut text = Vec::new();
        clap_complete::generate(Shell::Bash, &mut command(settings), "kirosu", &mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn every_listed_argument_belongs_to_its_verb() {
        let whole = super::super::Cli::command();
        for (path, argument, _) in ARGUMENTS {
            let verb = path
                .iter()
                .try_fold(&whole, |it, name| it.find_subcommand(name));
            let mut arguments = verb.unwrap().get_arguments();
            assert!(
                arguments.any(|it| it.get_id() == *argument),
                "{path:?} {argument}"
            );
        }
    }

    #[test]
    fn completes_values_of_protocol_and_settings_but_no_hidden_verbs() {
        let mut options = LoadOptions::with_env([("HOME", "/home/me")]);
        options.file = Some("/dev/null".into());
        let flags = [
            ("pool.coders.provider", "echo"),
            ("pool.coders.queues", "night,docs"),
        ];
        options.flags = flags.map(|(key, value)| Flag::set(key, value)).to_vec();
        let loaded = Settings::load(options).unwrap();
        let text = bash(Some(&loaded.settings));
        for words in [
            "awaiting_approval blocked cancelled done failed leased queued scheduled",
            "\"coders\"",
            "\"docs night\"",
            "chat human python",
            "interactive batch monitor",
            "bash elvish fish",
        ] {
            assert!(text.contains(words), "{words}");
        }
        assert!(!text.contains("Suggests a persona"));
        let text = bash(None);
        assert!(text.contains("awaiting_approval") && !text.contains("coders"));
    }
}
