//! Lanes, the pairs of queue and type: their counters, their ready heads, and which are paused.

use crate::backend::LoadedState;
use crate::heads::ReadyHeads;
use crate::row::{LaneId, state_number};
use crate::sql::counter::{FinishedCounts, LaneRow};
use crate::tasks::IdMap;
use kirosu_protocol::task::TYPE_HUMAN;
use kirosu_protocol::{ALL_QUEUES, Status, TYPE_PLAN, TaskId};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The name in the table of paused queues that means all queues; no queue can have it.
pub(crate) const ALL_ROW: &str = "";

/// The states of unfinished tasks are numbered before those of finished ones.
const UNFINISHED: usize = 5;

/// A pair of queue and type.
#[derive(Debug)]
pub(crate) struct Lane {
    pub id: LaneId,
    pub queue: Arc<str>,
    pub task_type: Arc<str>,
    /// Tasks per state, indexed by the state's number.
    pub counts: [i64; 8],
    /// Sums over its done tasks.
    pub done: FinishedCounts,
    pub heads: ReadyHeads,
    /// Whether its queue is paused, or all queues are.
    pub paused: bool,
    /// Whether the stored counters are older.
    dirty: bool,
    /// Whether the lane is stored.
    pub saved: bool,
}

impl Lane {
    /// Whether its tasks are for people; they are never leased.
    pub fn is_human(&self) -> bool {
        &*self.task_type == TYPE_HUMAN
    }

    /// Whether its tasks are runs of plans; only the hub takes them.
    pub fn is_plan(&self) -> bool {
        &*self.task_type == TYPE_PLAN
    }

    /// Whether clients may lease its tasks.
    pub fn is_leasable(&self) -> bool {
        !self.is_human() && !self.is_plan()
    }

    /// The number of tasks in a state.
    pub fn in_state(&self, status: Status) -> i64 {
        self.counts[state_number(status) as usize]
    }

    /// Whether it has unfinished tasks.
    pub fn is_live(&self) -> bool {
        self.counts[..UNFINISHED].iter().any(|count| *count != 0)
    }

    /// Whether it has no task.
    pub fn is_empty(&self) -> bool {
        self.counts.iter().all(|count| *count == 0)
    }

    /// Whether a lease may find a task here.
    pub fn is_ready(&self) -> bool {
        self.in_state(Status::Queued) > 0 && !self.paused && self.is_leasable()
    }
}

/// The lanes in memory: all with unfinished tasks, and some without, in the order in which they were loaded. Of the
/// others only the sums are in memory; such a lane is read again when one of its tasks or its name is needed.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    lanes: Vec<Lane>,
    by_id: IdMap<usize>,
    by_name: HashMap<Arc<str>, HashMap<Arc<str>, LaneId>>,
    paused: BTreeSet<String>,
    all_paused: bool,
    dirty: Vec<LaneId>,
    /// The number of lanes with unfinished tasks.
    live: usize,
    next_id: LaneId,
    /// The sums of the lanes that are not in memory.
    absent: IdleSums,
    /// Lanes that may be empty since a task of theirs was pruned.
    emptied: Vec<LaneId>,
}

/// Sums over lanes that are not in memory: their number, their tasks by state, and the completion time of their done
/// tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct IdleSums {
    pub lanes: i64,
    pub counts: [i64; 8],
    pub completion_ms: i64,
}

impl IdleSums {
    fn add(&mut self, lane: &Lane, by: i64) {
        self.lanes += by;
        for (sum, count) in self.counts.iter_mut().zip(lane.counts) {
            *sum += by * count;
        }
        self.completion_ms += by * lane.done.completion_ms;
    }
}

impl Lanes {
    /// The lanes of a database.
    pub fn load(loaded: LoadedState) -> Lanes {
        let mut paused: BTreeSet<String> = loaded.paused.into_iter().collect();
        let mut lanes = Lanes {
            all_paused: paused.remove(ALL_ROW),
            paused,
            next_id: loaded.last_lane + 1,
            absent: loaded.idle,
            ..Lanes::default()
        };
        for row in loaded.lanes {
            lanes.place(row, true);
        }
        lanes
    }

    /// Whether lanes exist that are not in memory.
    pub fn has_absent(&self) -> bool {
        self.absent.lanes != 0
    }

    /// A task of a lane was pruned: if it was the last one, the lane is removed with the next commit.
    pub fn note_if_empty(&mut self, id: LaneId) {
        if self.get(id).is_some_and(Lane::is_empty) {
            self.emptied.push(id);
        }
    }

    /// Takes the lanes that may be empty.
    pub fn take_emptied(&mut self) -> Vec<LaneId> {
        std::mem::take(&mut self.emptied)
    }

    /// Adds a stored lane that was not in memory.
    pub fn come_back(&mut self, row: LaneRow) -> LaneId {
        let id = self.place(row, true);
        if let Some(at) = self.by_id.get(&id) {
            self.absent.add(&self.lanes[*at], -1);
        }
        id
    }

    fn place(&mut self, row: LaneRow, saved: bool) -> LaneId {
        let id = row.id;
        let (queue, task_type): (Arc<str>, Arc<str>) = (row.queue.into(), row.task_type.into());
        self.by_name
            .entry(queue.clone())
            .or_default()
            .insert(task_type.clone(), id);
        let lane = Lane {
            id,
            paused: self.all_paused || self.paused.contains(&*queue),
            queue,
            task_type,
            counts: row.counts,
            done: row.done,
            heads: ReadyHeads::new(row.counts[0]),
            dirty: false,
            saved,
        };
        self.live += usize::from(lane.is_live());
        self.by_id.insert(id, self.lanes.len());
        self.lanes.push(lane);
        if !saved {
            self.touch(id);
        }
        id
    }

    /// Drops the lanes without unfinished tasks if there are more than `most` of them; only when nothing is dirty.
    /// Returns whether it did: then the order of the lanes has changed.
    pub fn leave_idle(&mut self, most: usize) -> bool {
        if self.lanes.len() <= self.live + most {
            return false;
        }
        let absent = &mut self.absent;
        let by_name = &mut self.by_name;
        self.lanes.retain(|lane| {
            if !lane.is_live() {
                absent.add(lane, 1);
                forget_name(by_name, lane);
            }
            lane.is_live()
        });
        self.number();
        true
    }

    /// Removes a lane without tasks, which is deleted.
    pub fn remove(&mut self, id: LaneId) {
        if let Some(at) = self.by_id.get(&id).copied() {
            let lane = self.lanes.remove(at);
            forget_name(&mut self.by_name, &lane);
            self.dirty.retain(|dirty| *dirty != id);
            self.number();
        }
    }

    fn number(&mut self) {
        let places = self.lanes.iter().enumerate();
        self.by_id = places.map(|(at, lane)| (lane.id, at)).collect();
    }

    /// The number of lanes with unfinished tasks.
    pub fn live(&self) -> usize {
        self.live
    }

    /// The lane of a pair, if there is one.
    pub fn find(&self, queue: &str, task_type: &str) -> Option<LaneId> {
        self.by_name.get(queue)?.get(task_type).copied()
    }

    /// The lanes of a queue, unordered.
    pub fn of_queue(&self, queue: &str) -> impl Iterator<Item = &Lane> {
        let ids = self
            .by_name
            .get(queue)
            .into_iter()
            .flat_map(HashMap::values);
        ids.filter_map(|id| self.get(*id))
    }

    /// The lanes with queued runs of plans that are not paused.
    pub fn ready_plans(&self) -> Vec<LaneId> {
        let plans = self.lanes.iter().filter(|lane| lane.is_plan());
        let ready = plans.filter(|lane| lane.in_state(Status::Queued) > 0 && !lane.paused);
        ready.map(|lane| lane.id).collect()
    }

    /// Adds a new lane; it is written with the next commit.
    pub fn make(&mut self, queue: &str, task_type: &str) -> LaneId {
        let id = self.next_id.max(1);
        self.next_id = id + 1;
        let row = LaneRow {
            id,
            queue: queue.to_owned(),
            task_type: task_type.to_owned(),
            counts: [0; 8],
            done: FinishedCounts::default(),
        };
        self.place(row, false)
    }

    /// The number of lanes in memory.
    pub fn len(&self) -> usize {
        self.lanes.len()
    }

    /// The lanes in memory, in the order in which they were loaded.
    pub fn iter(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.iter()
    }

    /// A lane by its id.
    pub fn get(&self, id: LaneId) -> Option<&Lane> {
        self.lanes.get(*self.by_id.get(&id)?)
    }

    /// A lane by its id, to change its other fields than the counters.
    pub fn get_mut(&mut self, id: LaneId) -> Option<&mut Lane> {
        self.lanes.get_mut(*self.by_id.get(&id)?)
    }

    /// Adds `by` to a lane's counter of a state.
    pub fn count(&mut self, id: LaneId, status: Status, by: i64) {
        if let Some(lane) = self.get_mut(id) {
            let was_live = lane.is_live();
            lane.counts[state_number(status) as usize] += by;
            match (was_live, lane.is_live()) {
                (false, true) => self.live += 1,
                (true, false) => self.live -= 1,
                _ => {}
            }
        }
        self.touch(id);
    }

    /// Counts a done task. Returns the previous minute with a done task and the number of tasks done in it, if this
    /// task starts a new minute.
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

    /// Sum of (finished - enqueued) over all done tasks, also pruned ones, in milliseconds.
    pub fn completion_ms(&self) -> i64 {
        let here: i64 = self.lanes.iter().map(|lane| lane.done.completion_ms).sum();
        here + self.absent.completion_ms
    }

    fn touch(&mut self, id: LaneId) {
        if let Some(lane) = self.get_mut(id)
            && !lane.dirty
        {
            lane.dirty = true;
            self.dirty.push(id);
        }
    }

    /// The lanes whose counters changed. The caller writes them, then calls [`Lanes::saved`].
    pub fn changes(&self) -> Vec<&Lane> {
        self.dirty.iter().filter_map(|id| self.get(*id)).collect()
    }

    /// The changed lanes are written.
    pub fn saved(&mut self) {
        for id in std::mem::take(&mut self.dirty) {
            if let Some(lane) = self.get_mut(id) {
                (lane.dirty, lane.saved) = (false, true);
            }
        }
    }

    /// Pauses or resumes a queue, also for its future lanes. Returns whether that changed anything.
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

    /// Pauses or resumes all queues, also future ones; a queue that is paused by name stays paused. Returns whether
    /// that changed anything.
    pub fn set_all_paused(&mut self, paused: bool) -> bool {
        let changed = std::mem::replace(&mut self.all_paused, paused) != paused;
        for lane in &mut self.lanes {
            lane.paused = paused || self.paused.contains(&*lane.queue);
        }
        changed
    }

    /// The paused queues by name; a leading `*` means all queues.
    pub fn paused(&self) -> Vec<String> {
        let all = self.all_paused.then(|| ALL_QUEUES.to_owned());
        let named = self
            .paused
            .iter()
            .filter(|queue| *queue != ALL_QUEUES)
            .cloned();
        all.into_iter().chain(named).collect()
    }

    /// Tasks in a state, over all lanes.
    pub fn total(&self, status: Status) -> i64 {
        let here: i64 = self.lanes.iter().map(|lane| lane.in_state(status)).sum();
        here + self.absent.counts[state_number(status) as usize]
    }
}

fn forget_name(by_name: &mut HashMap<Arc<str>, HashMap<Arc<str>, LaneId>>, lane: &Lane) {
    if let Some(types) = by_name.get_mut(&lane.queue) {
        types.remove(&lane.task_type);
        if types.is_empty() {
            by_name.remove(&lane.queue);
        }
    }
}
