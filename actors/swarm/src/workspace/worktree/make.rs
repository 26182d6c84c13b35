//! Makes the worktree of a task.

use std::path::{Path, PathBuf};

use kirosu_protocol::task::Task;

use super::aside;
use super::git::{At, Git, GitFault};
use super::leave::remove_folders;
use super::open::{begin, keep_tip, reset, write};
use super::record::{Lock, Record};
use super::verify::FolderId;

/// Makes it, in place of a half made one where there is one. Returns the reference that keeps what an earlier attempt
/// committed, if one did.
pub(super) async fn make(
    git: &Git,
    record: &mut Record,
    base: String,
    task: &Task,
) -> Result<Option<String>, GitFault> {
    let kept = keep_tip(git, record).await?;
    aside::keep(git, record).await?;
    remove_folders(record).await?;
    record.git_dir = PathBuf::new();
    record.base = base;
    record.conflicts = Vec::new();
    record.conversation = None;
    begin(record, task).await?;
    let made = checkout(git, record).await;
    if made.is_err() {
        // Nobody has worked in it.
        let gone = remove_folders(record).await.is_ok();
        let at = At::Bare(&record.common_dir);
        let branch = format!("refs/heads/{}", record.branch);
        let _ = git
            .ask(at, &["update-ref", "-d", &branch, &record.base])
            .await;
        if gone {
            let _ = record.forget();
        }
    }
    made.map(|()| kept)
}

/// `git worktree add` at a commit, without files; of a new branch, or of none. One at a time per repository.
pub(super) async fn add(
    git: &Git,
    common: &Path,
    (branch, base): (Option<&str>, &str),
    path: &Path,
) -> Result<(), GitFault> {
    let place = path.to_string_lossy();
    let mut ask = vec!["worktree", "add", "--no-checkout"];
    match branch {
        Some(branch) => ask.extend(["-B", branch]),
        None => ask.push("--detach"),
    }
    ask.extend(["--", &place, base]);
    let own = common.to_owned();
    let lock = tokio::task::spawn_blocking(move || Lock::of_repository(&own)).await;
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
    let added = git.ask(At::Bare(common), &ask).await;
    drop(lock);
    added.map(drop)
}

async fn checkout(git: &Git, record: &mut Record) -> Result<(), GitFault> {
    let at = (Some(record.branch.as_str()), record.base.as_str());
    add(git, &record.common_dir, at, &record.path).await?;
    // Nothing of the agent's has been here yet.
    let at = At::Folder(&record.path);
    let git_dir = git.ask(at, &["rev-parse", "--absolute-git-dir"]).await?;
    record.git_dir = git_dir.into();
    record.folder_id = FolderId::of(&record.path).ok();
    write(record).await?;
    reset(git, record).await
}
