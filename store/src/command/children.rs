//! Tasks that runs add: their place in the tree, and the limits there.

use super::enqueue::Requested;
use crate::backend::Result;
use crate::core::{CommandError, CommandResult, Core};
use crate::outcome::EnqueuedTask;
use crate::rules::children::{self, TreePlace};
use crate::sql::cold::{CountBelow, CountChildren};
use kirosu_protocol::{Error, ErrorCode, TaskBudget, TaskId, TaskRun};
use std::collections::HashMap;

/// Levels above a task that are examined. No limit of a tree's depth is as high.
const LEVELS: u32 = 64;
/// Trees whose sizes are in memory; beyond that they are counted again.
const SIZES: usize = 1024;

/// The numbers of tasks below the topmost tasks to which runs have added some: a count of a large tree takes long. Tasks that
/// were pruned meanwhile still count.
#[derive(Debug, Default)]
pub(crate) struct TreeSizes(HashMap<TaskId, u32>);

impl Core {
    /// Checks the tasks of a batch that a run adds, and counts them: the last of the checks before anything changes. All are
    /// of the same run. `found`: those that exist already.
    pub(super) fn check_children(
        &mut self,
        batch: &[Requested<'_>],
        found: &[Option<EnqueuedTask>],
    ) -> CommandResult<()> {
        let Some(run) = batch.first().and_then(|task| task.new.run) else {
            return Ok(());
        };
        let place = self.tree_place(run)?;
        let new = batch.iter().zip(found).filter(|(_, found)| found.is_none());
        let new: Vec<&Requested<'_>> = new.map(|(task, _)| task).collect();
        if new.is_empty() {
            return Ok(());
        }
        let count = u32::try_from(new.len()).unwrap_or(u32::MAX);
        let rules = self.options.children.clone();
        if let Some(refusal) = children::too_many(&rules, place, count) {
            return Err(refusal.into());
        }
        for task in new {
            if let Some(refusal) = children::not_allowed(&rules, place, task.new) {
                return Err(refusal.into());
            }
            for dependency in &task.new.depends_on {
                if !self.is_below(*dependency, run.task_id)? {
                    return Err(children::not_below(*dependency, run.task_id).into());
                }
            }
        }
        if let Some(size) = self.tree_sizes.0.get_mut(&place.root) {
            *size = size.saturating_add(count);
        }
        Ok(())
    }

    /// The place of a run's task. Refuses a run that is over.
    fn tree_place(&mut self, run: TaskRun) -> CommandResult<TreePlace> {
        let priority = match self.held("add tasks to", run.task_id, run.fence) {
            Ok(row) => row.priority,
            Err(CommandError::Refused(_)) => return Err(run_is_over(run.task_id).into()),
            Err(fault) => return Err(fault),
        };
        let (mut root, mut depth) = (run.task_id, 0);
        while let Some(parent) = self.task_options(root)?.parent_id
            && depth < LEVELS
        {
            root = parent;
            depth += 1;
        }
        let parent_id = run.task_id;
        let most = i64::from(self.options.children.per_task).saturating_add(1);
        let children = self.db.number(CountChildren { parent_id, most }.into())?;
        let in_tree = self.tree_size(root)?;
        Ok(TreePlace {
            root,
            depth,
            children: number(children),
            in_tree,
            priority,
        })
    }

    fn tree_size(&mut self, root: TaskId) -> Result<u32> {
        if let Some(size) = self.tree_sizes.0.get(&root) {
            return Ok(*size);
        }
        let most = i64::from(self.options.children.per_tree).saturating_add(1);
        let size = number(self.db.number(CountBelow { root, most }.into())?);
        if self.tree_sizes.0.len() >= SIZES {
            self.tree_sizes.0.clear();
        }
        self.tree_sizes.0.insert(root, size);
        Ok(size)
    }

    /// Whether a task is a child of another, or a child's child and so on.
    fn is_below(&mut self, id: TaskId, above: TaskId) -> Result<bool> {
        let mut at = id;
        for _ in 0..LEVELS {
            match self.task_options(at)?.parent_id {
                Some(parent) if parent == above => return Ok(true),
                Some(parent) => at = parent,
                None => break,
            }
        }
        Ok(false)
    }

    /// Opens the budget that the settings give a tree, with the first child that a run adds to a task in no tree with a budget.
    pub(super) fn open_tree_budget(&mut self, run: TaskRun) -> Result<()> {
        let budget = self.options.children.budget;
        let task = run.task_id;
        if budget.is_empty() || !self.ledger.trees_of(&mut *self.db, task)?.is_empty() {
            return Ok(());
        }
        let budget = TaskBudget {
            tree: Some(budget),
            ..TaskBudget::default()
        };
        self.open_budgets(task, &budget)?;
        self.ledger.join_tree(&mut *self.db, task, task)
    }
}

fn number(counted: Option<i64>) -> u32 {
    counted.map_or(0, |count| u32::try_from(count).unwrap_or(u32::MAX))
}

/// The refusal of a token whose lease is over.
pub fn run_is_over(task: TaskId) -> Error {
    let message = format!(
        "this run of task {task} is over, and its token with it: the lease ended, or another run has begun"
    );
    Error::new(ErrorCode::Unauthorized, message)
}
