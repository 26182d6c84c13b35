//! The write-ahead log's file, as far as SQLite leaves it to us.

use crate::lock;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Zeros written at once.
const BLOCK: usize = 1 << 20;

/// The log's present size in bytes.
pub(crate) fn bytes(database: &Path) -> u64 {
    std::fs::metadata(lock::beside(database, "-wal")).map_or(0, |meta| meta.len())
}

/// Makes an empty log `bytes` long, filled with zeros.
///
/// SQLite writes a log from its beginning again after each complete checkpoint, so its blocks are used over and over;
/// but as long as the file still grows, each sync must also write the file system's records of the new blocks, which
/// doubles its time. Zeros are no frames: their checksum is wrong, and recovery stops there, as at the end of the file.
///
/// To be called while the log is empty and nobody writes. (Locks are on other files: opening this one drops none.)
pub(crate) fn preallocate(database: &Path, bytes: u64) -> io::Result<()> {
    let path = lock::beside(database, "-wal");
    let mut file = File::options().write(true).open(path)?;
    if file.metadata()?.len() > 0 {
        return Ok(());
    }
    let zeros = vec![0; BLOCK];
    for _ in 0..bytes.div_ceil(BLOCK as u64) {
        file.write_all(&zeros)?;
    }
    file.sync_all()
}
