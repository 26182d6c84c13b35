//! Copies the write-ahead log into the file while the writer commits.
//!
//! The writer itself would need 20 to 30 ms for the 16 MiB of a log, mostly for the sync of the file, and every client
//! would wait. So a thread copies most of it earlier, on a connection that syncs the file piece by piece (`vfs`). The
//! writer copies the rest and restarts the log, which only a writer can.
//!
//! SQLite allows one checkpoint at a time: if the writer's checkpoint meets this one, it is skipped and tried after a
//! later commit. The thread holds no lock that a commit waits for.

use crate::open::{self, CHECKPOINT_PAGES};
use crate::sql;
use crate::sql::tx::{CheckpointPassive, LogPages};
use crate::vfs;
use diesel::SqliteConnection;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Pages in the log from which a checkpoint is worthwhile: pages that change often are in it many times, and are copied
/// once.
pub(crate) const FIRST_PAGES: i64 = CHECKPOINT_PAGES as i64 * 3 / 4;
/// Pages not copied yet from which the thread continues.
const NEXT_PAGES: i64 = CHECKPOINT_PAGES as i64 / 8;
/// Rows between two checks of the log, a page or two each.
const ROWS_PER_LOOK: usize = 256;
/// Bytes of the log between two checks: some rows have long texts. Known only if commits are synced (`vfs`).
const BYTES_PER_LOOK: u64 = 1 << 20;

/// The progress of checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pages {
    /// Pages in the log since it was restarted.
    pub log: i64,
    /// Those of them that are copied into the file.
    pub moved: i64,
}

impl Pages {
    fn is_due(self) -> bool {
        self.log >= FIRST_PAGES && self.log - self.moved >= NEXT_PAGES
    }
}

/// The checkpoint thread, and the writer's view of it.
#[derive(Debug, Default)]
pub(crate) struct Checkpointer {
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Held by the thread while it copies pages.
    at_work: Arc<Mutex<()>>,
    /// Rows written since the last check.
    rows: usize,
    /// Bytes that this thread had written to logs at the last check.
    bytes: u64,
}

impl Checkpointer {
    /// Starts the thread. If that fails, the writer checkpoints alone.
    pub fn start(database: &Path) -> Checkpointer {
        let path = database.to_owned();
        let (wake, woken) = sync_channel(1);
        let at_work = Arc::new(Mutex::new(()));
        let lock = at_work.clone();
        let thread = std::thread::Builder::new().name("checkpointer".into());
        match thread.spawn(move || work(&path, &woken, &lock)) {
            Ok(thread) => Checkpointer {
                wake: Some(wake),
                thread: Some(thread),
                at_work,
                ..Checkpointer::default()
            },
            Err(error) => {
                tracing::warn!(%error, "the checkpoint thread cannot start; some commits take 20 ms longer");
                Checkpointer::default()
            }
        }
    }

    /// After a commit of `rows` rows: wakes the thread if there is enough to copy.
    pub fn committed(&mut self, conn: &mut SqliteConnection, rows: usize) {
        self.rows += rows;
        let bytes = vfs::log_bytes_written();
        if self.rows < ROWS_PER_LOOK && bytes.abs_diff(self.bytes) < BYTES_PER_LOOK {
            return;
        }
        (self.rows, self.bytes) = (0, bytes);
        let Some(wake) = &self.wake else { return };
        if let Ok(Some((_, pages))) = sql::first::<(i64, Pages), _>(conn, LogPages {})
            && pages.is_due()
        {
            // If the channel is full, the thread is already woken.
            let _ = wake.try_send(());
        }
    }
}

impl Checkpointer {
    /// Whether the thread copies pages now.
    pub fn is_at_work(&self) -> bool {
        self.at_work.try_lock().is_err()
    }

    /// Waits until the thread copies no pages, and keeps it from doing so while the guard exists.
    pub fn rest(&self) -> MutexGuard<'_, ()> {
        lock(&self.at_work)
    }
}

fn lock(at_work: &Mutex<()>) -> MutexGuard<'_, ()> {
    at_work.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Checkpointer {
    /// Waits for a checkpoint that runs: the file must not be closed under it.
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn work(path: &Path, woken: &Receiver<()>, at_work: &Mutex<()>) {
    let mut conn = None;
    while woken.recv().is_ok() {
        let _at_work = lock(at_work);
        let made = match conn.take() {
            Some(conn) => Ok(conn),
            None => open::checkpointer(path),
        };
        let moved = made.and_then(|mut conn| {
            let moved = sql::first::<(i64, Pages), _>(&mut conn, CheckpointPassive {});
            moved.map(|_| conn).map_err(|error| error.to_string())
        });
        match moved {
            Ok(made) => conn = Some(made),
            // The writer's checkpoint copies the pages, and logs its failures.
            Err(error) => tracing::debug!(%error, "the checkpoint failed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_begins_late_and_goes_on_with_every_further_piece() {
        let pages = |log, moved| Pages { log, moved };
        assert!(!pages(FIRST_PAGES - 1, 0).is_due());
        assert!(pages(FIRST_PAGES, 0).is_due());
        assert!(!pages(FIRST_PAGES + NEXT_PAGES - 1, FIRST_PAGES).is_due());
        assert!(pages(FIRST_PAGES + NEXT_PAGES, FIRST_PAGES).is_due());
    }
}
