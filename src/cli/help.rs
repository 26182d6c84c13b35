//! `kirosu --help`: the verbs in groups, which clap does not support.

use super::{Cli, GROUPS};
use clap::builder::styling::Style;
use clap::{Command, CommandFactory};

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
        for verb in *verbs {
            // The table has the names of modules.
            let verb = verb.trim_start_matches("r#").replace('_', "-");
            let about = command.find_subcommand(&verb).and_then(Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            text.push_str(&format!("  {name}{verb:wide$}{name:#}  {about}\n"));
        }
    }
    text
}
