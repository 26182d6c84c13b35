//! Placeholders in arguments, such as `{model}`, which a run fills in.

use super::table_reader;

/// Placeholders that must be a whole argument of `command`, for the arguments of that name.
const GROUPS: &[&str] = &[
    "model_args",
    "system_args",
    "resume_args",
    "trust_args",
    "extra_args",
    "mcp_args",
];

/// Placeholders within an argument.
const VALUES: &[&str] = &[
    "model",
    "workdir",
    "task_id",
    "task_type",
    "session",
    "system",
    "system_quoted",
    "usage_file",
    "mcp_file",
    "mcp_json",
];

/// The fault in the placeholders of one argument. `is_command`: the argument is one of `command`, where groups are allowed.
pub(super) fn fault(argument: &str, is_command: bool) -> Option<String> {
    let mut rest = argument;
    while let Some(start) = rest.find('{') {
        let (before, from) = rest.split_at(start);
        if let Some(escaped) = escaped(from) {
            rest = &from[escaped.len() + 2..];
            continue;
        }
        if let Some(place) = place(from)
            && !is_of_another_language(before)
        {
            let name = place.trim_matches(['{', '}']);
            let whole = place.len() == argument.len();
            if GROUPS.contains(&name) && is_command && !whole {
                return Some(format!("\"{place}\" has to be an argument of its own"));
            }
            let is_known = VALUES.contains(&name) || (is_command && GROUPS.contains(&name));
            if !is_known {
                return Some(unknown(place, name, is_command));
            }
        }
        rest = &from[1..];
    }
    None
}

fn unknown(place: &str, name: &str, is_command: bool) -> String {
    let known: Vec<&str> = VALUES
        .iter()
        .chain(GROUPS.iter().filter(|_| is_command))
        .copied()
        .collect();
    let why = match name.to_lowercase().as_str() {
        "prompt" | "input" | "task" | "question" | "message" => {
            "not filled in; the program reads the prompt on its standard input".to_owned()
        }
        name => table_reader::unknown(name, &known),
    };
    format!("{place} is {why} (to pass the text {place} itself, write {{{place}}})")
}

/// The placeholder at the beginning of a text: `{name}`.
fn place(text: &str) -> Option<&str> {
    let name = text.strip_prefix('{')?;
    let end = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))?;
    let is_name =
        name[end..].starts_with('}') && name.starts_with(|c: char| c.is_ascii_alphabetic());
    is_name.then(|| &text[..end + 2])
}

/// The placeholder at the beginning of a text in double braces, `{{name}}`, which means the text `{name}`.
pub(crate) fn escaped(text: &str) -> Option<&str> {
    let place = place(text.strip_prefix('{')?)?;
    text[1 + place.len()..].starts_with('}').then_some(place)
}

/// Whether a brace belongs to a shell variable, `${NAME}`, or a regular expression class, `\p{L}`.
fn is_of_another_language(before: &str) -> bool {
    let mut last = before.chars().rev();
    match last.next() {
        Some('$') => true,
        Some(letter) if letter.is_ascii_alphabetic() => last.next() == Some('\\'),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_places_are_named_and_other_braces_are_left_alone() {
        for good in [
            "{model_args}",
            "--model={model}",
            "{workdir}/bin/{task_id}",
            "${HOME}/x",
            r"\p{Lu}+",
            "{}",
            "{ print }",
            "{print $1}",
            "a{2,3}",
            r#"{"a":{"b":1}}"#,
            "{{prompt}}",
            "x={{prompt}}{model}",
            "{a,b}",
        ] {
            assert_eq!(fault(good, true), None, "{good}");
        }
        for (bad, part) in [
            ("{prompt}", "standard input"),
            ("--prompt={prompt}", "standard input"),
            ("{modle_args}", "did you mean model_args?"),
            ("{modell}", "did you mean model?"),
            ("{PROMPT}", "standard input"),
            ("{zebra}", "known are model, "),
            ("x{model_args}", "an argument of its own"),
            ("{{prompt}", "{prompt} is not filled in"),
        ] {
            let why = fault(bad, true).unwrap_or_default();
            assert!(why.contains(part), "{bad}: {why}");
        }
        assert!(fault("{model_args}", false).is_some());
        assert_eq!(escaped("{{x}} y"), Some("{x}"));
    }
}
