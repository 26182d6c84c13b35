//! What must not be shown of a command line.

const HIDDEN: &str = "***";
/// Parts of names whose values are nobody's business.
const NAMES: [&str; 6] = ["key", "token", "secret", "password", "passwd", "auth"];
/// Beginnings of well-known keys.
const KEYS: [&str; 6] = ["sk-", "ghp_", "github_pat_", "gho_", "AIza", "xox"];

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // Tokens in the plural are counted, not kept.
    NAMES.iter().any(|part| name.contains(part)) && !name.contains("tokens")
}

/// The arguments with secrets hidden: values of options and settings that are named like one, what looks like a key, and
/// the values of `known`.
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
    fn secrets_are_hidden_and_the_rest_is_shown() {
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
