//! Items of maps that a client reads: files by a glob, lines, JSON lines, rows of CSV, standard input.
//!
//! A source is read item by item in a thread of its own ([`pieces()`]), so that the memory does not grow with it.

mod files;
mod lines;
mod pieces;
mod rows;

use super::Failure;
use kirosu_plan::ItemSource;
use kirosu_protocol::{SOURCE_PIECE_BYTES, size};
pub use pieces::pieces;
use serde_json::Value;
use std::fs::File;
use std::io::{self, BufRead, BufReader};

/// The most bytes of an item as JSON: those of a piece without its brackets.
const ITEM_BYTES: usize = SOURCE_PIECE_BYTES - 2;

/// An item and its size.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceItem {
    /// The item.
    pub value: Value,
    /// Its bytes as JSON.
    pub bytes: usize,
}

impl SourceItem {
    /// Checks the size of an item; `origin` names it in the error.
    ///
    /// # Errors
    /// It is above [`ITEM_BYTES`].
    fn new(value: Value, origin: impl FnOnce() -> String) -> Result<SourceItem, Failure> {
        let bytes = value.to_string().len();
        match bytes > ITEM_BYTES {
            true => Err(too_long(&origin())),
            false => Ok(SourceItem { value, bytes }),
        }
    }
}

/// The failure of an item above [`ITEM_BYTES`].
fn too_long(origin: &str) -> Failure {
    let limit = size::format(SOURCE_PIECE_BYTES as u64);
    Failure::Local(format!(
        "{origin} is too long for an item: it has at most {limit} as JSON; split it, or let the prompt name its file"
    ))
}

/// The items of a source, read when they are needed. The first failure ends them.
pub type SourceItems = Box<dyn Iterator<Item = Result<SourceItem, Failure>>>;

/// Opens a source whose templates are rendered. This reads its first item, which blocks.
///
/// # Errors
/// It cannot be read, or has no item.
pub fn open(source: &ItemSource) -> Result<SourceItems, Failure> {
    let (items, name): (SourceItems, String) = match source {
        ItemSource::Files(glob) => (files::open(glob)?, glob.clone()),
        ItemSource::Lines(path) => (lines::texts(Input::file(path)?), path.clone()),
        ItemSource::Jsonl(path) => (lines::values(Input::file(path)?), path.clone()),
        ItemSource::Csv(path) => (rows::open(Input::file(path)?)?, path.clone()),
        ItemSource::Stdin(form) => {
            let input = Input::stdin();
            let name = input.name.clone();
            match form.as_str() {
                "jsonl" => (lines::values(input), name),
                "csv" => (rows::open(input)?, name),
                _ => (lines::texts(input), name),
            }
        }
    };
    let mut items = items.peekable();
    match items.peek() {
        // The program that should have written the items failed, or the file is the wrong one: a script has to notice.
        None => Err(Failure::Local(format!(
            "there are no items: {name} is empty"
        ))),
        Some(_) => Ok(Box::new(items)),
    }
}

/// A text that is read in pieces, and its name in messages.
struct Input {
    reader: Box<dyn BufRead>,
    name: String,
}

impl Input {
    fn file(path: &str) -> Result<Input, Failure> {
        let file =
            File::open(path).map_err(|why| Failure::local(format!("cannot read {path}"), why))?;
        Ok(Input {
            reader: Box::new(BufReader::new(file)),
            name: path.to_owned(),
        })
    }

    fn stdin() -> Input {
        Input {
            reader: Box::new(BufReader::new(io::stdin())),
            name: "standard input".to_owned(),
        }
    }

    #[cfg(test)]
    fn text(text: impl Into<Vec<u8>>) -> Input {
        Input {
            reader: Box::new(io::Cursor::new(text.into())),
            name: "x".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// All values of a source, or the message of the first failure.
    pub(super) fn values(items: SourceItems) -> Result<Vec<Value>, String> {
        items
            .map(|item| item.map(|item| item.value).map_err(|why| why.to_string()))
            .collect()
    }

    #[test]
    fn an_empty_source_is_refused_and_a_missing_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("empty.txt");
        std::fs::write(&path, "\n \n").unwrap();
        let path = path.to_str().unwrap().to_owned();
        let refusal = |source| open(&source).err().map(|why| why.to_string()).unwrap();
        assert!(refusal(ItemSource::Lines(path.clone())).contains("there are no items"));
        assert!(refusal(ItemSource::Jsonl(path.clone())).contains("empty.txt is empty"));
        assert!(refusal(ItemSource::Csv(path)).contains("empty.txt"));
        let none = refusal(ItemSource::Lines("no/such/file".into()));
        assert!(none.contains("cannot read no/such/file: "), "{none}");
    }

    #[test]
    fn an_item_above_the_limit_is_named() {
        let just = SourceItem::new(json!("x".repeat(ITEM_BYTES - 2)), || "it".into());
        assert_eq!(just.unwrap().bytes, ITEM_BYTES);
        let above = SourceItem::new(json!("x".repeat(ITEM_BYTES - 1)), || "line 7".into());
        let message = above.unwrap_err().to_string();
        assert!(message.contains("line 7 is too long for an item: it has at most 1 MiB"));
    }
}
