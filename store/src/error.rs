//! Errors of the file itself. Refusals of single commands are protocol errors.

use crate::backend::StoreFault;
use std::path::PathBuf;

/// An error that prevents a store from opening.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the file.
    #[error(
        "cannot open the store {path}: another hub has it (process {holder}, lock file {lock}); stop that hub or name another file"
    )]
    Locked {
        /// The database file.
        path: PathBuf,
        /// The lock file.
        lock: PathBuf,
        /// The holder's process id, or `unknown`.
        holder: String,
    },
    /// The path has another kind of content.
    #[error(
        "cannot open the store {path}: it is {what}; nothing was changed; name another file with --db or store.path"
    )]
    NotAStore {
        /// The database file.
        path: PathBuf,
        /// The content: a phrase such as `a folder`.
        what: &'static str,
    },
    /// The directory or the lock file cannot be created.
    #[error(
        "cannot open the store {path}: {what}: {source}; check that the directory exists and is writable"
    )]
    Io {
        /// The database file.
        path: PathBuf,
        /// The step that failed.
        what: &'static str,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The file is not a database, is damaged, or its disk is full or read-only.
    #[error("cannot open the store {path}: {what}: {source}")]
    Database {
        /// The database file.
        path: PathBuf,
        /// The step that failed.
        what: &'static str,
        /// SQLite's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The log in the same directory belongs to another file: one of them was put there without the other.
    #[error(
        "cannot open the store {path}: its write-ahead log {log} belongs to another file, and nothing was changed; if {path} was put there from a backup, put the files back that were there before and use `kirosu restore BACKUP`, or move {log} away; if file and log were copied together, move {record} away"
    )]
    ForeignLog {
        /// The database file.
        path: PathBuf,
        /// The log.
        log: PathBuf,
        /// The record in the same directory.
        record: PathBuf,
    },
    /// The linked SQLite is too old.
    #[error(
        "cannot open the store {path}: SQLite {found} is linked, 3.51.3 or newer is needed (older ones can corrupt a write-ahead log)"
    )]
    SqliteTooOld {
        /// The database file.
        path: PathBuf,
        /// The version found.
        found: String,
    },
    /// The file was written by a newer Kirosu.
    #[error(
        "cannot open the store {path}: it was written by a newer version (schema {found}); use that version"
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// The newest migration in the file.
        found: String,
    },
}

impl OpenError {
    /// Whether the disk is full or fails; the file may be readable all the same. diesel passes on SQLite's message
    /// only.
    pub(crate) fn is_of_a_full_disk(&self) -> bool {
        let OpenError::Database { source, .. } = self else {
            return false;
        };
        let words = source.to_string().to_lowercase();
        ["disk is full", "disk i/o"]
            .iter()
            .any(|word| words.contains(word))
    }
}

/// An error of an open store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A read or a maintenance step failed.
    #[error("cannot read the store: {0}")]
    Read(#[from] StoreFault),
    /// A connection could not be opened.
    #[error("cannot open {path} for reading: {source}")]
    Connect {
        /// The database file.
        path: PathBuf,
        /// SQLite's error.
        source: diesel::ConnectionError,
    },
    /// A stored value cannot be decoded.
    #[error("cannot read the store: {0}")]
    Corrupt(String),
}

impl From<diesel::result::Error> for StoreError {
    fn from(error: diesel::result::Error) -> StoreError {
        StoreError::Read(error.into())
    }
}
