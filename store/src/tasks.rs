//! Rows and inputs of tasks in memory: those that the present batch changed, and a cache for the next batches.
//!
//! A batch changes rows here; they are written once, at the end of the batch or before a query over many rows. So a task
//! that is enqueued and leased in one batch costs one INSERT. Rows that are not dirty may be dropped at any time.

use crate::backend::TaskChange;
use crate::row::{TaskInput, TaskRow};
use kirosu_protocol::{Fence, Status, TaskId};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Rows in memory after a commit; beyond that all are dropped.
const MAX_ROWS: usize = 65_536;
/// Bytes of inputs in memory beyond which new inputs are dropped once they are written.
const MAX_INPUT_BYTES: usize = 32 << 20;

/// A fast hash for ids: the hub assigns them, so no client can provoke collisions.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_i64(i64::from(*byte));
        }
    }
    fn write_i64(&mut self, id: i64) {
        self.0 = (self.0 ^ id as u64)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(31);
    }
}

/// A map by id.
pub(crate) type IdMap<V> = HashMap<TaskId, V, BuildHasherDefault<IdHasher>>;

#[derive(Debug)]
struct Cached {
    row: TaskRow,
    /// The stored state and fence; `None` means that the row is not stored yet.
    saved: Option<(Status, Fence)>,
    dirty: bool,
}

/// The tasks in memory: rows, inputs, and the counter of ids.
#[derive(Debug)]
pub(crate) struct TaskCache {
    /// In boxes: with values of hundreds of bytes in the table itself, one growth of it takes tens of milliseconds.
    map: IdMap<Box<Cached>>,
    dirty: Vec<TaskId>,
    /// Tasks that the present batch has written so far.
    written: Vec<TaskId>,
    inputs: Inputs,
    /// Keys that were read ahead for the present batch; `None` means that the database does not have the key.
    keys: HashMap<String, Option<Keyed>>,
    next_id: TaskId,
}

/// The task of an idempotency key, and the hash of the request that made it; `None` in old stores.
pub(crate) type Keyed = (TaskId, Option<i64>);

impl TaskCache {
    /// No task in memory; `last_id` is the highest id that was given out.
    pub fn new(last_id: TaskId) -> TaskCache {
        TaskCache {
            map: IdMap::default(),
            dirty: Vec::new(),
            written: Vec::new(),
            inputs: Inputs::default(),
            keys: HashMap::new(),
            next_id: last_id + 1,
        }
    }

    /// Gives out an id.
    pub fn new_id(&mut self) -> TaskId {
        self.next_id += 1;
        self.next_id - 1
    }

    /// The highest id that was given out.
    pub fn last_id(&self) -> TaskId {
        self.next_id - 1
    }

    /// The row, if it is in memory.
    pub fn get(&self, id: TaskId) -> Option<&TaskRow> {
        self.map.get(&id).map(|cached| &cached.row)
    }

    /// Caches a row as it is stored. A row that is in memory is newer and stays.
    pub fn cache(&mut self, row: TaskRow) {
        let saved = Some((row.state, row.fence));
        self.map.entry(row.id).or_insert_with(|| {
            Box::new(Cached {
                row,
                saved,
                dirty: false,
            })
        });
    }

    /// Adds a new task.
    pub fn add(&mut self, row: TaskRow, input: TaskInput) {
        let id = row.id;
        let cached = Cached {
            row,
            saved: None,
            dirty: true,
        };
        self.inputs.add(id, input);
        self.map.insert(id, Box::new(cached));
        self.dirty.push(id);
    }

    /// A row to change; it counts as changed.
    pub fn change(&mut self, id: TaskId) -> Option<&mut TaskRow> {
        let cached = self.map.get_mut(&id)?;
        if !cached.dirty {
            cached.dirty = true;
            self.dirty.push(id);
        }
        Some(&mut cached.row)
    }

    /// Sets a flag of rows in memory that has been or is being set in the database. No row is dirty.
    pub fn set_flag(&mut self, ids: &[TaskId], flag: i64) {
        for id in ids {
            if let Some(cached) = self.map.get_mut(id) {
                cached.row.flags.set(flag);
            }
        }
    }

    /// Whether rows are changed that are not written.
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// The changed tasks in the order of their first change. The caller writes them, then calls [`TaskCache::saved`].
    pub fn changes(&self) -> Vec<TaskChange<'_>> {
        let cached = self.dirty.iter().filter_map(|id| self.map.get(id));
        cached
            .map(|cached| TaskChange {
                row: &cached.row,
                saved: cached.saved,
                input: match cached.saved {
                    None => self.inputs.get(cached.row.id),
                    Some(_) => None,
                },
            })
            .collect()
    }

    /// The changed tasks are written.
    pub fn saved(&mut self) {
        for id in self.dirty.drain(..) {
            let Some(cached) = self.map.get_mut(&id) else {
                continue;
            };
            let before = cached.saved.replace((cached.row.state, cached.row.fence));
            cached.dirty = false;
            if before.is_none() {
                // A task that was leased before it was written does not need its input any more.
                self.inputs.saved(id, cached.row.state == Status::Queued);
            }
            self.written.push(id);
        }
    }

    /// The batch is committed: drops rows and inputs that will hardly be needed again.
    pub fn committed(&mut self) {
        self.keys.clear();
        for id in self.written.drain(..) {
            if self
                .map
                .get(&id)
                .is_some_and(|cached| cached.row.state.is_final())
            {
                self.map.remove(&id);
                // A task that was cancelled before its first lease still has its input here.
                self.inputs.take(id);
            }
        }
        if self.map.len() > MAX_ROWS {
            self.map.clear();
        }
    }

    /// Drops the rows for which `stays` is false; only when nothing is dirty.
    pub fn retain(&mut self, stays: impl Fn(&TaskRow) -> bool) {
        self.map.retain(|_, cached| stays(&cached.row));
    }

    /// Drops the row of a task that was deleted, and the keys that were read ahead: one of them may name this task.
    pub fn forget(&mut self, id: TaskId) {
        self.map.remove(&id);
        self.keys.clear();
    }

    /// The input, if it is in memory.
    pub fn input(&self, id: TaskId) -> Option<&TaskInput> {
        self.inputs.get(id)
    }

    /// The input for the holder of a first lease, if it is in memory. It leaves memory, unless it is still to be written.
    pub fn input_for_lease(&mut self, id: TaskId) -> Option<TaskInput> {
        match self
            .map
            .get(&id)
            .is_some_and(|cached| cached.saved.is_none())
        {
            true => self.inputs.get(id).cloned(),
            false => self.inputs.take(id),
        }
    }

    /// A key that was read ahead; the outer `None` means that it was not.
    pub fn key(&self, key: &str) -> Option<Option<Keyed>> {
        self.keys.get(key).copied()
    }

    /// Keeps the result of reading keys ahead, for the present batch.
    pub fn cache_keys(&mut self, asked: &[&str], found: Vec<(String, TaskId, Option<i64>)>) {
        self.keys
            .extend(asked.iter().map(|key| ((*key).to_owned(), None)));
        let found = found.into_iter();
        self.keys
            .extend(found.map(|(key, task, body)| (key, Some((task, body)))));
    }

    /// A key was bound to a new task.
    pub fn bind_key(&mut self, key: &str, bound: Keyed) {
        if let Some(cached) = self.keys.get_mut(key) {
            *cached = Some(bound);
        }
    }
}

/// Inputs of queued tasks, so that a lease need not read them back.
#[derive(Debug, Default)]
struct Inputs {
    /// In boxes, as the rows are.
    map: IdMap<Box<TaskInput>>,
    bytes: usize,
}

impl Inputs {
    fn add(&mut self, id: TaskId, input: TaskInput) {
        self.bytes += input.bytes();
        self.map.insert(id, Box::new(input));
    }

    fn get(&self, id: TaskId) -> Option<&TaskInput> {
        self.map.get(&id).map(|input| &**input)
    }

    fn take(&mut self, id: TaskId) -> Option<TaskInput> {
        let input = self.map.remove(&id)?;
        self.bytes = self.bytes.saturating_sub(input.bytes());
        Some(*input)
    }

    /// A new task's input was written: it stays if it is `needed` and the memory bound allows it.
    fn saved(&mut self, id: TaskId, needed: bool) {
        if !needed || self.bytes > MAX_INPUT_BYTES {
            self.take(id);
        }
    }
}
