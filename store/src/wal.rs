//! The write-ahead log's file, as far as SQLite leaves it to us.

use crate::lock;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// The part of a disk's free space that the log may take between two checkpoints, as one in so many.
const SHARE: u64 = 8;
/// Pages between two checkpoints on the smallest disk.
const LEAST_PAGES: u32 = 100;

/// Zeros written at once.
const BLOCK: usize = 1 << 20;

/// The log's present size in bytes.
pub(crate) fn bytes(database: &Path) -> u64 {
    std::fs::metadata(lock::beside(database, "-wal")).map_or(0, |meta| meta.len())
}

/// Makes an empty log `bytes` long, filled with zeros. Does nothing on a disk that would have less than `bytes` left
/// then: the file and all others need the room more than commits need the speed.
///
/// SQLite writes a log from its beginning again after each complete checkpoint, so its blocks are used over and over;
/// but as long as the file still grows, each sync must also write the file system's records of the new blocks, which
/// doubles its time. Zeros are no frames: their checksum is wrong, and recovery stops there, as at the end of the file.
///
/// To be called while the log is empty and nobody writes. (Locks are on other files: opening this one drops none.)
pub(crate) fn preallocate(database: &Path, bytes: u64) -> io::Result<()> {
    let path = lock::beside(database, "-wal");
    let mut file = File::options().write(true).open(path)?;
    if file.metadata()?.len() > 0 || !fits(free(&file)?, bytes) {
        return Ok(());
    }
    let laid_out = lay_out(&mut file, bytes);
    if laid_out.is_err() {
        // Others have taken the room meanwhile.
        file.set_len(0)?;
    }
    laid_out
}

fn lay_out(file: &mut File, bytes: u64) -> io::Result<()> {
    let zeros = vec![0; BLOCK];
    for _ in 0..bytes.div_ceil(BLOCK as u64) {
        file.write_all(&zeros)?;
    }
    file.sync_all()
}

/// Bytes that this user may still write to the file's disk.
fn free(file: &File) -> io::Result<u64> {
    let disk = rustix::fs::fstatvfs(file)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// How many pages of this size the log may have before it is written back into the file: on a small disk so few that the
/// log does not take all of it.
pub(crate) fn pages_before_checkpoint(database: &Path, most: u32, page: u32) -> u32 {
    let disk = rustix::fs::statvfs(database);
    let free = disk.map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    let pages = free / SHARE / u64::from(page);
    u32::try_from(pages)
        .unwrap_or(most)
        .clamp(LEAST_PAGES.min(most), most)
}

fn fits(free: u64, bytes: u64) -> bool {
    free / 2 >= bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_disk_keeps_its_room() {
        assert!(fits(48 << 20, 24 << 20) && !fits((48 << 20) - 2, 24 << 20));
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("db");
        let log = directory.path().join("db-wal");
        std::fs::write(&log, "").unwrap();
        preallocate(&database, u64::MAX / 4).unwrap();
        assert_eq!(bytes(&database), 0);
        preallocate(&database, 100).unwrap();
        assert_eq!(bytes(&database), BLOCK as u64);
    }
}
