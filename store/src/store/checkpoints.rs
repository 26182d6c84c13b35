//! The log of a store under load is copied into its file while commits go on.

use super::tests::connection;
use super::*;
use crate::checkpoint::{COMMANDS_PER_LOOK, FIRST_PAGES, Pages};
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

#[test]
fn the_log_is_moved_before_the_writer_has_to_and_the_file_is_synced_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let mut store = Store::open(&StoreOptions::new(path.clone(), 0)).unwrap();
    let task = NewTask::chat("x".repeat(20_000));
    while pages(&mut store).log < FIRST_PAGES {
        let batch = (0..COMMANDS_PER_LOOK).map(|_| Command::Enqueue(Box::new(task.clone())));
        store.apply(1, batch.collect());
    }
    let begun = Instant::now();
    while pages(&mut store).moved < FIRST_PAGES {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{:?}",
            pages(&mut store)
        );
        std::thread::yield_now();
    }
    assert!(pages(&mut store).log < i64::from(CHECKPOINT_PAGES));
    let synced = vfs::PACED_SYNCS.load(Ordering::Relaxed);
    let written = std::fs::metadata(&path).unwrap().len() >> 20;
    assert!(
        synced as u64 >= written / 2,
        "{synced} syncs of {written} MiB"
    );
    let tasks = store.stats(1).total_tasks;
    drop(store);
    let again = Store::open(&StoreOptions::new(path, 2)).unwrap();
    assert_eq!(again.stats(2).total_tasks, tasks);
}
