//! Opens the worktree of an earlier task for one that continues it: in its present state, on its branch. It is never made anew.

use std::sync::Arc;

use kirosu_protocol::task::Task;

use super::attempt::again;
use super::check::{Ground, ground, pool};
use super::copied;
use super::git::GitFault;
use super::name_claim::{is_in, wait_for_lock};
use super::open::{left_conflicts, starts_inside};
use super::open_worktree::OpenWorktree;
use super::record::{Worktree, WorktreeState};
use super::references::listed;
use super::verify::verify_folder;
use crate::options::PoolOptions;
use crate::workspace::{NoFolder, WorktreeName};

/// Returns the worktree with this name, ready for a run of `task`.
///
/// # Errors
/// `NotThere` if it is not there any more or was discarded; the other variants as for a new one.
pub(crate) async fn reopen(
    options: &Arc<PoolOptions>,
    task: &Task,
    name: &WorktreeName,
) -> Result<OpenWorktree, NoFolder> {
    let Ground {
        git,
        repository,
        base,
    } = ground(options).await?;
    let folder = options.workspaces_dir.join(&options.name);
    let gone = |why: String| NoFolder::NotThere(why);
    let folder = folder.canonicalize().map_err(|it| gone(it.to_string()))?;
    let record = Worktree::read(&folder, &name.name).map_err(|it| gone(it.to_string()))?;
    let is_same = |it: &Worktree| {
        it.task_id == name.task_id && (it.created_at - name.created_at).abs() < 1e-3
    };
    let Some(mut record) = record.filter(is_same) else {
        return Err(gone("it was discarded or removed".to_owned()));
    };
    if matches!(record.state, WorktreeState::Discarded | WorktreeState::Left) {
        return Err(gone(format!("it is {}", record.state.as_str())));
    }
    if let Some(original) = copied::original(&record) {
        return Err(gone(copied::refusal(&record, &original).to_string()));
    }
    let failed = |fault: GitFault| match fault.is_shortage() {
        true => pool(fault),
        false => gone(fault.to_string()),
    };
    if !is_in(&git, &mut record, &repository)
        .await
        .map_err(failed)?
    {
        return Err(gone("it belongs to another repository".to_owned()));
    }
    let lock = wait_for_lock(&folder, &name.name).await.map_err(failed)?;
    let Some(lock) = lock else {
        return Err(NoFolder::Busy(format!(
            "another run or command still works in the worktree {}; it is tried again",
            record.path.display()
        )));
    };
    verify_folder(&record).map_err(|why| gone(why.to_string()))?;
    let before = record.clone();
    let own = format!("refs/kirosu/{}", record.name);
    let references = listed(&git, &repository.common, &[&own]).await;
    let references = references.map_err(failed)?;
    let mut notes = Vec::new();
    let from_base = again(&git, &mut record, base, task, &mut notes).await;
    let from_base = from_base.map_err(failed)?;
    starts_inside(&record).map_err(failed)?;
    let mut opened = OpenWorktree::new(git.patient(), record, lock);
    opened.from_base = from_base;
    opened.notes = notes;
    opened.not_accepted = left_conflicts(&before);
    opened.watch(references).await;
    Ok(opened)
}
