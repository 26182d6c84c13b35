//! Hot rows and inputs in memory: what the present batch changed, and what the next will need.
//!
//! A batch changes rows here; they are written once, at the batch's end (or before a statement that looks at many rows),
//! however many steps each took. So a task enqueued and leased in one batch costs one INSERT. What is clean is a cache
//! and may be dropped at any time.

use crate::row::{Input, TaskRow};
use kirosu_protocol::{Fence, Status, TaskId};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Most clean rows kept.
const MOST_ROWS: usize = 65_536;
/// Most bytes of inputs kept.
const MOST_INPUT_BYTES: usize = 32 << 20;

/// Spreads ids; they need no defence against collisions.
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

/// A row and what the file has of it.
#[derive(Debug)]
pub(crate) struct Cached {
    pub row: TaskRow,
    /// State and fence in the file; none: the file has no such row yet.
    pub saved: Option<(Status, Fence)>,
    pub dirty: bool,
}

/// Hot rows.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    map: IdMap<Cached>,
    dirty: Vec<TaskId>,
}

impl Rows {
    /// The row, if it is here.
    pub fn get(&self, id: TaskId) -> Option<&TaskRow> {
        self.map.get(&id).map(|cached| &cached.row)
    }

    /// Keeps a row as the file has it; what is here already is newer and stays.
    pub fn keep(&mut self, row: TaskRow) {
        let saved = Some((row.state, row.fence));
        self.map.entry(row.id).or_insert(Cached {
            row,
            saved,
            dirty: false,
        });
    }

    /// Adds a task the file does not have.
    pub fn add(&mut self, row: TaskRow) {
        let id = row.id;
        let cached = Cached {
            row,
            saved: None,
            dirty: true,
        };
        self.map.insert(id, cached);
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

    /// Whether the file is behind.
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// The changed rows, in the order of their first change; the caller writes them.
    pub fn take_dirty(&mut self) -> Vec<TaskId> {
        std::mem::take(&mut self.dirty)
    }

    /// A changed row that is about to be written, and what the file has of it.
    pub fn writing(&mut self, id: TaskId) -> Option<(&TaskRow, Option<(Status, Fence)>)> {
        let cached = self.map.get_mut(&id)?;
        let before = cached.saved.replace((cached.row.state, cached.row.fence));
        cached.dirty = false;
        Some((&cached.row, before))
    }

    /// Drops what will hardly be needed again; only when nothing is dirty.
    pub fn shrink(&mut self, touched: &[TaskId]) {
        for id in touched {
            if self
                .map
                .get(id)
                .is_some_and(|cached| cached.row.state.is_final())
            {
                self.map.remove(id);
            }
        }
        if self.map.len() > MOST_ROWS {
            self.map.clear();
        }
    }

    /// Whether the file does not have the row yet.
    pub fn is_new(&self, id: TaskId) -> bool {
        self.map
            .get(&id)
            .is_some_and(|cached| cached.saved.is_none())
    }

    /// Drops what is of no use any more; only when nothing is dirty.
    pub fn retain(&mut self, stays: impl Fn(&TaskRow) -> bool) {
        self.map.retain(|_, cached| stays(&cached.row));
    }

    /// Drops a row whose task is gone.
    pub fn forget(&mut self, id: TaskId) {
        self.map.remove(&id);
    }
}

/// Inputs of tasks that wait, so that a lease need not read them back.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    map: IdMap<Input>,
    bytes: usize,
}

impl Inputs {
    /// Adds a new task's input. It stays at least until it is written.
    pub fn add(&mut self, id: TaskId, input: Input) {
        self.bytes += input.bytes();
        self.map.insert(id, input);
    }

    /// The input, if it is here.
    pub fn get(&self, id: TaskId) -> Option<&Input> {
        self.map.get(&id)
    }

    /// Takes an input out; only when it has been written.
    pub fn take(&mut self, id: TaskId) -> Option<Input> {
        let input = self.map.remove(&id)?;
        self.bytes = self.bytes.saturating_sub(input.bytes());
        Some(input)
    }

    /// A new task's input has been written: kept while there is room.
    pub fn written(&mut self, id: TaskId) {
        if self.bytes > MOST_INPUT_BYTES {
            self.take(id);
        }
    }
}
