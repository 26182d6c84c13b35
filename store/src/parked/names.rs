//! The queues and types of lease requests, and the lanes that match them.

use crate::lanes::{Lane, Lanes};
use crate::row::LaneId;
use kirosu_protocol::LeaseParams;
use std::collections::HashSet;

/// Approximate bytes of memory per name beyond its text.
const NAME_BYTES: usize = 48;

/// The queues and types of a lease request.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct FilterNames {
    pub queues: Vec<String>,
    pub types: Vec<String>,
    pub exclude: Vec<String>,
}

impl FilterNames {
    /// Takes the names out of a request.
    pub fn take_from(ask: &mut LeaseParams) -> FilterNames {
        FilterNames {
            queues: std::mem::take(&mut ask.queues),
            types: std::mem::take(&mut ask.types),
            exclude: std::mem::take(&mut ask.exclude_types),
        }
    }

    /// Approximate bytes of memory.
    pub fn bytes(&self) -> usize {
        bytes([&self.queues, &self.types, &self.exclude])
    }
}

/// Approximate bytes of memory of lists of names.
pub(super) fn bytes(lists: [&Vec<String>; 3]) -> usize {
    let names = lists.into_iter().flatten();
    names.map(|name| name.len() + NAME_BYTES).sum()
}

/// The types that a request accepts.
pub(super) struct Types<'a> {
    wanted: HashSet<&'a str>,
    exclude: HashSet<&'a str>,
}

impl<'a> Types<'a> {
    /// No types mean all types.
    pub fn new(types: &'a [String], exclude: &'a [String]) -> Types<'a> {
        Types {
            wanted: types.iter().map(String::as_str).collect(),
            exclude: exclude.iter().map(String::as_str).collect(),
        }
    }

    /// Whether tasks of the lane may be leased.
    pub fn take(&self, lane: &Lane) -> bool {
        let name = &*lane.task_type;
        lane.is_leasable()
            && (self.wanted.is_empty() || self.wanted.contains(name))
            && !self.exclude.contains(name)
    }
}

/// The lanes that match a request.
pub(crate) fn lanes_of(ask: &LeaseParams, lanes: &Lanes) -> Vec<LaneId> {
    find(&ask.queues, &ask.types, &ask.exclude_types, lanes)
}

/// The lanes that match these names, sorted.
pub(super) fn find(
    queues: &[String],
    types: &[String],
    exclude: &[String],
    lanes: &Lanes,
) -> Vec<LaneId> {
    let types = Types::new(types, exclude);
    let mut found: Vec<LaneId> = queues
        .iter()
        .flat_map(|queue| lanes.of_queue(queue))
        .filter(|lane| types.take(lane))
        .map(|lane| lane.id)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}
