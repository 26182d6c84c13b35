//! The log is written in long runs (`src/vfs/mod.rs`): commits of any size are whole for concurrent readers, and after
//! the end of the writer.

use crate::common::Bench;
use kirosu_protocol::{NewTask, TaskId};
use kirosu_store::{Command, Outcome, Store, StoreReader, SyncMode};

/// Prompts of every class of length, around the limit of the buffer (120 KiB) and the longest write of SQLite's own
/// layer (128 KiB), alone and many in one commit.
const SIZES: &[(usize, usize)] = &[
    (1, 100),
    (1, 118_000),
    (1, 122_880),
    (1, 131_071),
    (1, 131_072),
    (1, 400_000),
    (700, 200),
    (40, 9_000),
    (3, 2_000_000),
];

fn prompt(of: usize, length: usize) -> String {
    let letter = char::from(b'a' + u8::try_from(of % 26).unwrap());
    letter.to_string().repeat(length)
}

fn every_commit_is_whole(durability: SyncMode) {
    let mut bench = Bench::with(|options| options.durability = durability);
    let mut written: Vec<(TaskId, usize, usize)> = Vec::new();
    for (count, length) in SIZES {
        let batch = (0..*count)
            .map(|of| Command::Enqueue(Box::new(NewTask::chat(prompt(of, *length)))))
            .collect();
        for (of, outcome) in bench.batch(batch).into_iter().enumerate() {
            match outcome {
                Ok(Outcome::Enqueued(made)) => written.push((made.task_id, of, *length)),
                other => panic!("{length} bytes: {other:?}"),
            }
        }
        // Immediately after the answer, through a separate connection.
        for (id, of, length) in written.iter().rev().take(*count) {
            let detail = bench.reader.get(*id, 0).unwrap().unwrap();
            assert_eq!(detail.task.prompt, prompt(*of, *length));
        }
    }
    bench.store.checkpoint().unwrap();
    drop(bench.reader);
    drop(bench.store);
    let store = Store::open(&bench.options).unwrap();
    assert_eq!(store.stats(bench.now).queued, written.len() as i64);
    let mut reader = StoreReader::open(&bench.options.path).unwrap();
    for (id, of, length) in written {
        assert_eq!(
            reader.get(id, 0).unwrap().unwrap().task.prompt,
            prompt(of, length)
        );
    }
}

#[test]
fn a_commit_of_any_size_is_whole_where_each_is_synced() {
    every_commit_is_whole(SyncMode::Full);
}

#[test]
fn a_commit_of_any_size_is_whole_where_none_is_synced() {
    every_commit_is_whole(SyncMode::Normal);
}

#[test]
fn a_path_may_hold_any_character() {
    for name in ["a?b=c.db", "50%.db", "#1 é.db", "file:x.db"] {
        let mut bench = Bench::with(|options| {
            options.path = options.path.with_file_name(name);
        });
        let id = bench.chat("found again");
        assert!(bench.options.path.exists(), "{name}");
        assert!(bench.reader.get(id, 0).unwrap().is_some(), "{name}");
    }
}

#[test]
fn a_new_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let file = bench.options.path.clone();
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(&file.with_file_name("kirosu.db-wal")), 0o600);
    assert_eq!(mode(file.parent().unwrap()), 0o700);
}
