//! The file of the write-ahead log: its length, and the frames in it.

use crate::lock;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// The divisor of the disk's free space that the log may use between two checkpoints.
const SHARE: u64 = 8;
/// Pages between two checkpoints on the smallest disk.
const LEAST_PAGES: u32 = 100;

/// Bytes of zeros that are written at once.
const BLOCK: usize = 1 << 20;

/// The log's present size in bytes.
pub(crate) fn bytes(database: &Path) -> u64 {
    std::fs::metadata(lock::beside(database, "-wal")).map_or(0, |meta| meta.len())
}

/// Creates an empty log `bytes` long, filled with zeros. Does nothing on a disk that would have less than `bytes` left
/// then: the file and other files need the space more than commits need the speed.
///
/// SQLite writes a log from its beginning again after each complete checkpoint, so its blocks are used again and again;
/// but as long as the file grows, each sync must also write the file system's records of the new blocks, which doubles
/// its time. Zeros are not frames: their checksum is wrong, and recovery stops there, as at the end of the file.
///
/// To be called while the log is empty and nothing writes to it. (Locks are on other files: opening this one drops
/// none.)
pub(crate) fn preallocate(database: &Path, bytes: u64) -> io::Result<()> {
    let path = lock::beside(database, "-wal");
    let mut file = File::options().write(true).open(path)?;
    if file.metadata()?.len() > 0 || !fits(free(&file)?, bytes) {
        return Ok(());
    }
    let laid_out = lay_out(&mut file, bytes);
    if laid_out.is_err() {
        // Other files have taken the space meanwhile.
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

/// The pages of this size that the log may have before a checkpoint: fewer on a small disk, so that the log does not
/// fill it.
pub(crate) fn pages_before_checkpoint(database: &Path, max_pages: u32, page: u32) -> u32 {
    let disk = rustix::fs::statvfs(database);
    let free = disk.map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    let pages = free / SHARE / u64::from(page);
    u32::try_from(pages)
        .unwrap_or(max_pages)
        .clamp(LEAST_PAGES.min(max_pages), max_pages)
}

fn fits(free: u64, bytes: u64) -> bool {
    free / 2 >= bytes
}

/// Bytes before the first frame, and before each page.
const HEADER: usize = 32;
const FRAME: usize = 24;

/// The offset of `application_id` in a database's first page.
const MARK_AT: usize = 68;

/// The `application_id` in a database's first page.
pub(crate) fn mark_in(page: &[u8]) -> i32 {
    i32::from_be_bytes(word(page, MARK_AT))
}

fn word(bytes: &[u8], at: usize) -> [u8; 4] {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    word
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(word(bytes, at))
}

/// A log with frames, as SQLite's recovery would find them. Format: <https://sqlite.org/fileformat2.html#walformat>.
#[derive(Debug)]
pub(crate) struct WalLog {
    path: PathBuf,
    #[cfg(test)]
    known_mark: Option<Option<i32>>,
}

impl WalLog {
    /// Searches for frames; `None` means that a start would recover nothing.
    pub fn examine(database: &Path) -> io::Result<Option<WalLog>> {
        let path = lock::beside(database, "-wal");
        let mut frames = match WalFrames::open(&path) {
            Ok(Some(frames)) => frames,
            Ok(None) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let found = frames.next()?.map(|_| WalLog {
            path,
            #[cfg(test)]
            known_mark: None,
        });
        Ok(found)
    }

    /// The `application_id` in the newest first page in the log; `None` if the log has no first page. Reads the whole
    /// log.
    pub fn mark(&self) -> Option<i32> {
        #[cfg(test)]
        if let Some(known_mark) = self.known_mark {
            return known_mark;
        }
        let mut frames = WalFrames::open(&self.path).ok()??;
        let (mut newest, mut committed) = (None, None);
        while let Ok(Some(frame)) = frames.next() {
            if frame.page == 1 {
                newest = Some(mark_in(&frames.data));
            }
            if frame.commits {
                committed = newest;
            }
        }
        committed
    }

    /// A log with this mark.
    #[cfg(test)]
    pub fn of(mark: Option<i32>) -> WalLog {
        WalLog {
            path: PathBuf::new(),
            known_mark: Some(mark),
        }
    }
}

/// The valid frames of a log in their order.
struct WalFrames {
    file: BufReader<File>,
    salt: [u8; 8],
    big_endian: bool,
    sum: (u32, u32),
    data: Vec<u8>,
}

struct WalFrame {
    page: u32,
    commits: bool,
}

impl WalFrames {
    fn open(path: &Path) -> io::Result<Option<WalFrames>> {
        let mut file = BufReader::with_capacity(BLOCK, File::open(path)?);
        let mut header = [0; HEADER];
        if !fill(&mut file, &mut header)? {
            return Ok(None);
        }
        let (magic, page_size) = (number(&header, 0), number(&header, 8));
        if magic & !1 != 0x377f_0682 || !page_size.is_power_of_two() || page_size > 65_536 {
            return Ok(None);
        }
        let big_endian = magic & 1 == 1;
        let sum = checksum(big_endian, (0, 0), &header[..24]);
        if sum != (number(&header, 24), number(&header, 28)) {
            return Ok(None);
        }
        let mut salt = [0; 8];
        salt.copy_from_slice(&header[16..24]);
        Ok(Some(WalFrames {
            file,
            salt,
            big_endian,
            sum,
            data: vec![0; page_size as usize],
        }))
    }

    /// The next frame, with its page in `data`; `None` at the first invalid one.
    fn next(&mut self) -> io::Result<Option<WalFrame>> {
        let mut head = [0; FRAME];
        if !fill(&mut self.file, &mut head)? || !fill(&mut self.file, &mut self.data)? {
            return Ok(None);
        }
        let sum = checksum(self.big_endian, self.sum, &head[..8]);
        let sum = checksum(self.big_endian, sum, &self.data);
        if head[8..16] != self.salt || sum != (number(&head, 16), number(&head, 20)) {
            return Ok(None);
        }
        self.sum = sum;
        Ok(Some(WalFrame {
            page: number(&head, 0),
            commits: number(&head, 4) != 0,
        }))
    }
}

/// Fills `into`; false at the end of the file.
fn fill(file: &mut impl Read, into: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(into) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// SQLite's checksum of a log, continued over more bytes.
fn checksum(big_endian: bool, (mut one, mut two): (u32, u32), bytes: &[u8]) -> (u32, u32) {
    let read = |word: &[u8]| {
        let word = [word[0], word[1], word[2], word[3]];
        match big_endian {
            true => u32::from_be_bytes(word),
            false => u32::from_le_bytes(word),
        }
    };
    for pair in bytes.chunks_exact(8) {
        one = one.wrapping_add(read(&pair[..4])).wrapping_add(two);
        two = two.wrapping_add(read(&pair[4..])).wrapping_add(one);
    }
    (one, two)
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
