//! Pairs of queue and type, interned: their counters, their ready heads, whether they are paused.

use crate::command::pause::ALL_ROW;
use crate::heads::Heads;
use crate::row::{LaneId, state_number};
use crate::sql::counter::{DoneTally, LaneRow};
use kirosu_protocol::task::TYPE_HUMAN;
use kirosu_protocol::verbs::pause::ALL;
use kirosu_protocol::{Status, TaskId};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// One pair of queue and type.
#[derive(Debug)]
pub(crate) struct Lane {
    pub id: LaneId,
    pub queue: Arc<str>,
    pub task_type: Arc<str>,
    /// Tasks in each state, by the state's number.
    pub counts: [i64; 8],
    /// What is known of its done tasks.
    pub done: DoneTally,
    pub heads: Heads,
    /// Its queue is paused, or all are.
    pub paused: bool,
    /// Whether the file's counters are behind.
    pub dirty: bool,
    /// Whether the file has the lane.
    pub saved: bool,
}

impl Lane {
    /// Tasks for people are never leased.
    pub fn is_human(&self) -> bool {
        &*self.task_type == TYPE_HUMAN
    }

    /// How many of its tasks are in a state.
    pub fn in_state(&self, status: Status) -> i64 {
        self.counts[state_number(status) as usize]
    }

    /// Whether a lease may find something here.
    pub fn is_ready(&self) -> bool {
        self.in_state(Status::Queued) > 0 && !self.paused && !self.is_human()
    }
}

/// All lanes: few, never removed, numbered from 1.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    lanes: Vec<Lane>,
    by_name: HashMap<Arc<str>, HashMap<Arc<str>, LaneId>>,
    paused: BTreeSet<String>,
    all_paused: bool,
    dirty: Vec<LaneId>,
}

impl Lanes {
    /// The lanes of a file.
    pub fn load(rows: Vec<LaneRow>, paused: Vec<String>) -> Lanes {
        let mut paused: BTreeSet<String> = paused.into_iter().collect();
        let mut lanes = Lanes {
            all_paused: paused.remove(ALL_ROW),
            paused,
            ..Lanes::default()
        };
        for row in rows {
            let id = lanes.push(&row.queue, &row.task_type, row.counts, true);
            if let Some(lane) = lanes.get_mut(id) {
                lane.done = row.done;
            }
        }
        lanes
    }

    fn push(&mut self, queue: &str, task_type: &str, counts: [i64; 8], saved: bool) -> LaneId {
        let id = self.lanes.len() as LaneId + 1;
        let (queue, task_type): (Arc<str>, Arc<str>) = (queue.into(), task_type.into());
        self.by_name
            .entry(queue.clone())
            .or_default()
            .insert(task_type.clone(), id);
        self.lanes.push(Lane {
            id,
            paused: self.all_paused || self.paused.contains(&*queue),
            queue,
            task_type,
            counts,
            done: DoneTally::default(),
            heads: Heads::new(counts[0]),
            dirty: false,
            saved,
        });
        if !saved {
            self.touch(id);
        }
        id
    }

    /// The lane of a pair, if there is one.
    pub fn find(&self, queue: &str, task_type: &str) -> Option<LaneId> {
        self.by_name.get(queue)?.get(task_type).copied()
    }

    /// The lanes of a queue, in no order.
    pub fn of_queue(&self, queue: &str) -> impl Iterator<Item = &Lane> {
        let ids = self
            .by_name
            .get(queue)
            .into_iter()
            .flat_map(HashMap::values);
        ids.filter_map(|id| self.get(*id))
    }

    /// The lane of a pair; a new one is written with the next flush.
    pub fn find_or_make(&mut self, queue: &str, task_type: &str) -> LaneId {
        match self.find(queue, task_type) {
            Some(id) => id,
            None => self.push(queue, task_type, [0; 8], false),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lanes.len()
    }

    /// All lanes, by number.
    pub fn iter(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.iter()
    }

    /// A lane by its number.
    pub fn get(&self, id: LaneId) -> Option<&Lane> {
        self.lanes.get(usize::try_from(id).ok()?.checked_sub(1)?)
    }

    /// A lane by its number, to change what is not counted.
    pub fn get_mut(&mut self, id: LaneId) -> Option<&mut Lane> {
        self.lanes
            .get_mut(usize::try_from(id).ok()?.checked_sub(1)?)
    }

    /// Adds to a lane's counter of a state.
    pub fn count(&mut self, id: LaneId, status: Status, by: i64) {
        if let Some(lane) = self.get_mut(id) {
            lane.counts[state_number(status) as usize] += by;
        }
        self.touch(id);
    }

    /// A task was done. Answers the minute that is over with this, and how many were done in it.
    pub fn task_done(
        &mut self,
        id: LaneId,
        task: TaskId,
        took_ms: i64,
        minute: i64,
    ) -> Option<(i64, i64)> {
        self.touch(id);
        let done = &mut self.get_mut(id)?.done;
        done.completion_ms += took_ms.max(0);
        done.newest = done.newest.max(task);
        let over = (done.minute != minute).then_some((done.minute, done.minute_done));
        if over.is_some() {
            (done.minute, done.minute_done) = (minute, 0);
        }
        done.minute_done += 1;
        over.filter(|(_, tasks)| *tasks > 0)
    }

    /// Sum of (finished - enqueued) over all done tasks ever, in milliseconds.
    pub fn completion_ms(&self) -> i64 {
        self.lanes.iter().map(|lane| lane.done.completion_ms).sum()
    }

    /// The highest id that is or was done.
    pub fn newest_done(&self) -> TaskId {
        self.lanes
            .iter()
            .map(|lane| lane.done.newest)
            .max()
            .unwrap_or(0)
    }

    fn touch(&mut self, id: LaneId) {
        if let Some(lane) = self.get_mut(id)
            && !lane.dirty
        {
            lane.dirty = true;
            self.dirty.push(id);
        }
    }

    /// The lanes whose row in the file is behind; they count as written afterwards.
    pub fn take_dirty(&mut self) -> Vec<LaneId> {
        std::mem::take(&mut self.dirty)
    }

    /// Whether any lane's row in the file is behind.
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Pauses or resumes a queue, also for lanes to come. Answers whether that changed anything.
    pub fn set_paused(&mut self, queue: &str, paused: bool) -> bool {
        let changed = if paused {
            self.paused.insert(queue.to_owned())
        } else {
            self.paused.remove(queue)
        };
        for lane in self.lanes.iter_mut().filter(|lane| &*lane.queue == queue) {
            lane.paused = paused || self.all_paused;
        }
        changed
    }

    /// Pauses or resumes all queues, those to come included; a queue that is paused by name stays so. Answers whether
    /// that changed anything.
    pub fn set_all_paused(&mut self, paused: bool) -> bool {
        let changed = std::mem::replace(&mut self.all_paused, paused) != paused;
        for lane in &mut self.lanes {
            lane.paused = paused || self.paused.contains(&*lane.queue);
        }
        changed
    }

    /// The paused queues by name; `*` first stands for all.
    pub fn paused(&self) -> Vec<String> {
        let all = self.all_paused.then(|| ALL.to_owned());
        let named = self.paused.iter().filter(|queue| *queue != ALL).cloned();
        all.into_iter().chain(named).collect()
    }

    /// Tasks in a state over all lanes.
    pub fn total(&self, status: Status) -> i64 {
        self.lanes.iter().map(|lane| lane.in_state(status)).sum()
    }
}
