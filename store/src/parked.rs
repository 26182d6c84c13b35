//! Lease requests that wait, and what they wait for.
//!
//! Requests that ask for the same queues and types share one *filter*, so that waking looks at the few filters instead of
//! the thousands of requests, and a request's lanes are computed once.

use crate::command::ParkId;
use crate::lanes::{Lane, Lanes};
use crate::row::LaneId;
use kirosu_protocol::verbs::lease::LeaseAsk;
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};

/// Beyond this many, filters that nobody waits on are forgotten.
const MOST_FILTERS: usize = 1024;

/// The number of a filter; good until the next `forget_unused`.
pub(crate) type FilterId = usize;

/// A set of lanes, as a lease request names it.
#[derive(Debug)]
pub(crate) struct Filter {
    queues: Vec<String>,
    types: Vec<String>,
    exclude: Vec<String>,
    /// The lanes it means, among the first `seen`.
    pub lanes: Vec<LaneId>,
    seen: usize,
    /// Who waits, by arrival.
    waiting: BTreeMap<u64, ParkId>,
}

impl Filter {
    fn is_of(&self, ask: &LeaseAsk) -> bool {
        self.queues == ask.queues && self.types == ask.types && self.exclude == ask.exclude_types
    }

    fn takes(&self, lane: &Lane) -> bool {
        let named = |names: &[String], name: &str| names.iter().any(|n| n == name);
        !lane.is_human()
            && named(&self.queues, &lane.queue)
            && (self.types.is_empty() || named(&self.types, &lane.task_type))
            && !named(&self.exclude, &lane.task_type)
    }

    fn learn(&mut self, lanes: &Lanes) {
        for lane in lanes.iter().skip(self.seen) {
            if self.takes(lane) {
                self.lanes.push(lane.id);
            }
        }
        self.seen = lanes.len();
    }
}

/// A request that waits.
#[derive(Clone, Debug)]
pub(crate) struct Waiter {
    pub park: ParkId,
    pub ask: LeaseAsk,
    pub session: Option<String>,
    arrival: u64,
}

/// All filters and waiters.
#[derive(Debug, Default)]
pub(crate) struct Parked {
    filters: Vec<Filter>,
    by_hash: HashMap<u64, Vec<FilterId>>,
    waiters: HashMap<ParkId, (FilterId, Waiter)>,
    arrivals: u64,
}

impl Parked {
    /// The filter of a request, with its lanes up to date.
    pub fn filter(&mut self, ask: &LeaseAsk, lanes: &Lanes) -> FilterId {
        let mut hasher = DefaultHasher::new();
        (&ask.queues, &ask.types, &ask.exclude_types).hash(&mut hasher);
        let hash = hasher.finish();
        let known = self.by_hash.get(&hash).into_iter().flatten().copied();
        let id = match known.into_iter().find(|id| self.filters[*id].is_of(ask)) {
            Some(id) => id,
            None => self.add_filter(ask, hash),
        };
        if self.filters[id].seen < lanes.len() {
            self.filters[id].learn(lanes);
        }
        id
    }

    fn add_filter(&mut self, ask: &LeaseAsk, hash: u64) -> FilterId {
        self.filters.push(Filter {
            queues: ask.queues.clone(),
            types: ask.types.clone(),
            exclude: ask.exclude_types.clone(),
            lanes: Vec::new(),
            seen: 0,
            waiting: BTreeMap::new(),
        });
        let id = self.filters.len() - 1;
        self.by_hash.entry(hash).or_default().push(id);
        id
    }

    /// The lanes of a filter.
    pub fn lanes(&self, id: FilterId) -> &[LaneId] {
        &self.filters[id].lanes
    }

    /// Lets a request wait, behind all that wait already. A name that waits already is replaced.
    pub fn park(&mut self, park: ParkId, ask: LeaseAsk, session: Option<String>, filter: FilterId) {
        self.remove(park);
        self.arrivals += 1;
        let waiter = Waiter {
            park,
            ask,
            session,
            arrival: self.arrivals,
        };
        self.filters[filter].waiting.insert(waiter.arrival, park);
        self.waiters.insert(park, (filter, waiter));
    }

    /// Lets a request wait again at its old place, after the commit that was to answer it failed.
    pub fn put_back(&mut self, waiter: Waiter, lanes: &Lanes) {
        let filter = self.filter(&waiter.ask, lanes);
        self.filters[filter]
            .waiting
            .insert(waiter.arrival, waiter.park);
        self.waiters.insert(waiter.park, (filter, waiter));
    }

    /// Takes a request out.
    pub fn remove(&mut self, park: ParkId) -> Option<Waiter> {
        let (filter, waiter) = self.waiters.remove(&park)?;
        self.filters[filter].waiting.remove(&waiter.arrival);
        Some(waiter)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiters.len()
    }

    /// Of the filters with a ready lane, not in `dry`, the one whose first waiter came first.
    pub fn next(&mut self, lanes: &Lanes, dry: &[FilterId]) -> Option<(FilterId, &Waiter)> {
        let mut best: Option<(u64, FilterId, ParkId)> = None;
        for (id, filter) in self.filters.iter_mut().enumerate() {
            let Some((arrival, park)) = filter.waiting.first_key_value() else {
                continue;
            };
            if best.is_some_and(|(earliest, ..)| earliest < *arrival) || dry.contains(&id) {
                continue;
            }
            let (arrival, park) = (*arrival, *park);
            if filter.seen < lanes.len() {
                filter.learn(lanes);
            }
            if filter
                .lanes
                .iter()
                .any(|lane| lanes.get(*lane).is_some_and(Lane::is_ready))
            {
                best = Some((arrival, id, park));
            }
        }
        let (_, filter, park) = best?;
        self.waiters.get(&park).map(|(_, waiter)| (filter, waiter))
    }

    /// Forgets filters nobody waits on, when there are too many. Invalidates every `FilterId`.
    pub fn forget_unused(&mut self, lanes: &Lanes) {
        if self.filters.len() <= MOST_FILTERS {
            return;
        }
        let waiters = std::mem::take(&mut self.waiters);
        self.filters.clear();
        self.by_hash.clear();
        for (_, waiter) in waiters.into_values() {
            self.put_back(waiter, lanes);
        }
    }

    /// Forgets which lanes there are: the file was read anew.
    pub fn forget_lanes(&mut self) {
        for filter in &mut self.filters {
            filter.lanes.clear();
            filter.seen = 0;
        }
    }
}
