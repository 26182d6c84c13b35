//! Generations of the store: they detect files that were put back, and logs that belong to another file.
//!
//! Each start of the store begins a *generation*. Its number comes from the wall clock (milliseconds since 2026) and is
//! higher than every number in file and record. It has two uses (docs/decisions/004):
//!
//! - **Fences.** Leases of a generation have fences above `number << 8`. A worker with a lease of a generation that a
//!   restored file does not know is refused, even if nothing shows that files were put back.
//! - **Files.** A number derived from the generation, the *mark*, is in the header of the database file
//!   (`application_id`) and in a small file in the same directory, the *record*. A file with another mark was put
//!   there: the ids that the record lists as given out are skipped. A log with frames next to a file with another mark
//!   belongs to the file that was there before: neither is touched.
//!
//! Backups have a mark of their own ([`BACKUP`]), and no log belongs to them.

use crate::error::OpenError;
use crate::lock::{beside, sync_directory};
use crate::options::StoreOptions;
use crate::wal::{self, WalLog};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The mark of a copy that `backup` made and no hub has opened yet: "KBKP".
pub(crate) const BACKUP: i32 = 0x4b42_4b50;

/// Unix milliseconds from which generations count: 2026-01-01.
const ORIGIN_MS: i64 = 1_767_225_600_000;
/// The fences of a generation begin at its number times two to this power. So they stay below 2^53 for a thousand
/// years, and those of the next generation are higher unless one task is leased 256 times per millisecond between two
/// starts.
const FENCE_BITS: u32 = 8;
/// The record covers at least this many ids ahead, or a quarter of those that were given out.
const IDS_AHEAD: i64 = 1000;
/// If the record does not list which ids were given out after a backup, ids continue at a multiple of this.
const IDS_SKIPPED: i64 = 1_000_000;

/// The mark of a generation. Files from before generations existed have 0.
fn mark_of(number: i64) -> i32 {
    (number & 0x1fff_ffff) as i32 | 0x2000_0000
}

/// The content of the record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// The newest generation.
    pub number: i64,
    /// The marks that the file may have: one, or two while a start changes it.
    pub marks: Vec<i32>,
    /// The highest id that may have been given out.
    pub ids: i64,
    /// Whether a file was put back whose ids are not skipped yet.
    pub put_back: bool,
}

impl Record {
    fn path(database: &Path) -> PathBuf {
        beside(database, ".epoch")
    }

    /// Reads the record; `None` if it is missing or cannot be parsed.
    fn read(database: &Path) -> io::Result<Option<Record>> {
        match fs::read_to_string(Record::path(database)) {
            Ok(text) => Ok(Record::parse(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn parse(text: &str) -> Option<Record> {
        let mut record = Record::default();
        for line in text.lines() {
            let (name, value) = line.split_once(' ')?;
            match name {
                "generation" => record.number = value.parse().ok()?,
                "marks" => record.marks = value.split(' ').map_while(|m| m.parse().ok()).collect(),
                "ids" => record.ids = value.parse().ok()?,
                "put_back" => record.put_back = value == "yes",
                _ => {}
            }
        }
        (record.number > 0).then_some(record)
    }

    fn text(&self) -> String {
        let marks: Vec<String> = self.marks.iter().map(i32::to_string).collect();
        let put_back = if self.put_back { "yes" } else { "no" };
        format!(
            "generation {}\nmarks {}\nids {}\nput_back {put_back}\n",
            self.number,
            marks.join(" "),
            self.ids
        )
    }

    /// Replaces the record atomically and durably.
    pub fn write(&self, database: &Path) -> io::Result<()> {
        let path = Record::path(database);
        let new = beside(&path, ".new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        let written = file
            .write_all(self.text().as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&new, &path));
        if let Err(error) = written {
            let _ = fs::remove_file(&new);
            return Err(error);
        }
        sync_directory(&path)
    }
}

/// The state of the files before the database is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FilesFound {
    /// The mark in the file's header; `None` for a file that is missing or empty.
    pub mark: Option<i32>,
    pub record: Option<Record>,
    /// Whether header and record show that the file was put back.
    pub put_back: bool,
}

/// Examines file, record and log without opening the file as a database.
///
/// # Errors
/// [`OpenError::ForeignLog`]: the log belongs to another file. Nothing was changed.
pub(crate) fn examine(database: &Path) -> Result<FilesFound, OpenError> {
    let io = |what| {
        let path = database.to_owned();
        move |source| OpenError::Io { path, what, source }
    };
    let mark = mark_of_file(database).map_err(io("its header cannot be read"))?;
    let record = Record::read(database).map_err(io("the record beside it cannot be read"))?;
    let log = wal::WalLog::examine(database).map_err(io("its write-ahead log cannot be read"))?;
    match judge(mark, record.as_ref(), log.as_ref()) {
        Some(put_back) => Ok(FilesFound {
            mark,
            record,
            put_back,
        }),
        None => Err(OpenError::ForeignLog {
            path: database.to_owned(),
            log: beside(database, "-wal"),
            record: Record::path(database),
        }),
    }
}

/// Whether the file was put back; `None` means that the log belongs to another file. `log` is a log with frames.
fn judge(mark: Option<i32>, record: Option<&Record>, log: Option<&WalLog>) -> Option<bool> {
    let Some(mark) = mark else {
        return log.is_none().then_some(false);
    };
    if let Some(record) = record.filter(|record| record.marks.contains(&mark)) {
        return Some(record.put_back);
    }
    let Some(log) = log else {
        return Some(mark == BACKUP || record.is_some());
    };
    // The first page holds the mark, and most commits write it.
    match log.mark() {
        _ if mark == BACKUP => None,
        Some(of_log) => (of_log == mark).then_some(record.is_some()),
        None => record.is_none().then_some(false),
    }
}

/// The mark in the file's header; `None` for a file that is missing or empty.
pub(crate) fn mark_of_file(database: &Path) -> io::Result<Option<i32>> {
    let mut header = [0; 100];
    let mut file = match File::open(database) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match file.read_exact(&mut header) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    Ok(Some(wal::mark_in(&header)))
}

/// The generation that a start begins.
#[derive(Clone, Debug)]
pub(crate) struct Generation {
    record: Record,
    /// Fences of new leases are above this.
    pub fence_base: i64,
    /// The id at which ids continue at least, if the file was put back.
    pub skip_to: Option<i64>,
    /// Whether the last write of the record failed.
    failed: bool,
}

impl Generation {
    /// The generation after those in file and record. `in_file`: the newest in the file; `mark` and `last_id`: as
    /// SQLite reads them, including the log.
    pub fn begin(
        options: &StoreOptions,
        found: &FilesFound,
        in_file: Option<i64>,
        mark: i32,
        last_id: i64,
    ) -> Generation {
        let record = found.record.clone().unwrap_or_default();
        let known = in_file.unwrap_or(0).max(record.number);
        let number = (options.now_ms - ORIGIN_MS).max(known + 1);
        let put_back = found.put_back || mark == BACKUP;
        let skip_to = put_back.then(|| {
            let unknown = (last_id / IDS_SKIPPED + 1) * IDS_SKIPPED;
            match record.ids > last_id {
                true => record.ids,
                false => unknown,
            }
        });
        let is_first = found.mark.is_none() && known == 0;
        Generation {
            fence_base: if is_first { 0 } else { number << FENCE_BITS },
            record: Record {
                number,
                marks: vec![mark, mark_of(number)],
                put_back,
                ids: record.ids,
            },
            skip_to,
            failed: false,
        }
    }

    /// Its number.
    pub fn number(&self) -> i64 {
        self.record.number
    }

    /// The mark that its file has.
    pub fn mark(&self) -> i32 {
        mark_of(self.record.number)
    }

    /// Records that the file's mark is about to change.
    pub fn announce(&self, database: &Path) -> io::Result<()> {
        self.record.write(database)
    }

    /// Records that the file has the new mark, and that its log has no frames of earlier generations.
    pub fn settle(&mut self, database: &Path) -> io::Result<()> {
        let record = Record {
            marks: vec![self.mark()],
            put_back: false,
            ..self.record.clone()
        };
        record.write(database)?;
        self.record = record;
        Ok(())
    }

    /// Records that ids up to `last_id` are given out, and some more; to be called before a client learns them. A
    /// failure is logged once: it only matters if an older file is put back.
    pub fn give_out(&mut self, database: &Path, last_id: i64) {
        if last_id <= self.record.ids {
            return;
        }
        let before = self.record.ids;
        self.record.ids = last_id + IDS_AHEAD.max(last_id / 4);
        match self.record.write(database) {
            Ok(()) => self.failed = false,
            Err(error) => {
                self.record.ids = before;
                if !std::mem::replace(&mut self.failed, true) {
                    tracing::warn!(%error, path = %Record::path(database).display(), "the record of given-out ids cannot be written; if an older file of the store is put back now, they may be given out again");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(marks: &[i32]) -> Record {
        Record {
            number: 7,
            marks: marks.to_vec(),
            ids: 40,
            put_back: false,
        }
    }

    #[test]
    fn the_record_is_read_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("db");
        assert_eq!(Record::read(&database).unwrap(), None);
        let written = Record {
            put_back: true,
            ..record(&[1, BACKUP])
        };
        written.write(&database).unwrap();
        assert_eq!(Record::read(&database).unwrap(), Some(written));
        fs::write(directory.path().join("db.epoch"), "something else").unwrap();
        assert_eq!(Record::read(&database).unwrap(), None);
    }

    #[test]
    fn own_files_are_distinguished_from_restored_ones() {
        let own = mark_of(7);
        let known = record(&[own]);
        let log = |mark| Some(WalLog::of(mark));
        let cases = [
            // The file, the record, the log, and the expected verdict.
            (None, None, None, Some(false)),
            (None, Some(&known), log(Some(own)), None),
            (Some(own), Some(&known), None, Some(false)),
            (Some(own), Some(&known), log(None), Some(false)),
            (Some(0), None, log(Some(0)), Some(false)),
            (Some(BACKUP), Some(&known), None, Some(true)),
            (Some(BACKUP), None, None, Some(true)),
            (Some(BACKUP), Some(&known), log(Some(own)), None),
            (Some(BACKUP), None, log(None), None),
            // An older copy of the file alone, of both files, and next to the log of a later generation.
            (Some(mark_of(3)), Some(&known), None, Some(true)),
            (
                Some(mark_of(3)),
                Some(&known),
                log(Some(mark_of(3))),
                Some(true),
            ),
            (Some(mark_of(3)), Some(&known), log(Some(own)), None),
            (Some(mark_of(3)), Some(&known), log(None), None),
            // Both files moved without their record.
            (Some(own), None, log(Some(own)), Some(false)),
            (Some(own), None, log(None), Some(false)),
        ];
        for (mark, record, log, expected) in cases {
            assert_eq!(
                judge(mark, record, log.as_ref()),
                expected,
                "{mark:?} {record:?} {log:?}"
            );
        }
    }

    #[test]
    fn a_backup_in_the_middle_of_its_first_start_keeps_its_log() {
        let changing = record(&[BACKUP, mark_of(7)]);
        let log = WalLog::of(Some(mark_of(7)));
        assert_eq!(
            judge(Some(BACKUP), Some(&changing), Some(&log)),
            Some(false)
        );
    }
}
