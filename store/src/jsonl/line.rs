//! The lines of an export.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The value of `format`.
pub(super) const FORMAT: &str = "kirosu-store";
/// The version of the form of the lines. The columns of the rows follow from the schema.
pub(super) const VERSION: u32 = 1;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    pub format: String,
    pub version: u32,
    /// The version of the newest migration.
    pub schema: String,
}

/// A row. On writing, SQLite makes the JSON of the row, and the rest of the line is [`row_line`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RowLine {
    pub table: String,
    pub row: Map<String, Value>,
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    /// Always true: distinguishes the line.
    pub end: bool,
    pub rows: u64,
}

/// The line of a row. `table` is a name of the schema, which needs no escapes; `row` is JSON.
pub(super) fn row_line(table: &str, row: &str) -> String {
    format!("{{\"table\":\"{table}\",\"row\":{row}}}\n")
}
