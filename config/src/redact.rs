//! Hides secrets in a command line.

const HIDDEN: &str = "***";
/// Parts of the names of secrets.
const NAMES: [&str; 6] = ["key", "token", "secret", "password", "passwd", "auth"];
/// Prefixes of well-known keys.
const KEYS: [&str; 6] = ["sk-", "ghp_", "github_pat_", "gho_", "AIza", "xox"];

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // `max_tokens` and the like are numbers.
    NAMES.iter().any(|part| name.contains(part)) && !name.contains("tokens")
}

/// The arguments with secrets replaced: values of options and settings with the name of a secret, values that look like
/// a key, and the values of `known`.
pub(super) fn hide(argv: &[String], known: &[&str]) -> Vec<String> {
    let mut shown = Vec::with_capacity(argv.len());
    let mut next_is_secret = false;
    for argument in argv {
        let is_option = argument.starts_with('-');
        let own = match argument.split_once('=') {
            _ if next_is_secret && !is_option => HIDDEN.to_owned(),
            Some((name, _)) if is_secret_name(name) => format!("{name}={HIDDEN}"),
            _ if KEYS.iter().any(|start| argument.starts_with(start)) => HIDDEN.to_owned(),
            _ => argument.clone(),
        };
        next_is_secret = is_option && !argument.contains('=') && is_secret_name(argument);
        let known = known.iter().filter(|value| value.len() >= 6);
        shown.push(known.fold(own, |text, value| text.replace(value, HIDDEN)));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_other_arguments_are_shown() {
        let argv = [
            "x",
            "--api-key",
            "abc",
            "--token=t",
            "-c",
            "service_key=\"v\"",
            "--max-tokens",
            "5",
            "sk-live",
            "--auth",
            "--yes",
            "http://u:hunter2@h",
        ];
        let argv: Vec<String> = argv.map(str::to_owned).to_vec();
        let shown = hide(&argv, &["hunter2"]);
        assert_eq!(
            shown.join(" "),
            "x --api-key *** --token=*** -c service_key=*** --max-tokens 5 *** --auth --yes http://u:***@h"
        );
    }
}
