//! Removes a worktree that nobody wants any more, and all that was made for it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::git::{At, Git, GitFault};
use super::look::{is_dirty, tip};
use super::open::write;
use super::opened::Opened;
use super::record::{Lock, Record, State};
use super::settle::{settle, tip_of};
use super::verify::{Unverified, verify_folder, verify_git_dir};

/// Removes worktree and branch of a task. `force`: also where files were changed since the last commit on the branch.
/// Answers with the branch's last commit, by which its work can be found until git forgets it.
///
/// # Errors
/// Somebody works there; there are changes that the branch does not have; a folder that cannot be removed.
pub async fn discard(git: &Git, record: &Record, force: bool) -> Result<String, GitFault> {
    let _lock = lock(record)?;
    if !force && record.path.is_dir() && is_dirty(git, record).await? {
        return Err(GitFault(format!(
            "{} has changes that the branch {} does not have; look at them there, or discard them too with --force",
            record.path.display(),
            record.branch
        )));
    }
    let tip = tip_of(git, record).await?;
    let mut record = record.clone();
    if record.state != State::Applied {
        record.state = State::Discarded;
        write(&mut record).await?;
    }
    remove(git, &record).await?;
    Ok(tip.unwrap_or_else(|| record.base.clone()))
}

/// Removes what is left of a worktree that was applied or discarded, or whose task is done and changed nothing. False: it
/// is none of these, and stays.
///
/// # Errors
/// As [`discard`].
pub async fn prune(git: &Git, record: &Record) -> Result<bool, GitFault> {
    match record.state {
        State::Running | State::Left => Ok(false),
        State::Kept => {
            let done = record.ended.as_deref() == Some("done");
            let unchanged = done && tip(git, record).await? == record.base;
            match unchanged {
                true => discard(git, record, false).await.map(|_| true),
                false => Ok(false),
            }
        }
        State::Applied => discard(git, record, false).await.map(|_| true),
        State::Discarded => discard(git, record, true).await.map(|_| true),
    }
}

/// Removes a worktree that no run will ever begin in. Where there is work of an attempt before, it waits as after one that
/// was cancelled.
pub(crate) async fn abandon(opened: &Opened) {
    let record = opened.record();
    let tip = tip_of(&opened.git, &record).await.ok().flatten();
    if tip.as_ref() != Some(&record.base) {
        settle(opened, "cancelled").await;
        return;
    }
    opened.release();
    if let Err(fault) = discard(&opened.git, &record, true).await {
        tracing::warn!(%fault, "a worktree that is not used was not removed");
    }
}

/// Nobody else works in it while the lock is held.
pub(super) fn lock(record: &Record) -> Result<Lock, GitFault> {
    match Lock::take(record.folder(), &record.name) {
        Ok(Some(lock)) => Ok(lock),
        Ok(None) => Err(GitFault(format!(
            "task {0} runs in {1}; wait for its end (kirosu wait {0}), or cancel it first",
            record.task_id,
            record.path.display()
        ))),
        Err(error) => Err(GitFault(format!(
            "cannot lock the worktree in {}: {error}",
            record.folder().display()
        ))),
    }
}

async fn remove(git: &Git, record: &Record) -> Result<(), GitFault> {
    remove_folders(record).await?;
    let at = At::Bare(&record.common_dir);
    if record.common_dir.is_dir() {
        let kept = format!("refs/kirosu/{}/", record.name);
        let branch = format!("refs/heads/{}", record.branch);
        let list = ["for-each-ref", "--format=%(refname)", &branch, &kept];
        for reference in git.ask(at, &list).await?.lines() {
            git.ask(at, &["update-ref", "-d", reference]).await?;
        }
    }
    record.forget().map_err(|error| {
        let folder = record.folder().display();
        GitFault(format!(
            "cannot remove the worktree's record in {folder}: {error}"
        ))
    })
}

/// The worktree's folder, and the folder that git keeps for it: the one that points back to ours.
pub(super) async fn remove_folders(record: &Record) -> Result<(), GitFault> {
    let record = record.clone();
    // They may be large, and this thread has other sessions.
    let removed = tokio::task::spawn_blocking(move || remove_now(&record)).await;
    removed.unwrap_or_else(|error| Err(GitFault(format!("cannot remove folders: {error}"))))
}

fn remove_now(record: &Record) -> Result<(), GitFault> {
    if let Err(why @ Unverified::Replaced(_)) = verify_folder(record) {
        let path = record.path.display();
        return Err(GitFault(format!(
            "{path} was not removed: {why}; move it away or remove it by hand, and try again"
        )));
    }
    let mut folders = vec![record.path.clone()];
    folders.extend(git_folders(record));
    for folder in folders {
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let folder = folder.display();
                return Err(GitFault(format!(
                    "cannot remove {folder}: {error}; remove it by hand and try again"
                )));
            }
            _ => {}
        }
    }
    Ok(())
}

fn git_folders(record: &Record) -> Vec<PathBuf> {
    let ours = record.path.join(".git");
    let Ok(entries) = fs::read_dir(record.common_dir.join("worktrees")) else {
        return Vec::new();
    };
    let is_ours = |folder: &PathBuf| {
        let back = fs::read_to_string(folder.join("gitdir")).unwrap_or_default();
        Path::new(back.trim_end_matches('\n')) == ours
    };
    let folders = entries.flatten().map(|entry| entry.path());
    let recorded = |folder: &PathBuf| *folder == record.git_dir && verify_git_dir(record).is_ok();
    folders
        .filter(|folder| is_ours(folder) || recorded(folder))
        .collect()
}
