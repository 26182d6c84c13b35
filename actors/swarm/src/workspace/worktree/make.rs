//! Makes the worktree of a task.

use std::path::{Path, PathBuf};

use kirosu_protocol::task::Task;

use super::aside;
use super::attempt::{begin, reset};
use super::folders::remove_folders;
use super::git::{At, Git, GitFault};
use super::kept_refs::keep_tip;
use super::locks::clear_shared_locks;
use super::record::{Worktree, WorktreeLock, cannot_write, write};
use super::references;
use super::verify::{FolderId, dot_git};

/// Makes the worktree, in place of a half-made one if there is one. Returns the reference that keeps an earlier
/// attempt's commits, if there are any.
///
/// # Errors
/// As [`make_first`].
pub(super) async fn make(
    git: &Git,
    record: &mut Worktree,
    base: String,
    task: &Task,
) -> Result<Option<String>, GitFault> {
    let kept = keep_tip(git, record).await?;
    aside::keep(git, record).await?;
    remove_folders(record).await?;
    start(git, record, base, task, false).await.map(|()| kept)
}

/// Makes the worktree of a new name.
///
/// # Errors
/// Git failed; [`GitFault::is_taken`] if another process has just made the branch.
pub(super) async fn make_first(
    git: &Git,
    record: &mut Worktree,
    base: String,
    task: &Task,
) -> Result<(), GitFault> {
    start(git, record, base, task, true).await
}

async fn start(
    git: &Git,
    record: &mut Worktree,
    base: String,
    task: &Task,
    is_new: bool,
) -> Result<(), GitFault> {
    record.git_dir = PathBuf::new();
    record.base = base;
    record.conflicts = Vec::new();
    record.conversation = None;
    record.filled = false;
    begin(record, task).await?;
    clear_shared_locks(&record.common_dir);
    let made = checkout(git, record, is_new).await;
    if let Err(fault) = &made {
        // No run has worked in it.
        let gone = remove_folders(record).await.is_ok();
        if !fault.is_taken() {
            let at = At::Bare(&record.common_dir);
            let branch = format!("refs/heads/{}", record.branch);
            let _ = git.update_ref(at, &["-d", &branch, &record.base]).await;
        }
        if gone {
            let _ = record.forget();
        }
    }
    made
}

/// The branch of a new worktree.
#[derive(Debug, Clone, Copy)]
pub(super) enum BranchStart<'a> {
    /// It must not exist.
    New(&'a str),
    /// It is set to the commit if it exists.
    Own(&'a str),
}

/// `git worktree add` of a branch at a commit, without files. One at a time per repository.
pub(super) async fn add(
    git: &Git,
    common: &Path,
    (branch, base): (BranchStart<'_>, &str),
    path: &Path,
) -> Result<(), GitFault> {
    let place = path.to_string_lossy();
    let mut args = vec!["worktree", "add", "--no-checkout"];
    match branch {
        BranchStart::New(branch) => args.extend(["-b", branch]),
        BranchStart::Own(branch) => args.extend(["-B", branch]),
    }
    args.extend(["--", &place, base]);
    let own = common.to_owned();
    let lock = tokio::task::spawn_blocking(move || WorktreeLock::of_repository(&own)).await;
    let lock = match lock {
        Ok(Ok(lock)) => lock,
        Ok(Err(error)) => {
            let common = common.display();
            return Err(GitFault(format!(
                "cannot write to the git folder {common}: {error}"
            )));
        }
        Err(error) => return Err(GitFault(format!("cannot wait for the repository: {error}"))),
    };
    let added = git.stdout(At::Bare(common), &args).await;
    drop(lock);
    added.map(drop)
}

async fn checkout(git: &Git, record: &mut Worktree, is_new: bool) -> Result<(), GitFault> {
    let branch = match is_new {
        true => BranchStart::New(&record.branch),
        false => {
            // `git worktree add -B` would move the target of a symbolic reference.
            let reference = format!("refs/heads/{}", record.branch);
            if references::is_symbolic(git, &record.common_dir, &reference).await? {
                let at = At::Bare(&record.common_dir);
                git.update_ref(at, &[&reference, &record.base]).await?;
            }
            BranchStart::Own(&record.branch)
        }
    };
    add(
        git,
        &record.common_dir,
        (branch, &record.base),
        &record.path,
    )
    .await?;
    // No agent has worked here yet.
    let git_dir = dot_git(&record.path).and_then(|it| it.canonicalize().ok());
    record.git_dir = git_dir.ok_or_else(|| {
        let path = record.path.display();
        GitFault(format!("git worktree add left no .git file in {path}"))
    })?;
    record.folder_id = FolderId::of(&record.path).ok();
    // After a power cut the record does not know the folder, and it is made anew.
    let noted = record.write_unsynced();
    noted.map_err(|error| cannot_write(record, &error))?;
    reset(git, record).await?;
    record.filled = true;
    write(record).await
}
