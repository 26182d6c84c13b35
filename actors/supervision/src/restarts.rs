//! Restart counters by place in the tree, for a monitoring system, which needs few names and not one path per child.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cell::ChildCell;
use crate::id::ChildId;
use crate::tree::Tree;

/// Restarts of the children of one kind at one place: of a child with a name, or of all siblings whose names are numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restarts {
    /// Path from the root, without names that are numbers.
    pub place: String,
    /// Label of the children, from their spec.
    pub kind: Arc<str>,
    /// Number of restarts. The restarts of removed children are not included.
    pub restarts: u64,
    /// Whether the children belong to a dynamic supervisor.
    pub dynamic: bool,
    /// Dynamic children that ended abnormally and were not restarted.
    pub lost: u64,
}

type Places = BTreeMap<(String, Arc<str>), (u64, Option<u64>)>;

impl Tree {
    /// Restarts by place. The time it takes does not depend on the number of dynamic children.
    pub fn restarts(&self) -> Vec<Restarts> {
        let mut places = Places::new();
        walk(&self.root, "", &mut places);
        let of = |(key, counts): ((String, Arc<str>), (u64, Option<u64>))| Restarts {
            place: key.0,
            kind: key.1,
            restarts: counts.0,
            dynamic: counts.1.is_some(),
            lost: counts.1.unwrap_or(0),
        };
        places.into_iter().map(of).collect()
    }
}

fn walk(cell: &ChildCell, above: &str, places: &mut Places) {
    let place = place(&cell.id, above);
    let key = (place.clone(), cell.kind.clone());
    places.entry(key).or_default().0 += u64::from(cell.incarnation());
    let Some(children) = cell.children.get() else {
        return;
    };
    match children.dynamic() {
        None => {
            for child in children.cells() {
                walk(&child, &place, places);
            }
        }
        Some(dynamic) => {
            let counts = places.entry((place, dynamic.kind.clone())).or_default();
            counts.0 += dynamic.stats.restarts;
            *counts.1.get_or_insert(0) += dynamic.stats.ended_abnormally;
        }
    }
}

fn place(id: &ChildId, above: &str) -> String {
    let numbered = match id {
        ChildId::Number(_) => true,
        ChildId::Name(name) => name.bytes().all(|byte| byte.is_ascii_digit()),
    };
    match (numbered, above.is_empty()) {
        (true, false) => above.to_owned(),
        (_, true) => id.to_string(),
        (false, false) => format!("{above}/{id}"),
    }
}
