//! `kirosu --help`: the verbs in groups, which clap does not support.

use super::Cli;
use clap::builder::styling::Style;
use clap::{Command, CommandFactory};

/// Every visible verb, by purpose.
const GROUPS: [(&str, &[&str]); 6] = [
    ("Run it", &["up", "hub", "agent", "api", "mcp", "demo"]),
    (
        "Tasks",
        &[
            "enqueue",
            "status",
            "list",
            "get",
            "results",
            "wait",
            "logs",
            "cancel",
            "retry",
            "approvals",
            "answer",
            "approve",
            "reject",
        ],
    ),
    (
        "Changes of tasks",
        &["diff", "apply", "discard", "workspaces"],
    ),
    (
        "Look inside",
        &[
            "dashboard",
            "tree",
            "watch",
            "agents",
            "pool",
            "stats",
            "usage",
        ],
    ),
    (
        "Steer",
        &[
            "pause", "resume", "reload", "backup", "restore", "drain", "shutdown",
        ],
    ),
    ("Set up", &["config", "doctor", "completions"]),
];

const TEMPLATE: &str =
    "{about-with-newline}\n{usage-heading} {usage}\n{before-help}{all-args}{after-help}";

/// The command line, with the grouped help.
pub fn command() -> Command {
    let command = Cli::command();
    // Rendered from a copy with hidden verbs, because the groups list them already.
    let names: Vec<String> = command
        .get_subcommands()
        .map(|verb| verb.get_name().to_owned())
        .collect();
    let bare = names.iter().fold(command.clone(), |bare, name| {
        bare.mut_subcommand(name, |verb| verb.hide(true))
    });
    let help = bare
        .override_usage("kirosu [OPTIONS] <COMMAND>")
        .before_help(groups(&command).trim_end().to_owned())
        .help_template(TEMPLATE)
        // The text below the groups mentions `kirosu help VERB`.
        .disable_help_subcommand(true)
        .render_help();
    command.override_help(help)
}

fn groups(command: &Command) -> String {
    let (heading, name) = (Style::new().bold().underline(), Style::new().bold());
    let wide = GROUPS
        .iter()
        .flat_map(|(_, verbs)| verbs.iter())
        .map(|verb| verb.len())
        .max();
    let wide = wide.unwrap_or(0);
    let mut text = String::new();
    for (group, verbs) in GROUPS {
        text.push_str(&format!("\n{heading}{group}:{heading:#}\n"));
        for verb in verbs {
            let about = command.find_subcommand(verb).and_then(Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            text.push_str(&format!("  {name}{verb:wide$}{name:#}  {about}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_visible_verb_is_in_a_group() {
        let visible = Cli::command();
        let mut visible: Vec<&str> = visible
            .get_subcommands()
            .filter(|verb| !verb.is_hide_set())
            .map(Command::get_name)
            .collect();
        let mut grouped: Vec<&str> = GROUPS
            .iter()
            .flat_map(|(_, verbs)| verbs.iter().copied())
            .collect();
        visible.sort_unstable();
        grouped.sort_unstable();
        assert_eq!(visible, grouped);
    }
}
