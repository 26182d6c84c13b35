//! Keeps content that was staged with `git add` and then overwritten or removed in the files: staging the files would
//! drop the only reference to it.

use super::finish::commit_tree;
use super::git::{Git, GitFault};
use super::record::Worktree;
use super::verify::tree;

/// A reference of the worktree's own, so that the content is kept with its other unreferenced commits.
const REFERENCE: &str = "refs/worktree/kirosu-staged";

/// The index as a tree; `None` if that is impossible, as in an unresolved merge.
pub(super) async fn staged_tree(git: &Git, record: &Worktree) -> Result<Option<String>, GitFault> {
    let end = git.run(tree(record)?, &["write-tree"]).await;
    Ok(end.is_good().then_some(end.stdout))
}

/// Commits `staged`, the tree of the index before the files were staged; `head` is its parent. For an index with
/// content that neither the files nor `head` have.
///
/// # Errors
/// Git cannot write the commit.
pub(super) async fn keep_staged(
    git: &Git,
    record: &Worktree,
    staged: &str,
    head: &str,
) -> Result<(), GitFault> {
    let note = "what was staged, and then written over before it was committed";
    let commit = commit_tree(git, record, staged, &[head.to_owned()], note).await?;
    git.update_ref(tree(record)?, &[REFERENCE, &commit]).await
}
