//! Lease requests that wait for a ready task.
//!
//! Requests with the same queues and types share one *filter*, which exists as long as a request waits on it. Each lane
//! has the filters that match it, in the order of their first requests, so that the cost of a ready task does not
//! depend on the number of requests for other lanes.

mod names;

pub(crate) use names::lanes_of;

use crate::lanes::{Lane, Lanes};
use crate::row::LaneId;
use kirosu_protocol::{LeaseParams, Task};
use names::{FilterNames, Types, bytes, find};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};
use std::sync::Arc;

/// The id of a parked lease request. The caller picks it, and never uses one twice in a process.
pub type ParkId = u64;

/// The number of a filter; never reused.
pub(crate) type FilterId = u64;

/// A filter with more lanes than this is not listed with each lane: keeping the lists would cost more than checking the
/// filter.
const WIDE: usize = 32;

/// Up to this many new lanes are matched against all filters; with more, each filter searches its lanes again.
const FEW: usize = 4;

/// The queues and types for which some requests wait.
#[derive(Debug)]
struct LaneFilter {
    names: Arc<FilterNames>,
    /// The matching lanes, sorted, among those that were known at the last [`learn`](Parked::learn).
    lanes: Vec<LaneId>,
    /// The waiting requests by arrival.
    waiting: BTreeMap<u64, ParkId>,
}

/// A waiting request. The queues and types of `ask` are in `names`.
#[derive(Clone, Debug)]
pub(crate) struct ParkedLease {
    pub park: ParkId,
    pub ask: LeaseParams,
    pub session: Option<String>,
    /// The key of the worker, if it has the role `work`.
    pub key: Option<Arc<str>>,
    names: Arc<FilterNames>,
    arrival: u64,
}

/// The waiters for lanes that became ready, in the order in which they are served.
#[derive(Debug)]
pub(crate) struct ReadyWaiters {
    /// By lane, the arrival of its first waiter, or an earlier one.
    places: BinaryHeap<Reverse<(u64, LaneId)>>,
    ready: BTreeSet<LaneId>,
    /// Filters for which nothing was found although a lane was ready.
    dry: HashSet<FilterId>,
}

impl ReadyWaiters {
    /// Skips the waiters of a filter.
    pub fn leave_out(&mut self, filter: FilterId) {
        self.dry.insert(filter);
    }
}

/// All filters and waiters, and the requests that the present batch serves.
#[derive(Debug, Default)]
pub(crate) struct Parked {
    filters: HashMap<FilterId, LaneFilter>,
    by_names: HashMap<Arc<FilterNames>, FilterId>,
    /// By lane, the matching filters, each with the arrival of its first waiter.
    by_lane: HashMap<LaneId, BTreeSet<(u64, FilterId)>>,
    /// Filters with very many lanes.
    wide: BTreeSet<FilterId>,
    waiters: HashMap<ParkId, (FilterId, ParkedLease)>,
    /// The number of lanes at the last [`learn`](Parked::learn).
    seen: usize,
    arrivals: u64,
    filters_made: u64,
    names_bytes: usize,
    /// Whether tasks may have become ready since the waiters were last served.
    has_news: bool,
    /// The lanes in which tasks became ready since then; recorded only while requests wait.
    ready: BTreeSet<LaneId>,
    /// See [`Parked::room`].
    room: usize,
    /// Waiters that the present batch serves, with their tasks.
    served: Vec<(ParkedLease, Vec<Task>)>,
    /// Requests that the present batch parked.
    added: Vec<ParkId>,
}

impl Parked {
    /// A batch begins, which may hand at most `room` tasks to waiters.
    pub fn begin(&mut self, room: usize) {
        self.room = room;
    }

    /// A task of a lane became ready.
    pub fn note_ready(&mut self, lane: LaneId) {
        self.has_news = true;
        if self.len() > 0 {
            self.ready.insert(lane);
        }
    }

    /// Tasks of any lane may have become ready.
    pub fn note_all_ready(&mut self, lanes: &Lanes) {
        self.has_news = true;
        if self.len() > 0 {
            let ready = lanes.iter().filter(|lane| lane.is_ready());
            self.ready.extend(ready.map(|lane| lane.id));
        }
    }

    /// Waiters behind others that are not served yet: these lanes count as ready for the next batch.
    pub fn note_waiting(&mut self, lanes: &[LaneId]) {
        self.ready.extend(lanes);
    }

    /// Whether tasks may have become ready since the waiters were last served.
    pub fn has_news(&self) -> bool {
        self.has_news
    }

    /// Whether waiters are to be served by a further batch.
    pub fn must_wake(&self) -> bool {
        self.has_news && self.len() > 0
    }

    /// Tasks that the present batch may still hand to waiters.
    pub fn room(&self) -> usize {
        self.room
    }

    /// Whether the present batch may not serve more waiters.
    pub fn is_full(&self) -> bool {
        self.room == 0
    }

    /// Takes the lanes that became ready: the waiters are being served.
    pub fn take_ready(&mut self) -> BTreeSet<LaneId> {
        self.has_news = false;
        std::mem::take(&mut self.ready)
    }

    /// The rest of a line is left to the next batch.
    pub fn postpone(&mut self, line: &ReadyWaiters) {
        self.has_news = true;
        self.ready.extend(&line.ready);
    }

    /// Serves a waiter. It is removed, and its tasks leave with the commit.
    pub fn serve(&mut self, park: ParkId, tasks: Vec<Task>) {
        if let Some(waiter) = self.remove(park) {
            self.room = self.room.saturating_sub(tasks.len());
            self.served.push((waiter, tasks));
        }
    }

    /// The batch is committed. Returns the served requests with their tasks.
    pub fn commit(&mut self) -> Vec<(ParkId, Vec<Task>)> {
        self.added.clear();
        let served = self.served.drain(..);
        served.map(|(waiter, tasks)| (waiter.park, tasks)).collect()
    }

    /// The batch is undone: its waiters wait again in their old order, and its new requests are forgotten.
    pub fn roll_back(&mut self, lanes: &Lanes) {
        for (waiter, _) in std::mem::take(&mut self.served) {
            self.put_back(waiter, lanes);
        }
        for park in std::mem::take(&mut self.added) {
            self.remove(park);
        }
        self.forget_lanes();
    }

    /// The lanes were loaded again.
    pub fn reload(&mut self, lanes: &Lanes) {
        self.forget_lanes();
        self.note_all_ready(lanes);
    }

    /// Parks a request behind all waiters. A waiter with the same id is replaced.
    pub fn park(
        &mut self,
        park: ParkId,
        mut ask: LeaseParams,
        (session, key): (Option<String>, Option<Arc<str>>),
        lanes: &Lanes,
    ) {
        self.remove(park);
        self.added.push(park);
        self.arrivals += 1;
        let names = Arc::new(FilterNames::take_from(&mut ask));
        let arrival = self.arrivals;
        self.put_back(
            ParkedLease {
                park,
                ask,
                session,
                key,
                names,
                arrival,
            },
            lanes,
        );
    }

    /// Parks a request again with its old arrival.
    fn put_back(&mut self, mut waiter: ParkedLease, lanes: &Lanes) {
        let id = match self.by_names.get(&waiter.names) {
            Some(id) => *id,
            None => self.add_filter(waiter.names.clone(), lanes),
        };
        let (arrival, park) = (waiter.arrival, waiter.park);
        self.change(id, |filter| {
            waiter.names = filter.names.clone();
            filter.waiting.insert(arrival, park);
        });
        self.waiters.insert(park, (id, waiter));
    }

    fn add_filter(&mut self, names: Arc<FilterNames>, lanes: &Lanes) -> FilterId {
        self.filters_made += 1;
        let id = self.filters_made;
        self.names_bytes += names.bytes();
        self.by_names.insert(names.clone(), id);
        let lanes = find(&names.queues, &names.types, &names.exclude, lanes);
        let waiting = BTreeMap::new();
        let filter = LaneFilter {
            names,
            lanes,
            waiting,
        };
        self.filters.insert(id, filter);
        id
    }

    /// Removes a request.
    pub fn remove(&mut self, park: ParkId) -> Option<ParkedLease> {
        let (id, waiter) = self.waiters.remove(&park)?;
        self.change(id, |filter| {
            filter.waiting.remove(&waiter.arrival);
        });
        if self
            .filters
            .get(&id)
            .is_some_and(|filter| filter.waiting.is_empty())
            && let Some(filter) = self.filters.remove(&id)
        {
            self.names_bytes -= filter.names.bytes();
            self.by_names.remove(&filter.names);
        }
        Some(waiter)
    }

    /// Changes the waiters or the lanes of a filter, and updates its entry in the list of each lane.
    fn change(&mut self, id: FilterId, step: impl FnOnce(&mut LaneFilter)) {
        let Some(filter) = self.filters.get_mut(&id) else {
            return;
        };
        let place = |filter: &LaneFilter| filter.waiting.keys().next().map(|first| (*first, id));
        let (before, lanes) = (place(filter), filter.lanes.len());
        step(filter);
        let after = place(filter);
        if before == after && lanes == filter.lanes.len() {
            return;
        }
        if filter.lanes.len() > WIDE {
            match after {
                Some(_) => self.wide.insert(id),
                None => self.wide.remove(&id),
            };
            if lanes > WIDE {
                return;
            }
        }
        for lane in &filter.lanes {
            let places = self.by_lane.entry(*lane).or_default();
            if let Some(before) = before {
                places.remove(&before);
            }
            if let Some(after) = after.filter(|_| filter.lanes.len() <= WIDE) {
                places.insert(after);
            }
            if places.is_empty() {
                self.by_lane.remove(lane);
            }
        }
    }

    /// The number of waiting requests.
    pub fn len(&self) -> usize {
        self.waiters.len()
    }

    /// Bytes of the names in waiting requests.
    pub fn names_bytes(&self) -> usize {
        self.names_bytes
    }

    /// Whether the names of another request fit into `most` bytes.
    pub fn has_room(&self, ask: &LeaseParams, most: usize) -> bool {
        let more = bytes([&ask.queues, &ask.types, &ask.exclude_types]);
        self.names_bytes + more <= most
    }

    /// The lanes of a filter.
    pub fn lanes(&self, id: FilterId) -> Vec<LaneId> {
        let filter = self.filters.get(&id);
        filter.map_or_else(Vec::new, |filter| filter.lanes.clone())
    }

    /// The waiters for lanes that became ready, in the order of their arrival.
    pub fn line(&mut self, lanes: &Lanes, ready: BTreeSet<LaneId>) -> ReadyWaiters {
        self.learn(lanes);
        let first = |lane: &LaneId| self.by_lane.get(lane)?.first().map(|(first, _)| *first);
        let places = ready
            .iter()
            .filter_map(|lane| Some(Reverse((first(lane)?, *lane))));
        ReadyWaiters {
            places: places.collect(),
            ready,
            dry: HashSet::new(),
        }
    }

    /// The first waiter of a line for which a lane is ready, and its filter.
    pub fn next(&self, lanes: &Lanes, line: &mut ReadyWaiters) -> Option<(FilterId, &ParkedLease)> {
        let is_ready = |lane: LaneId| lanes.get(lane).is_some_and(Lane::is_ready);
        let narrow = loop {
            let Some(Reverse((arrival, lane))) = line.places.peek().copied() else {
                break None;
            };
            let places = self.by_lane.get(&lane).filter(|_| is_ready(lane));
            let first = places.and_then(|places| {
                let mut places = places.iter();
                places.find(|(_, id)| !line.dry.contains(id)).copied()
            });
            // Waiters leave and new ones queue behind them: the first arrival of a lane only grows.
            match first {
                Some(first) if first.0 == arrival => break Some(first),
                Some((later, _)) => line.places.push(Reverse((later, lane))),
                None => {}
            }
            line.places.pop();
        };
        let wide = self.wide.iter().filter(|id| !line.dry.contains(id));
        let wide = wide.filter_map(|id| {
            let filter = self.filters.get(id)?;
            let means = |lane: &&LaneId| filter.lanes.binary_search(lane).is_ok();
            let ready = line.ready.iter().filter(means).any(|lane| is_ready(*lane));
            let first = filter.waiting.keys().next().filter(|_| ready)?;
            Some((*first, *id))
        });
        let (arrival, id) = narrow.into_iter().chain(wide).min()?;
        let park = self.filters.get(&id)?.waiting.get(&arrival)?;
        self.waiters.get(park).map(|(_, waiter)| (id, waiter))
    }

    /// Adds new lanes to the filters that match them.
    fn learn(&mut self, lanes: &Lanes) {
        if self.seen == lanes.len() {
            return;
        }
        let new: Vec<&Lane> = lanes.iter().skip(self.seen).collect();
        self.seen = lanes.len();
        let named = |names: &FilterNames| -> Vec<LaneId> {
            if new.len() > FEW {
                return find(&names.queues, &names.types, &names.exclude, lanes);
            }
            let types = Types::new(&names.types, &names.exclude);
            let named = |lane: &&&Lane| names.queues.iter().any(|queue| **queue == *lane.queue);
            let taken = new.iter().filter(named).filter(|lane| types.take(lane));
            taken.map(|lane| lane.id).collect()
        };
        let found = self
            .filters
            .iter()
            .map(|(id, filter)| (*id, named(&filter.names)));
        let found: Vec<_> = found.filter(|(_, more)| !more.is_empty()).collect();
        for (id, more) in found {
            self.change(id, |filter| {
                filter.lanes.extend(more);
                filter.lanes.sort_unstable();
                filter.lanes.dedup();
            });
        }
    }

    /// Forgets the lanes, as they were loaded again or reordered.
    pub fn forget_lanes(&mut self) {
        self.seen = 0;
        self.by_lane.clear();
        self.wide.clear();
        for filter in self.filters.values_mut() {
            filter.lanes.clear();
        }
    }
}
