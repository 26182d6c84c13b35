//! A whole store as JSON lines, without a hub (`kirosu db export` and `kirosu db import`).
//!
//! ```text
//! {"format":"kirosu-store","version":1,"schema":"00000000000025"}
//! {"table":"task","row":{"id":1,"state":5,...}}
//! {"end":true,"rows":1}
//! ```
//!
//! The first line names the newest migration of the file. Then follows each row of each table, with all columns by name. The last
//! line has the number of rows, so that a file that was cut off is detected. An import creates a file with the schema of the
//! export, writes the rows, and runs the migrations that were added since, so an export is readable by all later versions.

mod export;
mod import;
mod line;

pub use export::export_jsonl;
pub use import::{JsonlImport, JsonlTarget, import_jsonl};

use crate::error::OpenError;
use crate::restore::RestoreError;
use std::io;
use std::path::{Path, PathBuf};

/// An error of an export or import.
#[derive(Debug, thiserror::Error)]
pub enum JsonlError {
    /// The store is in use, or cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store cannot be read, or is written by a version whose migrations have not run.
    #[error("cannot export {path}: {why}")]
    Unreadable {
        /// The database file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// The lines cannot be written.
    #[error("cannot write the export: {0}")]
    Write(io::Error),
    /// The lines cannot be read.
    #[error("nothing was imported: the export cannot be read: {0}")]
    Read(io::Error),
    /// A line is not one of an export of this version.
    #[error("nothing was imported: line {line}: {why}")]
    Line {
        /// The number of the line, from 1.
        line: u64,
        /// The reason, as a clause.
        why: String,
    },
    /// The export ends without its last line.
    #[error(
        "nothing was imported: the export ends after {rows} rows without its last line: it was cut off; export it again"
    )]
    CutOff {
        /// The rows that were read.
        rows: u64,
    },
    /// The rows contradict each other.
    #[error("nothing was imported: the rows do not belong together: {}", findings.join("; "))]
    Unsound {
        /// The findings of the check, as sentences.
        findings: Vec<String>,
    },
    /// There is a store.
    #[error(
        "nothing was imported: there is a store {path}, which has given out ids up to {last_id}; import into a new file with --db, or add --replace, which keeps the present files under other names"
    )]
    NotEmpty {
        /// The database file.
        path: PathBuf,
        /// The highest id.
        last_id: i64,
    },
    /// The new file cannot be written.
    #[error("nothing was imported: cannot write {path}: {why}")]
    Scratch {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// The new file cannot be put in place.
    #[error(transparent)]
    Place(#[from] RestoreError),
}

fn unreadable(path: &Path) -> impl Fn(diesel::result::Error) -> JsonlError {
    let path = path.to_owned();
    move |why| JsonlError::Unreadable {
        path: path.clone(),
        why: why.to_string(),
    }
}
