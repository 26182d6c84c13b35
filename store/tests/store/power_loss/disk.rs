//! The two files as bytes, and the states in which a power cut may leave them.

use super::story::Random;
use std::path::Path;

/// The unit that a disk writes as a whole; longer writes may be torn.
const SECTOR: usize = 512;

/// Database and log as bytes at one moment.
#[derive(Clone)]
pub struct Disk {
    database: Vec<u8>,
    log: Vec<u8>,
}

fn log_of(path: &Path) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// The sectors (by number) in which two files differ, up to the end of the longer one.
fn changed(before: &[u8], after: &[u8]) -> Vec<usize> {
    let sectors = before.len().max(after.len()).div_ceil(SECTOR);
    let sector = |bytes: &[u8], n: usize| {
        let (from, to) = (
            (n * SECTOR).min(bytes.len()),
            ((n + 1) * SECTOR).min(bytes.len()),
        );
        bytes[from..to].to_vec()
    };
    (0..sectors)
        .filter(|n| sector(before, *n) != sector(after, *n))
        .collect()
}

/// Writes one sector of `after` over `onto`; a file that is too short for it gets a hole of zeros first.
fn keep(onto: &mut Vec<u8>, after: &[u8], sector: usize) {
    let to = ((sector + 1) * SECTOR).min(after.len());
    let Some(bytes) = after.get(sector * SECTOR..to) else {
        return;
    };
    if onto.len() < to {
        onto.resize(to, 0);
    }
    onto[sector * SECTOR..to].copy_from_slice(bytes);
}

impl Disk {
    /// The present files.
    pub fn of(path: &Path) -> Disk {
        Disk {
            database: std::fs::read(path).unwrap(),
            log: std::fs::read(log_of(path)).unwrap_or_default(),
        }
    }

    /// Puts the files where a store can open them. The shared-memory file does not survive a power cut.
    pub fn put(&self, path: &Path) {
        let mut shared = path.as_os_str().to_owned();
        shared.push("-shm");
        let _ = std::fs::remove_file(shared);
        std::fs::write(path, &self.database).unwrap();
        std::fs::write(log_of(path), &self.log).unwrap();
    }

    /// Whether the change between the two is one write of the log, or one of the database: only then are all mixtures
    /// possible endings. (A batch that commits and checkpoints has a sync in between.)
    pub fn can_be_cut_to(&self, after: &Disk) -> bool {
        let log_same = self.log == after.log;
        let database_same = self.database == after.database;
        // A checkpoint empties the log only when the database is synced.
        log_same != database_same || (!database_same && after.log.is_empty())
    }

    /// A state of the disk after a power cut between this one and `after`; `n` picks the kind of ending.
    pub fn cut_on_the_way_to(
        &self,
        after: &Disk,
        n: usize,
        random: &mut Random,
    ) -> (Disk, &'static str) {
        let mut cut = self.clone();
        let (onto, from, is_log) = match self.database == after.database {
            true => (&mut cut.log, &after.log, true),
            false => (&mut cut.database, &after.database, false),
        };
        let mut sectors = changed(onto, from);
        if is_log && sectors.first() == Some(&0) {
            // A restarted log syncs its header before its frames.
            keep(onto, from, sectors.remove(0));
        }
        let how = match n % 4 {
            0 => "all of it lost",
            1 => {
                // In half of the cases nearly everything is written: the frame that commits is the last one.
                let written = match random.below(2) {
                    0 => sectors.len() - random.below(sectors.len().min(3)),
                    _ => random.below(sectors.len() + 1),
                };
                sectors.truncate(written);
                sectors.iter().for_each(|sector| keep(onto, from, *sector));
                if let Some(torn) = sectors.last() {
                    // The end of the last written sector has its old contents.
                    let half = torn * SECTOR + random.below(SECTOR);
                    let old = match is_log {
                        true => &self.log,
                        false => &self.database,
                    };
                    for at in half..((torn + 1) * SECTOR).min(onto.len()) {
                        onto[at] = old.get(at).copied().unwrap_or(0);
                    }
                }
                "torn at some byte"
            }
            2 => {
                sectors.retain(|_| random.below(2) == 0);
                sectors.iter().for_each(|sector| keep(onto, from, *sector));
                "every other sector lost"
            }
            _ if is_log => {
                sectors.iter().for_each(|sector| keep(onto, from, *sector));
                sectors.retain(|_| random.below(4) == 0);
                for sector in sectors {
                    // Only sectors that were being written: SQLite does not survive a disk that garbles others.
                    for at in sector * SECTOR..((sector + 1) * SECTOR).min(onto.len()) {
                        if self.log.get(at) != from.get(at) {
                            onto[at] = random.below(256) as u8;
                        }
                    }
                }
                "garbage in some sectors"
            }
            _ => {
                sectors.iter().for_each(|sector| keep(onto, from, *sector));
                "the database written, the log not yet emptied"
            }
        };
        (cut, how)
    }
}
