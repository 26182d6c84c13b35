//! Begins an attempt in a task's worktree: in the files of an earlier attempt, or in those of the base.

use kirosu_protocol::task::Task;
use kirosu_providers::FailureKind;

use super::aside;
use super::finish::commit_rest;
use super::git::{Git, GitFault};
use super::index::{conflicts, mend};
use super::kept_refs::keep_tip;
use super::locks::clear_locks;
use super::make::make;
use super::record::{Worktree, WorktreeState, write};
use super::repair::restore;
use super::sequencer;
use super::verify::tree;

/// The call that writes all files of a worktree.
pub(super) const RESET: [&str; 3] = ["reset", "--hard", "--quiet"];

/// Resets all files to the branch.
pub(super) async fn reset(git: &Git, record: &Worktree) -> Result<(), GitFault> {
    git.stdout(tree(record)?, &RESET).await.map(drop)
}

/// Opens the worktree for a further attempt; returns whether its files are the base's.
pub(super) async fn again(
    git: &Git,
    record: &mut Worktree,
    base: String,
    task: &Task,
    notes: &mut Vec<String>,
) -> Result<bool, GitFault> {
    let continues_another = task.continues.is_some() && !task.continues_itself();
    // Without the results of its children, the task was cancelled and retried while it waited for them.
    let is_stale =
        record.ended.as_deref() == Some(FailureKind::Parked.as_str()) && task.children.is_empty();
    // After the run of a task that continued it, a person has retried this one.
    let resumes = record.continued_by.is_empty() && record.last_attempt().resumes_in(task.attempts);
    let goes_on = continues_another || (resumes && !is_stale);
    let (before, ended) = (record.attempt_number(), record.ended.clone());
    for repaired in restore(git, record).await? {
        tracing::info!(task_id = record.task_id, "repaired a worktree: {repaired}");
    }
    clear_locks(record);
    if !record.filled {
        start_from(git, record, base, task).await?;
        return Ok(true);
    }
    let unmerged = mend(git, record).await?;
    record.conflicts = conflicts(git, record, unmerged).await?;
    let note = format!("what attempt {before} left");
    commit_rest(git, record, &note).await?;
    if let Some(state) = sequencer::set_aside(git, record).await? {
        notes.push(format!("git was in the middle of an operation of attempt {before}; its state is kept as {state}"));
    }
    if goes_on {
        begin(record, task).await?;
        return Ok(false);
    }
    if let Some(kept) = keep_tip(git, record).await? {
        let ended = ended.unwrap_or_else(|| "lost".to_owned());
        notes.push(format!("attempt {before} ended as {ended}, and this one starts from the base; what that one did is kept as {kept}"));
    }
    if aside::keep(git, record).await? {
        make(git, record, base, task).await?;
        return Ok(true);
    }
    // All work of earlier attempts has been kept by now.
    start_from(git, record, base, task).await?;
    Ok(true)
}

/// Sets branch and files to a commit, and removes everything else.
async fn start_from(
    git: &Git,
    record: &mut Worktree,
    base: String,
    task: &Task,
) -> Result<(), GitFault> {
    let reference = format!("refs/heads/{}", record.branch);
    let set = ["-m", "kirosu: a new attempt", &reference, &base];
    git.update_ref(tree(record)?, &set).await?;
    record.base = base;
    record.conflicts = Vec::new();
    record.conversation = None;
    record.filled = false;
    begin(record, task).await?;
    forget_settings(record)?;
    reset(git, record).await?;
    let clean = ["clean", "-ffdxq"];
    git.stdout(tree(record)?, &clean).await?;
    record.filled = true;
    write(record).await
}

/// Removes settings that a run can have made for this worktree alone: flags of files in the index, a sparse checkout,
/// configuration.
fn forget_settings(record: &Worktree) -> Result<(), GitFault> {
    let names = [
        "index",
        "config.worktree",
        "info/sparse-checkout",
        "info/exclude",
        "info/attributes",
    ];
    for name in names {
        let file = record.git_dir.join(name);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let file = file.display();
                return Err(GitFault(format!("cannot remove {file}: {error}")));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Records that a run works in the worktree.
pub(super) async fn begin(record: &mut Worktree, task: &Task) -> Result<(), GitFault> {
    record.state = WorktreeState::Running;
    record.fence = task.fence;
    record.number = task.attempts;
    record.attempt = task.attempt_number();
    record.ended = None;
    record.withdrawn = false;
    if record.task_id == task.task_id {
        record.continued_by.clear();
    } else if record.continued_by.last() != Some(&task.task_id) {
        record.continued_by.push(task.task_id);
        // The task knows from which conversation it goes on.
        record.conversation = None;
    }
    write(record).await
}
