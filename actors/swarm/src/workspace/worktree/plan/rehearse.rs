//! Lets git rehearse the merge on a copy of the checkout's index.

use std::collections::BTreeSet;
use std::fs;

use rustix::fs::{Access, access};

use super::undo::Scratch;
use super::{Checkout, room};
use crate::workspace::worktree::git::{At, Git, GitFault};
use crate::workspace::worktree::index::copy_index;
use crate::workspace::worktree::inventory::list;
use crate::workspace::worktree::locks::clear_shared_lock;
use crate::workspace::worktree::names;
use crate::workspace::worktree::record::Worktree;

/// Checks whether git would move the checkout from one tree to the other; the plan is its branch and the files that
/// change. Returns the folder with the files as git writes them.
///
/// # Errors
/// Another git is at work; the checkout has too little space, or a file that cannot be replaced; a file or folder is
/// not writable; git refuses, or a filter fails.
pub(super) async fn rehearse(
    git: &Git,
    checkout: &Checkout,
    record: &Worktree,
    [head, merged]: [&str; 2],
    plan: (&str, &[String]),
) -> Result<Scratch, GitFault> {
    let (into, files) = plan;
    let folder = record.folder();
    free(checkout, record, into)?;
    writable(checkout, files)?;
    let failed = |error| GitFault(format!("cannot rehearse in {}: {error}", folder.display()));
    let scratch = folder.join(format!(".apply-{}", std::process::id()));
    let _ = fs::remove_dir_all(&scratch);
    let scratch = Scratch(scratch);
    let (index, empty) = (scratch.0.join("index"), scratch.files());
    fs::create_dir_all(&empty).map_err(failed)?;
    let own = checkout.git_dir.join("index");
    copy_index(&own, &index).map_err(failed)?;
    let git = git.with("GIT_INDEX_FILE", &index);
    let at = checkout.at();
    // It exits with 1 if files differ, which is checked elsewhere.
    let refresh = ["update-index", "-q", "--refresh"];
    git.run(at, &refresh).await;
    let dry = ["read-tree", "-n", "-m", "-u", head, merged];
    refused(checkout, git.run(at, &dry).await)?;
    let beside = At::Tree {
        git_dir: &checkout.git_dir,
        work_tree: &empty,
    };
    let real = ["read-tree", "-m", "-u", head, merged];
    refused(checkout, git.run(beside, &real).await)?;
    let (own, files, written) = (checkout.clone(), files.to_vec(), scratch.files());
    let branch = format!("refs/heads/{into}");
    let refs = vec![
        record.common_dir.join(&branch),
        record.common_dir.join("logs").join(&branch),
        checkout.git_dir.join("logs/HEAD"),
    ];
    let room =
        tokio::task::spawn_blocking(move || room::check(&own, &files, &refs, &written)).await;
    room.map_err(|error| GitFault(format!("cannot look at the checkout: {error}")))??;
    Ok(scratch)
}

fn refused(checkout: &Checkout, end: kirosu_providers::ProgramEnd) -> Result<(), GitFault> {
    if end.is_good() {
        return Ok(());
    }
    let lines = end.stderr.lines();
    let lines = lines.filter_map(|line| {
        let text = line
            .strip_prefix("error: ")
            .or(line.strip_prefix("fatal: "));
        text.or(line.strip_prefix('\t'))
    });
    let lines: Vec<&str> = lines.collect();
    Err(GitFault(format!(
        "git would not change the checkout {}: {}: nothing was applied",
        checkout.root.display(),
        match lines.is_empty() {
            true => end.exit.to_string(),
            false => list(&lines),
        }
    )))
}

/// Checks that no other git works here or died here.
fn free(checkout: &Checkout, record: &Worktree, into: &str) -> Result<(), GitFault> {
    let held = [
        checkout.git_dir.join("index.lock"),
        checkout.git_dir.join("HEAD.lock"),
        record.common_dir.join(format!("refs/heads/{into}.lock")),
    ];
    // Without the locks that a commit holds while a person edits its message.
    for lock in &held[1..] {
        clear_shared_lock(lock, &record.common_dir);
    }
    match held.iter().find(|it| it.symlink_metadata().is_ok()) {
        None => Ok(()),
        Some(lock) => Err(GitFault(format!(
            "another git works in {}: nothing was applied; wait for it, or remove {} where none does",
            checkout.root.display(),
            lock.display()
        ))),
    }
}

/// Checks that the folders of changed files, and git's own, can be written.
fn writable(checkout: &Checkout, files: &[String]) -> Result<(), GitFault> {
    let mut folders = BTreeSet::from([checkout.git_dir.clone()]);
    for file in files {
        let mut folder = checkout.root.join(names::path(file));
        folder.pop();
        while !folder.exists() && folder != checkout.root {
            folder.pop();
        }
        folders.insert(folder);
    }
    let wanted = Access::WRITE_OK | Access::EXEC_OK;
    let closed = folders
        .iter()
        .filter(|it| it.is_dir() && access(it.as_path(), wanted).is_err());
    let closed: Vec<_> = closed.map(|it| it.to_string_lossy()).collect();
    match closed.is_empty() {
        true => Ok(()),
        false => Err(GitFault(format!(
            "not writable: {}: nothing was applied",
            list(&closed)
        ))),
    }
}
