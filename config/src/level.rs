//! `log.level`: a level, or levels per module.

/// The levels, from no lines to all.
const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

/// Removes blanks from a directive such as `kirosu_hub=debug, info`.
///
/// The log would take a misspelt level for the name of a module and suppress all other lines, so it is refused here.
///
/// # Errors
/// A part is neither a level nor `MODULE=LEVEL`. The sentence names the part and the levels.
pub(crate) fn read(text: &str) -> Result<String, String> {
    let parts = split(text, ',');
    let parts = parts
        .iter()
        .map(|part| part.trim())
        .filter(|part| !part.is_empty());
    let parts: Vec<&str> = parts.collect();
    for part in &parts {
        let words = split(part, '=');
        let (target, level) = match words.as_slice() {
            [level] => ("module", *level),
            [target, level] => (*target, *level),
            _ => (*part, ""),
        };
        if target.trim().is_empty() || !LEVELS.contains(&level.trim().to_lowercase().as_str()) {
            return Err(format!(
                "cannot take {part:?}: one of {} is allowed; or by module, such as \"kirosu_hub=debug,info\"",
                LEVELS.join(", ")
            ));
        }
    }
    match parts.is_empty() {
        true => Err(format!(
            "cannot take {text:?}: one of {} is allowed",
            LEVELS.join(", ")
        )),
        false => Ok(parts.join(",")),
    }
}

/// Splits at separators outside of the brackets that hold the name and fields of a span.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut depth = 0_usize;
    text.split(|c| {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == separator && depth == 0
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn levels_and_modules_are_read_and_all_else_is_refused() {
        for (text, expected) in [
            ("info", "info"),
            ("WARN", "WARN"),
            ("off", "off"),
            ("kirosu_hub=debug, info", "kirosu_hub=debug,info"),
            ("kirosu_hub::writer=trace", "kirosu_hub::writer=trace"),
            (
                "[run{task=7,pool=a}]=debug,warn",
                "[run{task=7,pool=a}]=debug,warn",
            ),
        ] {
            assert_eq!(read(text).as_deref(), Ok(expected));
        }
        for text in [
            "inof",
            "info,verbose",
            "kirosu_hub",
            "kirosu_hub=inof",
            "=info",
            "a=b=info",
            ",",
            "kirosu_hub=",
        ] {
            let why = read(text).unwrap_err();
            assert!(
                why.contains("off, error, warn, info, debug, trace"),
                "{text}: {why}"
            );
        }
    }
}
