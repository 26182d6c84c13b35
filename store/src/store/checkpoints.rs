//! The log of a store under load is copied into its file while commits go on, whatever the load consists of.

use super::tests::connection;
use super::*;
use crate::checkpoint::{FIRST_PAGES, Pages};
use crate::open::CHECKPOINT_PAGES;
use crate::sql;
use crate::sql::tx::LogPages;
use crate::vfs;
use kirosu_protocol::NewTask;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn pages(store: &mut Store) -> Pages {
    let found: Option<(i64, Pages)> = sql::first(connection(store), LogPages {}).unwrap();
    found.unwrap().1
}

/// Whether the thread has moved a log that was nearly full. The next commit restarts a log that is moved as a whole.
fn is_moved(pages: Pages) -> bool {
    pages.moved >= FIRST_PAGES || pages.log < FIRST_PAGES
}

/// Applies the same batch until the log is nearly full, waits for the checkpoint thread, and returns the number of
/// tasks.
fn fill_the_log(store: &mut Store, batch: &[Command]) -> i64 {
    while pages(store).log < FIRST_PAGES {
        store.apply(1, batch.to_vec());
    }
    // Its next look at the log.
    store.apply(1, batch.to_vec());
    let begun = Instant::now();
    while !is_moved(pages(store)) {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{:?}",
            pages(store)
        );
        std::thread::yield_now();
    }
    assert!(pages(store).log < i64::from(CHECKPOINT_PAGES));
    store.stats(1).total_tasks
}

fn open_in(folder: &tempfile::TempDir) -> Store {
    Store::open(&StoreOptions::new(folder.path().join("db"), 0)).unwrap()
}

#[test]
fn the_log_is_moved_before_the_writer_has_to_and_the_file_is_synced_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open_in(&folder);
    let task = Command::Enqueue(Box::new(NewTask::chat("x".repeat(20_000))));
    let tasks = fill_the_log(&mut store, &vec![task; 50]);
    let synced = vfs::PACED_SYNCS.load(Ordering::Relaxed);
    let written = std::fs::metadata(folder.path().join("db")).unwrap().len() >> 20;
    assert!(
        synced as u64 >= written / 2,
        "{synced} syncs of {written} MiB"
    );
    drop(store);
    let again = open_in(&folder);
    assert_eq!(again.stats(2).total_tasks, tasks);
}

#[test]
fn the_log_is_moved_early_with_few_commands_of_many_rows() {
    let folder = tempfile::tempdir().unwrap();
    let batch = Command::EnqueueBatch(vec![NewTask::chat("x".repeat(200)); 2_000]);
    fill_the_log(&mut open_in(&folder), &[batch]);
}

#[test]
fn the_log_is_moved_early_with_few_rows_of_long_texts() {
    let folder = tempfile::tempdir().unwrap();
    let task = Command::Enqueue(Box::new(NewTask::chat("x".repeat(1 << 20))));
    fill_the_log(&mut open_in(&folder), &[task]);
}
