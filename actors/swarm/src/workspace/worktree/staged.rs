//! Content that was staged with `git add` and then written over or removed in the files: taking the files into the index
//! would drop the only reference to it.

use super::git::{Git, GitFault};
use super::record::Record;
use super::settle::commit_tree;
use super::verify::tree;

/// A reference of the worktree's own, so that the content is kept with its other commits that no branch has.
const REFERENCE: &str = "refs/worktree/kirosu-staged";

/// The index as a tree; `None` where it cannot be one, as in an unresolved merge.
pub(super) async fn staged_tree(git: &Git, record: &Record) -> Result<Option<String>, GitFault> {
    let end = git.run(tree(record)?, &["write-tree"]).await;
    Ok(end.is_good().then_some(end.stdout))
}

/// Makes a commit of what was `staged` where `files`, the tree of the files, no longer has it and `head` never had it.
///
/// # Errors
/// Git cannot compare the trees, or write the commit.
pub(super) async fn keep_staged(
    git: &Git,
    record: &Record,
    staged: Option<&str>,
    files: &str,
    head: &str,
) -> Result<(), GitFault> {
    let Some(staged) = staged.filter(|it| *it != files) else {
        return Ok(());
    };
    let added = changed(git, record, [head, staged], "AM").await?;
    if added.is_empty() {
        return Ok(());
    }
    let replaced = changed(git, record, [staged, files], "MDT").await?;
    if !added.iter().any(|name| replaced.contains(name)) {
        return Ok(());
    }
    let note = "what was staged, and then written over before it was committed";
    let commit = commit_tree(git, record, staged, &[head.to_owned()], note).await?;
    let ask = ["update-ref", REFERENCE, &commit];
    git.ask(tree(record)?, &ask).await.map(drop)
}

/// The names that differ between two trees in one of the ways that `filter` has letters for.
async fn changed(
    git: &Git,
    record: &Record,
    [before, after]: [&str; 2],
    filter: &str,
) -> Result<Vec<String>, GitFault> {
    let filter = format!("--diff-filter={filter}");
    let ask = [
        "diff-tree",
        "-r",
        "-z",
        "--name-only",
        "--no-renames",
        &filter,
        before,
        after,
        "--",
    ];
    let names = git.ask(tree(record)?, &ask).await?;
    Ok(names.split_terminator('\0').map(str::to_owned).collect())
}
