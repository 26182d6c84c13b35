//! Items of a CSV text: one table per row, by the columns of its heading.

use super::{ITEM_BYTES, Input, SourceItem, SourceItems, too_long};
use crate::cli::{Failure, text};
use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord};
use serde_json::{Map, Value};
use std::io::{self, Read};

/// The rows below the heading.
///
/// # Errors
/// There is no heading, or two of its columns have one name.
pub fn open(input: Input) -> Result<SourceItems, Failure> {
    let name = input.name;
    let row = RowBytes {
        reader: input.reader,
        left: ITEM_BYTES,
    };
    // The number of fields is checked here, for a message that names the columns.
    let mut reader = ReaderBuilder::new().flexible(true).from_reader(row);
    let heading = match reader.headers() {
        Ok(heading) => heading.clone(),
        Err(why) => return Err(failure(&why, "the heading", &name)),
    };
    let columns: Vec<String> = heading.iter().map(str::to_owned).collect();
    check(&columns, &name)?;
    let mut rows = Rows {
        reader,
        columns,
        name,
        has_failed: false,
    };
    Ok(Box::new(std::iter::from_fn(move || {
        if rows.has_failed {
            return None;
        }
        let item = rows.read();
        rows.has_failed = item.is_err();
        item.transpose()
    })))
}

fn check(columns: &[String], name: &str) -> Result<(), Failure> {
    if columns.is_empty() {
        return Err(Failure::Local(format!(
            "there are no items: {name} is empty; the first row of a CSV file is the heading"
        )));
    }
    for (at, column) in columns.iter().enumerate() {
        if column.trim().is_empty() {
            return Err(Failure::Local(format!(
                "the heading of {name} has no name for column {}; a row is a table by these names",
                at + 1
            )));
        }
        if columns[..at].contains(column) {
            return Err(Failure::Local(format!(
                "the heading of {name} has the column {column} twice; a row is a table by these names"
            )));
        }
    }
    Ok(())
}

struct Rows {
    reader: Reader<RowBytes>,
    columns: Vec<String>,
    name: String,
    has_failed: bool,
}

impl Rows {
    fn read(&mut self) -> Result<Option<SourceItem>, Failure> {
        let mut record = StringRecord::new();
        self.reader.get_mut().left = ITEM_BYTES;
        let line = self.reader.position().line();
        let origin = || format!("the row in line {line} of {}", self.name);
        match self.reader.read_record(&mut record) {
            Ok(false) => return Ok(None),
            Ok(true) => {}
            Err(why) => {
                let line = why.position().map_or(line, csv::Position::line);
                return Err(failure(
                    &why,
                    &format!("the row in line {line}"),
                    &self.name,
                ));
            }
        }
        let origin = match record.position().map(csv::Position::line) {
            Some(line) => format!("the row in line {line} of {}", self.name),
            None => origin(),
        };
        if record.len() != self.columns.len() {
            return Err(Failure::Local(format!(
                "{origin} has {}, and the heading has {}; put a field with a comma in quotes",
                text::count(record.len() as u64, "field"),
                self.columns.len(),
            )));
        }
        let fields = self.columns.iter().cloned().zip(&record);
        let row: Map<String, Value> = fields
            .map(|(column, field)| (column, Value::from(field)))
            .collect();
        SourceItem::new(Value::Object(row), || origin).map(Some)
    }
}

fn failure(why: &csv::Error, what: &str, name: &str) -> Failure {
    match why.kind() {
        ErrorKind::Utf8 { .. } => Failure::Local(format!("{what} of {name} is not UTF-8 text")),
        ErrorKind::Io(why) if why.kind() == io::ErrorKind::FileTooLarge => {
            too_long(&format!("{what} of {name}"))
        }
        ErrorKind::Io(why) => Failure::local(format!("cannot read {name}"), why),
        _ => Failure::local(format!("cannot read {name}"), why),
    }
}

/// Reads at most a number of bytes until the number is set again, so that a quote without an end does not fill the memory.
struct RowBytes {
    reader: Box<dyn io::BufRead>,
    left: usize,
}

impl Read for RowBytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let read = self.reader.read(buffer)?;
        self.left = self.left.saturating_sub(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::values;
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Result<Vec<Value>, String> {
        open(Input::text(text))
            .map_err(|why| why.to_string())
            .and_then(values)
    }

    #[test]
    fn rows_are_tables_by_the_heading() {
        let text = "\u{feff}name,note\r\nAda,\"one, two\"\n\nBob,\"a\nb\"\n";
        assert_eq!(
            read(text).unwrap(),
            [
                json!({"name": "Ada", "note": "one, two"}),
                json!({"name": "Bob", "note": "a\nb"})
            ]
        );
    }

    #[test]
    fn wrong_rows_and_headings_are_named() {
        for (text, part) in [
            (
                "a,b\n1,2\n1,2,3\n",
                "the row in line 3 of x has 3 fields, and the heading has 2",
            ),
            ("a,b\n1\n", "the row in line 2 of x has 1 field,"),
            ("a,a\n1,2\n", "has the column a twice"),
            ("a,\n1,2\n", "has no name for column 2"),
            ("", "there are no items: x is empty"),
        ] {
            let why = read(text).unwrap_err();
            assert!(why.contains(part), "{part} is not in {why}");
        }
        let bad = open(Input::text(b"a\nok\n\xff\n".to_vec())).unwrap();
        let why = values(bad).unwrap_err();
        assert_eq!(why, "the row in line 3 of x is not UTF-8 text");
    }

    #[test]
    fn a_quote_without_an_end_does_not_fill_the_memory() {
        let quote = io::Cursor::new(b"a\n\"".to_vec());
        let endless = Input {
            reader: Box::new(io::BufReader::new(quote.chain(io::repeat(b'x')))),
            name: "x".into(),
        };
        let why = values(open(endless).unwrap()).unwrap_err();
        assert!(
            why.starts_with("the row in line 2 of x is too long"),
            "{why}"
        );
    }
}
