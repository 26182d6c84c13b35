//! The children that a run may add: refusals, from the rules and the facts about the run's tree.

use kirosu_protocol::settings::ChildRules;
use kirosu_protocol::task::TYPE_PYTHON;
use kirosu_protocol::{Accept, Error, ErrorCode, NewTask, TaskId};
use serde_json::json;

/// The place of a run's task in its tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TreePlace {
    /// The topmost task, which no other has added.
    pub root: TaskId,
    /// The levels between the two; 0 if the task itself is the topmost one.
    pub depth: u32,
    /// The task's children.
    pub children: u32,
    /// The tasks below the topmost one.
    pub in_tree: u32,
    /// The task's priority.
    pub priority: i32,
}

/// The refusal of `count` new children at this place. `None`: they are within the limits.
pub(crate) fn too_many(rules: &ChildRules, place: TreePlace, count: u32) -> Option<Error> {
    if place.depth >= rules.depth {
        let message = match rules.depth {
            0 => "runs may not add tasks to this hub (children.depth = 0)".to_owned(),
            depth => format!(
                "this task is at level {} below task {}, and runs may add tasks down to level {depth} (children.depth)",
                place.depth, place.root
            ),
        };
        return Some(refusal("depth", message));
    }
    if place.children.saturating_add(count) > rules.per_task {
        let message = format!(
            "this task has {} children, and a run may add no more than {} to a task (children.per_task)",
            place.children, rules.per_task
        );
        return Some(refusal("per_task", message));
    }
    (place.in_tree.saturating_add(count) > rules.per_tree).then(|| {
        let message = format!(
            "there are {} tasks below task {}, and runs may add no more than {} to a tree (children.per_tree)",
            place.in_tree, place.root, rules.per_tree
        );
        refusal("per_tree", message)
    })
}

/// The refusal of a handoff at the end of a chain of this length.
pub(crate) fn chain_too_long(most: u32) -> Error {
    let message =
        format!("{most} runs have handed over to one another already, the most (children.depth)");
    refusal("depth", message)
}

/// The refusal of one child.
pub(crate) fn not_allowed(rules: &ChildRules, place: TreePlace, new: &NewTask) -> Option<Error> {
    if !rules.queues.is_empty() && !rules.queues.contains(&new.queue) {
        let message = format!(
            "runs may add tasks to the queues {} only, not to '{}' (children.queues)",
            rules.queues.join(", "),
            new.queue
        );
        return Some(refusal("queues", message));
    }
    let is_type = match rules.types.is_empty() {
        true => new.task_type != TYPE_PYTHON,
        false => rules.types.contains(&new.task_type),
    };
    if !is_type {
        let message = format!(
            "runs may not add tasks of the type '{}' (children.types)",
            new.task_type
        );
        return Some(refusal("types", message));
    }
    let highest = place.priority.max(0);
    if new.priority > highest {
        let message = format!(
            "a run may not add tasks with a priority above {highest}, that of its own task"
        );
        return Some(refusal("priority", message));
    }
    let runs_command = |accept: &Accept| !accept.command.is_empty();
    new.accept.as_deref().is_some_and(runs_command).then(|| {
        let message =
            "a run may not add tasks whose `accept` runs a command on the agent's host; use its other clauses";
        refusal("accept", message.to_owned())
    })
}

/// The refusal of a task that is not below the run's own.
pub(crate) fn not_below(id: TaskId, own: TaskId) -> Error {
    let message = format!("task {id} is not below task {own}, whose run sends this");
    refusal("tree", message)
}

fn refusal(limit: &str, message: String) -> Error {
    Error::new(ErrorCode::Forbidden, message).with_data(json!({ "limit": limit }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: TreePlace = TreePlace {
        root: 1,
        depth: 2,
        children: 99,
        in_tree: 998,
        priority: 5,
    };

    fn limit(refusal: Option<Error>) -> Option<String> {
        let data = refusal?.data?;
        Some(data["limit"].as_str()?.to_owned())
    }

    #[test]
    fn each_limit_is_reached_exactly() {
        let rules = ChildRules::default();
        assert_eq!(too_many(&rules, PLACE, 1), None);
        let named = |place, count| limit(too_many(&rules, place, count)).unwrap();
        assert_eq!(named(TreePlace { depth: 3, ..PLACE }, 1), "depth");
        assert_eq!(named(PLACE, 2), "per_task");
        assert_eq!(
            named(
                TreePlace {
                    children: 0,
                    ..PLACE
                },
                3
            ),
            "per_tree"
        );
        let closed = ChildRules { depth: 0, ..rules };
        let top = TreePlace { depth: 0, ..PLACE };
        assert!(
            too_many(&closed, top, 1)
                .unwrap()
                .message
                .contains("children.depth = 0")
        );
    }

    #[test]
    fn a_child_has_an_allowed_queue_type_priority_and_check() {
        let rules = ChildRules {
            queues: vec!["q".into()],
            ..ChildRules::default()
        };
        let child = || NewTask {
            queue: "q".into(),
            priority: 5,
            ..NewTask::chat("p")
        };
        let named = |new: NewTask| limit(not_allowed(&rules, PLACE, &new));
        assert_eq!(named(child()), None);
        assert_eq!(named(NewTask::chat("p")).unwrap(), "queues");
        let python = NewTask {
            task_type: "python".into(),
            ..child()
        };
        assert_eq!(named(python).unwrap(), "types");
        assert_eq!(
            named(NewTask {
                priority: 6,
                ..child()
            })
            .unwrap(),
            "priority"
        );
        // A task below the usual priority may still add tasks without one.
        let low = TreePlace {
            priority: -9,
            ..PLACE
        };
        let usual = NewTask {
            priority: 0,
            ..child()
        };
        assert_eq!(not_allowed(&rules, low, &usual), None);
    }
}
