//! Reads JSON leniently from one line of a program's output.
//!
//! Programs print JSON that is slightly invalid (half of an emoji that JavaScript cut, a byte of another encoding, `NaN`)
//! and put other text next to it (a byte order mark, a banner without a line end, a second value on the same line). One bad
//! character costs that character; everything else on the line is read.

use serde_json::Value;

use crate::text;

/// Places at which a value is searched after text that is not JSON, at most.
const ATTEMPTS: usize = 64;
/// The beginnings of objects and lists.
const OPENING: [char; 2] = ['{', '['];

/// The content of one line.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct JsonLine {
    /// The values, in order. A single value on a line may have any type, else only objects and lists count.
    pub(crate) values: Vec<Value>,
    /// The text around the values that is not JSON. Empty where there is none.
    pub(crate) noise: String,
    /// The relation of the text to the values, where it precedes them.
    pub(crate) lead: Option<Lead>,
}

/// Reads a line. A blank line has neither values nor noise. Values after text count only where they reach the end of the
/// line, so that a part of a cut line is not taken for the whole.
pub(crate) fn read(line: &[u8]) -> JsonLine {
    let line = line.trim_ascii();
    if line.is_empty() {
        return JsonLine::default();
    }
    if let Ok(value) = serde_json::from_slice(line) {
        return JsonLine {
            values: vec![value],
            ..JsonLine::default()
        };
    }
    let text = String::from_utf8_lossy(line);
    let text = text::trimmed(text.trim_start_matches('\u{feff}'));
    let start = text.find(OPENING).unwrap_or(text.len());
    let mut found = JsonLine {
        noise: text[..start].to_owned(),
        ..JsonLine::default()
    };
    let text = repaired(&text[start..]);
    let mut rest = text.as_str();
    if found.noise.is_empty() {
        let (values, read) = leading_values(rest);
        found.values = values;
        rest = &rest[read..];
    }
    let mut is_behind = false;
    for (at, _) in rest.match_indices(OPENING).take(ATTEMPTS) {
        let (values, read) = leading_values(&rest[at..]);
        if at + read == rest.len() {
            is_behind = found.values.is_empty();
            found.values.extend(values);
            rest = &rest[..at];
            break;
        }
    }
    found.noise.push_str(rest);
    found.lead = is_behind.then(|| lead_of(&found.noise));
    let trimmed = found.noise.trim();
    if trimmed.len() < found.noise.len() {
        found.noise = trimmed.to_owned();
    }
    found
}

/// The relation of a text to the JSON after it on the same line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lead {
    /// The text is complete; only its line end is missing.
    Glued,
    /// The text may be a sentence that continues with the JSON.
    Sentence,
    /// The text introduces or logs the JSON.
    Introduction,
}

/// Words in a log line before the logged value.
const LOGS: &[&str] = &[
    "debug", "trace", "verbose", "[info", "[log", "[warn", "level=",
];

/// The relation of a text to the JSON after it, from the end of the text.
fn lead_of(text: &str) -> Lead {
    let lower = text.to_lowercase();
    let end = text.trim_end();
    let is_opened = end.ends_with([':', '=', ',', '(', '[', '{', '"', '\'', '`']);
    if is_opened || LOGS.iter().any(|it| lower.contains(it)) {
        return Lead::Introduction;
    }
    let is_apart = end.len() < text.len();
    match is_apart && end.ends_with(char::is_alphanumeric) {
        true => Lead::Sentence,
        false => Lead::Glued,
    }
}

/// Reads the objects and lists at the beginning of `text`. Returns them and the length of their text in bytes.
fn leading_values(text: &str) -> (Vec<Value>, usize) {
    let mut values = Vec::new();
    let mut end = 0;
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    while let Some(Ok(value)) = stream.next() {
        if !value.is_object() && !value.is_array() {
            break;
        }
        values.push(value);
        end = stream.byte_offset();
    }
    (values, end)
}

/// The text with the parts replaced that serde_json rejects in otherwise valid JSON: in strings, halves of surrogate pairs
/// and unknown escapes by U+FFFD and control characters by their escape; outside of strings, `NaN` and infinities by `null`.
fn repaired(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_string = false;
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let mut taken = next.len_utf8();
        match (in_string, next) {
            (_, '"') => {
                in_string = !in_string;
                out.push('"');
            }
            (true, '\\') => taken = escape(rest, &mut out),
            (true, control) if control < ' ' => {
                out.push_str(&format!("\\u{:04x}", u32::from(control)));
            }
            (false, 'N' | 'I' | '-') => {
                let word = ["NaN", "Infinity", "-Infinity"]
                    .into_iter()
                    .find(|word| rest.starts_with(word) && out.ends_with([':', ',', '[', ' ']));
                match word {
                    Some(word) => {
                        out.push_str("null");
                        taken = word.len();
                    }
                    None => out.push(next),
                }
            }
            _ => out.push(next),
        }
        rest = &rest[taken..];
    }
    out
}

/// Writes the repaired escape at the beginning of `text`. Returns its length in bytes.
fn escape(text: &str, out: &mut String) -> usize {
    let Some(kind) = text[1..].chars().next() else {
        return 1;
    };
    if kind != 'u' {
        match kind {
            '"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't' => out.push_str(&text[..2]),
            _ => out.push_str("\\ufffd"),
        }
        return if kind.is_ascii_alphanumeric() || kind.is_ascii_punctuation() {
            2
        } else {
            1
        };
    }
    let Some(unit) = code_unit(text) else {
        out.push_str("\\ufffd");
        return 2;
    };
    let is_pair = matches!(unit, 0xd800..=0xdbff)
        && code_unit(&text[6..]).is_some_and(|low| matches!(low, 0xdc00..=0xdfff));
    if is_pair {
        out.push_str(&text[..12]);
        return 12;
    }
    match unit {
        0xd800..=0xdfff => out.push_str("\\ufffd"),
        _ => out.push_str(&text[..6]),
    }
    6
}

/// The number of `\uXXXX` at the beginning of `text`.
fn code_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let is_hex = digits.bytes().all(|it| it.is_ascii_hexdigit());
    is_hex.then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(values: &[Value], noise: &str) -> JsonLine {
        JsonLine {
            values: values.to_vec(),
            noise: noise.to_owned(),
            lead: None,
        }
    }

    #[test]
    fn a_bad_character_costs_that_character() {
        for (bytes, text) in [
            (br#"{"t":"crab \ud83e"}"#.as_slice(), "crab \u{fffd}"),
            (br#"{"t":"\udd80 done"}"#, "\u{fffd} done"),
            (br#"{"t":"\ud83e\u0041"}"#, "\u{fffd}A"),
            (br#"{"t":"\ud83e\ud83e\udd80"}"#, "\u{fffd}\u{1f980}"),
            (br#"{"t":"\ud83e\udd80"}"#, "\u{1f980}"),
            (b"{\"t\":\"caf\xe9 latin1\"}", "caf\u{fffd} latin1"),
            (b"{\"t\":\"cut \xf0\x9f\"}", "cut \u{fffd}"),
            (b"{\"t\":\"a\tb\x1bc\"}", "a\tb\u{1b}c"),
            (br#"{"t":"\x41\q"}"#, "\u{fffd}41\u{fffd}"),
            (br#"{"t":"\u12"}"#, "\u{fffd}12"),
            (b"{\"t\":\"a \\\xe9\"}", "a \u{fffd}\u{fffd}"),
        ] {
            assert_eq!(read(bytes), line(&[json!({"t": text})], ""), "{text}");
        }
        let odd = read(br#"{"a":NaN,"b":[-Infinity, Infinity],"c":"NaN","d":-1}"#);
        let expected = json!({"a": null, "b": [null, null], "c": "NaN", "d": -1});
        assert_eq!(odd, line(&[expected], ""));
    }

    #[test]
    fn values_are_found_among_other_text() {
        let one = json!({"id": 1});
        let two = json!({"id": 2});
        for (text, values, noise) in [
            ("\u{feff}{\"id\":1}", vec![&one], ""),
            ("Loaded.{\"id\":1}", vec![&one], "Loaded."),
            (
                "{\"id\":1}{\"id\":2} {\"id\":1}",
                vec![&one, &two, &one],
                "",
            ),
            ("[info] x {y} {\"id\":1}", vec![&one], "[info] x {y}"),
            ("{\"id\":1}bye", vec![&one], "bye"),
            ("\u{1b}[2K\u{1b}[1G{\"id\":1}\u{1b}[0m", vec![&one], ""),
            ("\u{1b}]0;title\u{7}{\"id\":1}", vec![&one], ""),
            ("\u{1b}[2K\u{1b}", vec![], "\u{1b}"),
            ("3 files read", vec![], "3 files read"),
            ("{\"id\":1", vec![], "{\"id\":1"),
            ("  ", vec![], ""),
            // A part of a cut line is not the whole.
            (r#"{"a":{"id":1},"b":"#, vec![], r#"{"a":{"id":1},"b":"#),
            (r#"5" wide {"id":1}"#, vec![&one], r#"5" wide"#),
        ] {
            let values: Vec<Value> = values.into_iter().cloned().collect();
            let is_behind = !values.is_empty() && !noise.is_empty() && noise != "bye";
            let mut found = read(text.as_bytes());
            assert_eq!(found.lead.take().is_some(), is_behind, "{text}");
            assert_eq!(found, line(&values, noise), "{text}");
        }
        assert_eq!(read(b"42"), line(&[json!(42)], ""));
        assert_eq!(read(b"[1,2]"), line(&[json!([1, 2])], ""));
    }

    #[test]
    fn long_lines_of_braces_take_bounded_time() {
        for junk in ["{", "[", "{\"a\":", "x{", "\\u"] {
            let text = junk.repeat(1 << 20);
            assert!(read(text.as_bytes()).values.is_empty());
        }
    }
}
