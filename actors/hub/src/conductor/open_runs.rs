//! Reads the runs that are under way, as the conductor does at its start.

use super::live_run::LiveRun;
use kirosu_protocol::{Status, TYPE_PLAN, Task, TaskId};
use kirosu_store::{CONDUCTOR, StoreReader};

/// Levels above a run that are examined.
const LEVELS: u64 = 64;

/// The runs that the hub has taken and not ended, except the known ones.
pub(super) fn open_runs(store: &mut StoreReader, known: &[TaskId]) -> Result<Vec<LiveRun>, String> {
    let open = store.open_runs().map_err(|why| why.to_string())?;
    let mut found = Vec::new();
    for id in open.into_iter().filter(|id| !known.contains(id)) {
        let tasks = store.many(&[id]).map_err(|why| why.to_string())?;
        let own = tasks.into_iter().find(|task| {
            task.status == Status::Leased && task.worker_id.as_deref() == Some(CONDUCTOR)
        });
        if let Some(task) = own {
            found.push(live_run(store, &task)?);
        }
    }
    Ok(found)
}

/// A run that the hub has taken, as it is in the store.
pub(super) fn live_run(store: &mut StoreReader, task: &Task) -> Result<LiveRun, String> {
    let above = runs_above(store, task)?;
    let text = store
        .plan_text(task.task_id)
        .map_err(|why| why.to_string())?;
    let text = text.map(|text| serde_json::from_str(&text)).transpose();
    Ok(LiveRun::new(
        task,
        text.map_err(|why| why.to_string())?,
        above,
    ))
}

/// The runs above a run, the nearest first.
fn runs_above(store: &mut StoreReader, task: &Task) -> Result<Vec<TaskId>, String> {
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
