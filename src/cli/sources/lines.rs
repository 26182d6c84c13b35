//! Items of a text by lines: the lines themselves, or JSON values.

use super::{ITEM_BYTES, Input, SourceItem, SourceItems, too_long};
use crate::cli::Failure;
use serde_json::Value;
use std::io::{BufRead, Read};

/// The lines that are not empty, without their line ends.
pub fn texts(input: Input) -> SourceItems {
    items(input, |text, _| Ok(Value::from(text)))
}

/// One JSON value per line that is not empty.
pub fn values(input: Input) -> SourceItems {
    items(input, |text, origin| {
        serde_json::from_str(text).map_err(|why| {
            let why = why.to_string();
            let why = why.replace(" at line 1 column", " at column");
            Failure::Local(format!("{origin} is not JSON: {why}"))
        })
    })
}

/// One item per line that is not empty. `read` gets the line and its name for messages.
fn items(
    input: Input,
    read: impl Fn(&str, &str) -> Result<Value, Failure> + 'static,
) -> SourceItems {
    let mut lines = LineItems {
        input,
        number: 0,
        has_failed: false,
    };
    Box::new(std::iter::from_fn(move || {
        let line = lines.next_text()?;
        let item = line.and_then(|(text, origin)| {
            let value = read(&text, &origin)?;
            SourceItem::new(value, || origin)
        });
        lines.has_failed = item.is_err();
        Some(item)
    }))
}

/// Reads a text line by line. A longer line than an item may have is not read to its end.
struct LineItems {
    input: Input,
    number: u64,
    has_failed: bool,
}

impl LineItems {
    /// The next line that is not empty, with its name for messages; `None` after the last line or a failure.
    fn next_text(&mut self) -> Option<Result<(String, String), Failure>> {
        loop {
            if self.has_failed {
                return None;
            }
            let mut bytes = Vec::new();
            let most = ITEM_BYTES as u64 + 1;
            let read = (&mut self.input.reader)
                .take(most)
                .read_until(b'\n', &mut bytes);
            let name = &self.input.name;
            match read {
                Ok(0) => return None,
                Err(why) => return Some(Err(Failure::local(format!("cannot read {name}"), why))),
                Ok(_) => self.number += 1,
            }
            let origin = format!("line {} of {name}", self.number);
            if bytes.len() as u64 == most && bytes.last() != Some(&b'\n') {
                return Some(Err(too_long(&origin)));
            }
            let Ok(text) = String::from_utf8(bytes) else {
                let message = format!("{origin} is not UTF-8 text");
                return Some(Err(Failure::Local(message)));
            };
            let text = match self.number {
                1 => text.strip_prefix('\u{feff}').unwrap_or(&text),
                _ => &text,
            };
            let text = text.trim_end_matches(['\n', '\r']);
            if !text.trim().is_empty() {
                return Some(Ok((text.to_owned(), origin)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::values as all;
    use super::*;
    use serde_json::json;

    #[test]
    fn lines_are_texts_without_line_ends_and_empty_ones_are_left_out() {
        let text = "\u{feff}a\r\n\n  \n b c \nlast";
        assert_eq!(
            all(texts(Input::text(text))).unwrap(),
            [json!("a"), json!(" b c "), json!("last")]
        );
        let bad = all(texts(Input::text(b"a\n\xff\nb".to_vec())));
        assert_eq!(bad.unwrap_err(), "line 2 of x is not UTF-8 text");
    }

    #[test]
    fn json_lines_are_any_values_and_a_bad_one_is_named() {
        let text = "{\"a\":1}\n\n[2]\n\"x\"\nnull\n";
        assert_eq!(
            all(values(Input::text(text))).unwrap(),
            [json!({"a": 1}), json!([2]), json!("x"), json!(null)]
        );
        let bad = all(values(Input::text("1\n\n{oops\n"))).unwrap_err();
        assert!(bad.starts_with("line 3 of x is not JSON: "), "{bad}");
        assert!(bad.contains("at column 2"), "{bad}");
    }

    #[test]
    fn a_line_that_never_ends_is_refused_before_it_is_in_memory() {
        let endless = Input {
            reader: Box::new(std::io::BufReader::new(std::io::repeat(b'x'))),
            name: "x".into(),
        };
        let why = all(texts(endless)).unwrap_err();
        assert!(why.starts_with("line 1 of x is too long"), "{why}");
    }
}
