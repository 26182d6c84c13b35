//! Restarts, added up by place: what a monitoring system keeps, which wants few names and not a path for each child.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cell::{Branch, ChildCell};
use crate::id::ChildId;
use crate::tree::Tree;

/// The children of one kind at one place: a child with a name of its own, or all siblings that have numbers for names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restarts {
    /// Path from the root; numbers that stand for names are left out.
    pub place: String,
    /// The label that the children's spec gave them.
    pub kind: Arc<str>,
    /// How often they were started again. A child that is removed takes its count along.
    pub restarts: u64,
    /// Whether they are a dynamic supervisor's.
    pub dynamic: bool,
    /// Dynamic children that ended abnormally and were not started again.
    pub lost: u64,
}

type Places = BTreeMap<(String, Arc<str>), (u64, Option<u64>)>;

impl Tree {
    /// Restarts by place, without a look at dynamic children one by one: the time it takes does not depend on them.
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
    match cell.branch.get() {
        None => {}
        Some(Branch::Fixed(recipe)) => {
            for child in recipe.cells() {
                walk(&child, &place, places);
            }
        }
        Some(Branch::Dynamic(shared)) => {
            let past = shared.past();
            let counts = places.entry((place, shared.kind().clone())).or_default();
            counts.0 += past.restarts;
            *counts.1.get_or_insert(0) += past.ended_abnormally;
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
