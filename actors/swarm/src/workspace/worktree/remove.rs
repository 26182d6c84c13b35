//! Removes worktrees and everything that was made for them, if nothing is lost.

use std::fs;
use std::io;
use std::path::PathBuf;

use kirosu_providers::{AgentFile, FEW_LINES};

use super::finish::{commit, commit_rest, finish, is_on, tip_of};
use super::folders::{not_replaced, remove_folders};
use super::git::{At, Git, GitFault};
use super::inventory::{self, Inventory, Leftover, LeftoverReason};
use super::lock_wait::{lock, turn};
use super::locks::{clear_locks, clear_shared_locks};
use super::open_worktree::OpenWorktree;
use super::record::{Worktree, WorktreeState, write};
use super::references::{self, Reference};
use super::verify::{tree, verify};

/// A worktree that was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The task.
    pub task_id: i64,
    /// Its branch.
    pub branch: String,
    /// The folder.
    pub path: PathBuf,
    /// The last commit of its branch, by which the work can be found until git prunes it.
    pub tip: String,
    /// The branch and all other references that were removed.
    pub references: Vec<Reference>,
}

/// The result of pruning one worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pruned {
    /// It was removed.
    Removed(Removed),
    /// It is neither applied nor discarded, nor unchanged: it waits for a person's decision.
    Open,
    /// It was not removed, as something would be lost; the text says what.
    Kept(String),
    /// Another process has removed it meanwhile.
    Gone,
}

/// Removes the worktrees and branches of a task: all of `records`, or none if one of them cannot be removed. `force`:
/// even if they hold content that no commit has; git then commits what it takes before. The result is in reverse
/// order.
///
/// # Errors
/// A run works there; a branch is checked out elsewhere; content exists that no commit has; a folder cannot be
/// removed.
pub async fn discard(
    git: &Git,
    mut records: Vec<Worktree>,
    force: bool,
) -> Result<Vec<Removed>, GitFault> {
    let mut locks = Vec::new();
    for record in &records {
        locks.push(lock(record)?);
        let elsewhere = references::checked_out_at(git, record).await?;
        if !elsewhere.is_empty() {
            return Err(GitFault(checked_out(record, &elsewhere)));
        }
        if let Some(why) = locked(record).filter(|_| !force) {
            let id = record.task_id;
            return Err(GitFault(format!("{why}, or kirosu discard {id} --force")));
        }
        not_replaced(record)?;
        if force {
            take_all(git, record).await;
        } else {
            nothing_lost(git, record).await?;
        }
    }
    let mut removed = Vec::new();
    for record in &mut records {
        if record.state != WorktreeState::Applied {
            record.state = WorktreeState::Discarded;
            write(record).await?;
        }
        match remove(git, record).await {
            Ok(gone) => removed.push(gone),
            Err(fault) => return Err(after_others(fault, &removed)),
        }
    }
    removed.reverse();
    Ok(removed)
}

/// An error during the removal itself, with the worktrees removed before it: they can be found by their commits.
fn after_others(fault: GitFault, removed: &[Removed]) -> GitFault {
    let gone = |it: &Removed| {
        let references = it.references.iter();
        let references = references.map(|it| format!("{} at {}", it.name, it.commit));
        let references: Vec<String> = references.collect();
        format!("{} ({})", it.path.display(), references.join(", "))
    };
    match removed {
        [] => fault,
        _ => {
            let gone: Vec<String> = removed.iter().map(gone).collect();
            GitFault(format!("{fault}; removed before: {}", gone.join("; ")))
        }
    }
}

/// Fails with a list of content that is only in the worktree, and advice.
async fn nothing_lost(git: &Git, record: &Worktree) -> Result<(), GitFault> {
    let (path, id) = (record.path.display(), record.task_id);
    let why = match left(git, record).await {
        Ok(_) if record.state == WorktreeState::Running && record.path.exists() => {
            format!("{path} is of a run that was lost; its next attempt goes on there")
        }
        Ok(found) if found.is_empty() => return Ok(()),
        Ok(found) => format!(
            "{path} has what the branch {} does not have: {}",
            record.branch,
            found.names()
        ),
        Err(fault) => format!("the content that would be lost is unknown: {fault}"),
    };
    Err(GitFault(format!(
        "{why}; look at it there, or discard it too with kirosu discard {id} --force"
    )))
}

/// Content that is only in the folder, or in its git folder if the folder is gone.
pub(super) async fn left(git: &Git, record: &Worktree) -> Result<Inventory, GitFault> {
    if record.path.symlink_metadata().is_ok() {
        return inventory::inspect(git, record).await;
    }
    let modules = record.git_dir.join("modules");
    let is_made = !record.git_dir.as_os_str().is_empty();
    let is_empty = !is_made || fs::read_dir(&modules).map_or(true, |mut it| it.next().is_none());
    Ok(match is_empty {
        true => Inventory::default(),
        false => Inventory::from(vec![Leftover {
            why: LeftoverReason::SubmoduleCommits,
            path: modules.to_string_lossy().into_owned(),
        }]),
    })
}

/// Commits everything, so that it can be found by a commit. Best effort: a person has decided to discard it.
async fn take_all(git: &Git, record: &Worktree) {
    if verify(record).is_err() {
        return;
    }
    clear_locks(record);
    if let Err(fault) = commit_rest(git, record, "discarded").await {
        tracing::warn!(%fault, "the last changes of a worktree that is discarded are not committed");
    }
}

/// The sentence with the reason if `git worktree lock` protects it.
fn locked(record: &Worktree) -> Option<String> {
    let reason = match AgentFile::at(&record.git_dir.join("locked")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        file => file.and_then(|it| it.text(FEW_LINES)).unwrap_or_default(),
    };
    let reason = match reason.trim() {
        "" => String::new(),
        reason => format!(" ({reason})"),
    };
    let (path, repository) = (record.path.display(), record.repository.display());
    Some(format!(
        "{path} is locked{reason}; git -C {repository} worktree unlock {path}"
    ))
}

fn checked_out(record: &Worktree, folders: &[PathBuf]) -> String {
    if let Some(moved) = references::moved_to(record) {
        return references::moved(record, &moved);
    }
    let folders: Vec<_> = folders.iter().map(|it| it.to_string_lossy()).collect();
    format!(
        "the branch {} is checked out in {}; git switch to another branch there first",
        record.branch,
        inventory::list(&folders)
    )
}

/// Removes a worktree that was applied or discarded, or whose task is done without changes, or that is kept for an
/// earlier attempt of one that is gone. The record is not trusted where the content can be checked: content that is
/// not in another branch, or is only in the folder, stays. `ignored`: files that git ignores may be removed.
///
/// # Errors
/// A run works there; git failed.
pub async fn prune(git: &Git, record: &Worktree, ignored: bool) -> Result<Pruned, GitFault> {
    if let Some(moved) = references::moved_to(record) {
        return Ok(Pruned::Kept(references::moved(record, &moved)));
    }
    if matches!(record.state, WorktreeState::Running | WorktreeState::Left) {
        return Ok(Pruned::Open);
    }
    let Some(lock) = turn(record).await? else {
        return Ok(Pruned::Gone);
    };
    let tip = tip_of(git, record).await?;
    if !is_closed(record, tip.as_deref()) {
        return Ok(Pruned::Open);
    }
    if let Some(why) = reason_to_stay(git, record, tip.as_deref(), ignored).await? {
        return Ok(Pruned::Kept(why));
    }
    let removed = remove(git, record).await;
    drop(lock);
    removed.map(Pruned::Removed)
}

/// Whether no decision about it is open.
fn is_closed(record: &Worktree, tip: Option<&str>) -> bool {
    if let Some(name) = &record.attempt_of {
        let of = Worktree::read(record.folder(), name);
        return of.is_ok_and(|it| it.is_none_or(|it| it.created_at != record.created_at));
    }
    match record.state {
        WorktreeState::Running | WorktreeState::Left => false,
        WorktreeState::Applied | WorktreeState::Discarded => true,
        WorktreeState::Kept => {
            let done = record.ended.as_deref() == Some("done");
            done && tip.is_none_or(|tip| tip == record.base)
        }
    }
}

async fn reason_to_stay(
    git: &Git,
    record: &Worktree,
    tip: Option<&str>,
    ignored: bool,
) -> Result<Option<String>, GitFault> {
    let elsewhere = references::checked_out_at(git, record).await?;
    if !elsewhere.is_empty() {
        return Ok(Some(checked_out(record, &elsewhere)));
    }
    if let Some(why) = locked(record) {
        return Ok(Some(why));
    }
    if record.state == WorktreeState::Discarded {
        return Ok(None);
    }
    let id = record.task_id;
    if let Some(tip) = tip
        && record.attempt_of.is_none()
        && !references::is_held_elsewhere(git, record, tip).await?
    {
        return Ok(Some(format!(
            "its last commit {tip} is in no other branch (any more); kirosu apply {id}, or kirosu discard {id}"
        )));
    }
    let path = record.path.display();
    if let Some(head) = commit_beside(git, record).await?
        && !references::is_held_elsewhere(git, record, &head).await?
    {
        return Ok(Some(format!(
            "{path} is at commit {head}, which no branch has; git -C {path} branch NAME keeps it, kirosu discard {id} removes it"
        )));
    }
    Ok(match left(git, record).await {
        Err(fault) => Some(fault.0),
        Ok(found) if found.is_empty() => None,
        Ok(found) if found.without_ignored_files().is_empty() => (!ignored).then(|| {
            format!(
                "only {path} has files that git ignores: {}; kirosu workspaces --prune --ignored removes them, too",
                found.names()
            )
        }),
        Ok(found) => Some(format!(
            "only {path} has {}; kirosu apply {id} takes along what git takes, kirosu discard {id} --force removes all",
            found.names()
        )),
    })
}

/// The commit checked out in the folder, if it is not the task's branch. A run always ends on that branch, so a
/// person has worked there since.
async fn commit_beside(git: &Git, record: &Worktree) -> Result<Option<String>, GitFault> {
    let branch = format!("refs/heads/{}", record.branch);
    if verify(record).is_err() || is_on(record, &branch) {
        return Ok(None);
    }
    commit(git, tree(record)?, "HEAD").await
}

/// Removes a worktree that no run will begin in. If it has work of an earlier attempt, or one goes on in it (`keep`), it is kept, as
/// after a cancel.
pub(crate) async fn abandon(opened: &OpenWorktree, keep: bool) {
    let record = opened.record();
    let tip = tip_of(&opened.git, &record).await.ok().flatten();
    let left = left(&opened.git, &record).await;
    // That of an earlier task stays for the next one that continues it.
    if keep
        || !record.continued_by.is_empty()
        || tip.as_ref() != Some(&record.base)
        || !left.is_ok_and(|it| it.is_empty())
    {
        finish(opened, "cancelled").await;
        return;
    }
    let gone = remove(&opened.git, &record).await;
    opened.release();
    if let Err(fault) = gone {
        tracing::warn!(%fault, "a worktree that is not used was not removed");
    }
}
/// Removes folders, references and record. Content that only they hold is lost: callers have checked before.
async fn remove(git: &Git, record: &Worktree) -> Result<Removed, GitFault> {
    let has_repository = record.common_dir.is_dir();
    let mut references = Vec::new();
    if has_repository {
        clear_shared_locks(&record.common_dir);
        references::keep_unreferenced(git, record, &[])
            .await
            .map_err(|fault| {
                GitFault(format!(
                    "{} was not removed: commits that no branch has cannot be kept: {fault}",
                    record.path.display()
                ))
            })?;
        references = references::own(git, record).await?;
        references::removable(git, record, &references).await?;
    }
    remove_folders(record).await?;
    let at = At::Bare(&record.common_dir);
    for Reference { name, commit } in &references {
        // Fails if it was moved at this moment.
        git.update_ref(at, &["-d", name, commit]).await?;
    }
    record.forget().map_err(|error| {
        let folder = record.folder().display();
        GitFault(format!(
            "cannot remove the worktree's record in {folder}: {error}"
        ))
    })?;
    let branch = format!("refs/heads/{}", record.branch);
    let tip = references.iter().find(|it| it.name == branch);
    Ok(Removed {
        task_id: record.task_id,
        branch: record.branch.clone(),
        path: record.path.clone(),
        tip: tip.map_or_else(|| record.base.clone(), |it| it.commit.clone()),
        references,
    })
}
