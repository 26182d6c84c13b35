//! Warnings about values that are allowed but probably not intended.

use kirosu_protocol::NotifyKind;
use kirosu_protocol::settings::{ArgsText, RuleAction, RuleText, WorkspaceMode};

use crate::cross_check::{SHORT_KEY, SHORTEST_KEY, key_length, listens_beyond_loopback};
use crate::origin::Origins;
use crate::settings::Settings;

/// Combinations that are allowed but probably not intended.
pub(crate) fn warnings(settings: &Settings, origins: &Origins) -> Vec<String> {
    let line = settings.limits.line_bytes;
    let warning = |key: String, effect: String| {
        let place = origins.get(&key).map(|origin| format!(" ({origin})"));
        format!("{key}{} {effect}", place.unwrap_or_default())
    };
    let mut warnings = Vec::new();
    for (index, rule) in settings.approval.rule.iter().enumerate() {
        if let Some(pattern) = open_pattern(rule) {
            let name = &rule.name;
            warnings.push(warning(
                format!("approval.rule[{index}].args"),
                format!(
                    "of the rule {name:?} allows anything after a program's name ({pattern}): many programs have options that write files or run programs, such as `git log --output=FILE`; list the arguments that may occur, as in {SAFE_PATTERN}"
                ),
            ));
        }
    }
    let is_open = listens_beyond_loopback(settings);
    let weakness = match key_length(settings) {
        // Beyond loopback it is refused.
        Some(length @ ..SHORTEST_KEY) if !is_open => Some(format!(
            "has {length} characters, so every program of this machine can guess it: at least {SHORT_KEY} random ones are safe"
        )),
        Some(length @ SHORTEST_KEY..SHORT_KEY) if is_open => Some(format!(
            "has {length} characters: beyond loopback at least {SHORT_KEY} random ones are safe"
        )),
        _ => None,
    };
    warnings.extend(weakness.map(|weakness| warning("hub.key".to_owned(), weakness)));
    for target in &settings.targets {
        let is_signed = target.secret_env.is_some() || target.secret_file.is_some();
        if target.kind == NotifyKind::Webhook && !is_signed {
            warnings.push(warning(
                format!("notify.{}.kind", target.name),
                "sends requests without a signature, so the receiver cannot know who sent them: set secret_env or secret_file".to_owned(),
            ));
        }
    }
    for pool in &settings.pools {
        if pool.trust_all_tools && !settings.hub.trust_all_tools {
            warnings.push(warning(
                format!("pool.{}.trust_all_tools", pool.name),
                "has no effect on python tasks: hub.trust_all_tools is false; agent programs of the pool do get their trust-all arguments".into(),
            ));
        }
        if pool.base.is_some() && pool.workspace != WorkspaceMode::Worktree {
            warnings.push(warning(
                format!("pool.{}.base", pool.name),
                "has no effect: it is for workspace = \"worktree\"".into(),
            ));
        }
        if pool.max_output > line {
            warnings.push(warning(
                format!("pool.{}.max_output", pool.name),
                format!("is more than limits.line_bytes ({line} bytes): a longer result cannot be sent to the hub, and its task fails"),
            ));
        }
    }
    warnings
}

/// A pattern that lists the arguments that it allows.
const SAFE_PATTERN: &str = "`git log( --oneline| -[0-9]{1,3})*`";

/// The pattern of a rule that allows any text after the name of a program. `None` if the rule has none.
fn open_pattern(rule: &RuleText) -> Option<&str> {
    if rule.action != RuleAction::Allow {
        return None;
    }
    let patterns: Vec<&String> = match rule.args.as_ref()? {
        ArgsText::All(pattern) => vec![pattern],
        ArgsText::Each(each) => each.values().collect(),
    };
    let open = |pattern: &&String| is_open(pattern);
    patterns.into_iter().find(open).map(String::as_str)
}

/// Whether a regular expression has, after a word, a part that matches any text: `.*`, `.+`, `.{3,}`, or a class that is
/// negated or matches everything but blanks or blanks, repeated.
fn is_open(pattern: &str) -> bool {
    let repeated = |rest: &str| rest.starts_with(['*', '+', '{']);
    let mut after_word = false;
    let mut rest = pattern;
    while let Some(next) = rest.chars().next() {
        let (length, is_any) = match next {
            '\\' => {
                let class = rest.chars().nth(1);
                let length = 1 + class.map_or(0, char::len_utf8);
                (length, matches!(class, Some('S' | 'D' | 'W' | 'P')))
            }
            '[' => {
                let end = rest[1..].find(']').map_or(rest.len(), |at| at + 2);
                (end, rest.starts_with("[^") || rest[..end].contains("\\S"))
            }
            '.' => (1, true),
            next => {
                after_word |= next.is_alphanumeric();
                (next.len_utf8(), false)
            }
        };
        rest = &rest[length..];
        if is_any && after_word && repeated(rest) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::is_open;

    #[test]
    fn a_pattern_that_allows_anything_after_a_program_is_open() {
        for open in [
            "git (status|diff|log)( .*)?|ls( .*)?",
            "git log .+",
            r"ls \S*",
            "cat [^;]*",
            r"cat [\S ]+",
            "make .{0,80}",
            r"cargo\b.*",
        ] {
            assert!(is_open(open), "{open}");
        }
        for closed in [
            "git (status|log)( --stat| --oneline| -[0-9]{1,3})*|ls( -[alh]{1,3})?",
            r"cat README\.md",
            "pwd",
            r"cargo (test|check)( -p [a-z0-9-]+)*",
            r"a\.*",
        ] {
            assert!(!is_open(closed), "{closed}");
        }
    }
}
