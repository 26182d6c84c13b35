//! Texts, numbers, durations and sizes of a plan.

use crate::fields::Kind;
use crate::limits::{DURATION_MAX_MS, NAME_BYTES};
use crate::node::{Node, NodeValue};
use kirosu_protocol::size;
use kirosu_protocol::text::{nearest, shorten};
use serde_json::{Value, json};

/// The characters of a wrong value that a message repeats.
pub(super) const QUOTED_CHARS: usize = 40;

/// The text of a scalar; `None` for other values.
pub(super) fn text(node: &Node) -> Option<String> {
    match &node.value {
        NodeValue::Text(text) => Some(text.clone()),
        NodeValue::Whole(number) => Some(number.to_string()),
        NodeValue::Float(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Whether a text can be an id or a name.
pub(super) fn name(text: &str) -> Result<(), String> {
    let is_start = |c: char| c.is_ascii_alphabetic() || c == '_';
    let is_valid = text.starts_with(is_start)
        && text
            .chars()
            .all(|c| is_start(c) || c.is_ascii_digit() || c == '-');
    match is_valid && text.len() <= NAME_BYTES {
        true => Ok(()),
        false => Err(format!(
            "{:?} is not a name: use letters, digits, _ and -, a letter or _ first, at most {NAME_BYTES} characters",
            shorten(text, QUOTED_CHARS)
        )),
    }
}

type ScalarFault = (String, Option<&'static str>);

/// Reads a value that is compared with a range or a list of words.
pub(super) fn scalar(node: &Node, kind: &Kind) -> Result<Value, ScalarFault> {
    let text = text(node).unwrap_or_default();
    let quoted = shorten(&text, QUOTED_CHARS);
    match (kind, &node.value) {
        (Kind::Name, _) => name(&text)
            .map(|()| text.into())
            .map_err(|message| (message, None)),
        (Kind::Word(words), _) => match words.contains(&text.as_str()) {
            true => Ok(text.into()),
            false => {
                let near = nearest(&text, words.iter().copied());
                Err((format!("{quoted:?} is not {}", words.join(" or ")), near))
            }
        },
        (Kind::Whole(low, high), NodeValue::Whole(number)) => {
            match (low..=high).contains(&number) {
                true => Ok((*number).into()),
                false => Err((format!("{number} is not from {low} to {high}"), None)),
            }
        }
        (Kind::Float(low, high), NodeValue::Whole(_) | NodeValue::Float(_)) => {
            let number = match &node.value {
                NodeValue::Whole(number) => *number as f64,
                NodeValue::Float(number) => *number,
                _ => f64::NAN,
            };
            match (*low..=*high).contains(&number) {
                true => Ok(number.into()),
                false => Err((format!("{number} is not from {low} to {high}"), None)),
            }
        }
        (Kind::Duration, _) => {
            match humantime::parse_duration(&text).map(|time| time.as_millis()) {
                Ok(ms @ 1..) if ms <= u128::from(DURATION_MAX_MS) => Ok((ms as u64).into()),
                Ok(_) => Err((format!("{quoted:?} is not from 1ms to 366 days"), None)),
                Err(_) => Err((format!("{quoted:?} is not {}", kind.rule()), None)),
            }
        }
        (Kind::Size(high), _) => {
            let bytes = match &node.value {
                NodeValue::Whole(number) => u64::try_from(*number).ok(),
                _ => size::parse(&text),
            };
            match bytes {
                Some(bytes) if (1..=*high).contains(&bytes) => Ok(bytes.into()),
                Some(_) => Err((
                    format!("{quoted:?} is not from 1 B to {}", size::format(*high)),
                    None,
                )),
                None => Err((format!("{quoted:?} is not {}", kind.rule()), None)),
            }
        }
        (Kind::Percent, _) => {
            let number = text.trim().trim_end_matches('%').trim_end().parse::<f64>();
            match number {
                Ok(number) if (0.0..=100.0).contains(&number) => Ok(json!({ "percent": number })),
                _ => Err((
                    format!("{quoted:?} is not a percentage from 0% to 100%"),
                    None,
                )),
            }
        }
        _ => Err((
            format!("this must be {}, not {}", kind.rule(), node.kind()),
            None,
        )),
    }
}
