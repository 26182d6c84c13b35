//! Files that are put back: no fence and no id is used twice, and no log is mistaken for that of another file.

use crate::common::*;
use kirosu_protocol::ErrorCode;
use kirosu_store::*;
use std::fs;
use std::path::{Path, PathBuf};

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A store with a task, a backup of it, and a second task that is leased after the backup.
struct Story {
    options: StoreOptions,
    backup: PathBuf,
    lost: (i64, i64),
    directory: tempfile::TempDir,
}

impl Story {
    fn tell() -> Story {
        let mut b = Bench::new();
        b.chat("from yesterday");
        let backup = b.directory.path().join("nightly.db");
        backup_of(&b, &backup);
        b.lease(1);
        b.chat("BOB");
        let lease = b.lease(1).pop().unwrap();
        let Bench {
            options,
            directory,
            store,
            reader,
            ..
        } = b;
        drop(reader);
        // As after `kill -9`: the log stays.
        std::mem::forget(store);
        release_lock(&options.path);
        Story {
            options,
            backup,
            lost: (lease.task_id, lease.fence),
            directory,
        }
    }

    fn open(&self) -> Result<Bench, OpenError> {
        let store = Store::open(&self.options)?;
        Ok(Bench {
            reader: StoreReader::open(&self.options.path).unwrap(),
            store,
            now: T0,
            options: self.options.clone(),
            woken: Vec::new(),
            ended: Vec::new(),
            directory: tempfile::tempdir().unwrap(),
        })
    }
}

fn backup_of(b: &Bench, target: &Path) {
    kirosu_store::backup(&b.options.path, target).unwrap();
}

/// The present files, without the lock of a store that was not dropped.
fn release_lock(path: &Path) {
    for suffix in ["", "-wal", ".epoch"] {
        let (from, to) = (
            beside(path, suffix),
            beside(path, &format!("{suffix}.copy")),
        );
        fs::copy(&from, &to).unwrap();
        fs::rename(&to, &from).unwrap();
    }
    fs::remove_file(beside(path, ".lock")).unwrap();
}

#[test]
fn a_worker_of_before_is_refused_after_a_backup_is_put_back() {
    for by_hand in [true, false] {
        let story = Story::tell();
        let path = &story.options.path;
        if by_hand {
            fs::remove_file(beside(path, "-wal")).unwrap();
            fs::copy(&story.backup, path).unwrap();
        } else {
            let restored = restore(&story.backup, path, "1").unwrap();
            assert_eq!(restored.replaced.len(), 2, "file and log are kept");
        }
        let mut b = story.open().unwrap();
        let (task, fence) = story.lost;
        let refused = b.ack(done(task, Some(fence))).unwrap_err();
        assert_eq!(refused.code, ErrorCode::StaleLease, "{refused}");
        let alice = b.chat("ALICE");
        assert!(alice > task, "an id that was given out is not given again");
        let leased = b.lease(2);
        assert!(
            leased.iter().all(|task| task.fence > fence + 1),
            "{leased:?}"
        );
        assert_eq!(
            b.ack(done(1, Some(1))).unwrap_err().code,
            ErrorCode::StaleLease
        );
        let (after, mut b) = (b.chat("next"), b.reopen());
        assert_eq!(b.chat("dense again"), after + 1);
    }
}

#[test]
fn a_snapshot_of_all_files_gives_no_fence_again() {
    let mut b = Bench::new();
    b.chat("a");
    let b = b.reopen();
    let copy = tempfile::tempdir().unwrap();
    let files = ["", "-wal", ".epoch"];
    for suffix in files {
        let name = format!("kirosu.db{suffix}");
        fs::copy(beside(&b.options.path, suffix), copy.path().join(name)).unwrap();
    }
    let fences = |mut b: Bench| b.lease(1)[0].fence;
    let before = fences(b);
    let mut options = StoreOptions::new(copy.path().join("kirosu.db"), T0);
    options.now_ms = T0 + 1_800_000_000;
    let mut store = Store::open(&options).unwrap();
    let command = Command::Lease {
        ask: ask(1),
        session: None,
        park: None,
        spent: 0,
    };
    let mut applied = store.apply(T0, vec![command]);
    let Outcome::Leased(tasks) = applied.outcomes.remove(0).unwrap() else {
        panic!("a lease");
    };
    assert!(tasks[0].fence != before && before != 1);
}

#[test]
fn a_log_of_another_file_is_recognised_and_nothing_is_touched() {
    let story = Story::tell();
    let path = &story.options.path;
    fs::rename(&story.backup, path).unwrap();
    let files = ["", "-wal", ".epoch"].map(|suffix| beside(path, suffix));
    let contents = || files.clone().map(|file| fs::read(file).unwrap());
    let before = contents();
    for _ in 0..2 {
        let error = story.open().err().unwrap();
        assert!(matches!(error, OpenError::ForeignLog { .. }), "{error}");
        assert!(inspect(path).is_err());
        assert!(before == contents(), "nothing is touched");
    }
    // The restore of the existing file keeps it, and its log.
    let restored = restore(path, path, "1").unwrap();
    assert_eq!(restored.replaced.len(), 2);
    let mut b = story.open().unwrap();
    assert_eq!(b.stats().total_tasks, 1);
    assert!(b.chat("after") > story.lost.0);
    drop(story.directory);
}

#[test]
fn an_older_copy_with_a_later_log_is_refused_and_one_with_its_own_log_is_opened() {
    let mut b = Bench::new();
    b.chat("a");
    let copy = b.directory.path().join("copy");
    fs::copy(&b.options.path, &copy).unwrap();
    fs::copy(beside(&b.options.path, "-wal"), beside(&copy, "-wal")).unwrap();
    let mut b = b.reopen();
    b.chat("b");
    let (path, options) = (b.options.path.clone(), b.options.clone());
    let Bench {
        store,
        reader,
        directory,
        ..
    } = b;
    drop(reader);
    std::mem::forget(store);
    release_lock(&path);
    fs::copy(&copy, &path).unwrap();
    let error = Store::open(&options).err().unwrap();
    assert!(matches!(error, OpenError::ForeignLog { .. }), "{error}");
    fs::copy(beside(&copy, "-wal"), beside(&path, "-wal")).unwrap();
    let mut store = Store::open(&options).unwrap();
    assert_eq!(store.stats(T0).total_tasks, 1);
    let new = kirosu_protocol::NewTask::chat("c");
    let mut applied = store.apply(T0, vec![Command::Enqueue(Box::new(new))]);
    let made = applied.outcomes.remove(0).unwrap();
    assert!(matches!(made, Outcome::Enqueued(made) if made.task_id > 2));
    drop(directory);
}

#[test]
fn only_a_sound_copy_of_a_store_that_no_hub_has_is_restored() {
    let b = Bench::new();
    let backup = b.directory.path().join("nightly.db");
    backup_of(&b, &backup);
    let locked = restore(&backup, &b.options.path, "1").unwrap_err();
    assert!(
        matches!(&locked, RestoreError::Open(OpenError::Locked { .. })),
        "{locked}"
    );
    let path = b.options.path.clone();
    drop(b.store);
    drop(b.reader);
    let before = fs::read(&path).unwrap();
    let other = b.directory.path().join("other");
    for unfit in [&b"not a database, but long enough to have a header of a hundred bytes............................"[..], b""] {
        fs::write(&other, unfit).unwrap();
        restore(&other, &path, "1").unwrap_err();
    }
    fs::write(&other, &fs::read(&backup).unwrap()[..8192]).unwrap();
    restore(&other, &path, "1").unwrap_err();
    restore(&b.directory.path().join("missing"), &path, "1").unwrap_err();
    assert!(before == fs::read(&path).unwrap());
    assert!(!beside(&path, ".restore").exists());
}
