//! Selection of tasks: single ones, or a group by label, queue, parent and ranges of numbers.

use super::{Context, Failure, task_id, text};
use kirosu_protocol::{Group, IdRange, ListParams, TaskId};
use serde::Serialize;

/// The selection flags.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct SelectArgs {
    /// Tasks or ranges of tasks: 42 12-40
    #[arg(value_name = "ID", value_parser = read_range)]
    ids: Vec<IdRange>,
    /// Tasks with this label; if repeated, with all of them
    #[arg(long, value_name = "NAME")]
    label: Vec<String>,
    /// Tasks of this queue
    #[arg(long, value_name = "QUEUE")]
    queue: Option<String>,
    /// Tasks that this task enqueued
    #[arg(long, value_name = "ID", value_parser = task_id)]
    parent: Option<TaskId>,
}

/// A selection.
#[derive(Clone, Debug, PartialEq)]
pub enum Selection {
    /// These tasks, in this order. Each must exist.
    Tasks(Vec<TaskId>),
    /// All tasks that match; there may be none.
    Group(Group),
}

impl SelectArgs {
    /// The selection: single tasks if only their numbers are given, else a group.
    ///
    /// # Errors
    /// `Failure::Usage` if nothing is selected.
    pub fn choice(&self) -> Result<Selection, Failure> {
        let group = self.group();
        if group.is_empty() {
            return Err(Failure::Usage(
                "name tasks (42 43), a range (12-40), or a group with --label, --queue or --parent"
                    .into(),
            ));
        }
        let flags = Group {
            ranges: Vec::new(),
            ..group.clone()
        };
        let single = self.ids.iter().all(|range| range.first == range.last);
        Ok(match flags.is_empty() && single {
            true => Selection::Tasks(self.ids.iter().map(|range| range.first).collect()),
            false => Selection::Group(group),
        })
    }

    /// The flags as a group.
    pub fn group(&self) -> Group {
        Group {
            labels: self.label.clone(),
            queue: self.queue.clone(),
            parent_id: self.parent,
            ranges: self.ids.clone(),
        }
    }

    /// Whether no flag but `--queue` is given.
    pub fn is_only_a_queue(&self) -> bool {
        self.ids.is_empty() && self.label.is_empty() && self.parent.is_none()
    }

    /// The value of `--queue`.
    pub fn queue(&self) -> Option<String> {
        self.queue.clone()
    }

    /// Parameters of `list` for this selection.
    pub fn list(&self) -> ListParams {
        let group = self.group();
        ListParams {
            queue: group.queue,
            parent_id: group.parent_id,
            labels: group.labels,
            ranges: group.ranges,
            ..ListParams::default()
        }
    }
}

fn read_range(text: &str) -> Result<IdRange, String> {
    IdRange::parse(text).ok_or_else(|| "write a task's number (42) or a range (12-40)".to_owned())
}

/// Prints how many tasks of a group were changed; `done` names the change, such as `cancelled`.
pub fn counted(
    answer: &impl Serialize,
    count: u64,
    done: &str,
    context: &Context,
) -> Result<u8, Failure> {
    let screen = &context.screen;
    screen.answer(answer, || {
        let tasks = text::count(count, "task");
        screen.print(&format!("{tasks} {done}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_alone_are_single_tasks_anything_else_is_a_group() {
        let of = |ids: &[&str], label: &[&str]| SelectArgs {
            ids: ids.iter().map(|id| read_range(id).unwrap()).collect(),
            label: label.iter().map(|&label| label.to_owned()).collect(),
            ..SelectArgs::default()
        };
        let single = of(&["42", "7"], &[]).choice().unwrap();
        assert_eq!(single, Selection::Tasks(vec![42, 7]));
        assert!(matches!(
            of(&["12-40", "7"], &[]).choice().unwrap(),
            Selection::Group(_)
        ));
        assert!(matches!(
            of(&["7"], &["a"]).choice().unwrap(),
            Selection::Group(_)
        ));
        assert!(matches!(of(&[], &[]).choice(), Err(Failure::Usage(_))));
        for bad in ["", "a", "0", "-5", "5-", "9-3", "1-2-3", "1.5"] {
            assert!(read_range(bad).is_err(), "{bad}");
        }
    }
}
