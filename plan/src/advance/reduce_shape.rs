//! The levels of a reduce.

use super::StepFacts;

/// The levels of a reduce: each merges the results of the one below, until one is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReduceShape {
    /// The number of results that each level merges, then 1.
    levels: Vec<u64>,
}

impl ReduceShape {
    /// The shape for a number of results, with at most `arity` per task.
    pub fn new(results: u64, arity: u64) -> ReduceShape {
        let arity = arity.max(2);
        let mut levels = vec![results];
        let mut left = results;
        while left > 1 || levels.len() == 1 {
            left = left.div_ceil(arity).max(1);
            levels.push(left);
        }
        ReduceShape { levels }
    }

    /// The shape of a reduce that has begun, from its row and that of the step that it merges.
    ///
    /// A reduce may begin before that step has ended, with a group for each of its items. If the step ends without having begun
    /// all of them, the last groups are smaller or empty, and those that are merged already stay as they are.
    pub fn of(arity: u64, of: &StepFacts, row: &StepFacts) -> ReduceShape {
        let results = match row.began_early {
            true => of.total.unwrap_or(of.cursor),
            false => of.cursor,
        };
        ReduceShape::new(results, arity)
    }

    /// All tasks.
    pub fn total(&self) -> u64 {
        self.levels.iter().skip(1).sum()
    }

    /// The level of the task at a position, from 1, and the range of what it merges: positions in the source for level 1, else
    /// positions of tasks of this step. Ranges of one level differ in size by at most one.
    pub fn inputs(&self, index: u64) -> Option<(usize, u64, u64)> {
        let mut first = 0;
        // The position of the first task of the level below.
        let mut below = 0;
        for (level, pair) in self.levels.windows(2).enumerate() {
            let (size, groups) = (pair[0], pair[1]);
            if index < first + groups {
                let group = index - first;
                let cut =
                    |group: u64| (u128::from(group) * u128::from(size) / u128::from(groups)) as u64;
                return Some((level + 1, below + cut(group), below + cut(group + 1)));
            }
            below = first;
            first += groups;
        }
        None
    }

    /// The positions of the tasks of the level of the one at this position.
    pub fn level_end(&self, index: u64) -> u64 {
        let mut end = 0;
        for groups in self.levels.iter().skip(1) {
            end += groups;
            if index < end {
                break;
            }
        }
        end
    }
}
