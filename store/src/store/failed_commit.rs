//! A COMMIT that fails: the reported effect is right, also after an immediate `kill -9`.

use crate::vfs::failing::{self, DiskFault};
use crate::{Command, Store, StoreOptions};
use kirosu_protocol::{Error, LeaseParams, NewTask, Stats};
use std::path::Path;

/// No byte reaches the disk.
const DEAD: DiskFault = DiskFault::Write {
    missing: usize::MAX,
};

fn options(directory: &Path) -> StoreOptions {
    StoreOptions::new(directory.join("db"), 0)
}

fn enqueue(store: &mut Store, prompt: &str) -> Result<(), Error> {
    let command = Command::Enqueue(Box::new(NewTask::chat(prompt)));
    let applied = store.apply(1, vec![command]);
    applied.outcomes.into_iter().next().unwrap().map(drop)
}

/// The counters after a restart, if this hub were killed now.
fn after_a_kill(directory: &Path) -> Stats {
    let copy = tempfile::tempdir().unwrap();
    for file in ["db", "db-wal"] {
        std::fs::copy(directory.join(file), copy.path().join(file)).unwrap();
    }
    let options = options(copy.path());
    // The faults belong to this thread.
    let other = std::thread::spawn(move || Store::open(&options).unwrap().stats(1));
    other.join().unwrap()
}

/// The effect that an enqueue reports when it meets these faults, with the store and its directory.
fn enqueue_into(once: DiskFault, then: Option<DiskFault>) -> (String, Store, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Store::open(&options(directory.path())).unwrap();
    enqueue(&mut store, "before").unwrap();
    failing::plan(Some(once), then);
    let error = enqueue(&mut store, "meets the fault").unwrap_err();
    assert!(failing::has_struck(), "{once:?}: {error}");
    let effect = error.data.as_ref().unwrap()["effect"].as_str().unwrap();
    (effect.to_owned(), store, directory)
}

const FAULTS: [DiskFault; 3] = [
    DiskFault::Sync,
    // The whole write, or all but the last byte of the last page.
    DiskFault::Write { missing: 0 },
    DiskFault::Write { missing: 1 },
];

#[test]
fn no_effect_means_that_a_restart_finds_none() {
    for fault in FAULTS {
        let (effect, mut store, directory) = enqueue_into(fault, None);
        assert_eq!(effect, "none", "{fault:?}");
        assert_eq!(store.stats(1).total_tasks, 1, "memory is that of before");
        assert_eq!(after_a_kill(directory.path()).total_tasks, 1, "{fault:?}");
        enqueue(&mut store, "after").unwrap();
        assert_eq!(after_a_kill(directory.path()), store.stats(1), "{fault:?}");
        drop(store);
        let reopened = Store::open(&options(directory.path())).unwrap();
        assert_eq!(reopened.stats(1).total_tasks, 2, "{fault:?}");
    }
}

#[test]
fn an_effect_that_a_restart_may_find_is_unknown() {
    let (effect, mut store, directory) = enqueue_into(DiskFault::Sync, Some(DEAD));
    assert_eq!(
        after_a_kill(directory.path()).total_tasks,
        2,
        "it stands in the log"
    );
    assert_eq!(effect, "unknown");
    let refused = enqueue(&mut store, "never begun").unwrap_err();
    assert_eq!(refused.data.unwrap()["effect"], "none");
    // The disk works again: the unknown batch is void, and the next task gets its id.
    failing::plan(None, None);
    enqueue(&mut store, "after").unwrap();
    assert_eq!(store.stats(1).total_tasks, 2);
    assert_eq!(after_a_kill(directory.path()), store.stats(1));
}

#[test]
fn memory_and_file_agree_again_after_any_failure() {
    for once in FAULTS {
        for then in FAULTS {
            let (effect, mut store, directory) = enqueue_into(once, Some(then));
            assert_eq!(effect, "unknown", "{once:?}, {then:?}");
            enqueue(&mut store, "in vain").unwrap_err();
            failing::plan(None, None);
            enqueue(&mut store, "after").unwrap();
            assert_eq!(store.stats(1).total_tasks, 2, "{once:?}, {then:?}");
            assert_eq!(
                after_a_kill(directory.path()),
                store.stats(1),
                "{once:?}, {then:?}"
            );
        }
    }
}

#[test]
fn a_batch_is_void_as_a_whole() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Store::open(&options(directory.path())).unwrap();
    let large = "x".repeat(20_000);
    let commands = || (0..20).map(|_| Command::Enqueue(Box::new(NewTask::chat(&large))));
    failing::plan(Some(DiskFault::Sync), None);
    let applied = store.apply(1, commands().collect());
    assert!(applied.outcomes.iter().all(Result::is_err));
    assert_eq!(after_a_kill(directory.path()).total_tasks, 0);
    store.apply(1, commands().take(3).collect());
    assert_eq!(after_a_kill(directory.path()), store.stats(1));
    assert_eq!(store.stats(1).total_tasks, 3);
}

#[test]
fn a_clock_jump_in_a_batch_that_fails_moves_no_deadline_twice() {
    const LEASES: usize = 250;
    let directory = tempfile::tempdir().unwrap();
    let mut store = Store::open(&options(directory.path())).unwrap();
    let apply = |store: &mut Store, command| {
        let applied = store.apply(1, vec![command]);
        applied.outcomes.into_iter().next().unwrap()
    };
    let tasks = vec![NewTask::chat("p"); LEASES];
    apply(&mut store, Command::EnqueueBatch(tasks)).unwrap();
    let ask = LeaseParams {
        max_tasks: LEASES as u32,
        lease_ms: Some(10_000),
        ..LeaseParams::one("w")
    };
    let lease = Command::Lease {
        ask,
        session: None,
        park: None,
        spent: 0,
    };
    apply(&mut store, lease).unwrap();
    let shift = || Command::ShiftLeases { by_ms: 500 };
    failing::plan(Some(DiskFault::Sync), None);
    apply(&mut store, shift()).unwrap_err();
    assert!(failing::has_struck());
    apply(&mut store, shift()).unwrap();
    // A step fails as well.
    failing::plan(Some(DiskFault::Sync), None);
    apply(&mut store, Command::PromoteDue { limit: 1 }).unwrap_err();
    assert!(failing::has_struck());
    for _ in 0..10 {
        store.apply(1, Vec::new());
    }
    let live = store.live_leases(None).unwrap();
    assert_eq!(live.len(), LEASES);
    assert!(live.iter().all(|lease| lease.lease_until_ms == 10_501));
}
