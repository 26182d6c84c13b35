//! A bounded set of label values. Users choose the names, and a client that invents a name per task must not fill the
//! memory of the metrics system.

use std::sync::Arc;

/// The label of all names beyond the bound.
pub const OTHER: &str = "other";

/// Names in the order in which they were first seen, each with a number.
#[derive(Clone, Debug)]
pub struct Labels {
    names: Vec<Arc<str>>,
    max_names: usize,
}

impl Labels {
    /// At most `max_names` names, and [`OTHER`].
    pub fn new(max_names: usize) -> Labels {
        Labels {
            names: Vec::new(),
            max_names,
        }
    }

    /// The number of a name: its own, or that of [`OTHER`].
    pub(crate) fn number(&mut self, name: &str) -> usize {
        if let Some(known) = self.find(name) {
            return known;
        }
        if self.names.len() < self.max_names {
            return self.push(name);
        }
        self.find(OTHER).unwrap_or_else(|| self.push(OTHER))
    }

    /// The label under which `name` is counted.
    pub fn label<'a>(&'a self, name: &'a str) -> &'a str {
        match self.find(name) {
            None if self.names.len() >= self.max_names => OTHER,
            _ => name,
        }
    }

    /// The name with this number.
    pub(crate) fn name(&self, number: usize) -> Option<&Arc<str>> {
        self.names.get(number)
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| **known == *name)
    }

    fn push(&mut self, name: &str) -> usize {
        self.names.push(name.into());
        self.names.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_bound_are_one_and_so_is_a_user_s_own_other() {
        let mut labels = Labels::new(2);
        let numbers = ["a", "b", "c", OTHER, "d", "a"].map(|name| labels.number(name));
        assert_eq!(numbers, [0, 1, 2, 2, 2, 0]);
        assert_eq!((labels.label("b"), labels.label("z")), ("b", OTHER));

        let mut labels = Labels::new(2);
        let numbers = [OTHER, "a", "b"].map(|name| labels.number(name));
        assert_eq!(numbers, [0, 1, 0]);
    }
}
