//! Reads the runs that are under way, as the conductor does at its start.

use kirosu_protocol::{Status, TYPE_PLAN, Task, TaskId};
use kirosu_store::{CONDUCTOR, StoreReader};

/// Levels above a run that are examined.
const LEVELS: u64 = 64;

/// The runs that the hub has taken and not ended, except the known ones, each with the runs above it.
pub(super) fn open_runs(
    store: &mut StoreReader,
    known: &[TaskId],
) -> Result<Vec<(Task, Vec<TaskId>)>, String> {
    let open = store.open_runs().map_err(|why| why.to_string())?;
    let mut found = Vec::new();
    for id in open.into_iter().filter(|id| !known.contains(id)) {
        let tasks = store.many(&[id]).map_err(|why| why.to_string())?;
        let own = tasks.into_iter().find(|task| {
            task.status == Status::Leased && task.worker_id.as_deref() == Some(CONDUCTOR)
        });
        if let Some(task) = own {
            let above = runs_above(store, &task)?;
            found.push((task, above));
        }
    }
    Ok(found)
}

/// The runs above a run, the nearest first.
pub(super) fn runs_above(store: &mut StoreReader, task: &Task) -> Result<Vec<TaskId>, String> {
    let (mut runs, mut parent) = (Vec::new(), task.parent_id);
    for _ in 0..LEVELS {
        let Some(id) = parent else {
            break;
        };
        let above = store.many(&[id]).map_err(|why| why.to_string())?.pop();
        let Some(above) = above else {
            break;
        };
        if above.task_type == TYPE_PLAN {
            runs.push(id);
        }
        parent = above.parent_id;
    }
    Ok(runs)
}
